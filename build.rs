//! What only the build knows and every result must name: optimisation, compiler, commit, and the versions of the crates
//! that are measured.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=Cargo.lock");
    println!("cargo:rerun-if-changed=.git/HEAD");
    println!("cargo:rerun-if-changed=.git/refs/heads");
    let opt_level = std::env::var("OPT_LEVEL").unwrap_or_default();
    let profile = std::env::var("PROFILE").unwrap_or_default();
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    println!("cargo:rustc-env=BUILD_OPT_LEVEL={opt_level}");
    println!("cargo:rustc-env=BUILD_PROFILE={profile}");
    println!("cargo:rustc-env=BUILD_RUSTC={}", said(&rustc, &["--version"]));
    println!("cargo:rustc-env=BUILD_COMMIT={}", said("git", &["rev-parse", "--short=12", "HEAD"]));
    println!("cargo:rustc-env=BUILD_CRATES={}", measured_crates());
    println!("cargo:rustc-env=BUILD_REDIS={}", version("redis").unwrap_or_default());
}

/// The first line a command prints; empty if it fails (a package unpacked without git).
fn said(command: &str, args: &[&str]) -> String {
    // Cargo runs this in the package's folder; a path kept from compile time may be of a checkout that is gone.
    let output = Command::new(command).args(args).output();
    let text = output.ok().filter(|o| o.status.success()).map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

fn measured_crates() -> String {
    let named = |name: &&str| Some(format!("{name} {}", version(name)?));
    ["redis", "r2d2", "rayon", "tokio"].iter().filter_map(named).collect::<Vec<_>>().join(", ")
}

/// A crate's version in the lock file.
fn version(name: &str) -> Option<String> {
    let lock = std::fs::read_to_string("Cargo.lock").unwrap_or_default();
    let entry = lock.split("[[package]]").find(|entry| entry.contains(&format!("name = \"{name}\"\n")))?;
    let version = entry.lines().find_map(|line| line.strip_prefix("version = \""))?;
    Some(version.trim_end_matches('"').to_owned())
}
