//! `INCR` on a connection checked out of an r2d2 pool for each update: what most services do, and the baseline here.
//!
//! By default r2d2 sends a PING on every checkout (`test_on_check_out`), which doubles the round trips. `pooled-incr` turns
//! it off; `pooled-incr-ping` is the default. Lifetimes are off and every connection is opened beforehand, so no reconnect
//! falls into the timed section.

use r2d2::Pool;

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Connections, incr, no_connection, pool};
use crate::strategy::{AfterLoss, Info, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};
use crate::verdict::Role;

const WITHOUT_PING_INFO: Info = Info {
    role: Role::Baseline,
    counted_by: &["incr"],
    commands: &["incr"],
    after_loss: AfterLoss::Reconnects,
    ..Info::exact("pooled-incr", "INCR on a connection from an r2d2 pool, no PING on checkout: the baseline.")
};

const WITH_PING_INFO: Info = Info {
    round_trips: "2",
    counted_by: &["incr"],
    commands: &["ping", "incr"],
    after_loss: AfterLoss::Reconnects,
    ..Info::exact(
        "pooled-incr-ping",
        "The same with r2d2's default PING on every checkout: what you get if you change nothing.",
    )
};

pub(super) struct WithoutPing;
pub(super) struct WithPing;

struct Pooled(Pool<Connections>);

impl Pooled {
    fn crew(server: &Target, workers: usize, ping: bool) -> Result<Vec<Box<dyn Updater>>> {
        let pool = pool(server, workers, ping)?;
        Ok((0..workers).map(|_| Box::new(Self(pool.clone())) as Box<dyn Updater>).collect())
    }
}

impl Updater for Pooled {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        match self.0.get() {
            Ok(mut connection) => incr(&mut *connection, key),
            Err(error) => Ok(no_connection(&error)),
        }
    }
}

impl Strategy for WithoutPing {
    fn info(&self) -> &'static Info {
        &WITHOUT_PING_INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Pooled::crew(server, workers, false)
    }
}

impl Strategy for WithPing {
    fn info(&self) -> &'static Info {
        &WITH_PING_INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Pooled::crew(server, workers, true)
    }
}
