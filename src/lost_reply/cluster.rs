//! A one-node cluster for one cell. It announces the proxy's port to its clients, so that they keep going through the
//! proxy.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::condition::Transport;
use crate::error::{Error, Result};
use crate::proxy::{Address, Options, Proxy};
use crate::target::Target;

/// How long it may take to have all slots.
const PATIENCE: Duration = Duration::from_secs(20);

/// Starts it beside a private server, from the same binary, with a proxy in front of it.
///
/// # Errors
/// The server is not private, or its binary does not make a cluster.
pub(super) fn start(server: &Target) -> Result<(Target, Proxy)> {
    // The default, its own port plus 10,000, may not be a valid port.
    let bus = TcpListener::bind(("127.0.0.1", 0))
        .and_then(|free| free.local_addr())
        .map_err(|e| Error::server(format!("no free loopback port for a cluster: {e}")))?;
    let bus = bus.port().to_string();
    let node = server.second(&["--cluster-enabled", "yes", "--cluster-port", &bus])?;
    let upstream = Address::tcp("127.0.0.1", node.port())?;
    let node = Target::private(node, Transport::Tcp)?;
    let proxy = Proxy::start(&upstream, Options::default())?;
    let Address::Tcp(address) = proxy.address() else {
        return Err(Error::broken("a proxy without a port"));
    };
    let mut db = node.connect()?;
    let mut tell = |words: &[&str]| {
        redis::cmd(words[0]).arg(&words[1..]).query::<redis::Value>(&mut db).map_err(|e| node.refuses(&e))
    };
    tell(&["CONFIG", "SET", "cluster-announce-ip", "127.0.0.1"])?;
    tell(&["CONFIG", "SET", "cluster-announce-port", &address.port().to_string()])?;
    tell(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])?;
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        let info: String =
            redis::cmd("CLUSTER").arg("INFO").query(&mut node.connect()?).map_err(|e| node.refuses(&e))?;
        if info.contains("cluster_state:ok") {
            return Ok((node, proxy));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(Error::server(format!("a cluster of one node is not ready within {} s", PATIENCE.as_secs())))
}
