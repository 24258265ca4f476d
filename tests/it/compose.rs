//! Docker Compose: what we tell it, what we make of what it says, and that it is always told to take everything down.
//!
//! Most of it needs no Docker: a shell script stands in for the tool, notes what it was told and fails as real ones do.
//! With an engine and `REDIS_IMAGE` naming an image it has, the last test does it for real, in every form that is there.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis_lost_updates::error::{Error, Result};
use redis_lost_updates::target::compose::{Compose, ComposeSpec, Service};
use tempfile::TempDir;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A search path of our own with a `docker` (or other tool) that is a script, and its notebook.
struct Fake {
    dir: TempDir,
}

impl Fake {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A tool that notes every command with the variables and the file it was given, then runs `body`.
    fn tool(self, name: &str, body: &str) -> Self {
        let file = self.dir.path().join(name);
        let log = self.dir.path().join("log");
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in *version*) ;; *) lines=$(grep -c 'image:' || true) ;; esac\n\
             echo \"{name} $* | redis=$REDIS_PORT valkey=$VALKEY_PORT profiles=$COMPOSE_PROFILES images=$lines $PWD\" \
             >>{log}\n{body}\n",
            log = log.display()
        );
        // Written by another process: were it open for writing here while another test starts one, that one would hold
        // it open too for a moment, and the system refuses to run a file that is being written.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "cat >\"$0\" && chmod 755 \"$0\""]).arg(&file);
        let mut writer = shell.stdin(Stdio::piped()).spawn().unwrap();
        writer.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        self
    }

    /// The real tools a shell script needs come after ours.
    fn path(&self) -> String {
        format!("{}:/usr/bin:/bin", self.dir.path().display())
    }

    fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| !line.contains("version")).map(str::to_owned).collect()
    }

    fn up(&self, service: Service) -> Result<Compose> {
        ComposeSpec::new(service).path(self.path()).up(&NEVER)
    }

    /// What is said when `up` fails with these words, after making sure that `down` followed.
    fn refusal(words: &str) -> String {
        let fake = Self::new();
        fs::write(fake.dir.path().join("words"), words).unwrap();
        let cat = format!("cat {}/words >&2; exit 1", fake.dir.path().display());
        let fake = fake.tool("docker", &format!("case \"$*\" in *' up '*) {cat};; esac"));
        let message = one_line(fake.up(Service::Redis));
        assert!(fake.log().last().unwrap().contains(" down --volumes --remove-orphans "), "{:?}", fake.log());
        message
    }
}

fn one_line(result: Result<Compose>) -> String {
    let error = result.expect_err("it was made to fail");
    assert!(error.is_server(), "{error:?}");
    let message = error.to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(message.len() < 700, "{message}");
    message
}

