//! The proxy does what its script says and nothing else: held against a server that counts what it executed, and a real
//! one.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use redis_lost_updates::condition::Transport;
use redis_lost_updates::proxy::{Address, By, Delay, Direction, Event, Framing, Lose, Options, Proxy, Rule, What};
use redis_lost_updates::target::{Private, Target};

use crate::model::request;

/// Longer than anything here takes: who waits so long waits for ever.
const PATIENCE: Duration = Duration::from_secs(30);

fn free_address(listener: &TcpListener) -> Address {
    Address::Tcp(listener.local_addr().unwrap())
}

fn port_of(address: &Address) -> SocketAddr {
    match address {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("{} is no port", path.display()),
    }
}

fn client(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(port_of(proxy.address())).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < PATIENCE, "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A server that says back what it is told, until the client is done.
fn echo() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free_address(&listener);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = vec![0; 100_000];
                while let Ok(length) = stream.read(&mut bytes) {
                    if length == 0 || stream.write_all(&bytes[..length]).is_err() {
                        break;
                    }
                }
                let _ = stream.shutdown(Shutdown::Write);
            });
        }
    });
    address
}

/// A server that counts how often it executed what; every command is answered with the number of commands before it.
#[derive(Clone)]
struct Counting {
    address: Address,
    executed: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Counting {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = Self { address: free_address(&listener), executed: Arc::default() };
        let executed = own.executed.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, executed) = (stream.unwrap(), executed.clone());
                std::thread::spawn(move || -> std::io::Result<()> {
                    let (mut reader, mut writer) = (BufReader::new(&stream), &stream);
                    let mut number = 0;
                    while let Some(words) = request(&mut reader)? {
                        number += 1;
                        *executed.lock().unwrap().entry(words[0].clone()).or_default() += 1;
                        writer.write_all(format!(":{number}\r\n").as_bytes())?;
                    }
                    Ok(())
                });
            }
        });
        own
    }

    fn executed(&self, name: &str) -> u64 {
        self.executed.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

fn packed(words: &[&str]) -> Vec<u8> {
    let words: String = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{words}", words.matches('$').count()).into_bytes()
}

/// A client that knows how many replies it got.
struct Caller {
    reader: BufReader<TcpStream>,
}

/// What came of a command.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Reply(String),
    Fin,
    Rst,
}

impl Caller {
    fn new(proxy: &Proxy) -> Self {
        Self { reader: BufReader::new(client(proxy)) }
    }

    fn send(&mut self, words: &[&str]) {
        self.reader.get_mut().write_all(&packed(words)).unwrap();
    }

    fn hear(&mut self) -> Heard {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Heard::Fin,
            Ok(_) => Heard::Reply(line.trim_end().to_owned()),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Heard::Rst,
            Err(error) => panic!("neither a reply nor an end: {error}"),
        }
    }

    fn call(&mut self, words: &[&str]) -> Heard {
        self.send(words);
        self.hear()
    }

    /// Whether nothing has come, now that something could have.
    fn hears_nothing(&mut self) -> bool {
        let stream = self.reader.get_mut();
        stream.set_nonblocking(true).unwrap();
        let read = stream.read(&mut [0; 16]);
        read.is_err_and(|e| e.kind() == ErrorKind::WouldBlock)
    }
}

fn told(events: &[Event]) -> Vec<(Option<u64>, Option<u64>, String, What)> {
    events.iter().map(|e| (e.connection, e.command, e.name.clone(), e.what)).collect()
}

