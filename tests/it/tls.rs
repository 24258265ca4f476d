//! TLS for real: client certificates, clusters and Sentinels over TLS, and the event loop's own sockets.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use redis::Connection;
use redis_lost_updates::condition::{Topology, Transport};
use redis_lost_updates::strategy::find;
use redis_lost_updates::target::{Private, ServerSpec, Target, TlsFiles};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::verdict::Verdict;
use redis_lost_updates::workload::{DriverKind, Workload};
use tempfile::TempDir;

use crate::topologies::has_tls;

static NEVER: AtomicBool = AtomicBool::new(false);

/// An authority, and the certificates that it signed for a server and for a client; all as PEM files.
struct Authority {
    dir: TempDir,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let key = KeyPair::generate().unwrap();
        let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).unwrap();
        write("ca.pem", params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        for name in ["server", "client"] {
            let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
            // A name other than the authority's; otherwise it would be taken for a self-signed certificate.
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            write(&format!("{name}.pem"), params.signed_by(&key, &issuer).unwrap().pem());
            write(&format!("{name}.key"), key.serialize_pem());
        }
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A client that trusts this authority and shows the certificate that `signer` gave it.
    fn files(&self, signer: Option<&Self>) -> TlsFiles {
        TlsFiles {
            cacert: Some(self.path("ca.pem")),
            cert: signer.map(|signer| signer.path("client.pem")),
            key: signer.map(|signer| signer.path("client.key")),
            insecure: false,
        }
    }

    /// A private server with a port for TLS, and that port.
    fn server(&self, beside: Option<&Private>, extra: &[&str]) -> (Private, u16) {
        let port = free_port();
        let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| self.path(name).display().to_string());
        let at = port.to_string();
        let own = ["--tls-port", &at, "--tls-cert-file", &cert, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
        let all = [&own[..], extra].concat();
        let server = match beside {
            Some(first) => first.beside(&all, None),
            None => Private::start(&ServerSpec::default().find(&mut |_| ()).unwrap(), &all, None),
        };
        (server.unwrap(), port)
    }
}

/// A free port, low enough for a cluster node's bus port 10,000 above it.
fn free_port() -> u16 {
    let mut held = Vec::new();
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_535 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
        held.push(listener);
    }
}

fn to(node: &Private) -> Connection {
    redis::Client::open(node.connection(Transport::Unix).unwrap()).unwrap().get_connection().unwrap()
}

fn password(node: &Private) -> String {
    node.connection(Transport::Unix).unwrap().redis_settings().password().unwrap().to_owned()
}

fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never came to this: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Races a strategy, and asserts that nothing was lost and that the row says TLS.
fn is_exact(server: &Target, name: &str, driver: DriverKind) {
    let (strategy, workload) = (find(&[name]).unwrap()[0], Workload { keys: 8, ..Workload::one_key(4) });
    let workload = workload.driven_by(driver);
    let mut crew = Crew::open(server, strategy, workload, 1, &NEVER).unwrap_or_else(|e| panic!("{name}: {e}"));
    let trial = crew.trial(64, Duration::from_secs(60)).unwrap();
    crew.close().unwrap();
    let row = trial.record(strategy, server, &workload);
    assert_eq!((row.verdict, row.unknown, row.condition.tls), (Some(Verdict::Exact), Some(0), true), "{driver} {name}");
}

#[test]
fn a_server_that_wants_certificates_gets_ours_and_says_so_in_one_line_where_there_is_none() {
    if !has_tls() {
        return;
    }
    let (ours, others) = (Authority::new(), Authority::new());
    let (node, port) = ours.server(None, &["--tls-auth-clients", "yes"]);
    let url = format!("rediss://:{}@127.0.0.1:{port}", password(&node));
    let server = Target::at_with(&url, &ours.files(Some(&ours))).unwrap();
    for driver in [DriverKind::Threads, DriverKind::Events, DriverKind::Tasks] {
        is_exact(&server, "incr", driver);
    }
    let refused = |signer: Option<&Authority>, said: &str| {
        let error = Target::at_with(&url, &ours.files(signer)).unwrap_err().to_string();
        assert!(error.contains(said) && error.lines().count() == 1, "{error}");
    };
    refused(None, "--cert and --key");
    refused(Some(&others), "does not accept the certificate of --cert");
    let swapped = TlsFiles { key: Some(others.path("client.key")), ..ours.files(Some(&ours)) };
    let error = Target::at_with(&url, &swapped).unwrap_err().to_string();
    assert!(error.contains("client.key") && error.lines().count() == 1, "{error}");
}

