//! A lost reply doubles an update with the redis crate's cluster client by default, but not with retries turned off.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis_lost_updates::condition::Transport;
use redis_lost_updates::proxy::{Address, By, Lose, Options, Proxy, Rule};
use redis_lost_updates::strategy::find;
use redis_lost_updates::target::{Private, ServerSpec, Target};
use redis_lost_updates::trial::{Crew, Trial};
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::Workload;

static NEVER: AtomicBool = AtomicBool::new(false);

/// A cluster of one node, and a proxy whose port the node announces as its own.
fn cluster() -> (Private, Proxy, Target) {
    let bus = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port().to_string();
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let node = Private::start(&binary, &["--cluster-enabled", "yes", "--cluster-port", &bus], None).unwrap();
    let proxy = Proxy::start(&Address::tcp("127.0.0.1", node.port()).unwrap(), Options::default()).unwrap();
    let Address::Tcp(address) = proxy.address().clone() else { panic!("a port") };
    let info = node.connection(Transport::Tcp).unwrap();
    let mut db = redis::Client::open(info.clone()).unwrap().get_connection().unwrap();
    let mut tell = |words: &[&str]| redis::cmd(words[0]).arg(&words[1..]).exec(&mut db).unwrap();
    tell(&["CONFIG", "SET", "cluster-announce-ip", "127.0.0.1"]);
    tell(&["CONFIG", "SET", "cluster-announce-port", &address.port().to_string()]);
    tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]);
    let since = Instant::now();
    while !redis::cmd("CLUSTER").arg("INFO").query::<String>(&mut db).unwrap().contains("cluster_state:ok") {
        assert!(since.elapsed() < Duration::from_secs(60), "it does not become whole");
        std::thread::sleep(Duration::from_millis(20));
    }
    let password = info.redis_settings().password().unwrap();
    let server = Target::at(&format!("redis-cluster://:{password}@{address}")).unwrap();
    (node, proxy, server)
}

/// A hundred updates by one client, one after the other. Every tenth INCR that is executed loses its reply.
fn trial(proxy: &Proxy, server: &Target, name: &str) -> Trial {
    let mut crew = Crew::open(server, find(&[name]).unwrap()[0], Workload::one_key(1), 1, &NEVER).unwrap();
    let rule = Rule { names: ["INCR".to_owned()].into(), ..Rule::every(10, Lose::Reply, By::Fin) };
    proxy.set_rules(vec![rule]).unwrap();
    let trial = crew.trial(100, Duration::from_secs(60)).unwrap();
    proxy.set_rules(Vec::new()).unwrap();
    crew.close().unwrap();
    trial
}

#[test]
fn the_cluster_client_as_it_comes_doubles_what_lost_its_reply_and_nobody_sees_an_error() {
    let (_node, proxy, server) = cluster();
    let doubled = trial(&proxy, &server, "cluster-incr");
    let ledger = &doubled.judgement.ledger;
    // Every tenth of 111 executions is sent again as the next one.
    assert_eq!((ledger.acked, ledger.unknown, ledger.found, ledger.doubled), (100, 0, 111, 11), "{ledger:?}");
    assert_eq!(doubled.verdict, Verdict::Excess);
    let honest = trial(&proxy, &server, "cluster-incr-no-retry");
    let ledger = &honest.judgement.ledger;
    // The tenth lost its reply. The client does not reconnect, so later ones are never executed.
    assert_eq!((ledger.acked, ledger.found, ledger.doubled, ledger.lost), (9, 10, 0, 0), "{ledger:?}");
    assert!(ledger.unknown > 0 && !honest.verdict.breaks_exactness(), "{:?}", honest.verdict);
    // The control for both: if no reply is lost, neither doubles.
    for name in ["cluster-incr", "cluster-incr-no-retry"] {
        let mut crew = Crew::open(&server, find(&[name]).unwrap()[0], Workload::one_key(1), 1, &NEVER).unwrap();
        assert_eq!(crew.trial(100, Duration::from_secs(60)).unwrap().verdict, Verdict::Exact, "{name}");
        crew.close().unwrap();
    }
}
