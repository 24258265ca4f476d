//! Several servers in one plan: measured in turn, told apart in rows, table and page.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::AtomicBool;

use redis_lost_updates::compare::{Comparison, Options};
use redis_lost_updates::error::Result;
use redis_lost_updates::pace::Pace;
use redis_lost_updates::record::{Bucket, Folder, Machine, Record, Run};
use redis_lost_updates::report;
use redis_lost_updates::strategy::find;
use redis_lost_updates::summary::Summary;
use redis_lost_updates::target::{ServerSpec, Target};
use redis_lost_updates::trial::{self, Observer, Trial};
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::{DriverKind, Plan, Size, Skew};

use crate::target::private;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Makes the server at `upstream` look like version 0.0.1, by replacing every version that it reports.
fn as_another_version(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pass = |mut from: TcpStream, mut to: TcpStream, rewrite: bool| {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(length) = from.read(&mut buffer) {
            let mut text = buffer[..length].to_vec();
            for name in ["redis_version:", "valkey_version:"].iter().filter(|_| rewrite) {
                if let Some(at) = text.windows(name.len()).position(|window| window == name.as_bytes()) {
                    let digits = text[at + name.len()..].iter_mut().take_while(|byte| **byte != b'\r');
                    digits.filter(|byte| **byte != b'.').for_each(|byte| *byte = b'1');
                }
            }
            if length == 0 || to.write_all(&text).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    };
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(upstream).unwrap());
            [&client, &server].iter().for_each(|stream| stream.set_nodelay(true).unwrap());
            let (to_client, to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || pass(client, to_server, false));
            std::thread::spawn(move || pass(server, to_client, true));
        }
    });
    address
}

struct Kept(Folder, Vec<String>);

impl Observer for Kept {
    fn keeps(&mut self, record: Record, latency: Vec<Bucket>, _trial: Option<Trial>) -> Result<()> {
        self.1.push(record.condition.server.clone());
        self.0.append(&record, &latency)
    }
}

#[test]
fn two_servers_are_measured_in_turn_and_told_apart_everywhere() {
    let one = private();
    let child = one.child().unwrap();
    let info = child.connection(redis_lost_updates::condition::Transport::Tcp).unwrap();
    let password = info.redis_settings().password().unwrap();
    let other = as_another_version(SocketAddr::from(([127, 0, 0, 1], child.port())));
    let servers = [one.clone(), Target::at(&format!("redis://:{password}@{other}")).unwrap()];
    let names = [servers[0].product().to_owned(), servers[1].product().to_owned()];
    assert_ne!(names[0], names[1]);
    let strategies = find(&["incr", "get-set"]).unwrap();
    let plan = Plan {
        threads: vec![1, 4],
        keys: vec![1],
        skew: Skew::Even,
        pace: Pace::Closed,
        driver: DriverKind::Threads,
        pool_size: None,
        size: Size::Updates(200),
        emphasis: 1,
        rounds: 2,
        seed: 3,
    };
    let dir = tempfile::tempdir().unwrap();
    let machine = Machine::gather(&servers, &plan, &strategies).unwrap();
    assert_eq!(machine.get("servers"), Some(names.join(", ").as_str()));
    assert!(names[0].ends_with(machine.get("server_version").unwrap()));
    assert!(names[1].ends_with(machine.get("server2_version").unwrap()));
    let mut kept = Kept(Folder::create(&dir.path().join("run"), &machine).unwrap(), Vec::new());
    trial::measure(&plan, &servers, &strategies, &NEVER, &mut kept).unwrap();
    // Each round has 2 strategies at 2 loads on 2 servers, and neither server always comes first.
    assert_eq!(kept.1.len(), 16);
    let turns = kept.1.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(turns > 4, "{:?}", kept.1);
    let run = Run::read(&dir.path().join("run")).unwrap();
    for (strategy, verdict) in [("incr", Verdict::Exact), ("get-set", Verdict::Lost)] {
        for name in &names {
            let rows =
                run.records.iter().filter(|row| (&row.condition.server, &*row.condition.strategy) == (name, strategy));
            let raced: Vec<_> = rows.filter(|row| row.condition.threads == 4).map(|row| row.verdict).collect();
            assert_eq!(raced, [Some(verdict); 2], "{strategy} on {name}");
        }
    }
    let summary = Summary::of(&run);
    let (table, page) = (report::table(&summary, false), report::render(&summary, &run));
    for name in &names {
        let label = format!("incr {name}");
        assert!(summary.labels().contains(&label.as_str()), "{:?}", summary.labels());
        assert!(table.contains(&label) && page.contains(&label), "{table}");
    }
    assert!(page.contains(&format!("{} and {}", names[0], names[1])));
    // A run compared with itself is compared server by server.
    let comparison = Comparison::of(("a", &run), ("b", &run), Options::default());
    assert_eq!(comparison.cells.len(), 8);
    assert!(comparison.cells.iter().all(|cell| cell.before == cell.after), "{comparison:?}");
}

#[test]
fn servers_that_cannot_be_told_apart_are_refused_and_so_are_two_where_one_is_needed() {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap().display().to_string();
    let both = format!("{binary},{binary}");
    let dir = tempfile::tempdir().unwrap();
    for (args, said) in [
        (["--strategies", "incr", "--quick"].as_slice(), "could not be told apart"),
        (&["explain"], "one server is expected"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
        command.args(args).args(["--server-bin", &both]).current_dir(dir.path()).env_remove("REDIS_URL");
        let output = command.output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), error.lines().count()), (Some(2), 1), "{args:?}: {error}");
        assert!(error.contains(said), "{args:?}: {error}");
    }
}
