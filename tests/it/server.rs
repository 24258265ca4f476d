//! The door to the server: found, started, described, cleaned, and never left behind.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis_lost_updates::condition::Transport;
use redis_lost_updates::server::{Private, Server, Wanted};

/// A private server of whatever kind this machine has or can fetch.
pub(crate) fn private() -> Server {
    Wanted::default().resolve(&AtomicBool::new(false), &mut |_| ()).unwrap()
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
    assert_eq!(facts.warnings, Vec::<String>::new());
    let child = server.child().unwrap();
    let (pid, socket) = (child.pid().unwrap(), child.socket());
    assert!(is_alive(pid) && socket.exists());
    drop(server);
    assert!(!is_alive(pid), "the server outlived us");
    assert!(!socket.parent().unwrap().exists(), "its folder is left");
}

#[test]
fn an_evicting_server_is_said_loudly() {
    let binary = Wanted::default().find(&mut |_| ()).unwrap();
    let extra = ["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-random"];
    let server = Server::private(Private::start(&binary, &extra, None).unwrap(), Transport::Unix).unwrap();
    let warnings = server.facts().unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("allkeys-random"), "{warnings:?}");
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
    let error = Server::at("redis://:secret@127.0.0.1:1").unwrap_err().to_string();
    assert!(since.elapsed() < Duration::from_secs(5));
    assert!(error.contains("127.0.0.1:1") && !error.contains("secret") && error.lines().count() == 1, "{error}");
    let error = Server::at("redis://user:secret@[bad").unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn a_binary_that_is_no_server_says_so() {
    let error = Private::start(Path::new("/bin/false"), &[], None).unwrap_err().to_string();
    assert!(error.contains("/bin/false does not start"), "{error}");
}

#[test]
fn a_password_and_a_database_are_used_and_never_shown() {
    let binary = Wanted::default().find(&mut |_| ()).unwrap();
    let child = Private::start(&binary, &[], None).unwrap();
    let port = child.port();
    let open = Server::private(child, Transport::Unix).unwrap();
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("s3cret/@").exec(&mut open.connect().unwrap()).unwrap();
    let server = Server::at(&format!("redis://:s3cret%2F%40@127.0.0.1:{port}/3")).unwrap();
    assert_eq!(server.address(), format!("127.0.0.1:{port}/3"));
    assert!(!format!("{server:?}").contains("s3cret"));
    let error = Server::at(&format!("redis://:wrong@127.0.0.1:{port}")).unwrap_err().to_string();
    assert!(!error.contains("wrong@") && error.lines().count() == 1, "{error}");
}
