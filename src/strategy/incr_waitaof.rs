//! `INCR`, then `WAITAOF 1 0`: the update is acknowledged once the server has it in its append-only file, on disk.
//!
//! With `appendfsync everysec` a server acknowledges a write up to a second before it is on disk. WAITAOF (Redis 7.2,
//! Valkey) waits for that fsync, for this connection's writes alone: others need not pay for it. As with WAIT, nothing is
//! undone: what is not on disk in time is *unknown*. It is about one server's disk; a replica that is promoted may still
//! lack the update: <https://redis.io/docs/latest/commands/waitaof/>.

use crate::error::Result;
use crate::strategy::toolkit::{Await, incr_then_wait};
use crate::strategy::{Info, Need, Strategy};
use crate::target::Target;
use crate::update::Updater;

const AWAIT: Await = Await {
    command: &["WAITAOF", "1", "0"],
    // With `appendfsync everysec` the file is synced once per second.
    patience_ms: 3_000,
    missed: "the update was not on disk",
    heeds: true,
};

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["incr"],
    commands: &["incr", "waitaof"],
    needs: &[Need { what: "WAITAOF and an append-only file", missing: no_append_only_file }],
    ..Info::exact("incr-waitaof", "INCR, then WAITAOF until the server has it on disk.")
};

fn no_append_only_file(server: &Target) -> Result<Option<String>> {
    Ok(match redis::cmd("WAITAOF").arg(1).arg(0).arg(1).exec(&mut server.connect()?) {
        Ok(()) => None,
        Err(error) if error.is_io_error() => return Err(server.refuses(&error)),
        Err(error) => Some(format!("it has no WAITAOF (needs Redis 7.2 or Valkey), or no append-only file: {error}")),
    })
}

pub(super) struct IncrWaitaof;

impl Strategy for IncrWaitaof {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("local=1,timeout={}ms", AWAIT.patience_ms)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        incr_then_wait(server, workers, AWAIT)
    }
}
