"""Does what the README's "Adding a strategy" says, from the README's own words, in the current checkout."""
import pathlib
import re

readme = pathlib.Path("README.md").read_text().split("## Adding a strategy")[1]
path = pathlib.Path(re.search(r"`(src/strategy/\w+\.rs)`", readme)[1])
path.write_text(re.search(r"```rust\n(.*?)```", readme, re.S)[1])
listing = pathlib.Path("src/strategy.rs")
text = listing.read_text()
before = None
for line in re.search(r"```diff\n(.*?)```", readme, re.S)[1].splitlines():
    if line.startswith("+"):
        text = text.replace(f"{before}\n", f"{before}\n{line[1:]}\n", 1) if before else text.replace("mod backoff;", f"{line[1:]}\nmod backoff;", 1)
    elif line.startswith(" "):
        before = line[1:] if "ALL" in line else before
listing.write_text(text)
