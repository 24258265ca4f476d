//! A session for tasks of an async runtime: the redis crate's multiplexed connection, to one server or to every primary
//! of a cluster.
//!
//! The crate has an async cluster client of its own, but it resends commands whose reply was lost, and its connections
//! are shared, which makes WATCH useless. Here each client has a connection to every primary, and redirections (MOVED,
//! ASK) are followed and counted, as by a [session](super).

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;
use redis::aio::MultiplexedConnection;
use redis::{
    Arg, AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerError,
    ServerErrorKind, Value, cmd,
};

use super::cluster::{Cluster, MOST_HOPS, Member};
use super::route::{Route, route};
use crate::resp::Requests;

/// The pause before a command is sent again because its slot is being moved.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

/// One client's connection, or its connections.
#[derive(Clone)]
pub(crate) struct TaskSession(Kind);

#[derive(Clone)]
enum Kind {
    One(MultiplexedConnection),
    Cluster(Box<Routed>),
}

#[derive(Clone)]
struct Routed {
    cluster: Arc<Cluster>,
    config: AsyncConnectionConfig,
    nodes: Vec<(Member, MultiplexedConnection)>,
    /// Which node has which slot: as known at the start, and what was learnt since.
    owners: Arc<[u16]>,
    moved: HashMap<u16, usize>,
    /// Where commands without a key go: the node of the previous command.
    here: usize,
    /// The node that watches a key, where a transaction goes: see [`super::cluster`].
    watched: Option<usize>,
}

impl TaskSession {
    /// On one server.
    pub(crate) async fn one(client: &Client, config: &AsyncConnectionConfig) -> RedisResult<Self> {
        Ok(Self(Kind::One(client.get_multiplexed_async_connection_with_config(config).await?)))
    }

    /// On all primaries of a cluster.
    pub(crate) async fn cluster(cluster: &Arc<Cluster>, config: &AsyncConnectionConfig) -> RedisResult<Self> {
        let mut routed = Routed {
            cluster: cluster.clone(),
            config: config.clone(),
            nodes: Vec::new(),
            owners: cluster.owners(),
            moved: HashMap::new(),
            here: 0,
            watched: None,
        };
        for member in cluster.primaries() {
            routed.node(&member).await?;
        }
        Ok(Self(Kind::Cluster(Box::new(routed))))
    }

    /// Sends all requests together and waits for their answers, one for each.
    pub(crate) async fn ask(&mut self, requests: &Requests) -> RedisResult<Vec<Value>> {
        match &mut self.0 {
            Kind::One(connection) => together(connection, commands(requests)).await,
            Kind::Cluster(routed) => routed.ask(requests).await,
        }
    }
}

fn is_watch(command: &Cmd) -> bool {
    matches!(command.args_iter().next(), Some(Arg::Simple(name)) if name.eq_ignore_ascii_case(b"WATCH"))
}

fn commands(requests: &Requests) -> Vec<Cmd> {
    let command = |words: Vec<&[u8]>| {
        let mut command = Cmd::new();
        words.into_iter().for_each(|word| {
            command.arg(word);
        });
        command
    };
    requests.each().map(command).collect()
}

/// Over one connection, in one write.
async fn together(connection: &mut MultiplexedConnection, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
    if let [command] = &commands[..] {
        return Ok(vec![connection.send_packed_command(command).await?]);
    }
    let count = commands.len();
    let mut pipeline = Pipeline::with_capacity(count);
    commands.into_iter().for_each(|command| {
        pipeline.add_command(command);
    });
    connection.send_packed_commands(&pipeline, 0, count).await
}

impl Routed {
    /// The number of a node; connects to it if it is new.
    async fn node(&mut self, member: &Member) -> RedisResult<usize> {
        if let Some(known) = self.nodes.iter().position(|(known, _)| known == member) {
            return Ok(known);
        }
        let client = self.cluster.client(member)?;
        let connection = client.get_multiplexed_async_connection_with_config(&self.config).await?;
        self.nodes.push((member.clone(), connection));
        Ok(self.nodes.len() - 1)
    }

