//! The door to the server: found, started, described, cleaned, and never left behind.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis_lost_updates::condition::Transport;
use redis_lost_updates::target::{Private, ServerSpec, Target};

/// A private server of whatever kind this machine has or can fetch.
pub(crate) fn private() -> Target {
    ServerSpec::default().resolve(&AtomicBool::new(false), &mut |_| ()).unwrap()
}

fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_private_server_says_what_it_is_and_ends_with_us() {
    let server = private();
    let facts = server.facts().unwrap();
    assert!(["redis", "valkey"].contains(&facts.name.as_str()), "{facts:?}");
    assert!(facts.version.split('.').count() >= 3, "{facts:?}");
    assert_eq!(facts.settings["aof_enabled"], "0");
    assert!(facts.warnings.is_empty(), "{:?}", facts.warnings);
    let child = server.child().unwrap();
    let (pid, socket) = (child.pid().unwrap(), child.socket());
    assert!(is_alive(pid) && socket.exists());
    drop(server);
    assert!(!is_alive(pid), "the server outlived us");
    assert!(!socket.parent().unwrap().exists(), "its folder is left");
}

/// What every process of this machine was started with: arguments and environment.
fn process_lists() -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // Ours alone holds what a test has put there; a process may be gone by now.
        if entry.file_name().to_string_lossy() != std::process::id().to_string() {
            for file in ["cmdline", "environ"] {
                all += &String::from_utf8_lossy(&std::fs::read(entry.path().join(file)).unwrap_or_default());
            }
        }
    }
    all
}

/// The password in `redis://:PASSWORD@host` or `unix:///path?db=0&pass=PASSWORD`.
fn password(url: &str) -> String {
    let rest = url.split_once("pass=").or_else(|| url.split_once("://:")).unwrap().1;
    rest.split('@').next().unwrap().to_owned()
}

#[test]
fn nobody_else_gets_into_a_private_server() {
    use std::os::unix::fs::PermissionsExt;
    let server = private();
    let child = server.child().unwrap();
    let dir = child.socket().parent().unwrap().to_owned();
    let others = dir.join("others");
    for address in [format!("redis://127.0.0.1:{}", child.port()), format!("unix://{}", child.socket().display())] {
        let mut db = redis::Client::open(address.as_str()).unwrap().get_connection().unwrap();
        let mut config = redis::cmd("CONFIG");
        let refused = config.arg("SET").arg("dir").arg(others.display().to_string()).exec(&mut db).unwrap_err();
        assert!(refused.to_string().contains("NOAUTH") || refused.to_string().contains("uthentication"), "{refused}");
    }
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&dir.join("config"))), (0o700, 0o600));
    assert_ne!(password(&server.secret_url()), password(&private().secret_url()), "it is another one every time");
    // Where it knows them, what its owner could be talked into is off.
    let mut db = server.connect().unwrap();
    let settings: Vec<String> = redis::cmd("CONFIG").arg("GET").arg("enable-*").query(&mut db).unwrap();
    assert!(settings.chunks(2).all(|pair| pair[1] == "no"), "{settings:?}");
}

#[test]
fn no_process_list_shows_a_password() {
    let server = private();
    let password = password(&server.secret_url());
    assert!(password.len() >= 32);
    for name in ["mutex-two-processes", "get-replica-set-primary"] {
        let strategy = redis_lost_updates::strategy::find(&[name]).unwrap()[0];
        let updaters = strategy.open(&server, 2).unwrap();
        let listed = process_lists();
        assert!(listed.contains(&server.child().unwrap().socket().parent().unwrap().display().to_string()));
        assert!(!listed.contains(&password), "{name} shows it");
        drop(updaters);
    }
    assert!(!format!("{server:?} {:?}", server.child()).contains(&password));
}

#[test]
fn a_server_that_does_not_know_a_setting_is_started_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("redis-server");
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let script = format!(
        "#!/bin/sh\nif grep -q '^enable-' \"$1\"; then\n  echo \">>> 'enable-protected-configs no'\"\n  \
         echo 'Bad directive or wrong number of arguments'\n  exit 1\nfi\nexec {} \"$@\"\n",
        binary.display()
    );
    // By another process, or this one could still hold it open for writing when it is run.
    let written = std::process::Command::new("/bin/sh")
        .args(["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\""])
        .arg(&old)
        .arg(script)
        .status()
        .unwrap();
    assert!(written.success());
    let child = Private::start(&old, &[], None).unwrap();
    assert!(Target::private(child, Transport::Tcp).unwrap().facts().is_ok());
}

#[test]
fn what_a_server_says_of_a_password_is_not_repeated() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            let _ = stream.write_all(b"-ERR unknown command 'AUTH', with args beginning with: 's3cret' \x1b[2J\r\n");
        }
    });
    let error = Target::at(&format!("redis://:s3cret@127.0.0.1:{port}")).unwrap_err().to_string();
    assert!(!error.contains("s3cret") && !error.contains('\u{1b}') && error.lines().count() == 1, "{error}");
}

#[test]
fn a_password_in_the_wrong_place_of_a_url_is_not_shown() {
    for url in ["redis://:s3cret%40127.0.0.1:1", "redis://s3cret%40127.0.0.1:1", "unix:/nowhere%3Fpass=s3cret"] {
        let error = Target::at(url).unwrap_err().to_string();
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn an_evicting_server_is_said_loudly() {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let extra = ["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-random"];
    let server = Target::private(Private::start(&binary, &extra, None).unwrap(), Transport::Unix).unwrap();
    let warnings = server.facts().unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].1.contains("allkeys-random"), "{warnings:?}");
}

#[test]
fn only_keys_of_ours_are_removed() {
    let server = private();
    let mut db = server.connect().unwrap();
    let ours = format!("{}a:id:1", server.prefix());
    for key in [ours.as_str(), "somebody-elses"] {
        redis::cmd("SET").arg(key).arg(1).exec(&mut db).unwrap();
    }
    server.remove(&mut db, &[format!("{}*", server.prefix())]).unwrap();
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut db).unwrap();
    assert_eq!(left, ["somebody-elses"]);
}

#[test]
fn a_server_that_is_not_there_is_one_line_and_soon() {
    let since = Instant::now();
    let error = Target::at("redis://:secret@127.0.0.1:1").unwrap_err().to_string();
    assert!(since.elapsed() < Duration::from_secs(60));
    assert!(error.contains("127.0.0.1:1") && !error.contains("secret") && error.lines().count() == 1, "{error}");
    let error = Target::at("redis://user:secret@[bad").unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn a_binary_that_is_no_server_says_so() {
    let error = Private::start(Path::new("/bin/false"), &[], None).unwrap_err().to_string();
    assert!(error.contains("/bin/false does not start"), "{error}");
}

#[test]
fn a_password_and_a_database_are_used_and_never_shown() {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let child = Private::start(&binary, &[], None).unwrap();
    let port = child.port();
    let open = Target::private(child, Transport::Unix).unwrap();
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("s3cret/@").exec(&mut open.connect().unwrap()).unwrap();
    let server = Target::at(&format!("redis://:s3cret%2F%40@127.0.0.1:{port}/3")).unwrap();
    assert_eq!(server.address(), format!("127.0.0.1:{port}/3"));
    assert!(!format!("{server:?}").contains("s3cret"));
    let error = Target::at(&format!("redis://:wrong@127.0.0.1:{port}")).unwrap_err().to_string();
    assert!(!error.contains("wrong@") && error.lines().count() == 1, "{error}");
}
