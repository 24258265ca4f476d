//! The mutex that makes GET and SET safe, in two processes at once: each has its own mutex.
//!
//! Half of the workers share a connection behind a mutex here. The other half send their updates, one at a time, to a
//! second process that does the same GET and SET. Each process alone is exact. Together they are two clients that race,
//! however many threads there are. Two round trips. This is what happens to `synchronized`, `lock` and `Mutex` when a
//! service gets a second instance or a worker process: <https://github.com/StackExchange/StackExchange.Redis/issues/339>,
//! <https://github.com/StackExchange/StackExchange.Redis/issues/59>.
//!
//! The second process is this program under a hidden subcommand. It reads the server's URL from the first line of its
//! standard input, then one counter name per line; for each it answers with the value that it wrote. It ends when its
//! standard input ends. The URL may contain a password, and unlike arguments and environment, a pipe appears in no process
//! list. It has its own process group, so a terminal's Ctrl-C does not end it before the trial is over.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{BoxError, Error, Result};
use crate::strategy::toolkit::{ONE_PLAIN_SERVER, get_then_set};
use crate::strategy::{Info, Need, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// The hidden subcommand of `report`.
const SUBCOMMAND: &str = "second-process";

/// The beginning of an answer to an update that certainly changed nothing.
const REFUSED: &str = "refused: ";

/// Whether this program understands [`SUBCOMMAND`], because it passes its own arguments to `redis_lost_updates::run`.
static IS_REPORT: AtomicBool = AtomicBool::new(false);

/// From now on this program may be started as the second process.
#[cfg(feature = "cli")]
pub(crate) fn this_program_is_report() {
    IS_REPORT.store(true, Ordering::Relaxed);
}

/// The first line of a second process that is ready.
const READY: &str = "ready to race";

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["set"],
    commands: &["get", "set"],
    needs: &[ONE_PLAIN_SERVER, Need { what: "the report program, as a second process", missing: no_second_process }],
    ..Info::lossy("mutex-two-processes", "The mutex in each of two processes: exact in one, a race in both.")
};

pub(super) struct TwoProcesses;

/// The second process: reads the server's URL from the first line of `input`, does GET, add one, SET for the counter named on
/// each later line, and answers on `output` with the value written, with [`REFUSED`] and the reason, or with `!` and the
/// error. Ends when `input` ends.
///
/// # Errors
/// No URL, no server, or `output` is closed.
#[cfg(feature = "cli")]
pub(crate) fn second_process(input: impl BufRead, mut output: impl Write) -> Result<()> {
    let mut lines = input.lines().map_while(|line| line.ok());
    let url = lines.next().ok_or_else(|| Error::usage(format!("{SUBCOMMAND} is an internal command")))?;
    let server = Target::at(&url)?;
    let mut db = server.connect()?;
    let mut say = |line: &str| {
        let said = output.write_all(format!("{line}\n").as_bytes()).and_then(|()| output.flush());
        said.map_err(|e| Error::broken(format!("{SUBCOMMAND}: the first process has exited: {e}")))
    };
    say(READY)?;
    for key in lines {
        match get_then_set(&mut db, &key) {
            Ok(Update::Applied { value, .. }) => say(&value.unwrap_or_default().to_string())?,
            Ok(Update::Refused { reason, .. }) => say(&format!("{REFUSED}{reason}"))?,
            Err(error) => say(&format!("!{error}"))?,
        }
    }
    Ok(())
}

/// The first process's handle on the second, which ends with the last updater.
struct Second {
    process: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// Kept open while the process runs, because this is where it reports why it ends.
    errors: Option<ChildStderr>,
    line: String,
}

impl Second {
    fn start(server: &Target) -> Result<Self, String> {
        let program = program().ok_or("it needs the report program beside this one, as its second process")?;
        let mut process = Command::new(&program)
            .arg(SUBCOMMAND)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{} does not start as a second process: {e}", program.display()))?;
        let (input, output) = (process.stdin.take(), process.stdout.take().map(BufReader::new));
        let output = output.ok_or("the second process has no output")?;
        let errors = process.stderr.take();
        let mut second = Self { process, input, output, errors, line: String::new() };
        match second.say(&server.secret_url()).and_then(|()| second.listen()) {
            Ok(()) if second.line.trim_end() == READY => Ok(second),
            _ => Err(format!("{} does not answer as a second process{}", program.display(), second.last_words())),
        }
    }

    /// What it said before it ended, if it said anything.
    fn last_words(&mut self) -> String {
        // It ends once its input is closed; then there is no more to read.
        drop(self.input.take());
        let mut said = String::new();
        let read = self.errors.take().map(|errors| errors.take(1_000).read_to_string(&mut said));
        match said.lines().find(|line| !line.trim().is_empty()) {
            Some(line) if read.is_some() => format!(": {}", line.trim_start_matches("report: ")),
            _ => String::new(),
        }
    }

    fn say(&mut self, line: &str) -> std::io::Result<()> {
        let closed = || std::io::Error::other("the second process has no input");
        self.input.as_mut().ok_or_else(closed)?.write_all(format!("{line}\n").as_bytes())
    }

    fn listen(&mut self) -> std::io::Result<()> {
        self.line.clear();
        self.output.read_line(&mut self.line).map(drop)
    }

    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        self.say(key)?;
        self.listen()?;
        let answer = self.line.trim_end();
        match (answer.parse(), answer.strip_prefix(REFUSED)) {
            (Ok(value), _) => Ok(Update::told(value)),
            (_, Some(reason)) => Ok(Update::Refused { tries: 1, reason: reason.to_owned() }),
            _ => Err(format!("unexpected output of the second process: {answer:?}").into()),
        }
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        drop(self.input.take());
        // It ends by itself once its input is closed; there is nothing to do if waiting for it fails.
        let _ = self.process.wait();
    }
}

/// The program for the second process: this one, or a `report` beside it or in the folder above (for tests and examples).
fn program() -> Option<PathBuf> {
    let this = std::env::current_exe().ok()?;
    if IS_REPORT.load(Ordering::Relaxed) {
        return Some(this);
    }
    let name = format!("report{}", std::env::consts::EXE_SUFFIX);
    let mut folders = this.ancestors().skip(1).take(2);
    folders.find_map(|folder| Some(folder.join(&name)).filter(|program| program.is_file()))
}

struct Here(Arc<Mutex<Session>>);
struct There(Arc<Mutex<Second>>);

const PANICKED: &str = "another worker panicked while it held the lock";

impl Updater for Here {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        get_then_set(&mut *self.0.lock().map_err(|_| PANICKED)?, key)
    }
}

impl Updater for There {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        self.0.lock().map_err(|_| PANICKED)?.update(key)
    }
}

fn no_second_process(server: &Target) -> Result<Option<String>> {
    Ok(Second::start(server).err())
}

impl Strategy for TwoProcesses {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        "processes=2".to_owned()
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let second = Second::start(server).map_err(Error::server)?;
        let (here, there) = (Arc::new(Mutex::new(server.connect()?)), Arc::new(Mutex::new(second)));
        Ok((0..workers)
            .map(|worker| match worker % 2 {
                0 => Box::new(Here(here.clone())) as Box<dyn Updater>,
                _ => Box::new(There(there.clone())),
            })
            .collect())
    }
}