fn lose() -> impl Strategy<Value = Lose> {
    prop_oneof![Just(Lose::Reply), Just(Lose::Request)]
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![Just(By::Fin), Just(By::Rst), Just(By::Silence)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_stream_cut_anywhere_passes_unchanged(
        commands in prop::collection::vec(prop::collection::vec("[A-Za-z0-9\r\n ]{0,40}", 1..4), 0..12),
        garbage in prop::collection::vec(any::<u8>(), 0..60),
        pieces in prop::collection::vec(1..50_usize, 0..60),
        slow in any::<bool>(),
    ) {
        let mut bytes: Vec<u8> = commands.iter().flat_map(|words| {
            packed(&words.iter().map(String::as_str).collect::<Vec<_>>())
        }).collect();
        bytes.extend_from_slice(&garbage);
        let delay = if slow { Delay::Between(Duration::ZERO, Duration::from_micros(700)) } else { Delay::None };
        let proxy = Proxy::start(&echo(), Options { to_server: delay, to_client: delay, ..Options::default() }).unwrap();
        let mut stream = client(&proxy);
        let (mut rest, mut pieces) = (bytes.as_slice(), pieces.into_iter());
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(pieces.next().unwrap_or(rest.len()).min(rest.len()));
            stream.write_all(piece).unwrap();
            rest = after;
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).unwrap();
        prop_assert_eq!(back, bytes);
    }

    #[test]
    fn a_script_does_exactly_what_it_says(
        (lose, by, every, each) in (lose(), by(), 1..6_u64, any::<bool>()),
        (before, after) in (0..3_usize, 0..3_usize),
        writes in 1..14_u64,
        slow in any::<bool>(),
    ) {
        let server = Counting::start();
        let delay = if slow { Delay::Fixed(Duration::from_micros(300)) } else { Delay::None };
        let rule = Rule::every(every, lose, by).of(&["incr"]);
        let rules = vec![if each { rule.on_each_connection() } else { rule }];
        let options = Options { rules, to_server: delay, to_client: delay, ..Options::default() };
        let proxy = Proxy::start(&server.address, options).unwrap();
        let (mut caller, mut connection, mut command, mut own) = (Caller::new(&proxy), 1, 0, 0);
        let (mut expected, mut replies, mut asides) = (Vec::new(), 0, 0);
        for write in 1..=writes {
            for _ in 0..before {
                command += 1;
                asides += 1;
                prop_assert_eq!(caller.call(&["GET", "key"]), Heard::Reply(format!(":{command}")));
            }
            (command, own) = (command + 1, own + 1);
            caller.send(&["INCR", "key"]);
            if (if each { own } else { write }) % every == 0 {
                expected.push((Some(connection), Some(command), "INCR".to_owned(), What::Lost(lose, by)));
                match by {
                    By::Fin => prop_assert_eq!(caller.hear(), Heard::Fin),
                    By::Rst => prop_assert_eq!(caller.hear(), Heard::Rst),
                    By::Silence => {
                        eventually("the loss", || proxy.events().len() == expected.len());
                        caller.send(&["INCR", "never executed"]);
                        prop_assert!(caller.hears_nothing());
                    }
                }
                (caller, connection, command, own) = (Caller::new(&proxy), connection + 1, 0, 0);
            } else {
                replies += 1;
                prop_assert_eq!(caller.hear(), Heard::Reply(format!(":{command}")));
            }
            for _ in 0..after {
                command += 1;
                asides += 1;
                prop_assert_eq!(caller.call(&["PING"]), Heard::Reply(format!(":{command}")));
            }
        }
        prop_assert_eq!(told(&proxy.events()), expected.clone());
        prop_assert_eq!(replies + expected.len() as u64, writes);
        let executed = if lose == Lose::Reply { writes } else { replies };
        prop_assert_eq!(server.executed("INCR"), executed);
        prop_assert_eq!(server.executed("GET") + server.executed("PING"), asides);
    }
}

/// The replies that one client gets to sixty requests, a third of them not writes, over as many connections as it
/// takes.
fn same_requests(proxy: &Proxy) -> Vec<Heard> {
    let mut caller = Caller::new(proxy);
    let requests = (0..60).map(|number| if number % 3 == 0 { ["GET", "k"] } else { ["INCR", "k"] });
    let heard = requests.map(|request| {
        let heard = caller.call(&request);
        if !matches!(heard, Heard::Reply(_)) {
            caller = Caller::new(proxy);
        }
        heard
    });
    heard.collect()
}