    async fn ask(&mut self, requests: &Requests) -> RedisResult<Vec<Value>> {
        let commands = commands(requests);
        let (places, is_transaction) = self.places(requests.bytes())?;
        if is_transaction {
            let node = self.watched.take().unwrap_or(self.here);
            let replies = together(&mut self.nodes[node].1, commands).await?;
            for reply in &replies {
                if let Value::ServerError(error) = reply {
                    // Remembered for later commands; this transaction was not executed.
                    self.redirected(node, error).await?;
                }
            }
            return Ok(replies);
        }
        let mut replies = self.ask_all(&commands, &places).await?;
        for ((reply, command), node) in replies.iter_mut().zip(&commands).zip(places) {
            self.here = node;
            *reply = self.follow(node, command, std::mem::take(reply)).await?;
            if is_watch(command) {
                self.watched = Some(self.here);
            }
        }
        Ok(replies)
    }

    /// The node of each packed command, and whether they are a transaction.
    fn places(&mut self, packed: &[u8]) -> RedisResult<(Vec<usize>, bool)> {
        let (mut places, mut from, mut is_transaction) = (Vec::new(), 0, false);
        while from < packed.len() {
            let unreadable = || RedisError::from((ErrorKind::Client, "a command that cannot be routed"));
            let (to, length) = route(&packed[from..]).ok_or_else(unreadable)?;
            if let Route::Slot(slot) = to {
                let known = self.moved.get(&slot).copied();
                self.here = known.unwrap_or_else(|| usize::from(self.owners[usize::from(slot)]));
            }
            is_transaction |= packed[from..from + length].ends_with(b"\r\nMULTI\r\n");
            places.push(self.here);
            from += length;
        }
        Ok((places, is_transaction))
    }

    /// Sends the commands, to several nodes at once if need be.
    async fn ask_all(&mut self, commands: &[Cmd], places: &[usize]) -> RedisResult<Vec<Value>> {
        let nodes = self.nodes.iter_mut().enumerate();
        let batches = nodes.filter_map(|(node, (_, connection))| {
            let mine = || places.iter().enumerate().filter(|(_, place)| **place == node).map(|(at, _)| at);
            let batch: Vec<Cmd> = mine().map(|at| commands[at].clone()).collect();
            let at: Vec<usize> = mine().collect();
            (!at.is_empty()).then_some(async move { RedisResult::Ok((at, together(connection, batch).await?)) })
        });
        let mut all = vec![Value::Nil; commands.len()];
        for (at, replies) in try_join_all(batches).await? {
            for (at, reply) in at.into_iter().zip(replies) {
                all[at] = reply;
            }
        }
        Ok(all)
    }

    /// The reply to a command, after following the redirections that begin with `reply` from `node`.
    async fn follow(&mut self, mut node: usize, command: &Cmd, mut reply: Value) -> RedisResult<Value> {
        for _ in 0..MOST_HOPS {
            let Value::ServerError(error) = &reply else { return Ok(reply) };
            let announced = match self.redirected(node, error).await? {
                None => return Ok(reply),
                Some(Hop::Again) => {
                    tokio::time::sleep(PAUSE).await;
                    false
                }
                Some(Hop::To(next, is_ask)) => {
                    (node, self.here) = (next, next);
                    is_ask
                }
            };
            let connection = &mut self.nodes[node].1;
            reply = match announced {
                true => together(connection, vec![cmd("ASKING"), command.clone()]).await?.pop().unwrap_or_default(),
                false => connection.send_packed_command(command).await?,
            };
        }
        Ok(reply)
    }

    /// Where an error redirects us, if it does. Remembers it for later commands.
    async fn redirected(&mut self, from: usize, error: &ServerError) -> RedisResult<Option<Hop>> {
        let is_ask = match error.kind() {
            Some(ServerErrorKind::Moved) => false,
            Some(ServerErrorKind::Ask) => true,
            Some(ServerErrorKind::TryAgain) => return Ok(Some(Hop::Again)),
            _ => return Ok(None),
        };
        self.cluster.redirects.count(is_ask);
        let Some((slot, member)) = Member::named(error, &self.nodes[from].0) else { return Ok(None) };
        let node = self.node(&member).await?;
        if !is_ask {
            self.moved.insert(slot, node);
        }
        Ok(Some(Hop::To(node, is_ask)))
    }
}

/// Where a command goes next.
enum Hop {
    /// To the same node, a little later: its slot is being moved.
    Again,
    /// To this node: after ASKING and for this command only if `true`, otherwise from now on.
    To(usize, bool),
}
