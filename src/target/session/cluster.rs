//! A connection to every node of a cluster; each command goes to the node that has its key.
//!
//! A node that no longer has a slot answers MOVED; one whose slot is being moved answers ASK for a single command. Such a
//! command was not executed, so it is sent again to the right node, and counted. Nothing else is ever sent again: a command
//! without a reply may have been executed. Commands without a key go to the node of the previous command, which keeps
//! WATCH, MULTI and EXEC together. Inside a transaction nothing is sent again; EXEC then reports that nothing was done.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ConnectionLike, ErrorKind, RedisError, RedisResult, ServerError,
    ServerErrorKind, Value,
};

use super::route::{Route, SLOTS, route};
use crate::target::address::elsewhere;
use crate::target::{Connection, RESPONSE_TIMEOUT};

/// How often a command is redirected, at most. After that, its last error stands.
pub(super) const MOST_HOPS: usize = 16;

/// The pause before a command is sent again because its slot is being moved.
const PAUSE: Duration = Duration::from_millis(1);

/// How often nodes redirected us, over all sessions.
#[derive(Debug, Default)]
pub(crate) struct Redirects {
    moved: AtomicU64,
    asked: AtomicU64,
}

impl Redirects {
    /// The numbers of MOVED and of ASK.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        (self.moved.load(Ordering::Relaxed), self.asked.load(Ordering::Relaxed))
    }

    pub(super) fn count(&self, is_ask: bool) {
        let which = if is_ask { &self.asked } else { &self.moved };
        which.fetch_add(1, Ordering::Relaxed);
    }
}

/// A node by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Member {
    /// The slot and the node that a redirection from `giver` names.
    pub(super) fn named(error: &ServerError, giver: &Self) -> Option<(u16, Self)> {
        let (slot, address) = error.details()?.split_once(' ')?;
        let slot = slot.parse().ok().filter(|&slot| slot < SLOTS)?;
        Some((slot, Self::read(address, giver)?))
    }

    /// The address that a node gave for another; one without a host is on the same host as the node that gave it.
    pub(super) fn read(text: &str, giver: &Self) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = if host.is_empty() || host == "?" { giver.host.as_str() } else { host };
        Some(Self { host: host.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? })
    }
}

/// A range of slots, the node that has it, and its replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shard {
    first: u16,
    last: u16,
    primary: Member,
    replicas: Vec<Member>,
}

/// A cluster as one of its nodes describes it.
pub(crate) struct Cluster {
    /// How to connect: everything but the address.
    template: ConnectionInfo,
    /// As known at the start, or as of the last refresh.
    shards: RwLock<Vec<Shard>>,
    pub(crate) redirects: Redirects,
    /// How many MOVED had been met when it was last asked where the slots are.
    asked_after: AtomicU64,
}

impl Cluster {
    /// Asks the node at `seed` for the cluster's shards.
    pub(crate) fn discover(seed: &Client) -> RedisResult<Self> {
        let template = seed.get_connection_info().clone();
        let shards = RwLock::new(shards_of(seed)?);
        Ok(Self { template, shards, redirects: Redirects::default(), asked_after: AtomicU64::new(0) })
    }

