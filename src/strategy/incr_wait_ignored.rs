//! `INCR`, then `WAIT 1 10`, whose answer is ignored: a mistake that looks like protection.
//!
//! WAIT returns how many replicas have the write, and does not fail if none has it in time, so the client must check
//! the number. If the client ignores it, WAIT only slows it down. As long as replicas are fast, this is as good as
//! `incr-wait`. When they are slow or cut off, the case that WAIT is for, it acknowledges updates that only the primary
//! has, and a failover loses them.

use crate::error::Result;
use crate::strategy::toolkit::{Await, REPLICA, incr_then_wait};
use crate::strategy::{Info, Strategy};
use crate::target::Target;
use crate::update::Updater;
use crate::verdict::Role;

const AWAIT: Await =
    Await { command: &["WAIT", "1"], patience_ms: 10, missed: "no replica had the update", heeds: false };

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["incr"],
    commands: &["incr", "wait"],
    needs: &[REPLICA],
    role: Role::Mistake,
    ..Info::exact("incr-wait-ignored", "INCR, then WAIT whose answer nobody reads: exact until replicas are late.")
};

pub(super) struct IncrWaitIgnored;

impl Strategy for IncrWaitIgnored {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("replicas=1,timeout={}ms", AWAIT.patience_ms)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        incr_then_wait(server, workers, AWAIT)
    }
}
