//! WATCH, GET, MULTI, SET, EXEC without checking EXEC's answer: every aborted transaction counts as done.
//!
//! EXEC's nil is not an error in any client library, so code that handles only errors takes it for success. It loses
//! exactly the aborted transactions, so more with more clients. It looks fast, because it never retries.
//! <https://github.com/redis/node-redis/issues/545>, <https://github.com/apache/incubator-seata/issues/3996>.

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{ask, own_connections, set_if_untouched, successor, told_or_refused};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

const INFO: Info = Info {
    round_trips: "3",
    counted_by: &["set"],
    commands: &["watch", "get", "multi", "set", "exec"],
    ..Info::lossy(
        "watch-ignore-nil",
        "WATCH done right, but EXEC's nil, which means that nothing was executed, is taken for success.",
    )
};

pub(super) struct WatchIgnoreNil;

struct Trusting {
    connection: Session,
    packed: Vec<u8>,
}

impl Updater for Trusting {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let Self { connection, packed } = self;
        let told = ask::<()>(connection, packed, &[b"WATCH", key.as_bytes()])
            .and_then(|()| ask(connection, packed, &[b"GET", key.as_bytes()]))
            .and_then(successor)
            .and_then(|value| {
                let _done = set_if_untouched(connection, packed, key, value)?; // the mistake
                Ok(value)
            });
        told_or_refused(told)
    }
}

impl Strategy for WatchIgnoreNil {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| Trusting { connection, packed: Vec::new() })
    }
}