#[test]
fn the_same_script_and_the_same_requests_give_the_same_events() {
    let runs: Vec<_> = (0..5)
        .map(|_| {
            let server = Counting::start();
            let rules = vec![
                Rule::every(7, Lose::Reply, By::Fin),
                Rule::every(5, Lose::Request, By::Rst).of(&["get"]),
                Rule::these([3], Lose::Request, By::Fin).on_each_connection(),
            ];
            let delay = Delay::Between(Duration::ZERO, Duration::from_micros(200));
            let options = Options { rules, to_server: delay, to_client: delay, seed: 9, ..Options::default() };
            let proxy = Proxy::start(&server.address, options).unwrap();
            let heard = same_requests(&proxy);
            (heard, told(&proxy.events()), server.executed("INCR"), server.executed("GET"))
        })
        .collect();
    assert!(runs[0].1.len() > 10, "{:?}", runs[0].1);
    for run in &runs {
        assert_eq!(run, &runs[0]);
    }
}

#[test]
fn of_a_pipeline_the_server_sees_all_up_to_the_lost_one_and_no_more() {
    for (lose, by) in
        [(Lose::Reply, By::Fin), (Lose::Reply, By::Rst), (Lose::Request, By::Fin), (Lose::Reply, By::Silence)]
    {
        let server = Counting::start();
        let rules = vec![Rule::these([3], lose, by)];
        let proxy = Proxy::start(&server.address, Options { rules, ..Options::default() }).unwrap();
        let mut caller = Caller::new(&proxy);
        // Writes: INCR, EXEC (what it executes is queued, and does not count), SET, INCR.
        let pipeline: [&[&str]; 10] = [
            &["PING"],
            &["INCR", "k"],
            &["MULTI"],
            &["INCR", "k"],
            &["SET", "k", "1"],
            &["EXEC"],
            &["GET", "k"],
            &["SET", "k", "7"],
            &["INCR", "k"],
            &["PING"],
        ];
        let bytes: Vec<u8> = pipeline.iter().flat_map(|words| packed(words)).collect();
        caller.reader.get_mut().write_all(&bytes).unwrap();
        for place in 1..=7 {
            // A reset may overtake replies that the client has not read yet: the system drops them then.
            match caller.hear() {
                Heard::Rst if by == By::Rst => break,
                heard => assert_eq!(heard, Heard::Reply(format!(":{place}")), "{lose:?} {by:?}"),
            }
        }
        match by {
            By::Fin => assert_eq!(caller.hear(), Heard::Fin),
            By::Rst => {}
            By::Silence => {
                eventually("the loss", || proxy.events().len() == 1);
                assert!(caller.hears_nothing());
            }
        }
        let expected = (Some(1), Some(8), "SET".to_owned(), What::Lost(lose, by));
        eventually("the loss", || !proxy.events().is_empty());
        assert_eq!(told(&proxy.events()), [expected]);
        let sets = if lose == Lose::Reply { 2 } else { 1 };
        assert_eq!((server.executed("SET"), server.executed("INCR"), server.executed("PING")), (sets, 2, 1));
    }
}

#[test]
fn rules_choose_connections_numbers_and_names() {
    let server = Counting::start();
    let rules =
        vec![Rule::these([2], Lose::Request, By::Fin).of(&["evalsha"]).on([2]), Rule::these([3], Lose::Reply, By::Fin)];
    let proxy = Proxy::start(&server.address, Options { rules, ..Options::default() }).unwrap();
    let (mut one, mut two) = (Caller::new(&proxy), Caller::new(&proxy));
    // Both are made, in this order.
    assert_eq!(one.call(&["HELLO", "3"]), Heard::Reply(":1".to_owned()));
    assert_eq!(two.call(&["AUTH", "x"]), Heard::Reply(":1".to_owned()));
    assert_eq!(one.call(&["EVALSHA", "x"]), Heard::Reply(":2".to_owned()));
    assert_eq!(two.call(&["EVALSHA", "x"]), Heard::Reply(":2".to_owned()));
    assert_eq!(two.call(&["EVALSHA", "x"]), Heard::Fin, "its own second, before it is the third of all");
    assert_eq!(one.call(&["SET", "k", "v"]), Heard::Reply(":3".to_owned()), "the fourth of all");
    proxy.set_rules(vec![Rule::every(1, Lose::Reply, By::Rst)]).unwrap();
    assert_eq!(one.call(&["INCR", "k"]), Heard::Rst);
    let whats: Vec<_> = proxy.events().iter().map(|e| (e.connection, e.what)).collect();
    assert_eq!(whats, [(Some(2), What::Lost(Lose::Request, By::Fin)), (Some(1), What::Lost(Lose::Reply, By::Rst)),]);
    assert_eq!(server.executed("EVALSHA"), 2);
}

