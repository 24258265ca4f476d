//! `INCR` on a connection checked out of an r2d2 pool for each update: what most services do, and the baseline here.
//!
//! r2d2 by default sends a PING on every checkout (`test_on_check_out`), which doubles the round trips; `pooled-incr`
//! pacer it off, `pooled-incr-ping` is what people get who change nothing else. Lifetimes are off and every connection
//! is opened beforehand, so that no reconnect falls into the timed section.

use std::time::Duration;

use r2d2::{ManageConnection, Pool};
use redis::ConnectionLike;

use crate::error::{BoxError, Error, Result};
use crate::strategy::toolkit::incr;
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::verdict::Role;

const WITHOUT_PING_INFO: Info = Info {
    role: Role::Baseline,
    counted_by: &["incr"],
    commands: &["incr"],
    ..Info::exact("pooled-incr", "INCR on a connection from an r2d2 pool, no PING on checkout: the baseline.")
};

const WITH_PING_INFO: Info = Info {
    round_trips: "2",
    counted_by: &["incr"],
    commands: &["ping", "incr"],
    ..Info::exact(
        "pooled-incr-ping",
        "The same with r2d2's default PING on every checkout: what you get if you change nothing.",
    )
};

pub(super) struct WithoutPing;
pub(super) struct WithPing;

struct Pooled(Pool<Connections>);

/// How the pool makes connections and looks after them, as the redis crate's own manager does.
struct Connections(Target);

impl ManageConnection for Connections {
    type Connection = Session;
    type Error = Error;

    fn connect(&self) -> Result<Session> {
        self.0.connect()
    }

    fn is_valid(&self, session: &mut Session) -> Result<()> {
        redis::cmd("PING").exec(session).map_err(|e| self.0.refuses(&e))
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        !session.is_open()
    }
}

impl Pooled {
    fn crew(server: &Target, workers: usize, ping: bool) -> Result<Vec<Box<dyn Updater>>> {
        // A pool that cannot be filled says only that it waited too long.
        server.has_room_for(workers)?;
        let size = u32::try_from(workers).unwrap_or(u32::MAX);
        let pool = Pool::builder()
            .max_size(size)
            .min_idle(Some(size))
            .test_on_check_out(ping)
            .max_lifetime(None)
            .idle_timeout(None)
            .connection_timeout(Duration::from_secs(5))
            .build(Connections(server.clone()))
            .map_err(|e| Error::server(format!("server {}: the pool cannot be filled: {e}", server.address())))?;
        Ok((0..workers).map(|_| Box::new(Self(pool.clone())) as Box<dyn Updater>).collect())
    }
}

impl Updater for Pooled {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        match self.0.get() {
            Ok(mut connection) => incr(&mut *connection, key),
            // Nothing was sent, so nothing can have changed.
            Err(error) => Ok(Update::Refused { tries: 1, reason: format!("no connection from the pool: {error}") }),
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
