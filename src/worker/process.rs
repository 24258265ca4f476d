//! One worker process: started in its own process group, talked to in lines, and ended together with everything that it
//! started.
//!
//! A thread reads its output in blocks of whole lines, a few blocks ahead at most, so a worker that prints endlessly is
//! made to wait. If we are killed, a watcher in the worker's process group ends the group.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use super::fault::{Fault, quote};
use super::install::Installed;
use super::message::{Answer, Order};

/// Runs "$@" in this process group, and ends the group when process $1 is gone.
const WATCHED: &str = r#"parent=$1; shift
( while kill -0 "$parent"; do sleep 2; done; kill -9 0 ) </dev/null >/dev/null 2>&1 &
exec "$@""#;

/// The longest line a worker may print.
const LONGEST_LINE: usize = 64 * 1024;
/// Lines are handed over in blocks of about this size, at most this many ahead.
const BLOCK: usize = 64 * 1024;
const BLOCKS_AHEAD: usize = 16;
/// How much of standard error is kept.
const LAST_WORDS: u64 = 8 * 1024;
/// How long to look once more when the time is over. If this process itself was not running, what a worker wrote meanwhile
/// has yet to be read.
const LAST_LOOK: Duration = Duration::from_millis(500);
/// How often a wait checks whether to stop.
const GLANCE: Duration = Duration::from_millis(50);

/// The unit of CPU times in /proc: a hundredth of a second, whatever the kernel's own clock is.
#[cfg(target_os = "linux")]
const TICK_NS: u64 = 10_000_000;

/// What the reading thread hands over.
enum Read1 {
    /// Whole lines, each with its newline.
    Lines(Vec<u8>),
    /// The beginning of a line that is too long.
    TooLong(Vec<u8>),
}

pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    /// Open until it is told to end.
    input: Option<ChildStdin>,
    blocks: Receiver<Read1>,
    pending: VecDeque<u8>,
    last_words: Arc<Mutex<Vec<u8>>>,
    /// The thread that reads them: it ends with the last process that can write some.
    listener: JoinHandle<()>,
}