#[test]
fn a_cut_holds_back_one_direction_until_it_heals() {
    let server = Counting::start();
    let proxy = Proxy::start(&server.address, Options::default()).unwrap();
    let mut caller = Caller::new(&proxy);
    assert_eq!(caller.call(&["INCR", "k"]), Heard::Reply(":1".to_owned()));
    proxy.cut(Direction::ToClient).unwrap();
    caller.send(&["INCR", "k"]);
    eventually("the second INCR", || server.executed("INCR") == 2);
    assert!(caller.hears_nothing(), "executed, and not told");
    proxy.heal().unwrap();
    caller.reader.get_mut().set_nonblocking(false).unwrap();
    assert_eq!(caller.hear(), Heard::Reply(":2".to_owned()));
    proxy.cut(Direction::ToServer).unwrap();
    caller.send(&["INCR", "k"]);
    // As much as anything can: nothing that happens says that it did not happen.
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(server.executed("INCR"), 2);
    proxy.heal().unwrap();
    assert_eq!(caller.hear(), Heard::Reply(":3".to_owned()));
    proxy.cut(Direction::Both).unwrap();
    proxy.heal().unwrap();
    assert_eq!(caller.call(&["INCR", "k"]), Heard::Reply(":4".to_owned()));
    let whats: Vec<What> = proxy.events().iter().map(|event| event.what).collect();
    use What::{Cut, Healed};
    let cut = [Direction::ToClient, Direction::ToServer, Direction::Both].map(Cut);
    assert_eq!(whats, [cut[0], Healed, cut[1], Healed, cut[2], Healed]);
}

#[test]
fn what_is_held_at_a_kill_never_arrives() {
    for by in [By::Fin, By::Rst, By::Silence] {
        let server = Counting::start();
        let delay = Duration::from_millis(1_500);
        let options = Options { to_client: Delay::Fixed(delay), ..Options::default() };
        let proxy = Proxy::start(&server.address, options).unwrap();
        let mut caller = Caller::new(&proxy);
        caller.send(&["INCR", "k"]);
        eventually("the INCR", || server.executed("INCR") == 1);
        // Until the reply has come to the proxy, it is not the proxy's to drop: it is the server's.
        std::thread::sleep(Duration::from_millis(500));
        let dropped = proxy.kill(by).unwrap();
        assert_eq!((dropped.connections, dropped.bytes), (1, 4), "{by:?}");
        match by {
            By::Fin => assert_eq!(caller.hear(), Heard::Fin),
            By::Rst => assert_eq!(caller.hear(), Heard::Rst),
            By::Silence => {
                std::thread::sleep(delay);
                assert!(caller.hears_nothing());
            }
        }
        let refused = TcpStream::connect(port_of(proxy.address())).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        proxy.heal().unwrap();
        proxy.set_delay(Direction::Both, Delay::None).unwrap();
        assert_eq!(Caller::new(&proxy).call(&["INCR", "k"]), Heard::Reply(":1".to_owned()));
        assert_eq!(proxy.events()[1].what, What::Killed(by));
    }
}