/// A port where something answers every command of a Redis client with the same line.
fn pong() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(n @ 1..) = stream.read(&mut bytes) {
                    let commands = bytes[..n].iter().filter(|&&byte| byte == b'*').count();
                    if stream.write_all("+PONG\r\n".repeat(commands).as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn answers_at(port: u16) -> String {
    format!("case \"$*\" in *' port '*) echo 127.0.0.1:{port};; esac")
}

#[test]
fn services_are_named_as_in_the_file() {
    for service in Service::ALL {
        assert_eq!(service.to_string().parse::<Service>().unwrap(), service);
    }
    let error = "redis-cluster".parse::<Service>().unwrap_err().to_string();
    assert!(error.contains("redis, valkey, sentinel or cluster"), "{error}");
}

#[test]
fn images_are_pinned_to_a_patch_release() {
    let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-compose.yml")).unwrap();
    for variable in ["REDIS_IMAGE", "VALKEY_IMAGE"] {
        let default = file.split(&format!("${{{variable}:-")).nth(1).unwrap().split('}').next().unwrap();
        let version = default.rsplit_once(':').unwrap().1.split('-').next().unwrap();
        assert_eq!(version.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), 3, "{default}");
    }
    assert!(!file.lines().any(|line| line.starts_with("version:") || line.starts_with("name:")), "obsolete or too new");
    for port in
        file.lines().filter(|line| line.contains("_PORT") && line.trim().starts_with("- ") && !line.contains('"'))
    {
        assert!(port.contains("127.0.0.1:"), "only this machine may reach it: {port}");
    }
}

#[test]
fn the_bases_are_exact_releases_too() {
    let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    let images: Vec<&str> =
        file.lines().filter_map(|line| line.strip_prefix("ARG ")?.split_once('=')).map(|(_, image)| image).collect();
    assert_eq!(images.len(), 2);
    for image in images {
        let tag = image.rsplit_once(':').unwrap().1.split('-').next().unwrap();
        // Debian's releases have two numbers, everybody else's three.
        let wanted = if image.starts_with("debian:") { 2 } else { 3 };
        assert_eq!(tag.split('.').filter(|part| part.parse::<u32>().is_ok()).count(), wanted, "{image}");
    }
}

#[test]
fn no_container_may_do_more_than_run() {
    let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docker-compose.yml")).unwrap();
    let (head, services) = file.split_once("\nservices:\n").unwrap();
    for line in ["cap_drop: [ALL]", "security_opt: [\"no-new-privileges:true\"]", "read_only: true"] {
        assert!(head.contains(line), "{line}");
    }
    let names: Vec<&str> =
        services.lines().filter(|l| l.starts_with("  ") && !l.starts_with("   ") && l.ends_with(':')).collect();
    assert_eq!(names.len(), 12, "{names:?}");
    assert!(["  redis:", "  valkey:", "  sentinel:", "  cluster:", "  demo:"].iter().all(|name| names.contains(name)));
    assert_eq!(services.matches("    <<: *confined\n").count(), names.len());
    // The image's own user, or nobody: root without capabilities is still root.
    assert_eq!(services.matches("    user: \"65534:65534\"\n").count(), names.len() - 1);
    let dockerfile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile")).unwrap();
    assert!(dockerfile.contains("\nUSER 65534:65534\n"));
}

#[test]
fn the_two_files_name_the_same_bases() {
    let read = |name: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap();
    let (compose, dockerfile) = (read("docker-compose.yml"), read("Dockerfile"));
    for line in dockerfile.lines().filter_map(|line| line.strip_prefix("ARG ")) {
        let (variable, image) = line.split_once('=').unwrap();
        assert!(compose.contains(&format!("{variable}: ${{{variable}:-{image}}}")), "{line}");
    }
}

#[test]
fn it_is_told_of_our_project_alone() {
    let port = pong();
    let fake = Fake::new().tool("docker", &answers_at(port));
    let compose = fake.up(Service::Redis).unwrap();
    assert_eq!(compose.url(), format!("redis://127.0.0.1:{port}"));
    let project = compose.project().to_owned();
    assert!(project.starts_with(&format!("redis-lost-updates-{}-", std::process::id())), "{project}");
    compose.down().unwrap();
    let ours = format!("docker compose -p {project} -f -");
    let env = "| redis=0 valkey= profiles= images=11 /";
    assert_eq!(
        fake.log(),
        [
            format!("{ours} up -d --no-build redis {env}"),
            format!("{ours} port redis 6379 {env}"),
            format!("{ours} down --volumes --remove-orphans --timeout 2 {env}"),
        ]
    );
}

#[test]
fn the_older_tool_and_valkey_and_a_port_of_choice() {
    let port = pong();
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let fake = Fake::new().tool("docker", "exit 1").tool("docker-compose", &answers_at(port));
    let compose = ComposeSpec::new(Service::Valkey).path(fake.path()).port(free).up(&NEVER).unwrap();
    let ours = format!("docker-compose -p {} -f - --profile valkey", compose.project());
    let folder = compose.folder().to_owned();
    drop(compose);
    let log = fake.log();
    assert!(log[0].starts_with(&format!("{ours} up -d --no-build valkey | redis= valkey={free} ")), "{log:?}");
    assert!(log.last().unwrap().starts_with(&format!("{ours} down ")), "{log:?}");
    assert!(!folder.exists());
}

#[test]
fn two_at_once_are_two_projects() {
    let fake = Fake::new().tool("docker", &answers_at(pong()));
    let (one, two) = (fake.up(Service::Redis).unwrap(), fake.up(Service::Redis).unwrap());
    assert_ne!(one.project(), two.project());
}

#[test]
fn without_any_tool_it_says_what_to_install() {
    let empty = tempfile::tempdir().unwrap();
    let message = one_line(ComposeSpec::new(Service::Redis).path(empty.path()).up(&NEVER));
    assert!(message.contains("neither `docker compose` nor `docker-compose`"), "{message}");
    assert!(message.contains("install Docker"), "{message}");
}

#[test]
fn a_port_that_is_taken_is_named_before_anything_starts() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let fake = Fake::new().tool("docker", "");
    let message = one_line(ComposeSpec::new(Service::Redis).path(fake.path()).port(port).up(&NEVER));
    assert!(message.contains(&format!("port {port} on 127.0.0.1 is in use")), "{message}");
    assert_eq!(fake.log(), [""; 0]);
}

