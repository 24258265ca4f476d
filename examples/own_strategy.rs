//! A strategy of your own, measured without changing this crate: counting with `APPEND`, one byte per update.
//!
//! The counter is the length of a string. The server appends in one step, so nothing can be lost, and returns the new length.
//! `run` provides everything else: table, page, `compare`, `explain`, the server's facts, and servers with a password (put the
//! URL into `REDIS_URL`, because other users can read arguments):
//!
//! ```sh
//! cargo run --example own_strategy -- --quick
//! REDIS_URL=redis://:secret@127.0.0.1:6379 cargo run --example own_strategy -- --strategies append-byte,incr
//! ```
//!
//! For a criterion bench of your own, open a `Crew`, call `Crew::trial(iterations, deadline)` in `bencher.iter_custom`, and return
//! the trial's `log.span_ns()`; `docs/adding-a-strategy.md` has a complete one.

use std::process::ExitCode;

use redis_lost_updates::error::{BoxError, Result};
use redis_lost_updates::redis;
use redis_lost_updates::strategy::{Info, Strategy};
use redis_lost_updates::target::{Session, Target};
use redis_lost_updates::update::{Update, Updater};

pub(crate) struct AppendByte;

struct Own(Session);

impl Updater for Own {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        Ok(Update::told(redis::cmd("APPEND").arg(key).arg(".").query(&mut self.0)?))
    }
}

impl Strategy for AppendByte {
    fn info(&self) -> &'static Info {
        const INFO: Info = Info::exact("append-byte", "APPEND one byte; the counter is the string's length.");
        &INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        (0..workers).map(|_| Ok(Box::new(Own(server.connect()?)) as Box<dyn Updater>)).collect()
    }

    fn found(&self, db: &mut Session, key: &str) -> redis::RedisResult<i64> {
        redis::cmd("STRLEN").arg(key).query(db)
    }
}

/// Everything that `report` does, for this strategy and ours: `cargo run --example own_strategy -- --help`.
fn main() -> ExitCode {
    redis_lost_updates::run(&[&AppendByte], std::env::args_os())
}
