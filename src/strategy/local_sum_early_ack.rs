//! Updates summed in the worker, acknowledged at once and sent later: a process that stops loses what it has not sent.
//!
//! As fast as `local-sum`, and no request waits for the server. But if the process is killed while a sum is still in
//! memory, or if the INCRBY fails when nobody waits for it, acknowledged updates are lost. Every eighth sum of a client
//! stands here for a process that stops between the acknowledgement and the flush (a deployment, a crash): it is
//! dropped, and a new process goes on. What is lost does not depend on how many clients there are; one alone loses too.
//! Buffered counters are written like this on purpose, trading a bounded loss for a lot of speed:
//! <https://github.com/buildbuddy-io/buildbuddy/pull/1070>, <https://github.com/fleaktech/zephflow-core/pull/250>
//! (counts that stayed in the buffer for good). The cure is `local-sum`, which acknowledges after the flush.

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{ask, own_connections};
use crate::strategy::{Info, Replies, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::workload::Workload;

/// Updates summed before a flush.
const SUM: usize = 16;

/// The process stops before the flush once in this many sums.
const STOPS_EVERY: u64 = 8;

const INFO: Info = Info {
    round_trips: "1/16",
    batch: SUM,
    commands: &["incrby"],
    replies: Replies::Early,
    ..Info::lossy(
        "local-sum-early-ack",
        "16 updates summed and acknowledged before their INCRBY: they are lost if the process stops.",
    )
};

pub(super) struct EarlyAck;

struct Buffering {
    connection: Session,
    packed: Vec<u8>,
    sums: u64,
}

impl Buffering {
    fn flush(&mut self, keys: &[&str]) {
        self.sums += 1;
        if self.sums.is_multiple_of(STOPS_EVERY) {
            return;
        }
        let mut sums: Vec<(&str, u32)> = Vec::with_capacity(1);
        for key in keys {
            match sums.iter_mut().find(|(known, _)| known == key) {
                Some((_, sum)) => *sum += 1,
                None => sums.push((key, 1)),
            }
        }
        for (key, sum) in sums {
            let amount = sum.to_string();
            // The mistake: the callers of these updates have already been answered and cannot be told.
            let _flushed =
                ask::<i64>(&mut self.connection, &mut self.packed, &[b"INCRBY", key.as_bytes(), amount.as_bytes()]);
        }
    }
}

impl Updater for Buffering {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        self.flush(&[key]);
        Ok(Update::Applied { value: None, tries: 1 })
    }

    fn batch(&self) -> usize {
        SUM
    }

    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        self.flush(keys);
        done.extend(keys.iter().map(|_| Update::Applied { value: None, tries: 1 }));
        Ok(())
    }
}

impl Strategy for EarlyAck {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("sum={SUM},stops-every={STOPS_EVERY}")
    }

    fn hidden(&self, _workload: &Workload) -> Option<&str> {
        None
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| Buffering { connection, packed: Vec::new(), sums: 0 })
    }
}
