//! A server in a container that Docker Compose starts for us and takes away again.
//!
//! The project's own `docker-compose.yml` is part of the binary and is handed to the tool on its standard input, so it
//! works from any folder, and under a random project name and a port of the engine's choice, so a project that the
//! user has up is never touched. `docker compose` and the older `docker-compose` both do.
//!
//! How it could fail, and does not: a small shell, the keeper, runs `up`, waits on a pipe from us, and then runs `down`.
//! When we end in any way at all (return, panic, signal, even SIGKILL, even half-way through `up`) the pipe closes and
//! the containers go. The keeper and the tools it runs are a process group of their own, so that a terminal's Ctrl-C
//! reaches us alone and never kills the tool between creating a container and noting it.
//!
//! It is up when it answers a PING at the published port. That is what its health check asks, but from where the
//! clients are; waiting for the check itself (`--wait`) would mean having it run often, and each run starts a process
//! in the container that takes about 140 ms of CPU time from whatever is being measured. So the check is all but turned
//! off here.
//!
//! What is measured through it: the engine's own forwarding of the loopback port is part of every round trip.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

use crate::error::{Error, Result};

/// What is brought up: the project's own file.
const FILE: &str = include_str!("../../docker-compose.yml");

/// Runs `up`, reports its exit code in a file, and runs `down` once standard input closes, at whatever point that is.
///
/// TERM goes to the whole group because the tool may be several processes; the shell itself must survive it.
const KEEPER: &str = r#"dir=$1 service=$2; shift 2
exec 3<&0
trap : TERM
"$@" up -d --no-build "$service" <"$dir/file" >"$dir/up" 2>&1 & up=$!
( trap - TERM; read -r _ <&3; [ -e "$dir/code" ] || kill -s TERM 0 ) & watch=$!
wait $up; code=$?
while kill -0 $up 2>/dev/null; do wait $up; code=$?; done
echo $code >"$dir/code.new"; mv "$dir/code.new" "$dir/code"
wait $watch
"$@" down --volumes --remove-orphans --timeout 2 <"$dir/file" >"$dir/down" 2>&1 || exit
rm -rf "$dir""#;

/// Ours, so that nothing in the user's environment makes the tool read another file or start more than we ask for.
const NOT_INHERITED: [&str; 4] = ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "COMPOSE_ENV_FILES"];

/// The server's port inside its container.
const INSIDE: &str = "6379";

/// How long a question to the tool may take; it does no work for it.
const QUESTION: Duration = Duration::from_secs(20);

/// How long containers may take to go: the tool, the server's grace period, and a busy machine.
const FAREWELL: Duration = Duration::from_secs(60);

/// A service of `docker-compose.yml` that can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Service {
    /// Redis.
    #[default]
    Redis,
    /// Valkey.
    Valkey,
}

impl Service {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Redis, Self::Valkey];

    /// Its name in the file, which is also its profile's.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Valkey => "valkey",
        }
    }

    fn image_variable(self) -> &'static str {
        match self {
            Self::Redis => "REDIS_IMAGE",
            Self::Valkey => "VALKEY_IMAGE",
        }
    }

    fn port_variable(self) -> &'static str {
        match self {
            Self::Redis => "REDIS_PORT",
            Self::Valkey => "VALKEY_PORT",
        }
    }

    /// The image it runs: what `REDIS_IMAGE` or `VALKEY_IMAGE` says, otherwise the file's own pinned release.
    pub fn image(self) -> String {
        let variable = self.image_variable();
        std::env::var(variable).ok().filter(|image| !image.is_empty()).unwrap_or_else(|| {
            let default = FILE.split_once(&format!("${{{variable}:-")).and_then(|(_, rest)| rest.split_once('}'));
            default.map(|(image, _)| image.to_owned()).unwrap_or_default()
        })
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Service {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.name() == name)
            .ok_or_else(|| Error::usage(format!("no service `{name}` to run in Docker: expected redis or valkey")))
    }
}