#[test]
fn connections_are_refused_for_a_time_and_those_that_are_there_stay() {
    let server = Counting::start();
    let proxy = Proxy::start(&server.address, Options::default()).unwrap();
    let mut there = Caller::new(&proxy);
    assert_eq!(there.call(&["PING"]), Heard::Reply(":1".to_owned()));
    // Longer than this machine can be busy with something else.
    proxy.refuse(Duration::from_secs(60)).unwrap();
    let refused = TcpStream::connect(port_of(proxy.address())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(there.call(&["PING"]), Heard::Reply(":2".to_owned()));
    proxy.refuse(Duration::from_millis(50)).unwrap();
    eventually("an open door", || TcpStream::connect(port_of(proxy.address())).is_ok());
    let whats: Vec<What> = proxy.events().iter().map(|event| event.what).collect();
    assert_eq!(whats, [What::Refused, What::Refused, What::Reopened]);
}

#[test]
fn nobody_behind_it_is_a_reset_in_front_of_it() {
    let nobody = free_address(&TcpListener::bind("127.0.0.1:0").unwrap());
    let proxy = Proxy::start(&nobody, Options::default()).unwrap();
    let mut stream = client(&proxy);
    let error = stream.read(&mut [0; 8]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(told(&proxy.events()), [(Some(1), None, String::new(), What::Unreachable)]);
}

#[test]
fn tls_passes_unless_rules_need_to_read_it() {
    let hello = [&[0x16, 3, 1, 0, 4][..], b"\r\n*1"].concat();
    let server = echo();
    let proxy = Proxy::start(&server, Options::default()).unwrap();
    let mut stream = client(&proxy);
    stream.write_all(&hello).unwrap();
    let mut back = vec![0; hello.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, hello);
    let rules = vec![Rule::every(1, Lose::Reply, By::Fin)];
    proxy.set_rules(rules.clone()).unwrap();
    let mut refused = client(&proxy);
    refused.write_all(&hello).unwrap();
    assert_eq!(refused.read(&mut back).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(told(&proxy.events()), [(Some(2), None, String::new(), What::TlsRefused)]);
    let opaque = Options { framing: Framing::Opaque, rules, ..Options::default() };
    let error = Proxy::start(&server, opaque).unwrap_err().to_string();
    assert!(error.contains("TLS") && error.lines().count() == 1, "{error}");
}

#[test]
fn garbage_half_frames_and_early_ends_leave_the_others_alone() {
    let server = Counting::start();
    let rules = vec![Rule::every(1, Lose::Reply, By::Fin).of(&["DEL"])];
    let proxy = Proxy::start(&server.address, Options { rules, ..Options::default() }).unwrap();
    let mut steady = Caller::new(&proxy);
    for (place, bytes) in
        [&b"\0\xff\xfe"[..], b"*2\r\n$4\r\nINC", b"*1\r\n$-7\r\n", b"*9999999999999999999999\r\n", b"GET / HTTP"]
            .iter()
            .enumerate()
    {
        let mut stream = client(&proxy);
        stream.write_all(bytes).unwrap();
        drop(stream);
        assert_eq!(steady.call(&["INCR", "k"]), Heard::Reply(format!(":{}", place + 1)));
    }
    assert_eq!(steady.call(&["DEL", "k"]), Heard::Fin);
}

/// A server that reads `expected` bytes and counts them, at first not at all.
fn sink(counted: Arc<AtomicU64>, go: Arc<AtomicU64>) -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free_address(&listener);
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        while go.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut bytes = vec![0; 1 << 16];
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            counted.fetch_add(length as u64, Ordering::Relaxed);
        }
        let _ = stream.write_all(b"+OK\r\n");
    });
    address
}