    fn shards(&self) -> Vec<Shard> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks the known nodes, primaries and replicas, which node has which slot now. The first answer that differs from
    /// what is known is believed, because a node that is cut off still gives the old one. Returns whether there was one.
    ///
    /// # Errors
    /// None of them knows anything new, and one does not answer.
    fn refresh(&self) -> RedisResult<bool> {
        let known = self.shards();
        let members = known.iter().flat_map(|shard| std::iter::once(&shard.primary).chain(&shard.replicas));
        let mut failed = None;
        for member in members {
            match self.client(member).and_then(|client| shards_of(&client)) {
                Ok(shards) if shards != known => {
                    *self.shards.write().unwrap_or_else(PoisonError::into_inner) = shards;
                    return Ok(true);
                }
                Ok(_) => {}
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(false), Err)
    }

    /// Learns where the slots are now, if nodes have redirected us since the last time: sockets that are opened next know
    /// the nodes that have become primaries, and the counts of all nodes are read.
    pub(crate) fn renew(&self) {
        let (moved, _) = self.redirects.so_far();
        if self.asked_after.load(Ordering::Relaxed) != moved && self.refresh().is_ok() {
            self.asked_after.store(moved, Ordering::Relaxed);
        }
    }

    /// The nodes that have slots.
    pub(crate) fn primaries(&self) -> Vec<Member> {
        distinct(self.shards().into_iter().map(|shard| shard.primary))
    }

    /// The nodes that copy them, in the order of the slots.
    pub(crate) fn replicas(&self) -> Vec<Member> {
        distinct(self.shards().into_iter().flat_map(|shard| shard.replicas))
    }

    /// For each slot, the index of its node in [`Cluster::primaries`].
    pub(crate) fn owners(&self) -> Arc<[u16]> {
        let (primaries, mut owners) = (self.primaries(), vec![0; SLOTS.into()]);
        for shard in self.shards() {
            let owner = primaries.iter().position(|primary| *primary == shard.primary).unwrap_or(0);
            owners[usize::from(shard.first)..=usize::from(shard.last)].fill(owner as u16);
        }
        owners.into()
    }

    /// The number of replicas of the primary with the fewest.
    pub(crate) fn fewest_replicas(&self) -> usize {
        self.shards().iter().map(|shard| shard.replicas.len()).min().unwrap_or(0)
    }

    /// How to connect to one of its nodes.
    pub(crate) fn client(&self, member: &Member) -> RedisResult<Client> {
        Client::open(elsewhere(&self.template, &member.host, member.port)?)
    }
}

/// The shards as the node at `seed` describes them.
fn shards_of(seed: &Client) -> RedisResult<Vec<Shard>> {
    let asked = match seed.get_connection_info().addr() {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            Member { host: host.clone(), port: *port }
        }
        _ => return Err(RedisError::from((ErrorKind::InvalidClientConfig, "a cluster is reached over TCP"))),
    };
    let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query(&mut Connection::open(seed)?)?;
    let shards: Vec<Shard> = ranges.into_iter().map(|range| shard(range, &asked)).collect::<RedisResult<_>>()?;
    let covered: u32 = shards.iter().map(|shard| u32::from(shard.last - shard.first) + 1).sum();
    if covered != u32::from(SLOTS) {
        let missing = format!("{} of {SLOTS} slots are served by no node", u32::from(SLOTS).abs_diff(covered));
        return Err(RedisError::from((ErrorKind::Server(ServerErrorKind::ClusterDown), "the cluster", missing)));
    }
    Ok(shards)
}

fn distinct(members: impl Iterator<Item = Member>) -> Vec<Member> {
    let mut known: Vec<Member> = Vec::new();
    members.for_each(|member| {
        if !known.contains(&member) {
            known.push(member);
        }
    });
    known
}

/// Reads `first, last, [host, port, ...], [host, port, ...]...`: the primary first.
fn shard(range: Vec<Value>, asked: &Member) -> RedisResult<Shard> {
    let strange = || RedisError::from((ErrorKind::UnexpectedReturnType, "CLUSTER SLOTS answered something else"));
    let mut fields = range.into_iter();
    let mut bound = || redis::from_redis_value::<u16>(fields.next().unwrap_or_default());
    let (first, last) = (bound()?, bound()?);
    let mut members = fields.map(|node| {
        let mut node = redis::from_redis_value::<Vec<Value>>(node)?.into_iter();
        let host: Option<String> = redis::from_redis_value(node.next().unwrap_or_default())?;
        let port: u16 = redis::from_redis_value(node.next().unwrap_or_default())?;
        let host = host.filter(|host| !host.is_empty() && host != "?").unwrap_or_else(|| asked.host.clone());
        RedisResult::Ok(Member { host, port })
    });
    let primary = members.next().ok_or_else(strange)??;
    let replicas = members.collect::<RedisResult<_>>()?;
    if first > last || last >= SLOTS {
        return Err(strange());
    }
    Ok(Shard { first, last, primary, replicas })
}

