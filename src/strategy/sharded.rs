//! One counter spread over 8 keys, summed on read.
//!
//! Each worker adds to one of the keys with INCR, so nothing is lost. On one server it gains nothing: the server's one
//! thread runs every command anyway, and a hot key costs no more than a cold one. It pays if the shards are on
//! different nodes of a cluster; each has its own hash tag. The price is paid by reads: the k values are read one after
//! another, and while updates continue, the sum may be a value that the counter never had. Such a read is not
//! linearizable. Updates do not return the counter's value either.

use redis::RedisResult;

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{ask, refused_or_unknown};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target, keyspace};
use crate::update::{Update, Updater};

/// Keys that together are the counter.
const SHARDS: usize = 8;

const INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr", "get"],
    ..Info::exact("sharded-incr", "INCR on one of 8 keys that are summed on read: for clusters; no gain on one server.")
};

pub(super) struct Sharded;

struct OneShard {
    connection: Session,
    packed: Vec<u8>,
    /// What follows the counter's name in the name of this worker's shard.
    suffix: String,
    name: String,
}

fn shards(key: &str) -> Vec<String> {
    (0..SHARDS).map(|shard| format!("{}{}", keyspace::stem(key), keyspace::part(shard))).collect()
}

impl Updater for OneShard {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        self.name.clear();
        self.name.push_str(keyspace::stem(key));
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

    fn reset(&self, db: &mut Session, key: &str) -> RedisResult<()> {
        shards(key).iter().try_for_each(|shard| redis::Cmd::del(shard).exec(db))
    }

    fn found(&self, db: &mut Session, key: &str) -> RedisResult<i64> {
        let value = |shard: &String| redis::Cmd::get(shard).query::<Option<i64>>(db);
        let values = shards(key).iter().map(value).collect::<RedisResult<Vec<_>>>()?;
        Ok(values.into_iter().flatten().sum())
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        (0..workers)
            .map(|worker| {
                let suffix = keyspace::part(worker % SHARDS);
                let connection = server.connect()?;
                Ok(Box::new(OneShard { connection, packed: Vec::new(), suffix, name: String::new() })
                    as Box<dyn Updater>)
            })
            .collect()
    }
}
