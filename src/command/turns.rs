//! `report compare --live`: two commands measured in short turns, so that whatever the machine does affects both.
//!
//! A turn is a whole run of a command, with its own server and its own folder, so the difference between processes of
//! one build is included in every turn. The order changes from pair to pair (A B, B A, A B, ...), so that a steady
//! drift favours neither.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::record::Run;

use super::FAILED;
use super::args::CompareArgs;
use super::output::say;
use super::signals::{InOrder, STOP};

/// The fewest pairs to measure, however long they take: with fewer the interval says nothing.
const FEWEST: usize = 5;

/// The most pairs: the rows of all of them stay in memory.
const MOST: usize = 200;

/// How long a trial takes if the command does not say.
const TRIAL: &str = "50ms";

/// Two commands and how long to measure them.
pub(super) struct Turns<'a> {
    commands: [&'a str; 2],
    time: Duration,
    pairs: Option<usize>,
    out: Option<PathBuf>,
    seed: u64,
}

impl<'a> Turns<'a> {
    pub(super) fn of(commands: [&'a str; 2], args: &CompareArgs) -> Self {
        Self {
            commands,
            time: args.time(),
            pairs: args.pairs(),
            out: args.out.clone(),
            seed: fastrand::u64(..1_000_000),
        }
    }

    /// Measures until the time is over, and returns both sides' runs, in pairs.
    pub(super) fn measured(&self) -> Result<[Vec<Run>; 2]> {
        for command in self.commands {
            if has_option(command, "--out") {
                return Err(Error::usage(format!(
                    "'{command}': leave --out out; compare --live gives each turn a folder"
                )));
            }
        }
        let scratch = tempfile::tempdir()
            .map_err(|e| Error::broken(format!("no temporary folder for the turns: {e}; name one with --out")))?;
        let folder = self.out.as_deref().unwrap_or(scratch.path());
        let (_looking, started) = (InOrder::begin(), Instant::now());
        let (mut sides, mut longest) = ([Vec::new(), Vec::new()], Duration::ZERO);
        for pair in 0..self.pairs.unwrap_or(MOST) {
            let begun = Instant::now();
            for side in if pair % 2 == 0 { [0, 1] } else { [1, 0] } {
                let name = format!("{:03}-{}", pair + 1, ["before", "after"][side]);
                sides[side].push(self.turn(self.commands[side], &folder.join(name), pair)?);
            }
            longest = longest.max(begun.elapsed());
            if pair == 0 {
                self.say_how_long(longest);
            }
            let is_over = started.elapsed() + longest > self.time;
            if self.pairs.is_none() && is_over && pair + 1 >= FEWEST {
                break;
            }
        }
        say(&format!("report: {} pairs of turns in {:.0} s", sides[0].len(), started.elapsed().as_secs_f64()));
        Ok(sides)
    }

    fn say_how_long(&self, pair: Duration) {
        let pairs = self
            .pairs
            .unwrap_or_else(|| ((self.time.as_secs_f64() / pair.as_secs_f64().max(1e-3)) as usize).clamp(FEWEST, MOST));
        let seconds = pairs as f64 * pair.as_secs_f64();
        say(&format!("report: a pair takes {:.1} s: about {pairs} pairs in {seconds:.0} s", pair.as_secs_f64()));
    }

    /// One run of one command into `folder`.
    fn turn(&self, command: &str, folder: &Path, pair: usize) -> Result<Run> {
        let wrong = |why: String| Error::broken(format!("a turn of '{command}' failed: {why}"));
        let output = Command::new("sh")
            .args(["-c", &format!("{command} \"$@\""), "sh"])
            .args(self.options(command, folder, pair))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|e| wrong(format!("cannot start a shell: {e}")))?;
        if STOP.load(Ordering::SeqCst) {
            return Err(Error::interrupted());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim().to_owned();
        match output.status.code() {
            // A broken promise makes it exit with 1; the comparison reports that too.
            Some(code) if code != i32::from(FAILED) && folder.exists() => Run::read(folder),
            Some(code) => Err(wrong(format!("exit code {code}: {last}"))),
            None => Err(wrong(format!("it was killed: {last}"))),
        }
    }

    /// The options added to the command, except those that it already has.
    fn options(&self, command: &str, folder: &Path, pair: usize) -> Vec<String> {
        let mut options = vec!["--out".to_owned(), folder.display().to_string()];
        options.extend(["--quiet", "--no-progress"].iter().filter(|o| !has_option(command, o)).map(|&o| o.to_owned()));
        let mut add = |known: &[&str], option: &str, value: String| {
            if !known.iter().any(|known| has_option(command, known)) {
                options.extend([option.to_owned(), value]);
            }
        };
        add(&["--seed"], "--seed", (self.seed + pair as u64).to_string());
        add(&["--rounds", "--until"], "--rounds", "1".to_owned());
        add(&["--duration", "--updates", "--quick", "--full"], "--duration", TRIAL.to_owned());
        options
    }
}

/// Whether a command has an option, with its value as the next word or after `=`.
fn has_option(command: &str, option: &str) -> bool {
    command
        .split_whitespace()
        .any(|word| word == option || word.strip_prefix(option).is_some_and(|rest| rest.starts_with('=')))
}
