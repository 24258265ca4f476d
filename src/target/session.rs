//! A connection to the target, whatever its topology: to one server, or to a cluster in which every command goes to the
//! node that has its key.
//!
//! It is a [`redis::ConnectionLike`], so everything that the redis crate does with a connection works here.

mod cluster;
mod route;
mod socket;
mod tasks;

use std::time::Duration;

use redis::{Cmd, ConnectionLike, ErrorKind, RedisError, RedisResult, Value};

pub(crate) use cluster::Cluster;
pub(crate) use route::slot_of;
pub(crate) use socket::RoutedSocket;
pub(crate) use tasks::TaskSession;

use crate::target::Connection;
use cluster::Routed;

/// The most keys that one command removes: a server does nothing else meanwhile.
const AT_ONCE: usize = 1_000;

/// A connection that is not shared.
pub struct Session(Kind);

// The large variant is the one measured most; a box would add a pointer indirection to it.
#[allow(clippy::large_enum_variant)]
enum Kind {
    One(Connection),
    Cluster(Box<Routed>),
}

impl Session {
    /// On one server.
    pub(crate) fn one(connection: Connection) -> Self {
        Self(Kind::One(connection))
    }

    /// On all primaries of a cluster.
    pub(crate) fn cluster(cluster: &std::sync::Arc<Cluster>, patience: Duration) -> RedisResult<Self> {
        Ok(Self(Kind::Cluster(Box::new(Routed::open(cluster.clone(), patience)?))))
    }

    /// On a replica of every shard of a cluster, for reading.
    pub(crate) fn replicas(cluster: &std::sync::Arc<Cluster>) -> RedisResult<Self> {
        Ok(Self(Kind::Cluster(Box::new(Routed::open_replicas(cluster.clone())?))))
    }

    /// Runs `ask` on the one server, or on every node of the cluster.
    pub(crate) fn on_each<T>(&mut self, mut ask: impl FnMut(&mut Connection) -> RedisResult<T>) -> RedisResult<Vec<T>> {
        match &mut self.0 {
            Kind::One(connection) => Ok(vec![ask(connection)?]),
            Kind::Cluster(routed) => routed.connections().map(ask).collect(),
        }
    }

    /// Removes keys, wherever they are; returns how many there were.
    pub(crate) fn remove(&mut self, keys: &[String]) -> RedisResult<u64> {
        keys.chunks(AT_ONCE).map(|keys| self.remove_at_once(keys)).sum()
    }

    fn remove_at_once(&mut self, keys: &[String]) -> RedisResult<u64> {
        match &mut self.0 {
            Kind::One(connection) => Cmd::new().arg("DEL").arg(keys).query(connection),
            // One command cannot name keys of several slots.
            Kind::Cluster(routed) => {
                let mut commands = redis::pipe();
                keys.iter().for_each(|key| {
                    commands.del(key);
                });
                Ok(commands.query::<Vec<u64>>(&mut **routed)?.into_iter().sum())
            }
        }
    }

    /// Sends `commands` packed commands, whose replies [`Session::receive`] then reads one by one.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, packed: &[u8], commands: usize) -> RedisResult<()> {
        match &mut self.0 {
            Kind::One(connection) => connection.send_packed_command(packed),
            Kind::Cluster(routed) => {
                let replies = routed.req_packed_commands(packed, 0, commands)?;
                routed.replies.extend(replies);
                Ok(())
            }
        }
    }

    /// The next reply.
    ///
    /// # Errors
    /// The connection is gone, or no reply is due.
    pub fn receive(&mut self) -> RedisResult<Value> {
        match &mut self.0 {
            Kind::One(connection) => connection.recv_response(),
            Kind::Cluster(routed) => routed
                .replies
                .pop_front()
                .ok_or_else(|| RedisError::from((ErrorKind::Client, "no further reply is due"))),
        }
    }

    /// The connection itself, if there is only one server.
    pub(crate) fn single(&mut self) -> Option<&mut Connection> {
        match &mut self.0 {
            Kind::One(connection) => Some(connection),
            Kind::Cluster(_) => None,
        }
    }
}

impl ConnectionLike for Session {
    fn req_packed_command(&mut self, cmd: &[u8]) -> RedisResult<Value> {
        match &mut self.0 {
            Kind::One(connection) => connection.req_packed_command(cmd),
            Kind::Cluster(routed) => routed.req_packed_command(cmd),
        }
    }

    fn req_packed_commands(&mut self, cmd: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        match &mut self.0 {
            Kind::One(connection) => connection.req_packed_commands(cmd, offset, count),
            Kind::Cluster(routed) => routed.req_packed_commands(cmd, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match &self.0 {
            Kind::One(connection) => connection.get_db(),
            Kind::Cluster(_) => 0,
        }
    }

    fn check_connection(&mut self) -> bool {
        match &mut self.0 {
            Kind::One(connection) => connection.check_connection(),
            Kind::Cluster(routed) => routed.check_connection(),
        }
    }

    fn is_open(&self) -> bool {
        match &self.0 {
            Kind::One(connection) => connection.is_open(),
            Kind::Cluster(routed) => routed.is_open(),
        }
    }
}
