//! Installs a library into our cache folder, once, with its language's own package manager and from its lock file.
//!
//! The folder's name contains a hash of the library's files, so a changed adapter or lock file is a new installation. A
//! file inside marks it as complete; a lock keeps two runs from installing the same library at once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use std::os::unix::process::CommandExt;

use rustix::process::{Pid, Signal, kill_process_group};

use super::manifest::{Manifest, loops};

/// How long one command of an installation may take.
const LONGEST: Duration = Duration::from_secs(900);
/// The most files of a library's folder that are read, and how deep and large they may be.
const MOST_FILES: usize = 200;
const DEEPEST: usize = 4;
const LARGEST_FILE: u64 = 4 * 1024 * 1024;
/// The file whose presence says that the installation is complete.
const COMPLETE: &str = "complete";

/// A library that can be started.
#[derive(Debug, Clone)]
pub struct Installed {
    /// What it is.
    pub manifest: Manifest,
    /// Where its worker runs: the folder of the manifest.
    pub(super) folder: PathBuf,
    cache: PathBuf,
    shared: PathBuf,
    report: PathBuf,
}

/// Why a library is not available on this machine; its rows are skipped for this reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// A program is missing.
    Tool {
        /// Its name.
        tool: String,
        /// How to get it.
        get: String,
    },
    /// It would have to be fetched, and that is not allowed.
    Offline,
    /// Fetching or building it failed.
    Failed(String),
    /// We were asked to stop.
    Interrupted,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool { tool, get } => write!(f, "{tool} is not on PATH ({get})"),
            Self::Offline => write!(f, "it is not installed yet, and --offline forbids fetching it"),
            Self::Failed(why) => write!(f, "it cannot be installed: {why}"),
            Self::Interrupted => write!(f, "interrupted"),
        }
    }
}

/// Installs a library if it is not installed; `say` is told what is fetched beforehand. `report` is this program.
///
/// # Errors
/// It is not available here: says why.
pub fn install(
    manifest: Manifest,
    report: &Path,
    offline: bool,
    stop: &AtomicBool,
    say: &mut dyn FnMut(&str),
) -> Result<Installed, Unavailable> {
    if let Some(missing) = manifest.needs.iter().find(|need| !is_on_path(&need.tool)) {
        return Err(Unavailable::Tool { tool: missing.tool.clone(), get: missing.get.clone() });
    }
    let failed = |path: &Path, e: std::io::Error| Unavailable::Failed(format!("{}: {e}", path.display()));
    let root = dirs::cache_dir()
        .ok_or_else(|| Unavailable::Failed("no cache folder: set HOME or XDG_CACHE_HOME".to_owned()))?
        .join("redis-lost-updates")
        .join("libraries");
    let hash = hash_of(&manifest).map_err(|e| failed(&manifest.folder, e))?;
    let installed = Installed {
        folder: manifest.folder.clone(),
        cache: root.join(format!("{}-{}-{hash:016x}", manifest.name, folder_name(&manifest.version))),
        shared: root.join(format!("shared-{}", folder_name(&manifest.language))),
        report: report.to_owned(),
        manifest,
    };
    if installed.manifest.install.is_empty() || installed.cache.join(COMPLETE).is_file() {
        return Ok(installed);
    }
    if offline {
        return Err(Unavailable::Offline);
    }
    std::fs::create_dir_all(&installed.shared).map_err(|e| failed(&installed.shared, e))?;
    // One installation per language at a time, as they share a folder.
    let lock = installed.shared.join("lock");
    let lock_file = File::create(&lock).map_err(|e| failed(&lock, e))?;
    lock_file.lock().map_err(|e| failed(&lock, e))?;
    if !installed.cache.join(COMPLETE).is_file() {
        say(&format!(
            "{}: fetching {}, once, into {}",
            installed.manifest.name,
            installed.manifest.fetches,
            root.display()
        ));
        let _ = std::fs::remove_dir_all(&installed.cache); // what an installation that was cut short left
        std::fs::create_dir_all(&installed.cache).map_err(|e| failed(&installed.cache, e))?;
        for command in &installed.manifest.install {
            installed.run(command, stop)?;
        }
        let complete = installed.cache.join(COMPLETE);
        File::create(&complete).map_err(|e| failed(&complete, e))?;
    }
    Ok(installed)
}

