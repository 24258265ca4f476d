//! Servers that are none, or that do not let us in: one line that says what it is.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis_lost_updates::condition::Transport;
use redis_lost_updates::strategy::find;
use redis_lost_updates::target::{Private, ServerSpec, Target};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::Workload;

use crate::model::request;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Something that listens, says `words` once it has heard anything, and stays or hangs up.
fn listener(words: &'static [u8], stays: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let heard = stream.read(&mut [0; 1_000]);
                // Whoever asked may be gone already.
                let _ = stream.write_all(words);
                while stays && heard.is_ok() {
                    std::thread::sleep(Duration::from_secs(1));
                }
            });
        }
    });
    address
}

fn refusal(url: &str) -> String {
    let since = Instant::now();
    let error = Target::at(url).unwrap_err().to_string();
    assert!(since.elapsed() < Duration::from_secs(20), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn a_port_that_is_no_redis_and_a_server_that_is_silent_say_so() {
    for words in [b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), b"SSH-2.0-OpenSSH_9.2\r\n", b"\x1b]0;x\x07\n\n"] {
        let error = refusal(&format!("redis://{}", listener(words, false)));
        assert!(error.contains("does not speak Redis's protocol"), "{error}");
    }
    let error = refusal(&format!("redis://{}", listener(b"", true)));
    assert!(error.contains("stalled or stopped"), "{error}");
    let error = refusal(&format!("redis://{}", listener(b"", false)));
    assert!(error.contains("closed the connection"), "{error}");
}

/// A server that answers this many commands, and then sends a reply at one byte per tenth of a second for 40 seconds.
fn dripper(answers: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || {
                let (mut reader, mut writer) = (BufReader::new(&stream), &stream);
                for _ in 0..answers {
                    if request(&mut reader).ok().flatten().is_none() || writer.write_all(b"+OK\r\n").is_err() {
                        return;
                    }
                }
                for _ in 0..400 {
                    if writer.write_all(b"+").is_err() {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            });
        }
    });
    address
}

#[test]
fn where_there_are_no_transactions_no_command_is_executed_to_check_the_rights() {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let node = Private::start(&binary, &["--rename-command", "MULTI", ""], None).unwrap();
    let server = Target::private(node, Transport::Tcp).unwrap();
    server.lets_us(&["del", "get", "set", "incr"]).unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut server.connect().unwrap()).unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

#[test]
fn a_server_that_drips_is_not_waited_for_however_far_it_lets_us() {
    // Two commands are sent with every new connection.
    for answers in [0, 2, 3] {
        let error = Target::at(&format!("redis://{}", dripper(answers))).unwrap_err().to_string();
        assert!(error.contains("no answer in time: it is stalled or stopped"), "after {answers}: {error}");
    }
}

fn set_to(extra: &[&str]) -> Target {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    Target::private(Private::start(&binary, extra, None).unwrap(), Transport::Tcp).unwrap()
}

/// A proxy in front of servers that passes on only the commands it knows: PING, but not INFO.
fn proxy_without_info() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || -> std::io::Result<()> {
                let (mut reader, mut writer) = (BufReader::new(&stream), &stream);
                while let Some(words) = request(&mut reader)? {
                    let is_ping = words[0].eq_ignore_ascii_case("PING");
                    writer.write_all(if is_ping { b"+PONG\r\n" } else { b"-ERR unsupported command\r\n" })?;
                }
                Ok(())
            });
        }
    });
    address
}

#[test]
fn what_does_not_say_what_it_is_is_not_measured() {
    let error = refusal(&format!("redis://{}", proxy_without_info()));
    assert!(error.contains("INFO is refused") && error.contains("allow it"), "{error}");
    let server = set_to(&[]);
    let user = ["SETUSER", "silent", "on", ">pw", "~*", "+@all", "-info"];
    redis::cmd("ACL").arg(&user).exec(&mut server.connect().unwrap()).unwrap();
    let error = refusal(&format!("redis://silent:pw@{}", server.address()));
    assert!(error.contains("INFO is refused") && error.contains("allow it"), "{error}");
}

#[test]
fn a_server_without_room_says_so_whoever_asks() {
    let server = set_to(&["--maxclients", "12"]);
    for name in ["incr", "watch", "pooled-incr", "mutex-two-processes"] {
        let crew = Crew::open(&server, find(&[name]).unwrap()[0], Workload::one_key(40), 1, &NEVER);
        match crew {
            Ok(_) => assert_eq!(name, "mutex-two-processes", "it needs two connections only"),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("maxclients") && error.contains("--threads"), "{name}: {error}");
            }
        }
    }
}

#[test]
fn too_few_open_files_are_raised_or_said() {
    let server = set_to(&[]);
    let url = server.secret_url();
    let dir = tempfile::tempdir().unwrap();
    let run = |limit: &str, out: &str| {
        let plan = "--strategies incr,pooled-incr --threads 64 --updates 5 --rounds 1 --quiet";
        let out = dir.path().join(out).display().to_string();
        let script = format!("ulimit {limit}; exec \"$0\" --redis-url '{url}' --out {out} {plan}");
        let output = Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_report")]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run("-S -n 40", "soft");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run("-n 40", "hard");
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("64 connections need") && said.contains("ulimit -Hn"), "{said}");
}

/// Two processes race on the server at `url`.
fn two_processes(url: &str) {
    let server = Target::at(url).unwrap();
    let strategy = find(&["mutex-two-processes"]).unwrap()[0];
    assert_eq!(strategy.unavailable(&server).unwrap(), None, "{url}");
    let mut crew = Crew::open(&server, strategy, Workload::one_key(2), 1, &NEVER).unwrap();
    let trial = crew.trial(200, Duration::from_secs(60)).unwrap();
    crew.close().unwrap();
    assert_eq!(trial.judgement.ledger.acked, 400, "{:?}", trial.log.clients[1].trouble);
    assert!([Verdict::Exact, Verdict::Lost].contains(&trial.verdict), "{url}: {}", trial.verdict);
}

#[test]
fn a_second_process_finds_the_server_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("a b?c#d%20é.sock");
    let server = set_to(&[]);
    std::os::unix::fs::symlink(server.child().unwrap().socket(), &socket).unwrap();
    let encoded: String = socket.display().to_string().bytes().map(|b| format!("%{b:02X}")).collect();
    // Logged in as over the port.
    let password = server.secret_url().split_once("://:").map(|(_, rest)| rest.split('@').next().unwrap().to_owned());
    let login = password.map_or_else(String::new, |password| format!("?pass={password}"));
    two_processes(&format!("unix:///{}{login}", encoded.replace("%2F", "/").trim_start_matches('/')));
    // Not every machine has IPv6.
    if TcpListener::bind("[::1]:0").is_ok() {
        let server = set_to(&["--bind", "127.0.0.1 -::1"]);
        let port = server.child().unwrap().port();
        two_processes(&server.secret_url().replace(&format!("127.0.0.1:{port}"), &format!("[::1]:{port}")));
    }
}

#[test]
fn why_a_second_process_does_not_start_is_said() {
    let server = set_to(&["--maxclients", "2"]);
    let _held = [server.connect().unwrap(), server.connect().unwrap()];
    let why = find(&["mutex-two-processes"]).unwrap()[0].unavailable(&server).unwrap();
    assert!(
        why.as_ref().is_some_and(|why| why.contains("maxclients") || why.contains("closed the connection")),
        "{why:?}"
    );
}
