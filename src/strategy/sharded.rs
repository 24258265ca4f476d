//! One counter spread over 8 keys, summed on read.
//!
//! Each worker adds to a key of its own choice with INCR, so nothing is lost. On one server it gains nothing: that one
//! thread does every command anyway, and a hot key costs it no more than a cold one. It pays where the shards live on
//! different nodes of a cluster. The price is the read: k values read one after another (or by MGET, as here, on one
//! node) and, while updates go on, a sum that need never have been the counter's value at any moment: the read is not
//! linearizable. No update is told the counter's value either.

use redis::{Connection, RedisResult};

use crate::error::{BoxError, Result};
use crate::server::Server;
use crate::strategy::toolkit::{ask, refused_or_unknown};
use crate::strategy::{Info, Strategy};
use crate::update::{Update, Updater};

/// Keys that together are the counter.
const SHARDS: usize = 8;

const INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr", "mget"],
    ..Info::exact(
        "sharded-incr",
        "INCR on one of 8 keys that are summed on read: made for clusters, no gain on one server.",
    )
};

pub(super) struct Sharded;

struct OneShard {
    connection: Connection,
    packed: Vec<u8>,
    /// What this worker's shard is called after the counter's name.
    suffix: String,
    name: String,
}

fn shards(key: &str) -> Vec<String> {
    (0..SHARDS).map(|shard| format!("{key}:shard:{shard}")).collect()
}

impl Updater for OneShard {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        self.name.clear();
        self.name.push_str(key);
        self.name.push_str(&self.suffix);
        match ask::<i64>(&mut self.connection, &mut self.packed, &[b"INCR", self.name.as_bytes()]) {
            Ok(_) => Ok(Update::Applied { value: None, tries: 1 }),
            Err(error) => refused_or_unknown(error, 1),
        }
    }
}

impl Strategy for Sharded {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("shards={SHARDS}")
    }

    fn side_keys(&self, key: &str) -> Vec<String> {
        shards(key)
    }

    fn reset(&self, db: &mut Connection, key: &str) -> RedisResult<()> {
        redis::Cmd::del(shards(key)).exec(db)
    }

    fn found(&self, db: &mut Connection, key: &str) -> RedisResult<i64> {
        let values: Vec<Option<i64>> = redis::cmd("MGET").arg(shards(key)).query(db)?;
        Ok(values.into_iter().flatten().sum())
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        (0..workers)
            .map(|worker| {
                let suffix = format!(":shard:{}", worker % SHARDS);
                let connection = server.connect()?;
                Ok(Box::new(OneShard { connection, packed: Vec::new(), suffix, name: String::new() })
                    as Box<dyn Updater>)
            })
            .collect()
    }
}
