"""Adds the strategy of docs/adding-a-strategy.md to the current checkout, from the text of that page."""
import pathlib
import re

page = pathlib.Path("docs/adding-a-strategy.md").read_text()
path = pathlib.Path(re.search(r"`(src/strategy/\w+\.rs)`:", page)[1])
path.write_text(re.search(r"```rust\n(.*?)```", page, re.S)[1])
listing = pathlib.Path("src/strategy.rs")
before, added = re.search(r"```diff\n (.*)\n\+(.*)\n```", page).groups()
text = listing.read_text()
assert text.count(f"\n{before}\n") == 1, f"{listing} has no single line {before!r}"
listing.write_text(text.replace(f"\n{before}\n", f"\n{before}\n{added}\n"))
