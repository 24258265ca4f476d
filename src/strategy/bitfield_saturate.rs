//! `BITFIELD key OVERFLOW SAT INCRBY u8 0 1`: small counters packed side by side, which stop silently at 255.
//!
//! With SAT the reply at the end of the range is always 255. With WRAP (the default) the counter restarts at 0. Only FAIL
//! answers nil. The counter here starts at 254, so that a single client shows the fault with its second update: one update
//! is kept, all later ones are lost. One round trip. Used to fit millions of small counters into memory. Choose a width
//! that the counter cannot outgrow, or use FAIL and check for nil. <https://redis.io/docs/latest/commands/bitfield/>.

use redis::{Cmd, RedisResult};

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{ask, own_connections, told_or_refused};
use crate::strategy::{Effect, Info, Strategy, integer};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::workload::Workload;

/// Where the counter starts: one below the end of u8.
const START: i64 = 254;

const INFO: Info = Info {
    commands: &["bitfield"],
    ..Info::lossy("bitfield-saturate", "BITFIELD OVERFLOW SAT INCRBY on 8 bits: it stops at 255, without an error.")
};

pub(super) struct BitfieldSaturate;

struct Packed {
    connection: Session,
    packed: Vec<u8>,
}

fn bitfield(key: &str) -> Cmd {
    let mut command = redis::cmd("BITFIELD");
    command.arg(key);
    command
}

impl Updater for Packed {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let call: [&[u8]; 8] = [b"BITFIELD", key.as_bytes(), b"OVERFLOW", b"SAT", b"INCRBY", b"u8", b"0", b"1"];
        let told = ask(&mut self.connection, &mut self.packed, &call);
        told_or_refused(told.map(|[value]: [i64; 1]| value - START))
    }
}

impl Strategy for BitfieldSaturate {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("start={START},type=u8")
    }

    fn hidden(&self, _workload: &Workload) -> Option<&str> {
        None // one client alone shows it
    }

    fn reset(&self, db: &mut Session, key: &str) -> RedisResult<()> {
        bitfield(key).arg(&["SET", "u8", "0"]).arg(START).exec(db)
    }

    fn found(&self, db: &mut Session, key: &str) -> RedisResult<i64> {
        let [value]: [i64; 1] = bitfield(key).arg(&["GET", "u8", "0"]).query(db)?;
        Ok(value - START)
    }

    fn effect(&self, words: &[&str], counter: &str, before: i128) -> Option<Effect> {
        match words {
            ["BITFIELD", key, "SET", _, _, new] if *key == counter => Some(Effect::Set(integer(new))),
            ["BITFIELD", key, "OVERFLOW", "SAT", "INCRBY", _, _, by] if *key == counter => {
                let sum = integer(by).and_then(|by| before.checked_add(by));
                Some(Effect::Added(sum.map(|sum| sum.min(u8::MAX.into()))))
            }
            _ => Effect::of(words, counter, before),
        }
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| Packed { connection, packed: Vec::new() })
    }
}