#[test]
fn a_bulk_of_100_mb_is_never_held_and_a_peer_that_stops_reading_stops_its_writer() {
    const SIZE: usize = 100_000_000;
    let (counted, go) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let rules = vec![Rule::every(2, Lose::Reply, By::Fin)];
    let options = Options { rules, to_server: Delay::Fixed(Duration::from_micros(500)), ..Options::default() };
    let proxy = Proxy::start(&sink(counted.clone(), go.clone()), options).unwrap();
    let mut stream = client(&proxy);
    let head = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${SIZE}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    stream.set_nonblocking(true).unwrap();
    // Whatever is taken now is in the proxy or in the system's own queues: nobody reads.
    let (mut written, mut full_since) = (0, Instant::now());
    while full_since.elapsed() < Duration::from_millis(300) {
        match stream.write(&chunk[..chunk.len().min(SIZE - written)]) {
            Ok(length) => (written, full_since) = (written + length, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(written < 40 << 20, "{written} bytes went somewhere");
    stream.set_nonblocking(false).unwrap();
    go.store(1, Ordering::Relaxed);
    while written < SIZE {
        written += stream.write(&chunk[..chunk.len().min(SIZE - written)]).unwrap();
    }
    stream.write_all(b"\r\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert_eq!(reply, "+OK\r\n");
    assert_eq!(counted.load(Ordering::Relaxed), (head.len() + SIZE + 2) as u64);
    assert!(proxy.events().is_empty());
}

/// A private server that anybody may speak to, as these clients do not log in.
fn open_server() -> Target {
    let private = Private::start(std::path::Path::new("redis-server"), &[], None).unwrap();
    let server = Target::private(private, Transport::Tcp).unwrap();
    redis::cmd("CONFIG").arg(&["SET", "requirepass", ""]).exec(&mut server.connect().unwrap()).unwrap();
    server
}

#[test]
fn thousands_of_connections_each_get_their_own_replies() {
    const MANY: usize = 2_000;
    let server = open_server();
    let proxy =
        Proxy::start(&Address::tcp("127.0.0.1", server.child().unwrap().port()).unwrap(), Options::default()).unwrap();
    let mut callers: Vec<Caller> = (0..MANY).map(|_| Caller::new(&proxy)).collect();
    for (place, caller) in callers.iter_mut().enumerate() {
        caller.send(&["ECHO", &place.to_string()]);
    }
    for (place, caller) in callers.iter_mut().enumerate() {
        assert_eq!(caller.hear(), Heard::Reply(format!("${}", place.to_string().len())));
        assert_eq!(caller.hear(), Heard::Reply(place.to_string()));
    }
}

#[test]
fn a_delay_is_never_shorter_than_it_is_said_to_be_and_never_reorders() {
    let server = Counting::start();
    let options = Options {
        to_server: Delay::Fixed(Duration::from_millis(1)),
        to_client: Delay::Between(Duration::from_millis(1), Duration::from_millis(3)),
        seed: 7,
        ..Options::default()
    };
    let proxy = Proxy::start(&server.address, options).unwrap();
    let mut caller = Caller::new(&proxy);
    for number in 1..=20 {
        let start = Instant::now();
        assert_eq!(caller.call(&["INCR", "k"]), Heard::Reply(format!(":{number}")));
        // A wake-up that is early by as much as the last ones were late is part of the bargain.
        assert!(start.elapsed() > Duration::from_micros(1_700), "{:?}", start.elapsed());
    }
    (0..50).for_each(|_| caller.send(&["INCR", "k"]));
    for number in 21..=70 {
        assert_eq!(caller.hear(), Heard::Reply(format!(":{number}")));
    }
}

#[test]
fn unix_sockets_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let (behind, front) = (dir.path().join("behind"), dir.path().join("front"));
    let listener = UnixListener::bind(&behind).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 100];
            while let Ok(length @ 1..) = stream.read(&mut bytes) {
                let _ = stream.write_all(&b":1\r\n".repeat(bytes[..length].iter().filter(|&&b| b == b'*').count()));
            }
        }
    });
    let rules = vec![Rule::these([2], Lose::Reply, By::Fin)];
    let options = Options { listen: Some(Address::Unix(front.clone())), rules, ..Options::default() };
    let proxy = Proxy::start(&Address::Unix(behind), options).unwrap();
    let mut stream = UnixStream::connect(&front).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reply = [0; 4];
    for _ in 0..2 {
        stream.write_all(&packed(&["INCR", "k"])).unwrap();
        if stream.read(&mut reply).unwrap() == 0 {
            break;
        }
    }
    assert_eq!(stream.read(&mut reply).unwrap(), 0);
    drop(proxy);
    assert!(!front.exists(), "its file is gone with it");
}