/// What is to be brought up, and how.
#[derive(Debug, Clone)]
pub struct ComposeSpec {
    service: Service,
    port: Option<u16>,
    path: Option<OsString>,
    patience: Duration,
}

impl ComposeSpec {
    /// The service, on a free loopback port, with ten minutes for fetching its image.
    pub fn new(service: Service) -> Self {
        Self { service, port: None, path: None, patience: Duration::from_secs(600) }
    }

    /// On this loopback port instead of a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Looks for the tools on this search path instead of `PATH`.
    #[must_use]
    pub fn path(mut self, path: impl Into<OsString>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// How long `up` may take, the fetching of an image included.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Brings it up and waits until it answers; once `stop` is raised, takes it down again instead.
    ///
    /// # Errors
    /// No tool, no engine, no image, the port is taken, or no answer: one line that says which and what to do. Whatever
    /// was started by then is gone. [`Error::is_interrupt`] if `stop` was raised.
    ///
    /// # Examples
    /// ```no_run
    /// use std::sync::atomic::AtomicBool;
    /// use redis_lost_updates::target::compose::{Service, ComposeSpec};
    ///
    /// let compose = ComposeSpec::new(Service::Redis).up(&AtomicBool::new(false))?;
    /// let client = redis::Client::open(compose.url()).expect("it is a URL");
    /// compose.down()?;
    /// # Ok::<(), redis_lost_updates::error::Error>(())
    /// ```
    pub fn up(&self, stop: &AtomicBool) -> Result<Compose> {
        let tool = self.tool()?;
        if let Some(port) = self.port {
            // The engine says so too, but only after it has fetched an image and made a network.
            match TcpListener::bind(("127.0.0.1", port)) {
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => return Err(taken(port)),
                // What we may not bind, the engine perhaps may.
                _ => {}
            }
        }
        let mut compose = Compose::begin(self.clone(), tool)?;
        // From here on dropping it takes everything down, so an error need only be returned.
        compose.started(stop)?;
        compose.answering(stop)?;
        Ok(compose)
    }

    /// The words that every command begins with.
    fn tool(&self) -> Result<&'static [&'static str]> {
        const PLUGIN: &[&str] = &["docker", "compose"];
        const STANDALONE: &[&str] = &["docker-compose"];
        for tool in [PLUGIN, STANDALONE] {
            let mut command = self.command(tool);
            command.arg("version");
            if finished(command, QUESTION).is_ok_and(|output| output.status.success()) {
                return Ok(tool);
            }
        }
        Err(Error::server(
            "neither `docker compose` nor `docker-compose` runs here: install Docker with its Compose plugin, or give \
             --redis-url or --server-bin instead",
        ))
    }

    fn command(&self, tool: &[&str]) -> Command {
        let mut command = Command::new(tool[0]);
        command.args(&tool[1..]);
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        // Port 0 lets the engine choose a free one, so that nobody can take it between our looking and its binding.
        command.env(self.service.port_variable(), self.port.unwrap_or(0).to_string());
        command.env("HEALTH_INTERVAL", "1h");
        // A file named `.env` in the folder we happen to be in is none of ours.
        command.current_dir("/").process_group(0);
    }

    /// One line for whatever the tool said when `up` failed.
    fn refused(&self, said: &str) -> Error {
        let has = |needles: &[&str]| needles.iter().any(|needle| said.contains(needle));
        let line = telling(said);
        let (service, image, variable) = (self.service, self.service.image(), self.service.image_variable());
        if has(&["permission denied", "PermissionError"]) && has(&["docker.sock", "daemon", "server API version"]) {
            return Error::server(
                "the Docker daemon refuses this user: join the group `docker` (and log in again), or run as root",
            );
        }
        if has(&["Cannot connect to the Docker daemon", "Couldn't connect to Docker", "fetching server API version"]) {
            let place = std::env::var("DOCKER_HOST").map(|host| format!(" at {host}")).unwrap_or_default();
            return Error::server(format!(
                "no Docker daemon answers{place}: start it (`systemctl start docker`, or Docker Desktop), or leave out \
                 --docker"
            ));
        }
        let in_use = has(&["port is already allocated", "address already in use", "ports are not available"]);
        if let (true, Some(port)) = (in_use, self.port) {
            return taken(port);
        }
        let pull =
            ["Pulling", "pull access denied", "manifest", "No such image", "unable to get image", "failed to resolve"];
        if has(&pull) {
            return Error::server(format!(
                "the image {image} is not here and cannot be fetched ({line}): go online, or set {variable} to an image \
                 that `docker images` lists"
            ));
        }
        Error::server(format!("Docker Compose cannot start {service} ({image}): {line}"))
    }
}

