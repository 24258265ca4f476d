//! Servers as people run them: TLS, replicas, Sentinel, Cluster. Real ones, started by us.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis::{Client, Connection};
use redis_lost_updates::condition::{Topology, Transport};
use redis_lost_updates::proxy::{Address, Delay, Direction, Options, Proxy};
use redis_lost_updates::strategy::{Strategy, find};
use redis_lost_updates::target::{Fleet, Layout, Private, ServerSpec, Target, TlsFiles};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::{DriverKind, Workload};

static NEVER: AtomicBool = AtomicBool::new(false);

fn fleet(layout: &str, replicas: Option<u32>) -> (Fleet, Layout) {
    let layout = Layout { replicas, ..layout.parse().unwrap() };
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    (Fleet::start(&binary, layout, None).unwrap(), layout)
}

fn single() -> Target {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    Target::private(Private::start(&binary, &[], None).unwrap(), Transport::Tcp).unwrap()
}

fn started(layout: &str, replicas: Option<u32>) -> Target {
    let (fleet, layout) = fleet(layout, replicas);
    Target::fleet(fleet, layout).unwrap()
}

fn to(node: &Private) -> Connection {
    Client::open(node.connection(Transport::Unix).unwrap()).unwrap().get_connection().unwrap()
}

fn strategy(name: &str) -> &'static dyn Strategy {
    find(&[name]).unwrap()[0]
}

/// Every key on a node, of a database that nobody else uses.
fn keys(node: &Private) -> Vec<String> {
    redis::cmd("KEYS").arg("*").query(&mut to(node)).unwrap()
}

/// Races a strategy and gives its row.
fn row(server: &Target, name: &str, workload: Workload) -> redis_lost_updates::record::Record {
    let mut crew = Crew::open(server, strategy(name), workload, 1, &NEVER).unwrap_or_else(|e| panic!("{name}: {e}"));
    let trial = crew.trial(if name == "pipelined-incr" { 64 } else { 40 }, Duration::from_secs(20)).unwrap();
    crew.close().unwrap();
    trial.record(strategy(name), server, &workload)
}

#[test]
fn strategies_keep_their_promises_on_a_cluster_and_leave_no_key_on_any_node() {
    let (fleet, layout) = fleet("cluster", Some(1));
    let nodes: Vec<Connection> = fleet.primaries.iter().map(to).collect();
    let server = Target::fleet(fleet, layout).unwrap();
    let spread = Workload { keys: 8, ..Workload::one_key(4) };
    let exact = [
        "incr",
        "pooled-incr",
        "pipelined-incr",
        "local-sum",
        "sharded-incr",
        "lua-incr",
        "lua-get-set",
        "function",
        "idempotent-lua",
        "watch",
        "watch-pipelined",
        "mutex",
        "lock",
        "fenced-lock",
        "cluster-incr",
        "cluster-incr-no-retry",
        "incr-wait",
    ];
    for name in exact {
        if strategy(name).unavailable(&server).unwrap().is_some() {
            continue; // a server without functions
        }
        let row = row(&server, name, spread);
        assert_eq!(row.verdict, Some(Verdict::Exact), "{name}: {:?} {:?}", row.error, row.acked);
        assert_eq!((row.refused, row.unknown, row.error.as_deref()), (Some(0), Some(0), None), "{name}");
        // The crate's own cluster client follows redirections unseen.
        let seen = (!name.starts_with("cluster-incr")).then_some(0);
        assert_eq!((row.moved, row.asked), (seen, seen), "{name}");
        let condition = &row.condition;
        assert_eq!((condition.topology, condition.shards, condition.replicas), (Topology::Cluster, 3, 1));
        assert!(condition.server.split('.').count() == 3 && !condition.library_version.is_empty(), "{condition:?}");
    }
    for driver in [DriverKind::Events, DriverKind::Tasks] {
        for name in ["incr", "pipelined-incr", "lua-incr", "watch", "watch-pipelined"] {
            let row = row(&server, name, Workload { keys: 8, ..spread.driven_by(driver) });
            assert_eq!(row.verdict, Some(Verdict::Exact), "{driver}, {name}: {:?} {:?}", row.error, row.acked);
            assert_eq!((row.unknown, row.moved), (Some(0), Some(0)), "{driver}, {name}");
        }
    }
    let calls = row(&server, "sharded-incr", Workload::one_key(8)).node_calls.unwrap();
    assert!(calls.split('+').all(|calls| calls.parse::<u64>().unwrap() > 0), "{calls}: it is spread over all nodes");
    for name in ["get-set", "get-prefer-replica", "watch-after-get"] {
        let mut crew = Crew::open(&server, strategy(name), Workload::one_key(8), 1, &NEVER).unwrap();
        let trial = crew.trial(500, Duration::from_secs(20)).unwrap();
        assert_eq!(trial.verdict, Verdict::Lost, "{name}");
        crew.close().unwrap();
    }
    for name in ["multiplexed-incr", "watch-shared", "pipeline-unread", "errors-ignored", "mutex-two-processes"] {
        assert!(strategy(name).unavailable(&server).unwrap().unwrap().contains("cluster"), "{name}");
    }
    for mut node in nodes {
        let left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut node).unwrap();
        assert_eq!(left, Vec::<String>::new());
    }
}

