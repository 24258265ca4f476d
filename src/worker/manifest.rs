//! `library.toml`: what a library is, how to install it, how to start its worker, and what it can do. It is read from any
//! path, so a user's own client needs no change in this crate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::error::{Error, Result};

/// The file's name in a library's folder.
const FILE: &str = "library.toml";
/// The largest manifest that is read.
const LARGEST: u64 = 64 * 1024;

/// A client library, as its `library.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// What it is called in rows: lower case, digits, `-`, `.`.
    pub name: String,
    /// The language it is for.
    pub language: String,
    /// The version that is installed; the worker must report the same.
    pub version: String,
    /// What it is, in one sentence.
    pub about: String,
    /// The programs that must be installed.
    #[serde(default)]
    pub needs: Vec<Tool>,
    /// What is fetched on first use, and from where; empty if nothing is.
    #[serde(default)]
    pub fetches: String,
    /// The commands that install it, in order, each with its arguments. `{dir}` is the folder of the manifest, `{cache}` the
    /// folder it is installed into, `{shared}` one for all libraries of the language, `{loops}` the folder of worker loops.
    #[serde(default)]
    pub install: Vec<Vec<String>>,
    /// The command that starts the worker, run in the folder of the manifest; `{report}` is this program.
    pub command: Vec<String>,
    /// Environment variables for both.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The strategies it implements, by our names.
    pub strategies: Vec<String>,
    /// How many clients one worker process has; all of them if it is not given.
    pub clients_per_process: Option<usize>,
    /// Whether it talks to a cluster, and so needs a server that is one.
    #[serde(default)]
    pub cluster: bool,
    /// Its settings by name: `default`, and `safe` if that differs.
    pub settings: BTreeMap<String, Settings>,
    /// The folder it was read from.
    #[serde(skip)]
    pub folder: PathBuf,
}

/// A program that must be on PATH.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Its name.
    pub tool: String,
    /// How to get it: `apt-get install golang`.
    pub get: String,
}

/// One way to set the library up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// What is set, in one sentence.
    pub about: String,
    /// The lines of code that set it, for a reader to copy.
    #[serde(default)]
    pub recipe: String,
    /// What to expect after a lost reply, by way (`fin`, `rst`, `silence`, `dropped`): from its source or an earlier
    /// run.
    #[serde(default)]
    pub predicts: BTreeMap<String, Cell>,
}

/// What is expected of 100 updates if every tenth reply is lost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Cell {
    /// Updates acknowledged; empty where only the counts below are claimed.
    pub acked: Option<u64>,
    /// Updates that ended in an error.
    pub errors: Option<u64>,
    /// Increments beyond the updates that were acknowledged or ended in an error.
    pub doubled: Option<u64>,
    /// Where the expectation comes from.
    pub source: String,
}

impl Settings {
    /// Whether it is expected to send an update again whose reply is missing. Then an error that the server answers with
    /// may be the reply to the second try, and says nothing about the first.
    pub fn resends(&self) -> bool {
        self.predicts.values().any(|cell| cell.doubled > Some(0))
    }
}

