//! Many commands written at once, no reply read, the connection closed: most of them never run.
//!
//! The server reads 16 kB of commands, runs them, and answers. The answers arrive at a closed connection, so the server
//! drops the client and discards the rest of its input. What was written counts as done here, as in code that "fires and
//! forgets" and exits. It needs no round trip, which makes it tempting. A small batch survives whole, so tests do not
//! reveal it. Read the replies before you close. <https://github.com/StackExchange/StackExchange.Redis/issues/616>.
//!
//! Each update here also writes an event of 1,000 bytes beside the counter, as a log shipper would, so that a batch of 100
//! is larger than one read. The counter is read back only after a short wait, when the server has certainly dropped the
//! connections.
//!
//! What it cannot tell: whether an update was refused, left unanswered or done twice. It reads no reply, so every update is
//! acknowledged without a value, and only the final count reveals the loss.

use std::time::Duration;

use crate::error::{BoxError, Result};
use crate::resp::pack;
use crate::strategy::toolkit::ONE_SERVER;
use crate::strategy::{Info, Replies, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};
use crate::workload::Workload;

/// Updates written before the connection is closed.
const BATCH: usize = 100;

/// What comes with each update.
const EVENT: [u8; 1_000] = [b'x'; 1_000];

/// How long the server may still work after a race.
const SETTLED: Duration = Duration::from_millis(20);

const INFO: Info = Info {
    round_trips: "0",
    batch: BATCH,
    counted_by: &["incr"],
    commands: &["set", "incr"],
    replies: Replies::Unread,
    needs: &[ONE_SERVER],
    ..Info::lossy("pipeline-unread", "100 INCR written, no reply read, the connection closed: most never run.")
};

pub(super) struct PipelineUnread;

struct Hasty {
    server: Target,
    packed: Vec<u8>,
}

impl Updater for Hasty {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let mut done = Vec::with_capacity(1);
        self.update_batch(&[key], &mut done)?;
        done.pop().ok_or_else(|| "no outcome".into())
    }

    fn batch(&self) -> usize {
        BATCH
    }

    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        self.packed.clear();
        for key in keys {
            pack(&mut self.packed, &[b"SET", format!("{key}:event").as_bytes(), &EVENT]);
            pack(&mut self.packed, &[b"INCR", key.as_bytes()]);
        }
        let mut session = self.server.connect()?;
        let connection = session.single().ok_or("one connection writes to one server")?;
        connection.send_packed_command(&self.packed)?;
        drop(session); // the mistake
        done.extend(keys.iter().map(|_| Update::Applied { value: None, tries: 1 }));
        Ok(())
    }
}

impl Strategy for PipelineUnread {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("batch={BATCH},event={}B", EVENT.len())
    }

    fn side_keys(&self, key: &str) -> Vec<String> {
        vec![format!("{key}:event")]
    }

    fn hidden(&self, _workload: &Workload) -> Option<&str> {
        None // one client alone shows it
    }

    fn settles_in(&self) -> Duration {
        SETTLED
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Ok((0..workers)
            .map(|_| Box::new(Hasty { server: server.clone(), packed: Vec::new() }) as Box<dyn Updater>)
            .collect())
    }
}
