//! A network that misbehaves on purpose: a proxy between clients and a server that delays, cuts and loses by a script.
//!
//! It runs in this process on a thread of its own, listens at an address of its own, and forwards to one server, over
//! TCP or unix sockets. It delays what passes without reordering it; loses the reply, or the request, of chosen
//! commands; cuts one direction or both and heals them; refuses connections for a time; and ends all connections and
//! drops what it holds, so that no delayed byte arrives after a server died. It limits nothing else. [`Proxy::events`]
//! lists what it did.
//!
//! ```no_run
//! use redis_lost_updates::proxy::{Address, By, Lose, Options, Proxy, Rule};
//!
//! # fn main() -> redis_lost_updates::error::Result<()> {
//! let server = Address::tcp("127.0.0.1", 6379)?;
//! let rules = vec![Rule::every(10, Lose::Reply, By::Fin)];
//! let proxy = Proxy::start(&server, Options { rules, ..Options::default() })?;
//! println!("clients connect to {}", proxy.address());
//! # Ok(())
//! # }
//! ```
//!
//! # How it fails
//!
//! - *What it costs.* Each command passes through one more thread. [`cost::measure`] says what that adds before a run
//!   relies on it.
//! - *Framing.* Rules need to tell commands apart. Where they cannot (TLS, a replication stream, garbage, a connection that
//!   subscribes), everything passes and no rule applies; TLS is refused while there are rules.
//! - *A cut* holds back what is sent and delivers it once the cut heals, as a network does. A connection can still be
//!   made meanwhile: the operating system accepts it before the proxy knows.
//! - *Memory* is bounded: 1 MiB in each direction of a connection and 64 MiB in all, beyond which a direction holds 16
//!   KiB. A reader that stops makes its writer wait, as without a proxy.
//!
//! # Why not on tokio
//!
//! tokio's timer has a resolution of 1 ms, as long as the delays needed here, and it would wake one task for each
//! socket, where one loop serves all sockets that are ready. So this is a loop of its own over epoll or kqueue, with a
//! kernel timer that it sets early by as much as it has seen itself wake late.

pub mod cost;
mod delay;
mod dialogue;
mod event;
mod frames;
mod hub;
mod link;
mod script;
mod socket;
mod way;

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::Waker;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::{Error, Result};
use crate::placement::CpuSet;

pub use delay::Delay;
pub use event::{Event, What};
pub use script::{By, Count, Lose, Rule, WRITES, Which};
pub use socket::Address;

use event::Log;
use hub::{Hub, ORDERS, Order, Ordered, Plan};
use socket::Door;

/// The direction of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the clients to the server.
    ToServer,
    /// From the server to the clients.
    ToClient,
    /// Either.
    Both,
}

impl Direction {
    /// The indices of the directions in a link.
    fn ways(self) -> std::ops::RangeInclusive<usize> {
        match self {
            Self::ToServer => link::CLIENT..=link::CLIENT,
            Self::ToClient => link::SERVER..=link::SERVER,
            Self::Both => link::CLIENT..=link::SERVER,
        }
    }
}

/// Whether commands and replies are read as they pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// As RESP2 or RESP3, whichever a connection uses: rules may apply.
    #[default]
    Resp,
    /// Not at all, for TLS and for the stream between a primary and its replica: only delays and cuts.
    Opaque,
}

/// What a proxy does from its start.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where it listens; by default at a free port of 127.0.0.1.
    pub listen: Option<Address>,
    /// Whether commands and replies are read.
    pub framing: Framing,
    /// The delay of what clients send.
    pub to_server: Delay,
    /// The delay of what the server sends.
    pub to_client: Delay,
    /// The seed of random delays.
    pub seed: u64,
    /// What is lost.
    pub rules: Vec<Rule>,
    /// The CPUs its thread runs on; by default those of the thread that starts it.
    pub cpus: Option<CpuSet>,
}

/// What a [kill](Proxy::kill) ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    /// Connections that were open.
    pub connections: usize,
    /// Bytes that were in transit, in either direction.
    pub bytes: usize,
}

