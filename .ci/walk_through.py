"""Does what the README's "Adding a strategy" says, from the README's own words, in the current checkout."""
import pathlib
import re

readme = pathlib.Path("README.md").read_text().split("## Adding a strategy")[1]
path = pathlib.Path(re.search(r"`(src/strategy/\w+\.rs)`", readme)[1])
path.write_text(re.search(r"```rust\n(.*?)```", readme, re.S)[1])
listing = pathlib.Path("src/strategy.rs")
before, added = re.search(r"```diff\n (.*)\n\+(.*)\n```", readme).groups()
text = listing.read_text()
assert text.count(f"\n{before}\n") == 1, f"{listing} has no single line {before!r}"
listing.write_text(text.replace(f"\n{before}\n", f"\n{before}\n{added}\n"))