#[test]
fn what_the_tools_say_becomes_one_line_that_says_what_to_do() {
    let cases = [
        (
            "unable to get image 'redis:7': Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the \
             docker daemon running?",
            "no Docker daemon answers",
        ),
        (
            "Traceback (most recent call last):\n  File \"connection.py\", line 86\nFileNotFoundError: [Errno 2]\n\n\
             docker.errors.DockerException: Error while fetching server API version: ('Connection aborted.', \
             FileNotFoundError(2, 'No such file or directory'))",
            "start it",
        ),
        (
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock",
            "join the group `docker`",
        ),
        (
            "docker.errors.DockerException: Error while fetching server API version: ('Connection aborted.', \
             PermissionError(13, 'Permission denied'))",
            "join the group `docker`",
        ),
        (
            " redis Pulling \n redis Error pull access denied\nError response from daemon: pull access denied for nosuch, \
             repository does not exist",
            "cannot be fetched (pull access denied for nosuch",
        ),
        (
            "Pulling redis (nosuch:1)...\nmanifest for nosuch:1 not found: manifest unknown",
            "set REDIS_IMAGE to an image",
        ),
        (
            "Creating x_redis_1 ... error\n\nERROR: for redis  Cannot start service redis: driver failed: listen tcp4 \
             127.0.0.1:7777: bind: address already in use\nEncountered errors while bringing up the project.",
            "address already in use",
        ),
        (
            "Error response from daemon: exec: \"redis-server\": executable file not found in $PATH",
            "cannot start redis",
        ),
        ("", "it said nothing"),
    ];
    for (words, expected) in cases {
        let message = Fake::refusal(words);
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn a_container_that_ends_at_once_leaves_its_last_words() {
    let fake = Fake::new().tool(
        "docker",
        "case \"$*\" in *' port '*) exit 1;; *' logs '*) echo 'Fatal error, cannot open config';; esac",
    );
    let message = one_line(fake.up(Service::Redis));
    assert!(message.contains("exited right after it was started: Fatal error, cannot open config"), "{message}");
    assert!(fake.log().last().unwrap().contains(" down "));
}

#[test]
fn asked_to_stop_in_the_middle_it_stops_and_takes_down() {
    let fake = Fake::new().tool("docker", "case \"$*\" in *' up '*) sleep 60;; esac");
    let stop = AtomicBool::new(false);
    let since = Instant::now();
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_for(|| fake.log().iter().any(|line| line.contains(" up ")));
            stop.store(true, Ordering::Relaxed);
        });
        ComposeSpec::new(Service::Redis).path(fake.path()).up(&stop).unwrap_err()
    });
    assert!(error.is_interrupt(), "{error}");
    assert!(since.elapsed() < Duration::from_secs(20), "it waited for the sleep");
    assert!(fake.log().last().unwrap().contains(" down "), "{:?}", fake.log());
}

#[test]
fn an_up_that_never_ends_is_bounded() {
    let fake = Fake::new().tool("docker", "case \"$*\" in *' up '*) echo 'redis Pulling'; sleep 60;; esac");
    let spec = ComposeSpec::new(Service::Redis).path(fake.path()).patience(Duration::from_secs(1));
    let message = one_line(spec.up(&NEVER));
    assert!(message.contains("not done after 1 s; it last said: redis Pulling"), "{message}");
    assert!(fake.log().last().unwrap().contains(" down "), "{:?}", fake.log());
}

#[test]
fn a_down_that_fails_says_how_to_look() {
    let port = pong();
    let fake = Fake::new().tool(
        "docker",
        &format!("case \"$*\" in *' down '*) echo 'Error: engine gone' >&2; exit 1;; esac\n{}", answers_at(port)),
    );
    let compose = fake.up(Service::Redis).unwrap();
    let project = compose.project().to_owned();
    let error = compose.down().unwrap_err().to_string();
    assert!(error.contains("Error: engine gone") && error.contains(&project), "{error}");
}

