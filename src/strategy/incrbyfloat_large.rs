//! `INCRBYFLOAT key 1` on a number that is too large for it: acknowledged, but the number is unchanged.
//!
//! INCRBYFLOAT uses the C compiler's `long double`: 64 bits of precision on x86-64, 113 on arm64. The counter here starts
//! at 2^120, where adding one changes neither, so every update is lost on every machine; between 2^64 and 2^113 the same
//! code is right on one and wrong on the other. There is no error, and the reply is not a value that a counter could have,
//! so outcomes are recorded without a value. Sums of money kept as floats get there slowly. Count in integers.
//! <https://github.com/redis/redis/issues/12374>, <https://redis.io/docs/latest/commands/incrbyfloat/>.

use redis::RedisResult;

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Offset, ask, own_connections, refused_or_unknown};
use crate::strategy::{Effect, Info, Strategy, integer};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::workload::Workload;

/// Where the counter starts: a power of two, so that every binary float represents it exactly.
const START: Offset = Offset(1 << 120);

const INFO: Info = Info {
    commands: &["incrbyfloat", "set", "get"],
    ..Info::lossy("incrbyfloat-large", "INCRBYFLOAT by 1 on a number too large for it: acknowledged, but unchanged.")
};

pub(super) struct IncrbyfloatLarge;

struct Floating {
    connection: Session,
    packed: Vec<u8>,
}

impl Updater for Floating {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        match ask::<String>(&mut self.connection, &mut self.packed, &[b"INCRBYFLOAT", key.as_bytes(), b"1"]) {
            Ok(_) => Ok(Update::Applied { value: None, tries: 1 }),
            Err(error) => refused_or_unknown(error, 1),
        }
    }
}

/// The sum of two floats on the server, if it can be known here: the server's floats have more digits than ours.
fn float_sum(a: i128, b: i128) -> Option<i128> {
    let is_exact = a.unsigned_abs() < 1 << 53;
    let is_lost = a.unsigned_abs() > 1 << 66 && b.unsigned_abs() < 2 && cfg!(target_arch = "x86_64");
    if is_exact { a.checked_add(b) } else { is_lost.then_some(a) }
}

impl Strategy for IncrbyfloatLarge {
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

    fn effect(&self, words: &[&str], counter: &str, before: i128) -> Option<Effect> {
        match words {
            ["INCRBYFLOAT", key, by] if *key == counter => {
                Some(Effect::Added(integer(by).and_then(|by| float_sum(before, by))))
            }
            _ => Effect::of(words, counter, before),
        }
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| Floating { connection, packed: Vec::new() })
    }
}