/// Connections to all nodes, and which node has which slot, as far as this session knows.
pub(super) struct Routed {
    cluster: Arc<Cluster>,
    /// How long a reply may take.
    patience: Duration,
    nodes: Vec<(Member, Connection)>,
    owners: Vec<u16>,
    /// Where commands without a key go: the node of the previous command.
    here: usize,
    /// The node that watches a key. A transaction goes there even if the key has moved meanwhile: nothing watches it on
    /// its new node, and this one answers that nothing was done.
    watched: Option<usize>,
    /// Replies that nobody has read yet.
    pub(super) replies: VecDeque<Value>,
}

impl Routed {
    /// If a primary cannot be reached, asks for the current primaries and tries those, once.
    pub(super) fn open(cluster: Arc<Cluster>, patience: Duration) -> RedisResult<Self> {
        let primary = |shard: &Shard| Some(shard.primary.clone());
        match Self::over(cluster.clone(), patience, primary) {
            Err(error) if error.is_io_error() => {
                if !cluster.refresh().unwrap_or(false) {
                    return Err(error);
                }
                Self::over(cluster, patience, primary)
            }
            opened => opened,
        }
    }

    /// One replica of every shard, each set to READONLY.
    pub(super) fn open_replicas(cluster: Arc<Cluster>) -> RedisResult<Self> {
        let mut routed = Self::over(cluster, RESPONSE_TIMEOUT, |shard| shard.replicas.first().cloned())?;
        routed.connections().try_for_each(|connection| redis::cmd("READONLY").exec(connection))?;
        Ok(routed)
    }

    fn over(cluster: Arc<Cluster>, patience: Duration, choose: impl Fn(&Shard) -> Option<Member>) -> RedisResult<Self> {
        let lacks = || RedisError::from((ErrorKind::InvalidClientConfig, "a shard of the cluster has no replica"));
        let mut routed = Self {
            cluster: cluster.clone(),
            patience,
            nodes: Vec::new(),
            owners: vec![0; SLOTS.into()],
            here: 0,
            watched: None,
            replies: VecDeque::new(),
        };
        for shard in cluster.shards() {
            let node = routed.node(&choose(&shard).ok_or_else(lacks)?)? as u16;
            routed.owners[usize::from(shard.first)..=usize::from(shard.last)].fill(node);
        }
        Ok(routed)
    }

    pub(super) fn connections(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.nodes.iter_mut().map(|(_, connection)| connection)
    }

    /// The number of a node; connects to it if it is new.
    fn node(&mut self, member: &Member) -> RedisResult<usize> {
        if let Some(known) = self.nodes.iter().position(|(known, _)| known == member) {
            return Ok(known);
        }
        let connection = Connection::open_within(&self.cluster.client(member)?, self.patience)?;
        self.nodes.push((member.clone(), connection));
        Ok(self.nodes.len() - 1)
    }

    fn place(&mut self, route: Route) -> usize {
        if let Route::Slot(slot) = route {
            self.here = usize::from(self.owners[usize::from(slot)]);
        }
        self.here
    }

    /// Where an error redirects us, if it does. Remembers it for later commands.
    fn redirected(&mut self, from: usize, error: &ServerError) -> RedisResult<Option<Hop>> {
        let is_ask = match error.kind() {
            Some(ServerErrorKind::Moved) => false,
            Some(ServerErrorKind::Ask) => true,
            Some(ServerErrorKind::TryAgain) => return Ok(Some(Hop { node: from, is_ask: false, waits: true })),
            _ => return Ok(None),
        };
        self.cluster.redirects.count(is_ask);
        let Some((slot, member)) = Member::named(error, &self.nodes[from].0) else { return Ok(None) };
        let node = self.node(&member)?;
        if !is_ask {
            self.owners[usize::from(slot)] = node as u16;
        }
        Ok(Some(Hop { node, is_ask, waits: false }))
    }

    /// Sends one command where `hop` leads, and follows redirections from there.
    fn follow(&mut self, mut hop: Hop, command: &[u8]) -> RedisResult<Value> {
        for _ in 0..MOST_HOPS {
            let reply = hop.ask(&mut self.nodes[hop.node].1, command)?;
            let Value::ServerError(error) = &reply else { return Ok(reply) };
            match self.redirected(hop.node, error)? {
                Some(next) => hop = next,
                None => return Ok(reply),
            }
            self.here = hop.node;
        }
        hop.ask(&mut self.nodes[hop.node].1, command)
    }

