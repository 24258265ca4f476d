//! An outsider's strategy, measured without touching this crate: GETSET-free counting by `APPEND`, one byte an update.
//!
//! The counter is the length of a string: the server appends in one step, so nothing can be lost, and the value told is
//! the new length. Table, page, `compare`, `explain` and the server's facts come with it, and so does `--redis-url` with
//! a password in it:
//!
//! ```sh
//! cargo run --example own_strategy -- --quick
//! cargo run --example own_strategy -- --strategies append-byte,incr --redis-url redis://:secret@127.0.0.1:6379
//! ```
//!
//! In a criterion bench of your own, `bencher.iter_custom` calls `Crew::trial(iterations, deadline)` and returns the
//! trial's `log.span_ns()`: see `benches/updates.rs`.

use std::process::ExitCode;

use redis_lost_updates::error::{BoxError, Result};
use redis_lost_updates::redis;
use redis_lost_updates::strategy::{Info, Strategy};
use redis_lost_updates::target::{Session, Target};
use redis_lost_updates::update::{Update, Updater};

struct AppendByte;

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

/// All that `report` does, for this strategy beside ours: `cargo run --example own_strategy -- --help`.
fn main() -> ExitCode {
    redis_lost_updates::run(&[&AppendByte], std::env::args_os())
}