#[test]
fn a_slot_moves_during_a_race_and_nothing_is_lost() {
    let (fleet, layout) = fleet("cluster", None);
    let infos: Vec<_> = fleet.primaries.iter().map(|node| node.connection(Transport::Unix).unwrap()).collect();
    let ports: Vec<u16> = fleet.primaries.iter().map(Private::port).collect();
    let server = Target::fleet(fleet, layout).unwrap();
    let password = infos[0].redis_settings().password().unwrap().to_owned();
    let cases =
        [("incr", DriverKind::Threads), ("lua-incr", DriverKind::Threads), ("pipelined-incr", DriverKind::Threads)];
    let loops = [DriverKind::Events, DriverKind::Tasks];
    let by_loop = loops.into_iter().flat_map(|driver| [("incr", driver), ("pipelined-incr", driver)]);
    let watching = loops.map(|driver| ("watch", driver)).into_iter().chain([("watch-pipelined", DriverKind::Events)]);
    for (name, driver) in cases.into_iter().chain(by_loop).chain(watching) {
        let mut nodes: Vec<Connection> =
            infos.iter().map(|info| Client::open(info.clone()).unwrap().get_connection().unwrap()).collect();
        let workload = Workload::one_key(4).driven_by(driver);
        let mut crew = Crew::open(&server, strategy(name), workload, 1, &NEVER).unwrap();
        let trial = std::thread::scope(|scope| {
            let (ports, password, prefix) = (&ports, &password, server.prefix());
            scope.spawn(move || move_counter(&mut nodes, ports, password, prefix));
            crew.trial(1_000_000, Duration::from_secs(2)).unwrap()
        });
        let row = trial.record(strategy(name), &server, &workload);
        assert_eq!(trial.verdict, Verdict::Exact, "{name}: {:?} {:?}", trial.judgement.ledger, row.error);
        assert!(row.moved > Some(0) && row.asked > Some(0), "{name}: {:?} {:?}", row.moved, row.asked);
        assert_eq!((row.lost, row.unknown), (Some(0), Some(0)), "{name}");
        // A transaction that meets the move is refused; those after it are not.
        assert!(row.acked > row.refused, "{driver}, {name}: {:?} {:?} {:?}", row.acked, row.refused, row.error);
        crew.close().unwrap();
    }
}

