"""Checks that client libraries were raced, every strategy that each has: check_libraries.py FOLDER..."""
import csv
import sys
import tomllib
from pathlib import Path

raced = set()
for folder in sys.argv[1:]:
    for row in csv.DictReader(open(f"{folder}/trials.csv")):
        name = (row["library"], row["strategy"])
        assert not row["error"], row
        if not row["verdict"]:
            # What a library does not have is no failure, and neither is one that needs another kind of server.
            assert "has no strategy" in row["note"] or "speaks to a cluster only" in row["note"], row
            continue
        assert row["driver"] == "external" and row["runtime"] and row["effective_settings"], row
        lost, doubled, acked, found = (int(row[column]) for column in ("lost", "doubled", "acked", "found"))
        assert acked > 0 and doubled == 0 and lost == acked - found, row
        assert lost == 0 or row["promise"] == "lossy", row
        assert lost > 0 or row["strategy"] != "get-set" or int(row["threads"]) < 4, row
        if row["strategy"] != "pipelined-incr":
            assert int(row["no_op_per_s"]) > acked * 1e9 / int(row["span_ns"]), row
        raced.add(name)
manifests = [tomllib.loads(path.read_text()) for path in Path("libraries").glob("*/library.toml")]
has = {(each["name"], strategy) for each in manifests for strategy in each["strategies"] if strategy != "no-op"}
assert raced == has, f"not raced: {sorted(has - raced)}"
print(f"{len(manifests)} libraries: {len(raced)} strategies raced, all as promised")