    /// Sends commands outside a transaction, to several nodes at once if need be.
    fn ask_all(&mut self, packed: &[u8], commands: &[(Range<usize>, usize)]) -> RedisResult<Vec<Value>> {
        let mut batches = vec![Vec::new(); self.nodes.len()];
        for (range, node) in commands {
            batches[*node].extend_from_slice(&packed[range.clone()]);
        }
        let mut failed = None;
        for (batch, (_, connection)) in batches.iter().zip(&mut self.nodes).filter(|(batch, _)| !batch.is_empty()) {
            failed = connection.send_packed_command(batch).err().or(failed);
        }
        // All replies are read even if a node is gone; otherwise they would be taken for replies to the next commands.
        let mut replies = Vec::with_capacity(commands.len());
        for (_, node) in commands {
            match self.nodes[*node].1.recv_response() {
                Ok(reply) => replies.push(reply),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        for (reply, (range, node)) in replies.iter_mut().zip(commands) {
            let (mut node, command) = (*node, &packed[range.clone()]);
            if let Value::ServerError(error) = reply
                && let Some(hop) = self.redirected(node, error)?
            {
                *reply = self.follow(hop, command)?;
                node = self.here;
            }
            if is_watch(command) {
                self.watched = Some(node);
            }
        }
        Ok(replies)
    }
}

/// Where a command goes next.
struct Hop {
    node: usize,
    /// For this one command only, after ASKING.
    is_ask: bool,
    /// The slot is being moved: wait before sending.
    waits: bool,
}

impl Hop {
    fn ask(&self, connection: &mut Connection, command: &[u8]) -> RedisResult<Value> {
        if self.waits {
            std::thread::sleep(PAUSE);
        }
        if !self.is_ask {
            return connection.req_packed_command(command);
        }
        let mut announced = redis::cmd("ASKING").get_packed_command();
        announced.extend_from_slice(command);
        let mut replies = connection.req_packed_commands(&announced, 0, 2)?;
        Ok(replies.pop().unwrap_or_default())
    }
}

/// Whether a packed command is a WATCH.
pub(super) fn is_watch(packed: &[u8]) -> bool {
    packed.split(|&byte| byte == b'\n').nth(2).is_some_and(|word| word.eq_ignore_ascii_case(b"WATCH\r"))
}

fn unreadable() -> RedisError {
    RedisError::from((ErrorKind::Client, "a command that cannot be routed"))
}

impl ConnectionLike for Routed {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        let (route, _) = route(cmd).ok_or_else(unreadable)?;
        if route == Route::Everywhere {
            let mut reply = Value::Nil;
            for connection in self.connections() {
                reply = connection.req_packed_command(cmd)?.extract_error()?;
            }
            return Ok(reply);
        }
        let node = self.place(route);
        let reply = self.follow(Hop { node, is_ask: false, waits: false }, cmd)?;
        if is_watch(cmd) {
            self.watched = Some(self.here);
        }
        Ok(reply)
    }

    fn req_packed_commands(&mut self, cmd: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let (mut commands, mut from, mut is_transaction) = (Vec::with_capacity(offset + count), 0, false);
        while from < cmd.len() {
            let (route, length) = route(&cmd[from..]).ok_or_else(unreadable)?;
            is_transaction |= cmd[from..from + length].ends_with(b"\r\nMULTI\r\n");
            let node = self.place(route);
            commands.push((from..from + length, node));
            from += length;
        }
        if is_transaction {
            let node = self.watched.take().unwrap_or(self.here);
            let replies = self.nodes[node].1.req_packed_commands(cmd, offset, count)?;
            for reply in &replies {
                if let Value::ServerError(error) = reply {
                    // Remembered for later commands; this transaction was not executed.
                    self.redirected(node, error)?;
                }
            }
            return Ok(replies);
        }
        let mut replies = self.ask_all(cmd, &commands)?;
        replies.drain(..offset.min(replies.len()));
        Ok(replies)
    }

    fn get_db(&self) -> i64 {
        0
    }

    fn check_connection(&mut self) -> bool {
        self.connections().all(ConnectionLike::check_connection)
    }

    fn is_open(&self) -> bool {
        self.nodes.iter().all(|(_, connection)| connection.is_open())
    }
}
