module lostupdates/worker

go 1.24
