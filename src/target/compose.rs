//! A server in a container that Docker Compose starts and removes for us.
//!
//! The project's own `docker-compose.yml` is part of the binary and is passed to the tool on standard input, so it works
//! from any folder. It runs under a random project name and on a port that the engine chooses, so a project that the user
//! has running is never touched. Both `docker compose` and the older `docker-compose` work.
//!
//! Nothing is left behind: a small shell, the keeper, runs `up`, waits on a pipe from us, and then runs `down`. However we
//! end (return, panic, signal, even SIGKILL, even half-way through `up`), the pipe closes and the containers are removed.
//! The keeper and its tools have their own process group, so that a terminal's Ctrl-C reaches only us and never kills the
//! tool between creating a container and recording it.
//!
//! The server is up when it answers PING at the published port. Compose's health check asks the same from inside the
//! container, but waiting for it (`--wait`) would mean running it often, and each run takes about 140 ms of CPU time from
//! what is being measured. So the health check is practically turned off.
//!
//! The engine's forwarding of the loopback port is part of every measured round trip.
mod service;
mod spec;
mod tool;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::error::{Error, Result};

pub use service::Service;
pub use spec::ComposeSpec;

use service::FILE;
use spec::{free_ports, taken};
use tool::{QUESTION, exited, finished, kill, telling};

/// Runs `up`, writes its exit code to a file, and runs `down` as soon as standard input closes, even during `up`.
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

/// The server's port inside its container.
const INSIDE: &str = "6379";

/// How long removing the containers may take, including the server's grace period and on a busy machine.
const FAREWELL: Duration = Duration::from_secs(60);

impl ComposeSpec {
    /// Brings it up and waits until it answers; once `stop` is raised, takes it down again instead.
    ///
    /// # Errors
    /// No tool, no engine, no image, the port is taken, or no answer: one line that says which and what to do. Whatever
    /// was started by then is taken down. [`Error::is_interrupt`] if `stop` was raised.
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
            // The engine reports this too, but only after it has fetched an image and made a network.
            match TcpListener::bind(("127.0.0.1", port)) {
                Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => return Err(taken(port)),
                // The engine may be able to bind a port that we cannot.
                _ => {}
            }
        }
        let mut spec = self.clone();
        if spec.service.is_several() {
            spec.ports = free_ports(spec.service.port_variables().len())?;
        }
        let mut compose = Compose::begin(spec, tool)?;
        // From here on, dropping this takes everything down, so errors can simply be returned.
        compose.started(stop)?;
        compose.answering(stop)?;
        Ok(compose)
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
        command.arg("-c").arg(KEEPER).arg("keeper").arg(dir.path()).arg(spec.service.last());
        command.args(tool).args(ours(&project, spec.service));
        spec.prepare(&mut command);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let keeper = command.spawn().map_err(|e| Error::server(format!("cannot start /bin/sh: {e}")))?;
        Ok(Self { spec, tool, project, port: 0, keeper: Some(keeper), dir })
    }

    /// Waits for `up` to succeed.
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

    /// Waits until the server answers at the port that the engine assigned.
    fn answering(&mut self, stop: &AtomicBool) -> Result<()> {
        let service = self.spec.service;
        let since = Instant::now();
        loop {
            // Asked again each time: a container that has exited no longer has a port.
            self.port = self.published()?;
            let answer = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))
                .and_then(|client| client.get_connection_with_timeout(Duration::from_secs(1)))
                .and_then(|mut db| {
                    db.set_read_timeout(Some(Duration::from_secs(1)))?;
                    is_ready(service, &mut db)
                });
            let refusal = match answer {
                Ok(true) => return Ok(()),
                Ok(false) => "its servers do not know each other yet".to_owned(),
                Err(refusal) => refusal.to_string(),
            };
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            if since.elapsed() > READY {
                let (url, host) = (self.url(), std::env::var("DOCKER_HOST").unwrap_or_default());
                let remote = if host.starts_with("ssh:") || host.starts_with("tcp:") {
                    " (DOCKER_HOST is another machine; its ports are not ours)"
                } else {
                    ""
                };
                return Err(Error::server(format!(
                    "{service} runs in a container, but {url} does not answer within {} s{remote}: {refusal}",
                    READY.as_secs()
                )));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn published(&self) -> Result<u16> {
        let service = self.spec.service;
        // With several servers, the last port belongs to a Sentinel or to any node of a cluster.
        let inside = self.spec.ports.last().map_or_else(|| INSIDE.to_owned(), ToString::to_string);
        let output = self.ask(&["port", service.door(), &inside])?;
        let text = String::from_utf8_lossy(&output.stdout);
        let port = text.trim().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).filter(|&port| port != 0);
        port.ok_or_else(|| {
            let words = self.ask(&["logs", "--no-color", "--no-log-prefix", "--tail=5", service.door()]);
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

    /// Where the server is: `redis://127.0.0.1:PORT`, or `redis-sentinel://` or `redis-cluster://` with all ports.
    pub fn url(&self) -> String {
        let hosts = |ports: &[u16]| ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        match (self.spec.service, self.spec.ports.as_slice()) {
            (Service::Sentinel, [_primary, _replica, sentinels @ ..]) => {
                format!("redis-sentinel://{}/0?sentinelMasterId={WATCHED}", hosts(sentinels))
            }
            (Service::Cluster, nodes) => format!("redis-cluster://{}", hosts(nodes)),
            _ => format!("redis://127.0.0.1:{}", self.port),
        }
    }

    /// What runs there.
    pub fn service(&self) -> Service {
        self.spec.service
    }

    /// The Compose project that holds all we started; its containers carry it as `com.docker.compose.project`.
    pub fn project(&self) -> &str {
        &self.project
    }

    /// The folder that holds the tool's output while it is up.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Takes down what was started, and only that. Dropping does the same but cannot report an error.
    ///
    /// # Errors
    /// Something may be left behind: the message says how to remove it.
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
        // Callers that need the error call `down`.
        let _ = self.end();
    }
}

/// What the Sentinels of the file call the primary.
const WATCHED: &str = "lost-updates";

/// How long running servers may take to become ready.
const READY: Duration = Duration::from_secs(60);

/// Whether the server answers, or, if there are several, whether they know each other.
fn is_ready(service: Service, db: &mut redis::Connection) -> redis::RedisResult<bool> {
    match service {
        Service::Redis | Service::Valkey => redis::cmd("PING").exec(db).map(|()| true),
        Service::Cluster => {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(db)?;
            Ok(info.contains("cluster_state:ok") && info.contains("cluster_size:3"))
        }
        Service::Sentinel => {
            let fields: Vec<String> = redis::cmd("SENTINEL").arg("MASTER").arg(WATCHED).query(db)?;
            let is = |name: &str, value: &str| fields.chunks(2).any(|pair| pair == [name, value]);
            Ok(is("num-other-sentinels", "2") && is("num-slaves", "1"))
        }
    }
}

/// The arguments that limit a command to our project. `up` would need only the service's name, but `down` skips
/// services whose profile is not named.
fn ours(project: &str, service: Service) -> Vec<&OsStr> {
    let mut words = vec!["-p", project, "-f", "-"];
    if service != Service::Redis {
        words.extend(["--profile", service.name()]);
    }
    words.into_iter().map(OsStr::new).collect()
}
