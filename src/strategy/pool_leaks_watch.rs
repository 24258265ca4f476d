//! A pooled connection given back with WATCH on: another caller's transaction is aborted, and nobody notices.
//!
//! WATCH belongs to the connection. Here an update first reads the counter under WATCH, finds that there is nothing to
//! protect, and gives the connection back without UNWATCH, like code that returns early or fails between WATCH and
//! EXEC. The next caller that takes that connection watches without knowing. Its `MULTI`, `INCR`, `EXEC` has no
//! condition of its own, so it does not expect EXEC to be refused, and does not check for nil. Exactly those
//! transactions are lost. The cure is a pool that sends UNWATCH or RESET before it hands out a connection. r2d2 and bb8
//! do not; deadpool-redis has done so since 0.13: <https://github.com/deadpool-rs/deadpool/issues/258>,
//! <https://github.com/jgaskins/redis/issues/75>.

use r2d2::Pool;
use redis::{Cmd, ConnectionLike, ErrorKind, RedisError, RedisResult, Value, from_redis_value};

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Connections, END, ONE_SERVER, no_connection, pool, refused_or_unknown};
use crate::strategy::{AfterLoss, Info, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};

const INFO: Info = Info {
    round_trips: "3",
    counted_by: &["incr"],
    commands: &["watch", "get", "multi", "incr", "exec"],
    after_loss: AfterLoss::Reconnects,
    needs: &[ONE_SERVER],
    ..Info::lossy(
        "pool-leaks-watch",
        "WATCH left on a connection given back to the pool: it aborts the next client's MULTI, INCR, EXEC.",
    )
};

pub(super) struct PoolLeaksWatch;

struct Pooled(Pool<Connections>);

/// Whether there is room in the counter. WATCH stays on, which is the mistake.
fn has_room(connection: &mut impl ConnectionLike, key: &str) -> RedisResult<bool> {
    redis::cmd("WATCH").arg(key).exec(connection)?;
    Ok(Cmd::get(key).query::<Option<i64>>(connection)? != Some(i64::MAX))
}

/// INCR in a transaction without a condition; no value if EXEC answered nil.
fn add(connection: &mut impl ConnectionLike, key: &str) -> RedisResult<Option<i64>> {
    let mut transaction = redis::pipe();
    transaction.cmd("MULTI").cmd("INCR").arg(key).cmd("EXEC");
    let mut replies = connection.req_packed_commands(&transaction.get_packed_pipeline(), 0, 3)?;
    match replies.pop().unwrap_or_default().extract_error()? {
        Value::Nil => Ok(None),
        Value::Array(mut values) => match values.pop() {
            Some(value) => Ok(Some(from_redis_value(value.extract_error()?)?)),
            None => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "EXEC answered an empty list"))),
        },
        _ => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "EXEC returned neither a list nor nil"))),
    }
}

impl Updater for Pooled {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let checked = match self.0.get() {
            Ok(mut connection) => has_room(&mut *connection, key),
            Err(error) => return Ok(no_connection(&error)),
        };
        match checked {
            Ok(true) => {}
            Ok(false) => return Ok(Update::Refused { tries: 1, reason: END.to_owned() }),
            Err(error) => return refused_or_unknown(error, 1),
        }
        let added = match self.0.get() {
            Ok(mut connection) => add(&mut *connection, key),
            Err(error) => return Ok(no_connection(&error)),
        };
        match added {
            Ok(value) => Ok(Update::Applied { value, tries: 1 }),
            Err(error) => refused_or_unknown(error, 1),
        }
    }
}

impl Strategy for PoolLeaksWatch {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let pool = pool(server, workers, false)?;
        Ok((0..workers).map(|_| Box::new(Pooled(pool.clone())) as Box<dyn Updater>).collect())
    }
}