impl Installed {
    /// A library that is part of the program `report`, and needs no files.
    pub(crate) fn built_in(manifest: Manifest, report: PathBuf) -> Self {
        let nowhere = std::env::temp_dir();
        Self { manifest, folder: nowhere.clone(), cache: nowhere.clone(), shared: nowhere, report }
    }

    /// The command that starts the worker.
    pub(super) fn command(&self) -> Vec<String> {
        self.manifest.command.iter().map(|part| self.fill(part)).collect()
    }

    /// Its environment variables.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        self.manifest.env.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect()
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{dir}", &self.folder.to_string_lossy())
            .replace("{cache}", &self.cache.to_string_lossy())
            .replace("{shared}", &self.shared.to_string_lossy())
            .replace("{loops}", &loops().to_string_lossy())
            .replace("{report}", &self.report.to_string_lossy())
    }

    /// Runs one command of the installation; its output goes to a file in the folder.
    fn run(&self, command: &[String], stop: &AtomicBool) -> Result<(), Unavailable> {
        let log = self.cache.join("log");
        let failed = |e: std::io::Error| Unavailable::Failed(format!("{}: {e}", command[0]));
        let output = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let words: Vec<String> = command.iter().map(|part| self.fill(part)).collect();
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .envs(self.environment())
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let since = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break status;
            }
            let is_stopped = stop.load(Ordering::Relaxed);
            if is_stopped || since.elapsed() > LONGEST {
                if let Some(group) = Pid::from_raw(child.id() as i32) {
                    // A group that is gone already needs no signal.
                    let _ = kill_process_group(group, Signal::KILL);
                }
                let _ = child.wait();
                return Err(if is_stopped {
                    Unavailable::Interrupted
                } else {
                    Unavailable::Failed(format!("{} took over {} s", command[0], LONGEST.as_secs()))
                });
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        if status.success() {
            return Ok(());
        }
        Err(Unavailable::Failed(format!("{} ends with {status}: {}", command[0], telling_line(&log))))
    }
}

/// The most telling line of a log: the last one with an error, or else the last.
fn telling_line(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(64 * 1024)..]).into_owned();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let error = lines.iter().rfind(|line| line.to_lowercase().contains("error"));
    let line = error.or(lines.last()).copied().unwrap_or("it said nothing");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn is_on_path(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(tool).is_file())
}

/// Text as a part of a file's name: any other character becomes '-'.
fn folder_name(text: &str) -> String {
    text.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).take(40).collect()
}

/// A hash of all that an installation depends on: the library's folder and the worker loops.
fn hash_of(manifest: &Manifest) -> std::io::Result<u64> {
    let mut files = Vec::new();
    for folder in [&manifest.folder, &loops()] {
        list(folder, DEEPEST, &mut files);
    }
    files.sort();
    let mut hasher = DefaultHasher::new();
    for path in files {
        path.file_name().hash(&mut hasher);
        std::fs::read(&path)?.hash(&mut hasher);
    }
    Ok(hasher.finish())
}

fn list(folder: &Path, deeper: usize, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let is_made = name.to_string_lossy().starts_with('.')
            || ["target", "node_modules", "__pycache__"].iter().any(|n| name == *n);
        if is_made || files.len() >= MOST_FILES {
            continue;
        }
        if path.is_dir() && deeper > 0 {
            list(&path, deeper - 1, files);
        } else if entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST_FILE) {
            files.push(path);
        }
    }
}