#[test]
fn a_port_that_somebody_takes_in_between_is_named_too() {
    let said = "Error response from daemon: driver failed: listen tcp4 127.0.0.1:7777: bind: address already in use";
    let fake = Fake::new().tool("docker", &format!("case \"$*\" in *' up '*) echo '{said}' >&2; exit 1;; esac"));
    let free = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let message = one_line(ComposeSpec::new(Service::Redis).path(fake.path()).port(free).up(&NEVER));
    assert!(message.contains(&format!("port {free} on 127.0.0.1 is in use")), "{message}");
}

/// The other side of the next test: holds a container until it is killed.
#[test]
#[ignore = "run by killed_outright_it_still_goes, as a process of its own"]
fn hold() {
    let Ok(path) = std::env::var("COMPOSE_TEST_PATH") else { return };
    let _compose = ComposeSpec::new(Service::Redis).path(path).up(&NEVER).unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn killed_outright_it_still_goes() {
    // Both while it is up and while it is coming up.
    for slow in ["", "case \"$*\" in *' up '*) sleep 60;; esac"] {
        let fake = Fake::new().tool("docker", &format!("{slow}\n{}", answers_at(pong())));
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "compose::hold", "--ignored"])
            .env("COMPOSE_TEST_PATH", fake.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let told = if slow.is_empty() { " port " } else { " up " };
        wait_for(|| fake.log().iter().any(|line| line.contains(told)));
        holder.kill().unwrap();
        holder.wait().unwrap();
        wait_for(|| fake.log().iter().any(|line| line.contains(" down ")));
    }
}

fn wait_for(mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < Duration::from_secs(30), "it never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What Docker prints, or `None` if the command fails.
fn docker(args: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(args).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn left_of(project: &str) -> String {
    let filter = format!("label=com.docker.compose.project={project}");
    let containers = docker(&["ps", "-a", "-q", "--filter", &filter]).unwrap();
    let networks = docker(&["network", "ls", "-q", "--filter", &filter]).unwrap();
    format!("{containers}{networks}")
}

/// Past the capture of the test runner: who reads a green run must know what was not run.
fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "\n==== compose::a_real_engine: SKIPPED: {why}\n");
}

#[test]
fn a_real_engine() {
    let Ok(image) = std::env::var("REDIS_IMAGE") else {
        return skipped("REDIS_IMAGE names no image to run");
    };
    if docker(&["version"]).is_none() {
        return skipped("no Docker engine answers");
    }
    if docker(&["image", "inspect", &image]).is_none() {
        return skipped(&format!("the engine has no image {image}"));
    }
    // The older tool is used only where the newer is not: a search path where `docker` knows no `compose`.
    let only_older = Fake::new().tool("docker", "exit 1");
    let older = std::env::split_paths(&std::env::var_os("PATH").unwrap())
        .map(|folder| folder.join("docker-compose"))
        .find(|file| file.is_file());
    let mut forms = Vec::new();
    if docker(&["compose", "version"]).is_some() {
        forms.push(ComposeSpec::new(Service::Redis));
    }
    if let Some(older) = older {
        symlink(older, only_older.dir.path().join("docker-compose")).unwrap();
        forms.push(ComposeSpec::new(Service::Redis).path(only_older.path()));
    }
    assert!(!forms.is_empty(), "an engine, but neither form of Compose");
    for spec in forms {
        let compose = spec.up(&NEVER).unwrap();
        let project = compose.project().to_owned();
        let mut db = redis::Client::open(compose.url()).unwrap().get_connection().unwrap();
        assert_eq!(redis::cmd("INCR").arg("count").query::<i64>(&mut db).unwrap(), 1);
        let save: (String, String) = redis::cmd("CONFIG").arg("GET").arg("save").query(&mut db).unwrap();
        assert_eq!(save.1, "", "it must not write to disk in the middle of a race");
        assert_ne!(left_of(&project), "");
        compose.down().unwrap();
        assert_eq!(left_of(&project), "", "nothing of ours stays");

        let error: Error = spec.clone().port(port_of_something_else()).up(&NEVER).unwrap_err();
        assert!(error.to_string().contains("is in use"), "{error}");
    }
}

/// A port that something listens on for the rest of the test.
fn port_of_something_else() -> u16 {
    pong()
}
