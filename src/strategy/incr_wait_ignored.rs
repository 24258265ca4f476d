//! `INCR`, then `WAIT 1 10`, and whatever WAIT answers, the update is taken for safe: a mistake that looks like a protection.
//!
//! WAIT answers how many replicas have the write, and does not fail where none has it in time: the number has to be looked
//! at. Ignored, WAIT only slows the client down. While replicas are quick this is as good as `incr-wait`; when they are slow or
//! cut off, which is what WAIT is for, it acknowledges updates that only the primary has, and a failover loses them.

use redis::ConnectionLike;

use crate::error::{BoxError, Result};
use crate::resp::pack;
use crate::strategy::toolkit::{REPLICA, ask, own_connections, refused_or_unknown};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::verdict::Role;

/// How long a replica is waited for.
const PATIENCE_MS: u32 = 10;

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["incr"],
    commands: &["incr", "wait"],
    needs: &[REPLICA],
    role: Role::Mistake,
    ..Info::exact("incr-wait-ignored", "INCR, then WAIT whose answer nobody reads: exact until replicas are late.")
};

pub(super) struct IncrWaitIgnored;

struct Careless {
    connection: Session,
    packed: Vec<u8>,
    wait: Vec<u8>,
}

impl Updater for Careless {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let value: i64 = match ask(&mut self.connection, &mut self.packed, &[b"INCR", key.as_bytes()]) {
            Ok(value) => value,
            Err(error) => return refused_or_unknown(error, 1),
        };
        // The mistake: how many replicas it reached is not looked at.
        let _reached = self.connection.req_packed_command(&self.wait)?;
        Ok(Update::told(value))
    }
}

impl Strategy for IncrWaitIgnored {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("replicas=1,timeout={PATIENCE_MS}ms")
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let mut wait = Vec::new();
        pack(&mut wait, &[b"WAIT", b"1", PATIENCE_MS.to_string().as_bytes()]);
        own_connections(server, workers, |connection| Careless { connection, packed: Vec::new(), wait: wait.clone() })
    }
}
