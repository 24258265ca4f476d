//! A private server: a child process on a free loopback port and a unix socket, in a temporary folder, that keeps
//! nothing and never outlives us.
//!
//! The child is started by a three-line shell that waits on a pipe from us. When we end in any way at all (return,
//! panic, signal, even SIGKILL) the pipe closes, the shell kills the server and removes its folder. It sits in a
//! process group of its own, so that a terminal's Ctrl-C reaches us alone and the counter can still be read back.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::placement::CpuSet;
use crate::workload::MAX_CLIENTS;

/// Runs "$@" until standard input closes, then kills it and removes the folder.
const KEEPER: &str = r#"dir=$1; shift
exec 3<&0
"$@" </dev/null >>"$dir/log" 2>&1 & server=$!
( read -r _ <&3; kill -9 $server ) & watch=$!
wait $server; code=$?
kill $watch
[ -e "$dir/keep" ] || rm -rf "$dir"
exit $code"#;

/// How often a port that somebody took in between is replaced by another.
const ATTEMPTS: u32 = 5;

/// A server of our own; dropping it ends it.
#[derive(Debug)]
pub struct Private {
    keeper: Child,
    dir: TempDir,
    port: u16,
    pid: Option<Pid>,
    binary: PathBuf,
}

impl Private {
    /// Starts `binary` (`redis-server` or `valkey-server`) with our settings and then `extra` ones, on the given CPUs
    /// if any, and waits until it answers.
    ///
    /// # Errors
    /// The binary does not run, or does not answer within ten seconds; the message carries the end of its log.
    pub fn start(binary: &Path, extra: &[&str], cpus: Option<&CpuSet>) -> Result<Self> {
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match Self::attempt(binary, extra, cpus)? {
                Ok(private) => return Ok(private),
                Err(log) => last = log,
            }
        }
        Err(Error::server(format!("{} does not start: {last}", binary.display())))
    }

    /// One port tried: the inner error is what the server's log said when it ended.
    fn attempt(binary: &Path, extra: &[&str], cpus: Option<&CpuSet>) -> Result<Result<Self, String>> {
        let dir = tempfile::Builder::new()
            .prefix("lost-updates-")
            .tempdir()
            .map_err(|e| Error::server(format!("cannot make a temporary folder for a private server: {e}")))?;
        let port = free_port()?;
        std::fs::write(dir.path().join("keep"), "").map_err(|e| Error::file(dir.path(), e))?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(dir.path()).arg(binary);
        command.args(["--bind", "127.0.0.1", "--port"]).arg(port.to_string());
        command.arg("--unixsocket").arg(dir.path().join("socket")).args(["--unixsocketperm", "700"]);
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir"]).arg(dir.path());
        // Room for as many clients as a race may have; a server that may not have so many files takes as many as it may.
        command.arg("--maxclients").arg((MAX_CLIENTS + 100).to_string());
        // A replica beside it, should a strategy want one, is not to wait for others to join.
        command.args(["--loglevel", "warning", "--repl-diskless-sync-delay", "0"]).args(extra);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let keeper = CpuSet::around(cpus, || command.spawn())
            .map_err(|e| Error::server(format!("cannot start {}: {e}", binary.display())))?;
        let mut private = Self { keeper, dir, port, pid: None, binary: binary.to_owned() };
        let answered = private.wait();
        if answered.is_ok() {
            // From here on the folder goes with the keeper, even when we are killed before we can remove it.
            std::fs::remove_file(private.dir.path().join("keep")).map_err(|e| Error::file(private.dir.path(), e))?;
        }
        Ok(answered.map(|()| private))
    }

    fn wait(&mut self) -> Result<(), String> {
        let client = redis::Client::open(format!("unix://{}", self.socket().display())).map_err(|e| e.to_string())?;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(10) {
            if let Ok(Some(_)) = self.keeper.try_wait() {
                return Err(self.last_words());
            }
            let info = client
                .get_connection_with_timeout(Duration::from_secs(1))
                .and_then(|mut db| redis::cmd("INFO").arg("server").query::<String>(&mut db));
            if let Ok(info) = info {
                let pid = info.lines().find_map(|line| line.strip_prefix("process_id:"));
                self.pid = pid.and_then(|pid| pid.trim().parse().ok()).and_then(Pid::from_raw);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("no answer within 10 seconds".to_owned())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it ended without a word").to_owned()
    }

    /// Its loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// The program it runs: a second one of the same kind can be started from it.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Its process id.
    pub fn pid(&self) -> Option<i32> {
        self.pid.map(Pid::as_raw_pid)
    }

    /// Stops the process without ending it (SIGSTOP), as a stalled machine would; [`Private::resume`] continues it.
    pub fn stall(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Continues a stalled process.
    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// Ends it at once, as a crash would.
    pub fn crash(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = self.pid {
            // A process that is gone already needs no signal.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The keeper always ends once its pipe is closed; there is nothing to do if waiting for it fails.
        let _ = self.keeper.wait();
    }
}

fn free_port() -> Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| Error::server(format!("no free loopback port: {e}")))
}
