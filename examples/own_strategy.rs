//! An outsider's strategy, measured without touching this crate: GETSET-free counting by `APPEND`, one byte an update.
//!
//! The counter is the length of a string: the server appends in one step, so nothing can be lost, and the value told is
//! the new length. `cargo run --example own_strategy`

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis::Connection;
use redis_lost_updates::error::{BoxError, Result};
use redis_lost_updates::server::{Server, Wanted};
use redis_lost_updates::strategy::{Info, Strategy};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::update::{Update, Updater};
use redis_lost_updates::workload::{Size, Workload};

struct AppendByte;

struct Own(Connection);

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

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        (0..workers).map(|_| Ok(Box::new(Own(server.connect()?)) as Box<dyn Updater>)).collect()
    }

    fn found(&self, db: &mut Connection, key: &str) -> redis::RedisResult<i64> {
        redis::cmd("STRLEN").arg(key).query(db)
    }
}

fn main() -> Result<()> {
    let stop = AtomicBool::new(false);
    let server = Wanted::from_env()?.resolve(&stop, &mut |line| eprintln!("{line}"))?;
    for threads in [1, 2, 4, 8] {
        // Three lines measure any strategy; in a criterion bench, `iter_custom` calls `crew.trial(iterations, deadline)`.
        let mut crew = Crew::open(&server, &AppendByte, Workload::one_key(threads), 1, &stop)?;
        let trial = crew.sized_trial(Size::Duration(Duration::from_millis(100)))?;
        crew.close()?;
        let ledger = trial.judgement.ledger;
        let per_second = ledger.acked as f64 * 1e9 / trial.heat.span_ns() as f64;
        println!(
            "{threads} threads: {per_second:.0} updates/s, {} of {} lost: {}",
            ledger.lost, ledger.acked, trial.verdict
        );
        assert!(!trial.verdict.breaks_exactness());
    }
    Ok(())
}