/// Waits until there is a counter on one node, and moves it with its slot to the next.
fn move_counter(nodes: &mut [Connection], ports: &[u16], password: &str, prefix: &str) {
    let since = Instant::now();
    let (from, key) = loop {
        assert!(since.elapsed() < Duration::from_secs(10), "no counter appears");
        let found = nodes.iter_mut().enumerate().find_map(|(number, node)| {
            let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{prefix}{{*}}")).query(node).unwrap();
            keys.into_iter().next().map(|key| (number, key))
        });
        if let Some(found) = found {
            break found;
        }
    };
    let to = (from + 1) % nodes.len();
    let slot: u16 = redis::cmd("CLUSTER").arg("KEYSLOT").arg(&key).query(&mut nodes[from]).unwrap();
    let ids: Vec<String> =
        nodes.iter_mut().map(|node| redis::cmd("CLUSTER").arg("MYID").query(node).unwrap()).collect();
    let set = |node: &mut Connection, what: &str, id: &str| {
        redis::cmd("CLUSTER").arg("SETSLOT").arg(slot).arg(what).arg(id).exec(node).unwrap();
    };
    set(&mut nodes[to], "IMPORTING", &ids[from]);
    set(&mut nodes[from], "MIGRATING", &ids[to]);
    std::thread::sleep(Duration::from_millis(50));
    let mut migrate = redis::cmd("MIGRATE");
    migrate.arg("127.0.0.1").arg(ports[to]).arg("").arg(0).arg(5_000).arg("AUTH").arg(password).arg("KEYS").arg(&key);
    migrate.exec(&mut nodes[from]).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    set(&mut nodes[to], "NODE", &ids[to]);
    set(&mut nodes[from], "NODE", &ids[to]);
}

#[test]
fn a_transaction_is_not_executed_where_nothing_watches_its_key() {
    let (fleet, layout) = fleet("cluster", None);
    let mut nodes: Vec<Connection> = fleet.primaries.iter().map(to).collect();
    let ports: Vec<u16> = fleet.primaries.iter().map(Private::port).collect();
    let password =
        fleet.primaries[0].connection(Transport::Unix).unwrap().redis_settings().password().unwrap().to_owned();
    let server = Target::fleet(fleet, layout).unwrap();
    let (mut db, mut other) = (server.connect().unwrap(), server.connect().unwrap());
    let key = format!("{}{{counter}}", server.prefix());
    redis::cmd("SET").arg(&key).arg(1).exec(&mut db).unwrap();
    redis::cmd("WATCH").arg(&key).exec(&mut db).unwrap();
    move_counter(&mut nodes, &ports, &password, server.prefix());
    // The read follows the key to its new node, where another client adds in between.
    assert_eq!(redis::cmd("GET").arg(&key).query::<i64>(&mut db).unwrap(), 1);
    redis::cmd("INCR").arg(&key).exec(&mut other).unwrap();
    let set = |db: &mut redis_lost_updates::target::Session, value: i64| {
        redis::pipe().atomic().set(&key, value).query::<Option<Vec<String>>>(db)
    };
    assert!(!matches!(set(&mut db, 2), Ok(Some(_))), "nothing watched the key there");
    assert_eq!(redis::cmd("GET").arg(&key).query::<i64>(&mut other).unwrap(), 2);
    // The next one watches where the key is now.
    redis::cmd("WATCH").arg(&key).exec(&mut db).unwrap();
    assert!(matches!(set(&mut db, 3), Ok(Some(_))));
    assert_eq!(redis::cmd("GET").arg(&key).query::<i64>(&mut other).unwrap(), 3);
}

#[test]
fn libraries_that_only_some_nodes_have_are_cleaned() {
    let (fleet, layout) = fleet("cluster", None);
    let mut nodes: Vec<Connection> = fleet.primaries.iter().map(to).collect();
    let server = Target::fleet(fleet, layout).unwrap();
    if strategy("function").unavailable(&server).unwrap().is_some() {
        return; // a server without functions
    }
    let name = "lost_updates_0123456789abcdef_left";
    let code = format!("#!lua name={name}\nredis.register_function('{name}', function() return 1 end)");
    redis::cmd("FUNCTION").arg(&["LOAD", &code]).exec(&mut nodes[1]).unwrap();
    assert_eq!(server.clean(&NEVER).unwrap().libraries, 1);
    let listed = |node: &mut Connection| redis::cmd("FUNCTION").arg("LIST").query::<Vec<redis::Value>>(node).unwrap();
    assert!(nodes.iter_mut().all(|node| listed(node).is_empty()));
    assert_eq!(server.clean(&NEVER).unwrap().libraries, 0);
}