impl Process {
    pub(super) fn start(installed: &Installed) -> Result<Self, Fault> {
        let command = installed.command();
        let mut child = Command::new("/bin/sh")
            .args(["-c", WATCHED, "worker", &std::process::id().to_string()])
            .args(&command)
            .envs(installed.environment())
            .current_dir(&installed.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|e| Fault::NotStarted(e.to_string()))?;
        let group = Pid::from_raw(child.id() as i32);
        let (input, output, errors) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(input), Some(output), Some(errors)) = (input, output, errors) else {
            return Err(Fault::NotStarted("it has no pipes".to_owned()));
        };
        let (sender, blocks) = sync_channel(BLOCKS_AHEAD);
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let kept = last_words.clone();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new().name(name.to_owned()).spawn(work).map_err(|e| Fault::NotStarted(e.to_string()))
        };
        spawn("worker-output", Box::new(move || read_blocks(BufReader::with_capacity(BLOCK, output), &sender)))?;
        let listener = spawn("worker-errors", Box::new(move || keep_last_words(errors, &kept)))?;
        Ok(Self { child, group, input: Some(input), blocks, pending: VecDeque::new(), last_words, listener })
    }

    /// CPU time used so far by all its threads together, to a hundredth of a second.
    #[cfg(target_os = "linux")]
    pub(super) fn cpu_ns(&self) -> Option<u64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // The name, in parentheses, may contain anything; user and system time are the 12th and 13th fields after it.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        Some((ticks()? + ticks()?).saturating_mul(TICK_NS))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn cpu_ns(&self) -> Option<u64> {
        None
    }

    pub(super) fn tell(&mut self, order: &Order<'_>) -> Result<(), Fault> {
        let mut line = serde_json::to_vec(order).map_err(|e| Fault::NotStarted(e.to_string()))?;
        line.push(b'\n');
        let told = match &mut self.input {
            Some(input) => input.write_all(&line).and_then(|()| input.flush()),
            None => Err(std::io::ErrorKind::BrokenPipe.into()),
        };
        told.map_err(|_| self.death())
    }

    /// The next answer, which must come in time; nothing but answers may come.
    pub(super) fn answer(&mut self, due: &'static str, wait: Wait<'_>) -> Result<Answer, Fault> {
        let line = self.line(due, wait)?;
        parse(&line)
    }

    /// The next line, without its newline.
    pub(super) fn line(&mut self, due: &'static str, wait: Wait<'_>) -> Result<Vec<u8>, Fault> {
        loop {
            if let Some(end) = self.pending.iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.pending.drain(..=end).collect();
                line.pop();
                return Ok(line);
            }
            let block = self.block(due, wait)?;
            self.pending.extend(block);
        }
    }

    /// The next block of whole lines: for rows, which are many.
    pub(super) fn block(&mut self, due: &'static str, wait: Wait<'_>) -> Result<Vec<u8>, Fault> {
        if !self.pending.is_empty() {
            return Ok(self.pending.drain(..).collect());
        }
        let mut is_last = false;
        loop {
            if wait.stop.load(Ordering::Relaxed) {
                return Err(Fault::Interrupted);
            }
            let left = wait.until.saturating_duration_since(Instant::now());
            is_last |= left.is_zero();
            match self.blocks.recv_timeout(if is_last { LAST_LOOK } else { left.min(GLANCE) }) {
                Ok(Read1::Lines(block)) => return Ok(block),
                Ok(Read1::TooLong(start)) => {
                    return Err(Fault::Garbage(format!("a line of over {LONGEST_LINE} bytes: {}", quote(&start))));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.death()),
                Err(RecvTimeoutError::Timeout) if is_last => {
                    return Err(Fault::Silent { due, after: wait.since.elapsed() });
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// A handle that kills it from another thread.
    pub(super) fn killer(&self) -> Option<Killer> {
        self.group.map(|group| Killer { group })
    }

    /// Tells it that nothing more will come.
    pub(super) fn close(&mut self) {
        self.input = None;
    }

    /// Waits for it to end, but no longer than `until`.
    pub(super) fn await_end(&mut self, until: Instant) {
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The process is gone: how it ended, and what it said last.
    fn death(&mut self) -> Fault {
        // Its pipes are closed; the process itself, and the thread that reads its errors, may need a moment more.
        for _ in 0..200 {
            if self.listener.is_finished() && self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let words = self.last_words.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8_lossy(&words).into_owned();
        let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim();
        let last: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
        Fault::Died(match self.child.try_wait() {
            Ok(Some(status)) if last.is_empty() => status.to_string(),
            Ok(Some(status)) => format!("{status}: {last}"),
            _ => last,
        })
    }
}

/// Kills a worker process together with everything that it started.
#[derive(Debug, Clone, Copy)]
pub struct Killer {
    group: Pid,
}

impl Killer {
    /// Kills it now. It is a child of ours that nobody has waited for, so its process ID is still its own.
    pub fn kill(self) {
        // A group that is gone already needs no signal.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(killer) = self.killer() {
            killer.kill();
        }
        // Killed, it ends; there is nothing to do if waiting for it fails.
        let _ = self.child.wait();
    }
}

/// How long to wait for something.
#[derive(Clone, Copy)]
pub(super) struct Wait<'a> {
    pub(super) since: Instant,
    pub(super) until: Instant,
    pub(super) stop: &'a AtomicBool,
}

impl<'a> Wait<'a> {
    pub(super) fn of(time: Duration, stop: &'a AtomicBool) -> Self {
        let since = Instant::now();
        Self { since, until: since + time, stop }
    }
}

/// A line that must be an answer.
pub(super) fn parse(line: &[u8]) -> Result<Answer, Fault> {
    match serde_json::from_slice(line) {
        Ok(Answer::Error { error }) => {
            Err(Fault::GaveUp(error.chars().filter(|c| !c.is_control()).take(300).collect()))
        }
        Ok(answer) => Ok(answer),
        Err(_) => Err(Fault::Garbage(quote(line))),
    }
}

fn read_blocks(mut output: impl BufRead, sender: &SyncSender<Read1>) {
    let mut block = Vec::new();
    loop {
        let (taken, ended) = match output.fill_buf() {
            Ok([]) | Err(_) => return,
            Ok(bytes) => {
                block.extend_from_slice(bytes);
                (bytes.len(), bytes.iter().rposition(|&b| b == b'\n').map(|at| block.len() - bytes.len() + at + 1))
            }
        };
        output.consume(taken);
        let told = match ended {
            Some(end) => {
                let rest = block.split_off(end);
                sender.send(Read1::Lines(std::mem::replace(&mut block, rest)))
            }
            None if block.len() > LONGEST_LINE => sender.send(Read1::TooLong(std::mem::take(&mut block))),
            None => Ok(()),
        };
        if told.is_err() {
            return;
        }
    }
}

/// Keeps the end of what a process writes to standard error, and reads until it ends so that it never has to wait for
/// us.
fn keep_last_words(mut errors: impl Read, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(many @ 1..) = errors.read(&mut buffer) {
        let mut words = kept.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&buffer[..many]);
        let surplus = words.len().saturating_sub(LAST_WORDS as usize);
        words.drain(..surplus);
    }
}