#[test]
fn the_event_loop_speaks_tls_itself() {
    if !has_tls() {
        return;
    }
    let authority = Authority::new();
    let (node, port) = authority.server(None, &["--tls-auth-clients", "no"]);
    let url = format!("rediss://:{}@127.0.0.1:{port}", password(&node));
    for files in [authority.files(None), TlsFiles { insecure: true, ..TlsFiles::default() }] {
        let server = Target::at_with(&url, &files).unwrap();
        for name in ["incr", "multiplexed-incr", "pipelined-incr", "lua-incr", "watch"] {
            is_exact(&server, name, DriverKind::Events);
        }
        let workload = Workload::one_key(8).driven_by(DriverKind::Events);
        let mut crew = Crew::open(&server, find(&["get-set"]).unwrap()[0], workload, 1, &NEVER).unwrap();
        assert_eq!(crew.trial(500, Duration::from_secs(60)).unwrap().verdict, Verdict::Lost);
        crew.close().unwrap();
    }
    // If the server is gone, the outcome is unknown, as over a plain socket.
    let server = Target::at_with(&url, &authority.files(None)).unwrap();
    let mut machines = find(&["incr"]).unwrap()[0].machines().unwrap().clients(&server, 2).unwrap();
    machines.truncate(2);
    let mut clients = redis_lost_updates::driver::events::EventLoop::open(&server, machines, false).unwrap();
    node.crash();
    let work = vec![redis_lost_updates::driver::Work::one_key("a", 10); 2];
    let limits = redis_lost_updates::driver::Limits { stop: &NEVER, deadline: Duration::from_secs(60) };
    let log = clients.race(&work, limits).unwrap();
    assert!(log.clients.iter().all(|client| client.trouble.is_some()), "{log:?}");
}

#[test]
fn a_cluster_is_reached_over_tls_at_every_node() {
    if !has_tls() {
        return;
    }
    let authority = Authority::new();
    let extra = ["--tls-auth-clients", "no", "--tls-cluster", "yes", "--cluster-enabled", "yes"];
    let (first, port) = authority.server(None, &extra);
    let (second, other) = authority.server(Some(&first), &extra);
    let mut nodes = [to(&first), to(&second)];
    for (node, (from, until)) in nodes.iter_mut().zip([(0, 8_191), (8_192, 16_383)]) {
        redis::cmd("CLUSTER").arg("ADDSLOTSRANGE").arg(from).arg(until).exec(node).unwrap();
    }
    redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(1).exec(&mut nodes[0]).unwrap();
    redis::cmd("CLUSTER").arg("SET-CONFIG-EPOCH").arg(2).exec(&mut nodes[1]).unwrap();
    redis::cmd("CLUSTER").arg("MEET").arg("127.0.0.1").arg(other).exec(&mut nodes[0]).unwrap();
    for node in &mut nodes {
        eventually("the cluster is whole", || {
            let info: String = redis::cmd("CLUSTER").arg("INFO").query(node).unwrap();
            info.contains("cluster_state:ok") && info.contains("cluster_size:2")
        });
    }
    let url = format!("rediss-cluster://:{}@127.0.0.1:{port}", password(&first));
    let server = Target::at_with(&url, &authority.files(None)).unwrap();
    assert_eq!((server.topology(), server.shards(), server.is_tls()), (Topology::Cluster, 2, true));
    for name in ["incr", "pipelined-incr", "lua-incr", "watch", "cluster-incr"] {
        is_exact(&server, name, DriverKind::Threads);
    }
    for name in ["incr", "pipelined-incr", "watch"] {
        is_exact(&server, name, DriverKind::Events);
    }
    let error = Target::at_with(&url.replace("rediss-cluster", "rediss"), &authority.files(None)).unwrap_err();
    assert!(error.to_string().contains("rediss-cluster://127.0.0.1"), "{error}");
}

#[test]
fn a_primary_is_found_by_sentinels_over_tls() {
    if !has_tls() {
        return;
    }
    let authority = Authority::new();
    let (primary, port) = authority.server(None, &["--tls-auth-clients", "no"]);
    let extra = ["--tls-auth-clients", "no", "--tls-replication", "yes", "--sentinel"];
    let (sentinel, asked) = authority.server(Some(&primary), &extra);
    let (mut db, password) = (to(&sentinel), password(&primary));
    let mut tell = |words: &[&str]| redis::cmd("SENTINEL").arg(words).exec(&mut db).unwrap();
    tell(&["MONITOR", "ours", "127.0.0.1", &port.to_string(), "1"]);
    tell(&["SET", "ours", "auth-pass", &password]);
    let nodes = format!("rediss-sentinel://:{password}@127.0.0.1:{asked}");
    let url = format!("{nodes}/0?sentinelMasterId=ours&sentinelPassword={password}");
    let server = Target::at_with(&url, &authority.files(None)).unwrap();
    assert_eq!((server.topology(), server.is_tls()), (Topology::Sentinel, true));
    assert!(server.address().ends_with(&port.to_string()), "{}", server.address());
    for driver in [DriverKind::Threads, DriverKind::Events, DriverKind::Tasks] {
        is_exact(&server, "incr", driver);
    }
}
