//! `INCR`, then `WAIT 1`: the update is acknowledged once a replica has it too.
//!
//! Replication is asynchronous: if a primary fails, acknowledged updates that no replica has yet are lost. WAIT asks how
//! many replicas have everything that this connection wrote. It undoes nothing: if too few have it, the update is still in
//! the primary, so its outcome is *unknown*, not refused. The price is a second round trip plus the replica's own (a
//! replica acknowledges once per second by itself, but at once when asked). WAIT must go to the key's own node; a cluster
//! client that sends it to all primaries learns nothing. It does not protect against the promotion of a replica that lacks
//! the update: <https://redis.io/docs/latest/commands/wait/>.

use crate::error::{BoxError, Result};
use crate::resp::pack;
use crate::strategy::toolkit::{REPLICA, ask, own_connections, refused_or_unknown};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// How long a replica is waited for.
const PATIENCE_MS: u32 = 1_000;

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["incr"],
    commands: &["incr", "wait"],
    needs: &[REPLICA],
    ..Info::exact("incr-wait", "INCR, then WAIT until one replica has it: acknowledged only when two servers have it.")
};

pub(super) struct IncrWait;

struct Waiting {
    connection: Session,
    packed: Vec<u8>,
    wait: Vec<u8>,
}

impl Updater for Waiting {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        use redis::ConnectionLike;
        let value: i64 = match ask(&mut self.connection, &mut self.packed, &[b"INCR", key.as_bytes()]) {
            Ok(value) => value,
            Err(error) => return refused_or_unknown(error, 1),
        };
        let reached = self.connection.req_packed_command(&self.wait)?.extract_error()?;
        match redis::from_redis_value::<i64>(reached)? {
            0 => Err(format!("no replica had the update within {PATIENCE_MS} ms").into()),
            _ => Ok(Update::told(value)),
        }
    }
}

impl Strategy for IncrWait {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("replicas=1,timeout={PATIENCE_MS}ms")
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let mut wait = Vec::new();
        pack(&mut wait, &[b"WAIT", b"1", PATIENCE_MS.to_string().as_bytes()]);
        own_connections(server, workers, |connection| Waiting { connection, packed: Vec::new(), wait: wait.clone() })
    }
}
