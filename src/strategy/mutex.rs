//! One connection behind `Arc<Mutex<_>>`, GET and SET under its lock: exact, as long as every writer uses the same lock.
//!
//! The lock is held for two round trips, so all threads together are no faster than one, and passing it on wakes another
//! thread each time. Holding it for a whole batch (the original program's safe mode) causes fewer wake-ups, and the others
//! wait longer. A second process has its own mutex, so the two race: see `mutex-two-processes`.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::get_then_set;
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// Updates per batch in `mutex-batch`: the original program's 100.
const BATCH: usize = 100;

const PER_UPDATE_INFO: Info = Info {
    round_trips: "2",
    counted_by: &["set"],
    commands: &["get", "set"],
    locks_in_memory: true,
    ..Info::exact("mutex", "One connection in an Arc<Mutex<_>> for all; GET and SET under one lock per update.")
};

const PER_BATCH_INFO: Info = Info {
    round_trips: "2",
    batch: BATCH,
    counted_by: &["set"],
    commands: &["get", "set"],
    locks_in_memory: true,
    ..Info::exact(
        "mutex-batch",
        "The same, the lock held for a whole batch of 100 updates: the original program's safe mode.",
    )
};

pub(super) struct PerUpdate;
pub(super) struct PerBatch;

struct Locked {
    connection: Arc<Mutex<Session>>,
    batch: usize,
}

impl Locked {
    fn crew(server: &Target, workers: usize, batch: usize) -> Result<Vec<Box<dyn Updater>>> {
        let connection = Arc::new(Mutex::new(server.connect()?));
        Ok((0..workers).map(|_| Box::new(Self { connection: connection.clone(), batch }) as Box<dyn Updater>).collect())
    }

    fn lock(&self) -> Result<MutexGuard<'_, Session>, BoxError> {
        self.connection.lock().map_err(|_| "another worker panicked while it held the lock".into())
    }
}

impl Updater for Locked {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        get_then_set(&mut *self.lock()?, key)
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        let mut connection = self.lock()?;
        for key in keys {
            done.push(get_then_set(&mut *connection, key)?);
        }
        Ok(())
    }
}

impl Strategy for PerUpdate {
    fn info(&self) -> &'static Info {
        &PER_UPDATE_INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Locked::crew(server, workers, 1)
    }
}

impl Strategy for PerBatch {
    fn info(&self) -> &'static Info {
        &PER_BATCH_INFO
    }

    fn parameters(&self) -> String {
        format!("batch={BATCH}")
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Locked::crew(server, workers, BATCH)
    }
}
