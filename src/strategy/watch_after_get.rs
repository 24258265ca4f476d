//! GET first, WATCH afterwards: a write between the two is not noticed, and is overwritten.
//!
//! EXEC succeeds, because the key was not touched since WATCH, but the value written was derived from an older one. It
//! loses less than plain GET and SET, because only one of three gaps is open, so tests miss it. It costs as much as the
//! correct order. It occurs in libraries that send WATCH only with the transaction:
//! <https://github.com/StackExchange/StackExchange.Redis/issues/885>.

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{WATCH_BACKOFF as BACKOFF, ask, own_connections, set_if_untouched, successor};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

const INFO: Info = Info {
    round_trips: "3+",
    counted_by: &["set"],
    commands: &["get", "watch", "multi", "set", "exec"],
    ..Info::lossy("watch-after-get", "GET, then WATCH, MULTI, SET, EXEC: updates between GET and WATCH are lost.")
};

pub(super) struct WatchAfterGet;

struct TooLate {
    connection: Session,
    packed: Vec<u8>,
}

impl Updater for TooLate {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| {
            let value = successor(ask(&mut self.connection, &mut self.packed, &[b"GET", key.as_bytes()])?)?;
            ask::<()>(&mut self.connection, &mut self.packed, &[b"WATCH", key.as_bytes()])?;
            Ok(set_if_untouched(&mut self.connection, &mut self.packed, key, value)?.then_some(value))
        })
    }
}

impl Strategy for WatchAfterGet {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        BACKOFF.to_string()
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| TooLate { connection, packed: Vec::new() })
    }
}