impl Manifest {
    /// Reads the manifest at `path`, a `library.toml` or the folder that holds one.
    ///
    /// # Errors
    /// The file is missing or invalid: names it, and the line.
    pub fn read(path: &Path) -> Result<Self> {
        let path = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let size = std::fs::metadata(&path).map_err(|e| Error::file(&path, e))?;
        if !size.is_file() || size.len() > LARGEST {
            return Err(Error::file(&path, format!("is not a {FILE}: expected a text file of up to {LARGEST} bytes")));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))?;
        let mut manifest: Self = toml::from_str(&text).map_err(|e| Error::file(&path, one_line(&e)))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        manifest.folder = folder.canonicalize().map_err(|e| Error::file(folder, e))?;
        manifest.check().map_err(|why| Error::file(&path, why))?;
        Ok(manifest)
    }

    /// Our library of this name, or the one whose manifest is at this path.
    ///
    /// # Errors
    /// There is none: lists those there are.
    pub fn find(name: &str) -> Result<Self> {
        if name.contains('/') || name.ends_with(".toml") {
            return Self::read(Path::new(name));
        }
        let known = Self::names()?;
        if known.iter().any(|known| known == name) {
            return Self::read(&ours().join(name));
        }
        let near = known.iter().max_by(|a, b| {
            let likeness = |known: &str| strsim::jaro_winkler(known, name);
            likeness(a).total_cmp(&likeness(b))
        });
        let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
        Err(Error::usage(format!("no library '{name}': available are {}{near}", known.join(", "))))
    }

    /// The names of our own libraries, in order.
    ///
    /// # Errors
    /// Their folder is missing.
    pub fn names() -> Result<Vec<String>> {
        let folder = ours();
        let entries = std::fs::read_dir(&folder).map_err(|e| {
            Error::file(&folder, format!("{e}; the libraries are in the source folder of this program: build it there"))
        })?;
        let libraries = entries.flatten().filter(|entry| entry.path().join(FILE).is_file());
        let mut names: Vec<String> = libraries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Refuses what a worker cannot be started with.
    fn check(&self) -> Result<(), String> {
        let is_plain = |name: &str| {
            (1..=40).contains(&name.len())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c))
                && !name.starts_with(['-', '.'])
        };
        if !is_plain(&self.name) {
            return Err(format!("name {:?}: expected up to 40 lower-case letters, digits, '-' and '.'", self.name));
        }
        if let Some(name) = self.settings.keys().find(|name| !is_plain(name)) {
            return Err(format!("settings {name:?}: expected up to 40 lower-case letters, digits, '-' and '.'"));
        }
        if !self.settings.contains_key("default") {
            return Err("there is no [settings.default]".to_owned());
        }
        if self.command.is_empty() || self.install.iter().any(Vec::is_empty) {
            return Err("a command is empty".to_owned());
        }
        if self.strategies.is_empty() {
            return Err("strategies: expected at least one".to_owned());
        }
        if self.clients_per_process == Some(0) {
            return Err("clients-per-process: expected at least 1".to_owned());
        }
        Ok(())
    }
}

/// The folder of our own libraries.
fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("libraries")
}

/// The folder of the worker loops that adapters share.
pub(super) fn loops() -> PathBuf {
    ours().join("loops")
}

fn one_line(error: &toml::de::Error) -> String {
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    match error.span() {
        Some(span) => format!("{message} (at byte {})", span.start),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_library_of_ours_reads_and_says_how_it_is_set_up() {
        for name in Manifest::names().unwrap() {
            let manifest = Manifest::find(&name).unwrap();
            assert_eq!(manifest.name, name);
            assert!(!manifest.about.is_empty() && !manifest.version.is_empty());
            assert!(manifest.install.is_empty() == manifest.fetches.is_empty(), "{name} says what it fetches");
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused_in_one_line_that_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let head = "language='x'\nversion='1'\nabout='y'\nstrategies=['incr']\n";
        for text in [
            "".to_owned(),
            "name = 3".to_owned(),
            format!("name='../a'\ncommand=['x']\n{head}[settings.default]\nabout='z'"),
            format!("name='a'\ncommand=[]\n{head}[settings.default]\nabout='z'"),
            format!("name='a'\ncommand=['x']\n{head}[settings.safe]\nabout='z'"),
            format!("name='a'\ncommand=['x']\nsurprise=1\n{head}[settings.default]\nabout='z'"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = Manifest::read(folder.path()).unwrap_err().to_string();
            assert!(error.contains(FILE) && error.lines().count() == 1, "{error}");
        }
        assert!(Manifest::find("redis-yp").unwrap_err().to_string().contains("did you mean redis-py?"));
    }
}