/// A server in a container of ours; dropping it takes the container down.
#[derive(Debug)]
pub struct Compose {
    spec: ComposeSpec,
    tool: &'static [&'static str],
    project: String,
    port: u16,
    /// `None` once it has been taken down.
    keeper: Option<Child>,
    dir: TempDir,
}

impl Compose {
    fn begin(spec: ComposeSpec, tool: &'static [&'static str]) -> Result<Self> {
        let project = format!("redis-lost-updates-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let dir = tempfile::Builder::new()
            .prefix("lost-updates-compose-")
            .tempdir()
            .map_err(|e| Error::server(format!("cannot make a temporary folder for Docker Compose: {e}")))?;
        fs::write(dir.path().join("file"), FILE).map_err(|e| Error::file(dir.path(), e))?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(KEEPER).arg("keeper").arg(dir.path()).arg(spec.service.name());
        command.args(tool).args(ours(&project, spec.service));
        spec.prepare(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = command.spawn().map_err(|e| Error::server(format!("cannot start /bin/sh: {e}")))?;
        Ok(Self { spec, tool, project, port: 0, keeper: Some(keeper), dir })
    }

    /// Waits for `up` to end well.
    fn started(&mut self, stop: &AtomicBool) -> Result<()> {
        let since = Instant::now();
        loop {
            if let Ok(code) = fs::read_to_string(self.dir.path().join("code")) {
                return match code.trim() {
                    "0" => Ok(()),
                    _ => Err(self.spec.refused(&self.said("up"))),
                };
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            if since.elapsed() > self.spec.patience {
                let seconds = self.spec.patience.as_secs();
                let line = telling(&self.said("up"));
                return Err(Error::server(format!(
                    "Docker Compose is not done after {seconds} s; it last said: {line}"
                )));
            }
            if let Some(Ok(Some(status))) = self.keeper.as_mut().map(Child::try_wait) {
                return Err(Error::server(format!(
                    "the shell that supervises Docker Compose exited unexpectedly: {status}"
                )));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the server's answer at the port that the engine gave it.
    fn answering(&mut self, stop: &AtomicBool) -> Result<()> {
        let service = self.spec.service;
        let since = Instant::now();
        loop {
            // Asked each time round: a container that has ended has no port any more.
            self.port = self.published()?;
            let answer = redis::Client::open(self.url())
                .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(1)))
                .and_then(|mut db| {
                    db.set_read_timeout(Some(Duration::from_secs(1)))?;
                    redis::cmd("PING").exec(&mut db)
                });
            let Err(refusal) = answer else { return Ok(()) };
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            if since.elapsed() > Duration::from_secs(30) {
                let (url, host) = (self.url(), std::env::var("DOCKER_HOST").unwrap_or_default());
                let remote = if host.starts_with("ssh:") || host.starts_with("tcp:") {
                    " (DOCKER_HOST is another machine; its ports are not ours)"
                } else {
                    ""
                };
                return Err(Error::server(format!(
                    "{service} runs in a container, but {url} does not answer within 30 s{remote}: {refusal}"
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn published(&self) -> Result<u16> {
        let service = self.spec.service;
        let output = self.ask(&["port", service.name(), INSIDE])?;
        let text = String::from_utf8_lossy(&output.stdout);
        let port = text.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).filter(|&port| port != 0);
        port.ok_or_else(|| {
            let words = self.ask(&["logs", "--no-color", "--no-log-prefix", "--tail=5", service.name()]);
            let words = words.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
            let image = service.image();
            Error::server(format!("{service} ({image}) exited right after it was started: {}", telling(&words)))
        })
    }

    fn ask(&self, question: &[&str]) -> Result<Output> {
        let mut command = self.spec.command(self.tool);
        command.args(ours(&self.project, self.spec.service)).args(question);
        let file = File::open(self.dir.path().join("file")).map_err(|e| Error::file(self.dir.path(), e))?;
        command.stdin(file);
        finished(command, QUESTION)
            .map_err(|e| Error::server(format!("`{} {}`: {e}", self.tool.join(" "), question.join(" "))))
    }

    /// What the tool has written so far in that step.
    fn said(&self, step: &str) -> String {
        fs::read(self.dir.path().join(step)).map(|said| String::from_utf8_lossy(&said).into_owned()).unwrap_or_default()
    }

    /// Where the server is: `redis://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What runs there.
    pub fn service(&self) -> Service {
        self.spec.service
    }

    /// The Compose project that holds all we started; its containers carry it as `com.docker.compose.project`.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The folder that holds the tool's words while it is up.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Takes down what was started, and only that. Dropping does the same but cannot tell of an error.
    ///
    /// # Errors
    /// Something may be left: the line says how to remove it.
    pub fn down(mut self) -> Result<()> {
        self.end()
    }

    fn end(&mut self) -> Result<()> {
        let Some(mut keeper) = self.keeper.take() else { return Ok(()) };
        drop(keeper.stdin.take());
        let project = &self.project;
        let left = |line: &str| {
            Error::server(format!(
                "Docker Compose could not take down {project} ({line}): see `docker ps -a --filter \
                 label=com.docker.compose.project={project}`"
            ))
        };
        match exited(&mut keeper, FAREWELL) {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(_)) => Err(left(&telling(&self.said("down")))),
            Ok(None) => {
                kill(&mut keeper);
                Err(left(&format!("not finished after {} s", FAREWELL.as_secs())))
            }
            Err(e) => Err(left(&e.to_string())),
        }
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        // Whoever wants to know calls `down`.
        let _ = self.end();
    }
}

fn taken(port: u16) -> Error {
    Error::server(format!(
        "port {port} on 127.0.0.1 is in use: stop what uses it, or leave out the port to get a free one"
    ))
}

/// What makes a command speak of our project alone. The profile is named even though naming the service would do for
/// `up`: `down` passes over services whose profile is not.
fn ours(project: &str, service: Service) -> Vec<&OsStr> {
    let mut words = vec!["-p", project, "-f", "-"];
    if service == Service::Valkey {
        words.extend(["--profile", service.name()]);
    }
    words.into_iter().map(OsStr::new).collect()
}

/// Runs a command to its end or kills it. Its words go to files, so that no process it leaves behind can hold us up.
fn finished(mut command: Command, patience: Duration) -> std::io::Result<Output> {
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

fn exited(child: &mut Child, patience: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let since = Instant::now();
    loop {
        let status = child.try_wait()?;
        if status.is_some() || since.elapsed() > patience {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends a child that leads its own group, and all of the group.
fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // One that is gone already needs no signal.
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

/// The most telling line of many: the last that speaks of an error, else the last.
fn telling(said: &str) -> String {
    const MARKS: [&str; 5] = ["rror", "denied", "cannot", "Cannot", "failed"];
    let lines =
        || said.lines().rev().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Encountered"));
    let line = lines().find(|line| MARKS.iter().any(|mark| line.contains(mark))).or_else(|| lines().next());
    let line = line.unwrap_or("it said nothing");
    let line = line.trim_start_matches("ERROR: ").trim_start_matches("Error response from daemon: ");
    // A line is for reading: what follows a few hundred characters is noise.
    let end = line.char_indices().nth(300).map_or(line.len(), |(end, _)| end);
    line[..end].to_owned()
}
