//! What the replicas counted. It is kept apart from what the primaries counted: a replica also executes every write of its
//! primary, so a sum would count those twice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{Client, RedisResult};

use crate::target::{Connection, Counts, Target};

/// How long a replica may take to accept a connection or to answer.
const PATIENCE: Duration = Duration::from_secs(1);

impl Target {
    /// One reading of every replica, in the order of their primaries, without one that is a primary by now: `primaries` is a
    /// reading of those. Empty if there are none, or once one of them did not answer: a run goes on without replicas that
    /// clients cannot reach, and does not wait for them in every trial.
    pub(crate) fn replica_counts(&self, primaries: &Counts) -> Vec<Counts> {
        if self.place.are_replicas_silent.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let clients = match &self.place.cluster {
            Some(cluster) => cluster.replicas().iter().map(|replica| cluster.client(replica)).collect(),
            None => Ok(self.place.replicas.clone()),
        };
        let read =
            |client: &Client| Connection::open_within(client, PATIENCE).and_then(|mut db| Counts::of_one(&mut db));
        let counts = clients.and_then(|clients: Vec<_>| clients.iter().map(read).collect::<RedisResult<Vec<Counts>>>());
        match counts {
            Ok(counts) => counts.into_iter().filter(|replica| !primaries.includes(replica)).collect(),
            Err(_) => {
                self.place.are_replicas_silent.store(true, Ordering::Relaxed);
                Vec::new()
            }
        }
    }
}
