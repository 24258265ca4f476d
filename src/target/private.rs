//! A private server: a child process on a free loopback port and a unix socket, in a temporary folder. It stores nothing
//! and never outlives us.
//!
//! Nobody else can use it. Every user of a machine can connect to a loopback port, and anyone who can talk to a Redis
//! server can make it write files (CONFIG SET dir) as the user it runs as. So it requires a random password. The
//! password is in a file that only we can read, in a folder that only we can enter, and never among arguments, which
//! every process list shows.
//!
//! The child is started by a small shell, the keeper, that waits on a pipe from us. However we end (return, panic, signal,
//! even SIGKILL), the pipe closes, and the shell kills the server and removes its folder. It has its own process group, so
//! that a terminal's Ctrl-C reaches only us and the counter can still be read back.

use std::fmt;
use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use rustix::process::Pid;
use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::placement::CpuSet;
use crate::target::{Transport, wheel};
use crate::workload::MAX_CLIENTS;

/// Runs "$@" until standard input closes, then kills it and removes the folder. If the server ends while the file
/// `down` exists, it is started again once that file is gone. If standard input closes in the meantime, the watcher
/// removes `down` and creates `over`, which prevents the restart. Hang-ups are ignored: if we are killed while the server is
/// stopped, the system sends one to the whole group, and the server would outlive its watcher.
const KEEPER: &str = r#"trap '' HUP
dir=$1; shift
exec 3<&0
while :; do
  "$@" </dev/null >>"$dir/log" 2>&1 & server=$!
  ( read -r _ <&3; : >"$dir/over"; rm -f "$dir/keep" "$dir/down"; kill -9 $server ) & watch=$!
  wait $server; code=$?
  [ -e "$dir/down" ] || break
  while [ -e "$dir/down" ]; do sleep 0.01; done
  if [ -e "$dir/over" ]; then break; fi
  kill $watch
done
kill $watch
[ -e "$dir/keep" ] || rm -rf "$dir"
exit $code"#;

/// Turns off what clients with the password could abuse. Older servers lack these settings and reject unknown ones.
const HARDENED: &str = "enable-protected-configs no\nenable-debug-command no\nenable-module-command no\n";

/// How often to try another port if some process took the chosen one in the meantime.
const ATTEMPTS: u32 = 5;

/// A password that `{:?}` does not show.
#[derive(Clone)]
struct Secret(String);

