"""Makes a crate outside the checkout, out of examples/own_strategy.rs and the criterion bench of docs/adding-a-strategy.md.

Its argument is the folder to make. The checkout is the current folder.
"""
import pathlib
import re
import shutil
import sys

root, crate = pathlib.Path.cwd(), pathlib.Path(sys.argv[1])
manifest = (root / "Cargo.toml").read_text()
page = (root / "docs/adding-a-strategy.md").read_text()
bench = re.search(r"## In your own crate.*?```rust\n(.*?)```", page, re.S)[1]
strategy, main = (root / "examples/own_strategy.rs").read_text().split("/// Everything that `report` does")

# The same profiles as ours, so that the dependencies need no second build.
profiles = re.findall(r"^\[profile\..*?(?=^\[|\Z)", manifest, re.S | re.M)
criterion = re.search(r"^criterion = .*$", manifest, re.M)[0]
(crate / "src").mkdir(parents=True)
(crate / "benches").mkdir()
(crate / "Cargo.toml").write_text(f"""[package]
name = "mine"
version = "0.1.0"
edition = "2024"

[dependencies]
redis-lost-updates = {{ path = "{root}" }}

[dev-dependencies]
{criterion}

[[bench]]
name = "updates"
harness = false

{"".join(profiles)}""")
shutil.copy(root / "Cargo.lock", crate)
library = strategy.replace("pub(crate) struct", "pub struct").replace("use std::process::ExitCode;\n\n", "")
(crate / "src/lib.rs").write_text(library)
(crate / "src/main.rs").write_text(f"use mine::AppendByte;\nuse std::process::ExitCode;\n\n/// Everything{main}")
(crate / "benches/updates.rs").write_text(bench)