#[test]
fn the_trial_after_a_failover_knows_the_new_primaries() {
    let (fleet, layout) = fleet("cluster", Some(1));
    let mut replica = to(&fleet.replicas[0]);
    let server = Target::fleet(fleet, layout).unwrap();
    let spread = Workload { keys: 16, ..Workload::one_key(4) }.driven_by(DriverKind::Events);
    assert_eq!(row(&server, "incr", spread).refused, Some(0));
    redis::cmd("CLUSTER").arg("FAILOVER").exec(&mut replica).unwrap();
    let since = Instant::now();
    let role =
        |replica: &mut Connection| redis::cmd("ROLE").query::<Vec<redis::Value>>(replica).unwrap().swap_remove(0);
    while redis::from_redis_value::<String>(role(&mut replica)).unwrap() != "master" {
        assert!(since.elapsed() < Duration::from_secs(60), "no failover");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Sockets that were opened for the old primaries cannot follow.
    let met = row(&server, "incr", spread);
    assert!(met.moved > Some(0), "{met:?}");
    for driver in [DriverKind::Events, DriverKind::Threads] {
        let after = row(&server, "incr", spread.driven_by(driver));
        assert_eq!((after.refused, after.moved, after.verdict), (Some(0), Some(0), Some(Verdict::Exact)), "{driver}");
        assert!(after.node_calls.is_some(), "{driver}: every node is counted");
    }
}

#[test]
fn replicas_are_waited_for_and_read_from() {
    for layout in ["replicated", "sentinel"] {
        let server = started(layout, None);
        let row = row(&server, "incr-wait", Workload::one_key(4));
        assert_eq!((row.verdict, row.unknown), (Some(Verdict::Exact), Some(0)), "{layout}");
        assert_eq!((row.condition.topology.to_string().as_str(), row.condition.replicas), (layout, 1));
        let mut crew = Crew::open(&server, strategy("get-prefer-replica"), Workload::one_key(8), 1, &NEVER).unwrap();
        assert_eq!(crew.trial(500, Duration::from_secs(20)).unwrap().verdict, Verdict::Lost);
        crew.close().unwrap();
        // 160 updates, each of which reads from the replica.
        let row = self::row(&server, "get-prefer-replica", Workload::one_key(4));
        let calls: u64 = row.replica_calls.unwrap().parse().unwrap();
        assert!(calls >= 160 && row.replica_cpu_us.is_some() && row.node_calls.is_none(), "{layout}: {calls}");
        for driver in [DriverKind::Events, DriverKind::Tasks] {
            let workload = Workload::one_key(4).driven_by(driver);
            let mut crew = Crew::open(&server, strategy("incr"), workload, 1, &NEVER).unwrap();
            assert_eq!(crew.trial(100, Duration::from_secs(20)).unwrap().verdict, Verdict::Exact);
            crew.close().unwrap();
        }
    }
}

#[test]
fn a_failover_in_the_middle_of_a_run_leaves_no_key_on_the_new_primary() {
    let (fleet, _) = fleet("sentinel", None);
    let password = fleet.primaries[0].connection(Transport::Tcp).unwrap();
    let password = password.redis_settings().password().unwrap().to_owned();
    let nodes: Vec<String> = fleet.sentinels.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
    let url = format!(
        "redis-sentinel://:{password}@{}/0?sentinelMasterId=lost-updates&sentinelPassword={password}",
        nodes.join(",")
    );
    let said = std::thread::scope(|scope| {
        let size = ["--threads", "2", "--rounds", "8", "--duration", "400ms", "--strategies", "incr"];
        let args = [&["--redis-url", &url][..], &size].concat();
        let run = scope.spawn(move || report(&args));
        std::thread::sleep(Duration::from_millis(1_200));
        redis::cmd("SENTINEL").arg(&["FAILOVER", "lost-updates"]).exec(&mut to(&fleet.sentinels[2])).unwrap();
        run.join().unwrap()
    });
    // What the old primary acknowledged while the new one took over is lost: which verdict there is depends on the moment.
    assert!([Some(0), Some(1)].contains(&said.0), "{said:?}");
    let info = |node: &Private| redis::cmd("INFO").arg("replication").query::<String>(&mut to(node)).unwrap();
    let since = Instant::now();
    // The old primary goes on for some seconds.
    while !(info(&fleet.replicas[0]).contains("role:master") && info(&fleet.primaries[0]).contains("role:slave")) {
        assert!(since.elapsed() < Duration::from_secs(60), "no failover");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(keys(&fleet.replicas[0]), Vec::<String>::new(), "on the new primary: {said:?}");
}

#[test]
fn too_few_replicas_make_an_update_unknown_and_not_refused() {
    let (fleet, layout) = fleet("replicated", None);
    let replica = fleet.replicas[0].pid().unwrap();
    let server = Target::fleet(fleet, layout).unwrap();
    let mut updaters = strategy("incr-wait").open(&server, 1).unwrap();
    let stop =
        |signal: &str| assert!(Command::new("kill").args([signal, &replica.to_string()]).status().unwrap().success());
    stop("-STOP");
    let key = format!("{}count", server.prefix());
    let error = updaters[0].update(&key);
    stop("-CONT");
    assert!(error.unwrap_err().to_string().contains("no replica had the update"));
    let mut db = server.connect().unwrap();
    assert_eq!(redis::cmd("GET").arg(&key).query::<i64>(&mut db).unwrap(), 1, "it stands");
    server.remove(&mut db, &[key]).unwrap();
}

/// The one line that refuses a URL.
fn refusal(url: &str, tls: &TlsFiles) -> String {
    let error = Target::at_with(url, tls).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 1, "{error}");
    error
}

#[test]
fn what_is_of_another_kind_than_its_url_says_is_refused_with_the_url_to_give() {
    let none = TlsFiles::default();
    let (sentinel, _) = fleet("sentinel", None);
    let password = sentinel.primaries[0].connection(Transport::Tcp).unwrap();
    let password = password.redis_settings().password().unwrap().to_owned();
    let at = |scheme: &str, port: u16| format!("{scheme}://:{password}@127.0.0.1:{port}");
    let error = refusal(&at("redis", sentinel.sentinels[0].port()), &none);
    assert!(error.contains("is a Sentinel") && error.contains("redis-sentinel://"), "{error}");
    let error = refusal(&at("redis", sentinel.replicas[0].port()), &none);
    let primary = sentinel.primaries[0].port();
    assert!(error.contains("read-only replica") && error.contains(&format!("127.0.0.1:{primary}")), "{error}");
    let error = refusal(&at("redis-cluster", primary), &none);
    assert!(error.contains("not a cluster node"), "{error}");
    let url = |port: u16, name: &str| {
        format!("{}/0?sentinelMasterId={name}&sentinelPassword={password}", at("redis-sentinel", port))
    };
    let error = refusal(&url(sentinel.sentinels[0].port(), "nobody"), &none);
    assert!(error.contains("nobody"), "{error}");
    // The first Sentinel that is named may be gone.
    let two = url(sentinel.sentinels[1].port(), "lost-updates").replacen("@", "@127.0.0.1:1,", 1);
    assert_eq!(Target::at(&two).unwrap().topology(), Topology::Sentinel);
    drop(sentinel);

    let (cluster, _) = fleet("cluster", None);
    let info = cluster.primaries[1].connection(Transport::Tcp).unwrap();
    let password = info.redis_settings().password().unwrap();
    let port = cluster.primaries[1].port();
    let error = refusal(&format!("redis://:{password}@127.0.0.1:{port}"), &none);
    assert!(error.contains(&format!("redis-cluster://127.0.0.1:{port}")) && !error.contains(password), "{error}");
    let cluster_url = format!("redis-cluster://:{password}@127.0.0.1:1,127.0.0.1:{port}");
    let server = Target::at(&cluster_url).unwrap();
    assert_eq!((server.topology(), server.shards()), (Topology::Cluster, 3));
}

fn report(args: &[&str]) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    let output = command.args(args).arg("--out").arg(dir.path().join("out")).args(["--quiet"]).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether the server binary at hand was built with TLS; one that was not says so in one line.
pub(crate) fn has_tls() -> bool {
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    match Fleet::start(&binary, "tls".parse().unwrap(), None) {
        Ok(_) => true,
        Err(error) => {
            let error = error.to_string();
            assert!(error.contains("without TLS") && error.lines().count() == 1, "{error}");
            false
        }
    }
}

#[test]
fn tls_is_trusted_only_with_the_right_authority() {
    if !has_tls() {
        return;
    }
    let (fleet, layout) = fleet("tls", None);
    let node = &fleet.primaries[0];
    let info = node.connection(Transport::Tcp).unwrap();
    let password = info.redis_settings().password().unwrap().to_owned();
    let (port, authority) = node.encrypted().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (right, wrong) = (dir.path().join("ca.pem"), dir.path().join("wrong.pem"));
    std::fs::copy(authority, &right).unwrap();
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(&wrong, other.cert.pem()).unwrap();
    let trusting = |ca: &Path| TlsFiles { cacert: Some(ca.to_owned()), ..TlsFiles::default() };
    let url = format!("rediss://:{password}@127.0.0.1:{port}");
    let error = refusal(&url, &trusting(&wrong));
    assert!(error.contains("--cacert"), "{error}");
    let error = refusal(&url, &TlsFiles::default());
    assert!(error.contains("--cacert"), "{error}");
    let plain = node.port();
    let error = refusal(&format!("rediss://:{password}@127.0.0.1:{plain}"), &trusting(&right));
    assert!(error.contains("does not speak TLS") && error.contains("redis://"), "{error}");
    let error = refusal(&url, &trusting(Path::new("/nowhere/ca.pem")));
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
    let insecure = TlsFiles { insecure: true, ..TlsFiles::default() };
    assert!(Target::at_with(&url, &insecure).unwrap().is_tls());
    let (code, said) =
        report(&["--redis-url", &url, "--insecure", "--updates", "5", "--threads", "1", "--rounds", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning: --insecure"), "{said}");
    let server = Target::fleet(fleet, layout).unwrap();
    for name in ["incr", "multiplexed-incr", "pooled-incr", "pipelined-incr", "lua-incr", "watch"] {
        let row = row(&server, name, Workload::one_key(4));
        assert_eq!((row.verdict, row.condition.tls), (Some(Verdict::Exact), true), "{name}");
    }
}

#[test]
fn tls_passes_through_the_proxy_which_delays_and_cuts_it() {
    if !has_tls() {
        return;
    }
    let (fleet, _) = fleet("tls", None);
    let node = &fleet.primaries[0];
    let info = node.connection(Transport::Tcp).unwrap();
    let password = info.redis_settings().password().unwrap().to_owned();
    let (port, authority) = node.encrypted().unwrap();
    let trust = TlsFiles { cacert: Some(authority.to_owned()), ..TlsFiles::default() };
    let delay = Delay::Fixed(Duration::from_millis(2));
    let options = Options { to_server: delay, to_client: delay, ..Options::default() };
    let proxy = Proxy::start(&Address::tcp("127.0.0.1", port).unwrap(), options).unwrap();
    let Address::Tcp(front) = proxy.address() else { panic!("{:?} is no port", proxy.address()) };
    let server = Target::at_with(&format!("rediss://:{password}@{front}"), &trust).unwrap();
    let mut session = server.connect().unwrap();
    let start = Instant::now();
    for number in 1..=10 {
        assert_eq!(redis::cmd("INCR").arg("through:tls").query::<i64>(&mut session).unwrap(), number);
    }
    // Ten round trips of 4 ms; a wake-up may be as early as the previous ones were late.
    assert!(start.elapsed() > Duration::from_millis(34), "{:?}", start.elapsed());
    proxy.cut(Direction::Both).unwrap();
    let healed = std::thread::scope(|scope| {
        let asked = scope.spawn(|| redis::cmd("INCR").arg("through:tls").query::<i64>(&mut session));
        std::thread::sleep(Duration::from_millis(200));
        let mut direct = to(node);
        assert_eq!(redis::cmd("GET").arg("through:tls").query::<i64>(&mut direct).unwrap(), 10, "the cut held it back");
        proxy.heal().unwrap();
        asked.join().unwrap()
    });
    assert_eq!(healed.unwrap(), 11);
}

#[test]
fn an_expired_certificate_is_one_line() {
    if !has_tls() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (cert, key) = (file("cert.pem", params.self_signed(&key).unwrap().pem()), file("key.pem", key.serialize_pem()));
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let binary = ServerSpec::default().find(&mut |_| ()).unwrap();
    let extra = ["--tls-port", &port.to_string(), "--tls-cert-file", &cert, "--tls-key-file", &key];
    let server = Private::start(&binary, &[&extra[..], &["--tls-ca-cert-file", &cert]].concat(), None).unwrap();
    let trusting = TlsFiles { cacert: Some(cert.into()), ..TlsFiles::default() };
    let error = refusal(&format!("rediss://127.0.0.1:{port}"), &trusting);
    assert!(error.contains("expired"), "{error}");
    drop(server);
}

#[test]
fn a_missing_right_is_said_before_anything_is_measured() {
    let server = single();
    let mut db = server.connect().unwrap();
    let user = ["SETUSER", "limited", "on", ">pw", "~lost-updates:*", "+@all", "-incr"];
    redis::cmd("ACL").arg(&user).exec(&mut db).unwrap();
    let url = format!("redis://limited:pw@{}", server.address());
    let (code, said) = report(&["--redis-url", &url, "--strategies", "incr", "--quick"]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("INCR") && said.contains("lost-updates:*"), "{said}");
    let elsewhere = ["SETUSER", "limited", "resetkeys", "~elsewhere:*", "+incr"];
    redis::cmd("ACL").arg(&elsewhere).exec(&mut db).unwrap();
    let (code, said) = report(&["--redis-url", &url, "--strategies", "get-set", "--quick"]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("lost-updates:*"), "{said}");
}

#[test]
fn a_right_that_is_missing_for_the_connection_itself_is_said_with_the_rule_that_gives_it() {
    let server = single();
    let mut db = server.connect().unwrap();
    for (command, db_number) in [("ping", ""), ("select", "/3")] {
        let user = ["SETUSER", "limited", "reset", "on", ">pw", "~lost-updates:*", "+@all", &format!("-{command}")];
        redis::cmd("ACL").arg(&user).exec(&mut db).unwrap();
        let error = refusal(&format!("redis://limited:pw@{}{db_number}", server.address()), &TlsFiles::default());
        assert!(error.contains(&format!("ACL SETUSER USER +{command})")), "{error}");
    }
}

#[test]
fn a_right_that_one_node_of_a_cluster_does_not_give_is_said_with_that_node() {
    let (fleet, _) = fleet("cluster", None);
    for (number, node) in fleet.primaries.iter().enumerate() {
        let incr = if number == 1 { "-incr" } else { "+incr" };
        let user = ["SETUSER", "limited", "on", ">pw", "~lost-updates:*", "+@all", incr];
        redis::cmd("ACL").arg(&user).exec(&mut to(node)).unwrap();
    }
    let url = format!("redis-cluster://limited:pw@127.0.0.1:{}", fleet.primaries[0].port());
    let (code, said) = report(&["--redis-url", &url, "--strategies", "incr", "--quick"]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    let node = format!("server 127.0.0.1:{}: ", fleet.primaries[1].port());
    assert!(said.contains(&node) && said.contains("+incr"), "{said}");
    redis::cmd("ACL").arg(&["SETUSER", "limited", "-cluster"]).exec(&mut to(&fleet.primaries[0])).unwrap();
    let error = refusal(&url, &TlsFiles::default());
    assert!(error.contains("+cluster"), "{error}");
}

#[test]
fn none_of_a_private_topology_outlives_a_kill() {
    for topology in ["cluster", "sentinel"] {
        let scratch = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
        command.args(["--topology", topology, "--strategies", "incr", "--duration", "20s", "--quiet", "--out"]);
        command
            .arg(scratch.path().join("out"))
            .env("TMPDIR", scratch.path())
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        let mut run = command.spawn().unwrap();
        let folders = || {
            let entries = std::fs::read_dir(scratch.path()).unwrap().flatten();
            entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("lost-updates-")).count()
        };
        let await_that = |what: &str, is_so: &dyn Fn() -> bool| {
            let since = Instant::now();
            while !is_so() {
                assert!(since.elapsed() < Duration::from_secs(60), "{topology}: {what}");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        await_that("it does not begin", &|| scratch.path().join("out/trials.csv").exists());
        assert!(folders() >= 3, "{topology}");
        run.kill().unwrap();
        run.wait().unwrap();
        await_that("servers are left", &|| folders() == 0);
    }
}

#[test]
fn layouts_that_cannot_be_are_refused() {
    let cases = [
        ["--topology", "ring"].as_slice(),
        &["--topology", "sentinel", "--shards", "3"],
        &["--topology", "replicated", "--replicas", "0"],
        &["--topology", "single", "--replicas", "1"],
        &["--topology", "cluster", "--shards", "2"],
        &["--topology", "cluster", "--shards", "4000000000", "--replicas", "4000000000"],
        &["--topology", "cluster", "--transport", "unix"],
        &["--topology", "tls", "--redis-url", "redis://127.0.0.1:1"],
        &["--topology", "cluster", "--rtt", "1ms"],
        &["--redis-url", "redis://127.0.0.1:1", "--insecure"],
    ];
    for args in cases {
        let (code, said) = report(args);
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(!said.contains("panicked") && !said.is_empty(), "{args:?}: {said}");
    }
}

#[test]
fn a_node_that_is_gone_is_said_in_one_line() {
    let (fleet, _) = fleet("cluster", None);
    let info = fleet.primaries[0].connection(Transport::Tcp).unwrap();
    let password = info.redis_settings().password().unwrap();
    let url = format!("redis-cluster://:{password}@127.0.0.1:{}", fleet.primaries[0].port());
    fleet.primaries[2].crash();
    let error = refusal(&url, &TlsFiles::default());
    assert!(!error.contains(password), "{error}");
    assert_eq!(keys(&fleet.primaries[0]), Vec::<String>::new());
}

#[test]
fn the_page_says_which_driver_runs_on_which_topology() {
    let page = std::fs::read_to_string("docs/topologies.md").unwrap();
    for name in ["single", "tls", "replicated", "sentinel", "cluster"] {
        if name == "tls" && !has_tls() {
            continue;
        }
        let line = page.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
        let said: Vec<bool> = line.split('|').skip(2).take(3).map(|cell| cell.trim() == "yes").collect();
        let server = started(name, None);
        let runs = |driver| {
            let trial = row(&server, "incr", Workload::one_key(4).driven_by(driver));
            (trial.verdict, trial.unknown) == (Some(Verdict::Exact), Some(0))
        };
        let found: Vec<bool> = [DriverKind::Threads, DriverKind::Events, DriverKind::Tasks].map(runs).to_vec();
        assert_eq!(said, found, "{name}");
    }
}