/// A running proxy. Dropping it ends it: connections are closed, and what it holds is discarded.
#[derive(Debug)]
pub struct Proxy {
    address: Address,
    framing: Framing,
    log: Arc<Log>,
    orders: Sender<Ordered>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens, and forwards all connections to `upstream`.
    ///
    /// # Errors
    /// The rules need framing and there is none; it cannot listen there; no thread can be started.
    pub fn start(upstream: &Address, options: Options) -> Result<Self> {
        allows(options.framing, &options.rules)?;
        allow_files();
        let listen = options.listen.unwrap_or(Address::Tcp(([127, 0, 0, 1], 0).into()));
        let cannot = |e: std::io::Error| Error::broken(format!("proxy at {listen}: cannot start: {e}"));
        let door = Door::open(&listen)
            .map_err(|e| Error::usage(format!("proxy: cannot listen at {listen}: {e}; give another address")))?;
        let address = door.address().clone();
        let (log, (orders, received)) = (Arc::new(Log::default()), channel());
        let hub = Hub::new(Plan {
            door,
            upstream: upstream.clone(),
            delays: [options.to_server, options.to_client],
            seed: options.seed,
            is_opaque: options.framing == Framing::Opaque,
            rules: options.rules,
            log: log.clone(),
            orders: received,
        })
        .map_err(cannot)?;
        let waker = Arc::new(Waker::new(hub.poll.registry(), ORDERS).map_err(cannot)?);
        let (placed, is_placed) = sync_channel(1);
        let run = move || {
            let kept = options.cpus.map_or(Ok(()), |cpus| cpus.keep_this_thread());
            let is_kept = kept.is_ok();
            // The thread that starts us waits for this.
            let _ = placed.send(kept);
            if is_kept {
                hub.run();
            }
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(run).map_err(cannot)?;
        let proxy = Self { address, framing: options.framing, log, orders, waker, thread: Some(thread) };
        is_placed.recv().map_err(|_| proxy.gone())??;
        Ok(proxy)
    }

    /// Where clients connect to.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Replaces the rules; their counts begin at zero.
    ///
    /// # Errors
    /// The proxy has no framing, or its thread is gone.
    pub fn set_rules(&self, rules: Vec<Rule>) -> Result<()> {
        allows(self.framing, &rules)?;
        self.order(Order::Follow(rules)).map(drop)
    }

    /// Changes the delay of what arrives from now on.
    ///
    /// # Errors
    /// The proxy's thread is gone.
    pub fn set_delay(&self, direction: Direction, delay: Delay) -> Result<()> {
        self.order(Order::Delay(direction, delay)).map(drop)
    }

    /// Stops all traffic in this direction until it [heals](Self::heal): what is in transit waits, and so does the end
    /// of a connection.
    ///
    /// # Errors
    /// The proxy's thread is gone.
    pub fn cut(&self, direction: Direction) -> Result<()> {
        self.order(Order::Cut(direction)).map(drop)
    }

    /// Lets all traffic flow again, and accepts connections again.
    ///
    /// # Errors
    /// The proxy's thread is gone.
    pub fn heal(&self) -> Result<()> {
        self.order(Order::Heal).map(drop)
    }

    /// Refuses new connections for a time, as a port without a listener does; existing ones stay.
    ///
    /// # Errors
    /// The proxy's thread is gone.
    pub fn refuse(&self, time: Duration) -> Result<()> {
        self.order(Order::Refuse(Some(time))).map(drop)
    }

    /// Forwards connections made from now on to another server; existing ones stay where they are.
    ///
    /// # Errors
    /// The proxy's thread is gone.
    pub fn redirect(&self, upstream: &Address) -> Result<()> {
        self.order(Order::Redirect(upstream.clone())).map(drop)
    }

    /// Ends all connections, drops what is in transit, and refuses new connections until it [heals](Self::heal): once
    /// this returns, nothing that the server sent arrives any more. Call it before the server is killed, so that no
    /// delayed byte outlives it.
    ///
    /// # Errors
    /// The proxy's thread is gone.
    pub fn kill(&self, by: By) -> Result<Dropped> {
        self.order(Order::Kill(by))
    }

    /// Everything it did so far, in order.
    pub fn events(&self) -> Vec<Event> {
        self.log.all()
    }

    fn order(&self, order: Order) -> Result<Dropped> {
        let (done, is_done) = sync_channel(1);
        self.orders.send((order, done)).map_err(|_| self.gone())?;
        self.waker.wake().map_err(|_| self.gone())?;
        is_done.recv().map_err(|_| self.gone())
    }

    fn gone(&self) -> Error {
        Error::broken(format!("proxy at {}: its thread has ended", self.address))
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // If its thread is gone, it has ended already.
        let _ = self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn allows(framing: Framing, rules: &[Rule]) -> Result<()> {
    if framing == Framing::Opaque && !rules.is_empty() {
        return Err(Error::usage(
            "proxy: rules need to tell commands apart, and TLS or a replication stream hides them: only delays and cuts \
             work there",
        ));
    }
    Ok(())
}

/// Raises this process's limit on open files as far as allowed: each connection takes two.
fn allow_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_none_or(|most| limit.current.is_some_and(|current| current < most)) {
        // If it cannot be raised, connections wait until there is room.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
}
