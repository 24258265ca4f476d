//! `INCR` on a connection checked out of an r2d2 pool for each update: what most services do, and the baseline here.
//!
//! By default r2d2 sends a PING on every checkout (`test_on_check_out`), which doubles the round trips. `pooled-incr` turns
//! it off; `pooled-incr-ping` is the default. Lifetimes are off and every connection is opened beforehand, so no reconnect
//! falls into the timed section.
//!
//! The pool has a connection for each client, so that none waits for one, unless `--pool-size` says otherwise. The time that
//! clients wait is then measured separately, which costs a second reading of the clock.

use std::time::Instant;

use r2d2::Pool;

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Connections, incr, no_connection, pool};
use crate::strategy::{AfterLoss, Info, Pools, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater, Waits};
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

struct Pooled {
    pool: Pool<Connections>,
    /// How long it waited for a connection, if that is measured.
    waits: Option<Waits>,
}

impl Pooled {
    /// With a connection for each worker, or `size` in all.
    fn crew(server: &Target, workers: usize, size: Option<usize>, ping: bool) -> Result<Vec<Box<dyn Updater>>> {
        let (pool, waits) = (pool(server, size.unwrap_or(workers), ping)?, size.map(|_| Waits::default()));
        let one = |_| Box::new(Self { pool: pool.clone(), waits: waits.clone() }) as Box<dyn Updater>;
        Ok((0..workers).map(one).collect())
    }
}

impl Updater for Pooled {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let asked = self.waits.as_ref().map(|_| Instant::now());
        let connection = self.pool.get();
        if let (Some(waits), Some(asked)) = (&mut self.waits, asked) {
            waits.record(asked.elapsed());
        }
        match connection {
            Ok(mut connection) => incr(&mut *connection, key),
            Err(error) => Ok(no_connection(&error)),
        }
    }

    fn take_waits(&mut self) -> Vec<(u64, u64)> {
        self.waits.as_mut().map_or_else(Vec::new, Waits::take)
    }
}

impl Strategy for WithoutPing {
    fn info(&self) -> &'static Info {
        &WITHOUT_PING_INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Pooled::crew(server, workers, None, false)
    }

    fn pools(&self) -> Option<&dyn Pools> {
        Some(self)
    }
}

impl Pools for WithoutPing {
    fn open_pool(&self, server: &Target, workers: usize, connections: usize) -> Result<Vec<Box<dyn Updater>>> {
        Pooled::crew(server, workers, Some(connections), false)
    }
}

impl Strategy for WithPing {
    fn info(&self) -> &'static Info {
        &WITH_PING_INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Pooled::crew(server, workers, None, true)
    }

    fn pools(&self) -> Option<&dyn Pools> {
        Some(self)
    }
}

impl Pools for WithPing {
    fn open_pool(&self, server: &Target, workers: usize, connections: usize) -> Result<Vec<Box<dyn Updater>>> {
        Pooled::crew(server, workers, Some(connections), true)
    }
}
