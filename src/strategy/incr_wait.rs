//! `INCR`, then `WAIT 1`: the update is acknowledged once a replica has it too.
//!
//! Replication is asynchronous: if a primary fails, acknowledged updates that no replica has yet are lost. WAIT asks how
//! many replicas have everything that this connection wrote. It undoes nothing: if too few have it, the update is still in
//! the primary, so its outcome is *unknown*, not refused. The price is a second round trip plus the replica's own (a
//! replica acknowledges once per second by itself, but at once when asked). WAIT must go to the key's own node; a cluster
//! client that sends it to all primaries learns nothing. It does not protect against the promotion of a replica that lacks
//! the update: <https://redis.io/docs/latest/commands/wait/>.

use crate::error::Result;
use crate::strategy::toolkit::{Await, REPLICA, incr_then_wait};
use crate::strategy::{Info, Strategy};
use crate::target::Target;
use crate::update::Updater;

const AWAIT: Await =
    Await { command: &["WAIT", "1"], patience_ms: 1_000, missed: "no replica had the update", heeds: true };

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["incr"],
    commands: &["incr", "wait"],
    needs: &[REPLICA],
    ..Info::exact("incr-wait", "INCR, then WAIT until one replica has it: acknowledged only when two servers have it.")
};

pub(super) struct IncrWait;

impl Strategy for IncrWait {
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
