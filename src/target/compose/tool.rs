//! Runs the tool (`docker compose` or `docker-compose`), bounds how long it may take, and finds the line that matters in its output.

use std::fs;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long the tool may take for a query, which does no work.
pub(super) const QUESTION: Duration = Duration::from_secs(20);

/// Runs a command to its end, or kills it after `patience`. Its output goes to files, so that no process it leaves behind can
/// keep a pipe open.
pub(super) fn finished(mut command: Command, patience: Duration) -> std::io::Result<Output> {
    let (out, err) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    command.stdout(out.reopen()?).stderr(err.reopen()?);
    let mut child = command.spawn()?;
    match exited(&mut child, patience)? {
        Some(status) => Ok(Output { status, stdout: fs::read(out.path())?, stderr: fs::read(err.path())? }),
        None => {
            kill(&mut child);
            let seconds = patience.as_secs();
            Err(std::io::Error::other(format!("no answer after {seconds} s: is the Docker daemon stuck?")))
        }
    }
}

pub(super) fn exited(child: &mut Child, patience: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let since = Instant::now();
    loop {
        let status = child.try_wait()?;
        if status.is_some() || since.elapsed() > patience {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Kills a child that leads its own process group, and the whole group.
pub(super) fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // A process that is already gone needs no signal.
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// The most useful line of an output: the last that mentions an error, otherwise the last.
pub(super) fn telling(said: &str) -> String {
    const MARKS: [&str; 5] = ["rror", "denied", "cannot", "Cannot", "failed"];
    let lines =
        || said.lines().rev().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Encountered"));
    let line = lines().find(|line| MARKS.iter().any(|mark| line.contains(mark))).or_else(|| lines().next());
    let line = line.unwrap_or("it said nothing");
    let line = line.trim_start_matches("ERROR: ").trim_start_matches("Error response from daemon: ");
    // Keep the line readable: after a few hundred characters the rest is noise.
    let end = line.char_indices().nth(300).map_or(line.len(), |(end, _)| end);
    line[..end].to_owned()
}