impl Secret {
    fn random() -> Result<Self> {
        let mut bytes = [0; 24];
        getrandom::fill(&mut bytes)
            .map_err(|e| Error::server(format!("cannot generate a password for a private server: {e}")))?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// How a private server differs from a plain one.
#[derive(Debug, Clone, Default)]
pub(super) struct Extra {
    config: String,
    args: Vec<String>,
    tls: bool,
}

impl Extra {
    /// Settings on its command line.
    fn args(args: &[&str]) -> Self {
        Self { args: args.iter().map(|&arg| arg.to_owned()).collect(), ..Self::default() }
    }

    /// The same with these additional settings on its command line.
    pub(super) fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// A port for TLS beside the plain one.
    pub(super) fn tls() -> Self {
        Self { tls: true, ..Self::default() }
    }

    /// A Sentinel with these settings.
    pub(super) fn sentinel(config: &str) -> Self {
        Self { config: config.to_owned(), ..Self::args(&["--sentinel"]) }
    }

    /// A node of a cluster that is yet to be created.
    pub(super) fn cluster() -> Self {
        let config = "cluster-enabled yes\ncluster-config-file nodes.conf\ncluster-node-timeout 2000\n".to_owned();
        Self { config, ..Self::default() }
    }
}

/// A private server's port for TLS, and the authority to trust there.
#[derive(Debug)]
struct Encrypted {
    port: u16,
    authority: PathBuf,
}

/// A server of our own; dropping it ends it.
#[derive(Debug)]
pub struct Private {
    keeper: Child,
    dir: TempDir,
    port: u16,
    encrypted: Option<Encrypted>,
    /// Its process id; 0 until it is known.
    pid: AtomicI32,
    binary: PathBuf,
    password: Secret,
}

impl Private {
    /// Starts `binary` (`redis-server` or `valkey-server`) with our settings and then `extra` ones, on the given CPUs
    /// if any, and waits until it answers.
    ///
    /// # Errors
    /// The binary does not run, or does not answer within ten seconds; the message contains the end of its log.
    pub fn start(binary: &Path, extra: &[&str], cpus: Option<&CpuSet>) -> Result<Self> {
        Self::start_as(binary, &Extra::args(extra), cpus)
    }

    #[cfg(feature = "cli")]
    /// The program that it runs.
    pub(crate) fn program(&self) -> &Path {
        &self.binary
    }

    /// A second server of the same binary with the same password, so that it can become a replica of this one.
    ///
    /// # Errors
    /// As [`Private::start`].
    pub fn beside(&self, extra: &[&str], cpus: Option<&CpuSet>) -> Result<Self> {
        self.beside_as(&Extra::args(extra), cpus)
    }

    pub(super) fn start_as(binary: &Path, extra: &Extra, cpus: Option<&CpuSet>) -> Result<Self> {
        Self::start_with(binary, extra, cpus, Secret::random()?)
    }

    pub(super) fn beside_as(&self, extra: &Extra, cpus: Option<&CpuSet>) -> Result<Self> {
        Self::start_with(&self.binary, extra, cpus, self.password.clone())
    }

    fn start_with(binary: &Path, extra: &Extra, cpus: Option<&CpuSet>, password: Secret) -> Result<Self> {
        wheel::check(binary)?;
        let (mut last, mut hardened) = (String::new(), HARDENED);
        for _ in 0..ATTEMPTS {
            match Self::attempt(binary, extra, cpus, &password, hardened)? {
                Ok(private) => return Ok(private),
                // The log names the unknown setting.
                Err(log) if extra.tls && (log.contains("TLS support") || log.contains("'tls-")) => {
                    return Err(Error::server(format!(
                        "{} was built without TLS: name one that has it with --server-bin (Debian's redis-server has)",
                        binary.display()
                    )));
                }
                Err(log) if log.contains("enable-") => (last, hardened) = (last_line(&log), ""),
                Err(log) => last = last_line(&log),
            }
        }
        Err(Error::server(format!("{} does not start: {last}", binary.display())))
    }

    /// Tries one port. The inner error is the log of a server that exited.
    fn attempt(
        binary: &Path,
        extra: &Extra,
        cpus: Option<&CpuSet>,
        password: &Secret,
        hardened: &str,
    ) -> Result<Result<Self, String>> {
        let dir = tempfile::Builder::new()
            .prefix("lost-updates-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir()
            .map_err(|e| Error::server(format!("cannot make a temporary folder for a private server: {e}")))?;
        let port = free_port()?;
        std::fs::write(dir.path().join("keep"), "").map_err(|e| Error::file(dir.path(), e))?;
        let config = dir.path().join("config");
        let (encrypted, tls) = if extra.tls { encrypt(dir.path())? } else { (None, String::new()) };
        let settings = settings(dir.path(), port, password) + hardened + &tls + &extra.config;
        write_for_us_alone(&config, &settings)?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(dir.path()).arg(binary).arg(&config).args(&extra.args);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let keeper = CpuSet::around(cpus, || command.spawn())
            .map_err(|e| Error::server(format!("cannot start {}: {e}", binary.display())))?;
        let (binary, password) = (binary.to_owned(), password.clone());
        let mut private = Self { keeper, dir, port, encrypted, pid: AtomicI32::new(0), binary, password };
        let answered = private.wait();
        if answered.is_ok() {
            // From here on the keeper removes the folder when it ends, even if we are killed first.
            std::fs::remove_file(private.dir.path().join("keep")).map_err(|e| Error::file(private.dir.path(), e))?;
        }
        Ok(answered.map(|()| private))
    }

    fn wait(&mut self) -> Result<(), String> {
        let client = self.connection(Transport::Unix).and_then(redis::Client::open).map_err(|e| e.to_string())?;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(10) {
            if let Ok(Some(_)) = self.keeper.try_wait() {
                return Err(self.log());
            }
            let info = client
                .get_connection_with_timeout(Duration::from_secs(1))
                .and_then(|mut db| redis::cmd("INFO").arg("server").query::<String>(&mut db));
            if let Ok(info) = info {
                self.remember(&info);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Err("no answer within 10 seconds".to_owned())
    }

    /// Takes the process id from INFO.
    fn remember(&self, info: &str) {
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:"));
        self.pid.store(pid.and_then(|pid| pid.trim().parse().ok()).unwrap_or(0), Ordering::Relaxed);
    }

    fn log(&self) -> String {
        let log = std::fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    /// How to connect to it, password included: never to be printed.
    ///
    /// # Errors
    /// The redis crate rejects the address; not known to happen.
    pub fn connection(&self, transport: Transport) -> redis::RedisResult<ConnectionInfo> {
        let address = match transport {
            Transport::Unix => ConnectionAddr::Unix(self.socket()),
            Transport::Tcp | Transport::DockerTcp => ConnectionAddr::Tcp("127.0.0.1".to_owned(), self.port),
        };
        let settings = RedisConnectionInfo::default().set_password(&self.password.0);
        Ok(address.into_connection_info()?.set_redis_settings(settings))
    }

    /// Its password: never to be printed.
    pub(crate) fn password(&self) -> &str {
        &self.password.0
    }

    /// Its TLS port, if it has one, and the certificate of the authority that signed its own.
    pub fn encrypted(&self) -> Option<(u16, &Path)> {
        self.encrypted.as_ref().map(|tls| (tls.port, tls.authority.as_path()))
    }

    /// Its loopback port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// The program it runs, from which a second server of the same kind can be started.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// Its process id.
    pub fn pid(&self) -> Option<i32> {
        Some(self.pid.load(Ordering::Relaxed)).filter(|&pid| pid > 0)
    }

    /// Stops the process without ending it (SIGSTOP), like a stalled machine; [`Private::resume`] continues it.
    pub fn stall(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Continues a stalled process.
    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    /// Kills it (SIGKILL), like a crash.
    pub fn crash(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    #[cfg(feature = "cli")]
    /// Kills it, like a crash, and keeps it from being restarted until it is [revived](Self::revive). Its folder and
    /// the files in it remain.
    ///
    /// # Errors
    /// Its folder cannot be written, or the process does not end.
    pub(crate) fn hold_down(&self) -> Result<()> {
        let down = self.dir.path().join("down");
        std::fs::write(&down, "").map_err(|e| Error::file(&down, e))?;
        self.crash();
        let since = Instant::now();
        // Nobody listens once the process is gone.
        while std::os::unix::net::UnixStream::connect(self.socket()).is_ok() {
            if since.elapsed() > Duration::from_secs(10) {
                return Err(Error::server(format!("private server 127.0.0.1:{}: it survives SIGKILL", self.port)));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    #[cfg(feature = "cli")]
    /// Whether it is [held down](Self::hold_down).
    pub(crate) fn is_down(&self) -> bool {
        self.dir.path().join("down").exists()
    }

    #[cfg(feature = "cli")]
    /// Restarts a server that is [held down](Self::hold_down), with the same settings on the same port, and waits until
    /// it answers and has loaded its data.
    ///
    /// # Errors
    /// It does not answer within ten seconds.
    pub(crate) fn revive(&self) -> Result<()> {
        let down = self.dir.path().join("down");
        std::fs::remove_file(&down).map_err(|e| Error::file(&down, e))?;
        let client = self.connection(Transport::Unix).and_then(redis::Client::open);
        let client = client.map_err(|e| Error::server(e.to_string()))?;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(10) {
            let info = client.get_connection_with_timeout(Duration::from_secs(1)).and_then(|mut db| {
                // Refused while the server loads its data.
                redis::cmd("GET").arg("lost-updates:none").exec(&mut db)?;
                redis::cmd("INFO").arg("server").query::<String>(&mut db)
            });
            if let Ok(info) = info {
                self.remember(&info);
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let (port, log) = (self.port, last_line(&self.log()));
        Err(Error::server(format!("private server 127.0.0.1:{port}: it does not start again: {log}")))
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(pid) = self.pid().and_then(Pid::from_raw) {
            // A process that is already gone needs no signal.
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

/// Our settings, as the server reads them from a file.
fn settings(dir: &Path, port: u16, Secret(password): &Secret) -> String {
    let (folder, socket) = (quoted(dir), quoted(&dir.join("socket")));
    // As many clients as a race may have; if the limit on open files is lower, the server uses that.
    let clients = MAX_CLIENTS + 100;
    // A replica, if a strategy starts one, must not wait for others to join.
    format!(
        "bind 127.0.0.1\nport {port}\nunixsocket {socket}\nunixsocketperm 700\ndir {folder}\nsave \"\"\nappendonly no\n\
         daemonize no\nmaxclients {clients}\nloglevel warning\nrepl-diskless-sync-delay 0\n\
         requirepass {password}\nmasterauth {password}\n"
    )
}

/// A path as one word of the server's settings, whatever characters it contains.
fn quoted(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let words = path.as_os_str().as_bytes().iter().map(|byte| match plain(byte) {
        true => char::from(*byte).to_string(),
        false => format!("\\x{byte:02x}"),
    });
    format!("\"{}\"", words.collect::<String>())
}

fn write_for_us_alone(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| Error::file(path, e))
}

fn last_line(log: &str) -> String {
    log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it exited without log output").to_owned()
}

/// A free port, low enough for a cluster node's bus port 10,000 above it.
pub(super) fn free_port() -> Result<u16> {
    let bound =
        || TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| Ok((listener.local_addr()?.port(), listener)));
    // Ports that are too high are held until one is found; otherwise the system might return them again.
    let mut held = Vec::new();
    for _ in 0..TOO_MANY {
        let (port, listener) = bound().map_err(|e| Error::server(format!("no free loopback port: {e}")))?;
        if port < HIGHEST && TcpListener::bind(("127.0.0.1", port + BUS)).is_ok() {
            return Ok(port);
        }
        held.push(listener);
    }
    Err(Error::server(format!("no free loopback port below {HIGHEST} whose port {BUS} above it is free too")))
}

/// A node's bus port is this far above its client port.
const BUS: u16 = 10_000;
const HIGHEST: u16 = 55_535;

/// Ports tried before giving up.
const TOO_MANY: usize = 500;

/// Writes what TLS needs into a server's folder, and returns the settings for it.
#[cfg(feature = "topologies")]
fn encrypt(dir: &Path) -> Result<(Option<Encrypted>, String)> {
    let certificates = crate::target::certificate::for_loopback()?;
    let port = free_port()?;
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        write_for_us_alone(&path, text).map(|()| path)
    };
    let authority = file("ca.pem", &certificates.authority)?;
    let (server, key) = (file("server.pem", &certificates.server)?, file("key.pem", &certificates.key)?);
    let settings = format!(
        "tls-port {port}\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\ntls-auth-clients no\n",
        quoted(&server),
        quoted(&key),
        quoted(&authority)
    );
    Ok((Some(Encrypted { port, authority }), settings))
}

#[cfg(not(feature = "topologies"))]
fn encrypt(_dir: &Path) -> Result<(Option<Encrypted>, String)> {
    Err(Error::usage("a private server with TLS needs a build with the feature `topologies`"))
}
