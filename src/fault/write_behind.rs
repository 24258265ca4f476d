//! Updates counted in the client's memory, acknowledged at once, and sent once a second: a client that is killed loses
//! what it had counted.
//!
//! The lab kills clients within their first second, so that each still holds all that it has acknowledged.
//!
//! `local-sum-early-ack` is the same mistake with a client that stops by itself, to be shown without the lab. Here only
//! the fault stops it: a client that exits normally sends what it holds, and loses nothing.

use std::time::{Duration, Instant};

use crate::error::{BoxError, Result};
use crate::strategy::{Info, Replies, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// Its name, as a protection has it.
pub(super) const NAME: &str = "write-behind";

/// How long updates are held.
const HOLDS: Duration = Duration::from_secs(1);

const INFO: Info = Info {
    round_trips: "1 a second",
    commands: &["incrby"],
    replies: Replies::Early,
    ..Info::lossy(NAME, "Updates counted in memory, acknowledged at once, and sent once a second.")
};

pub(super) struct WriteBehind;

struct Buffer {
    connection: Session,
    key: String,
    held: i64,
    /// When the first of them was counted.
    since: Option<Instant>,
}

impl Buffer {
    /// An update that was acknowledged long ago cannot be refused any more: an error goes unnoticed, as in any such
    /// buffer.
    fn send(&mut self) {
        if self.held > 0 {
            let _unseen = redis::cmd("INCRBY").arg(&self.key).arg(self.held).exec(&mut self.connection);
            (self.held, self.since) = (0, None);
        }
    }
}

impl Updater for Buffer {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        if self.key != key {
            self.send();
            key.clone_into(&mut self.key);
        }
        self.held += 1;
        if self.since.get_or_insert_with(Instant::now).elapsed() >= HOLDS {
            self.send();
        }
        Ok(Update::Applied { value: None, tries: 1 })
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.send();
    }
}

impl Strategy for WriteBehind {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("holds={}s", HOLDS.as_secs())
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let open = |_| {
            let buffer = Buffer { connection: server.connect()?, key: String::new(), held: 0, since: None };
            Ok(Box::new(buffer) as Box<dyn Updater>)
        };
        (0..workers).map(open).collect()
    }
}
