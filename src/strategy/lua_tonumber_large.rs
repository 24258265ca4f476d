//! `tonumber(GET) + 1` in a script, beyond 2^53: the sum is the old number, and every client is told that it worked.
//!
//! Lua counts in doubles, and 2^53 + 1 is not a double. The counter here starts one below, so that a single client shows
//! the fault with its second update: one update is kept, all later ones are lost. Ids from snowflake-like generators, and
//! amounts in cents, reach that size. The script is atomic; only its arithmetic is wrong. Add to the text (`lua-get-set`)
//! or let INCR add. <https://github.com/redis/redis/issues/1118>, <https://github.com/redis/redis/issues/3224>.

use redis::RedisResult;

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Offset, ask, load, own_connections, told_or_refused};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::workload::Workload;

/// Where the counter starts: one below 2^53.
const START: Offset = Offset((1 << 53) - 1);

const SCRIPT: &str = r"
local sum = tonumber(redis.call('GET', KEYS[1]) or '0') + 1
local text = string.format('%.0f', sum)
redis.call('SET', KEYS[1], text)
return text";

const INFO: Info = Info {
    commands: &["script", "evalsha", "get", "set"],
    ..Info::lossy("lua-tonumber-large", "tonumber(GET) + 1 in a script beyond 2^53, where doubles cannot count.")
};

pub(super) struct LuaTonumberLarge;

struct Doubles {
    connection: Session,
    packed: Vec<u8>,
    hash: String,
}

impl Updater for Doubles {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let call: [&[u8]; 4] = [b"EVALSHA", self.hash.as_bytes(), b"1", key.as_bytes()];
        let told = ask::<String>(&mut self.connection, &mut self.packed, &call);
        told_or_refused(told.and_then(|value| START.gained(&value)))
    }
}

impl Strategy for LuaTonumberLarge {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("start={}", START.0)
    }

    fn hidden(&self, _workload: &Workload) -> Option<&str> {
        None // one client alone shows it
    }

    fn reset(&self, db: &mut Session, key: &str) -> RedisResult<()> {
        START.reset(db, key)
    }

    fn found(&self, db: &mut Session, key: &str) -> RedisResult<i64> {
        START.found(db, key)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let hash = load(server, SCRIPT)?;
        own_connections(server, workers, |connection| Doubles { connection, packed: Vec::new(), hash: hash.clone() })
    }
}