#[test]
fn replies_of_resp3_are_told_from_pushes_on_a_real_server() {
    let server = open_server();
    let upstream = Address::tcp("127.0.0.1", server.child().unwrap().port()).unwrap();
    let proxy = Proxy::start(&upstream, Options::default()).unwrap();
    let mut caller = Caller::new(&proxy);
    caller.send(&["HELLO", "3"]);
    caller.send(&["CLIENT", "TRACKING", "ON"]);
    caller.send(&["GET", "k"]);
    while caller.hear() != Heard::Reply("_".to_owned()) {}
    let mut other = TcpStream::connect(("127.0.0.1", server.child().unwrap().port())).unwrap();
    other.write_all(&packed(&["SET", "k", "5"])).unwrap();
    // The invalidation comes as a push; then the reply to the first write, and the second one's never.
    for expected in [">2", "$10", "invalidate", "*1", "$1", "k"] {
        assert_eq!(caller.hear(), Heard::Reply(expected.to_owned()));
    }
    proxy.set_rules(vec![Rule::these([2], Lose::Reply, By::Fin)]).unwrap();
    assert_eq!(caller.call(&["INCR", "k"]), Heard::Reply(":6".to_owned()));
    assert_eq!(caller.call(&["INCR", "k"]), Heard::Fin);
    assert_eq!(told(&proxy.events()), [(Some(1), Some(5), "INCR".to_owned(), What::Lost(Lose::Reply, By::Fin))]);
    let mut db = BufReader::new(other);
    db.get_mut().write_all(&packed(&["GET", "k"])).unwrap();
    let lines: Vec<String> = (&mut db).lines().take(3).map(Result::unwrap).collect();
    assert_eq!(lines, ["+OK", "$1", "7"], "executed twice, told once");
}

#[test]
fn a_subscriber_is_no_longer_matched() {
    let server = open_server();
    let rules = vec![Rule::every(1, Lose::Reply, By::Fin)];
    let upstream = Address::tcp("127.0.0.1", server.child().unwrap().port()).unwrap();
    let proxy = Proxy::start(&upstream, Options { rules, ..Options::default() }).unwrap();
    let mut caller = Caller::new(&proxy);
    caller.send(&["SUBSCRIBE", "a", "b"]);
    (0..12).for_each(|_| assert!(matches!(caller.hear(), Heard::Reply(_))));
    assert_eq!(told(&proxy.events()), [(Some(1), Some(1), "SUBSCRIBE".to_owned(), What::Unmatched)]);
}

#[test]
fn between_a_primary_and_its_replica_it_delays_and_what_it_holds_at_a_kill_never_arrives() {
    let binary = std::path::Path::new("redis-server");
    let primary = Private::start(binary, &[], None).unwrap();
    let upstream = Address::tcp("127.0.0.1", primary.port()).unwrap();
    let proxy = Proxy::start(&upstream, Options { framing: Framing::Opaque, ..Options::default() }).unwrap();
    let port = port_of(proxy.address()).port().to_string();
    let replica = Target::private(primary.beside(&["--replicaof", "127.0.0.1", &port], None).unwrap(), Transport::Tcp);
    let (primary, replica) = (Target::private(primary, Transport::Tcp).unwrap(), replica.unwrap());
    let incr = || redis::cmd("INCR").arg("k").query::<i64>(&mut primary.connect().unwrap()).unwrap();
    let there = || redis::cmd("GET").arg("k").query::<Option<i64>>(&mut replica.connect().unwrap()).unwrap();
    incr();
    eventually("the first INCR at the replica", || there() == Some(1));
    proxy.cut(Direction::ToClient).unwrap();
    incr();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(there(), Some(1), "the replica hears nothing");
    proxy.heal().unwrap();
    eventually("the second INCR at the replica", || there() == Some(2));
    let delay = Duration::from_millis(1_500);
    proxy.set_delay(Direction::ToClient, Delay::Fixed(delay)).unwrap();
    incr();
    std::thread::sleep(Duration::from_millis(500));
    let dropped = proxy.kill(By::Rst).unwrap();
    assert!(dropped.connections == 1 && dropped.bytes > 0, "{dropped:?}");
    std::thread::sleep(delay);
    assert_eq!(there(), Some(2), "what was on its way died with the primary");
    let whats: Vec<What> = proxy.events().iter().map(|event| event.what).collect();
    use What::{Cut, Healed, Killed, Refused};
    assert_eq!(whats, [Cut(Direction::ToClient), Healed, Refused, Killed(By::Rst)]);
}
