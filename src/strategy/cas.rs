//! GET, then `SET key new IFEQ old`: compare and set, in one command of the server.
//!
//! The server writes only if the value is still the one that was read; otherwise the client reads again. Two round trips.
//! Like `watch` it fails more often the more clients there are, but a failed try costs two round trips and leaves no state
//! on the connection, so it also works on a shared one. It compares values, not versions: a counter that changed and
//! changed back passes, which is correct for a counter. A missing key has no value to compare, so `SET NX` is used for it.
//!
//! Valkey has it since 8.1 and Redis since 8.4. The command is probed for, because Valkey reports itself as Redis 7.2.
//! <https://valkey.io/commands/set/>.

use redis::{Cmd, RedisResult};

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Backoff, ask, own_connections, successor};
use crate::strategy::{Info, Need, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// The wait before the next try, after the value has changed.
const BACKOFF: Backoff = Backoff { first_us: 100, most_us: 3_200 };

const INFO: Info = Info {
    round_trips: "2+",
    commands: &["get", "set"],
    needs: &[Need { what: "SET IFEQ", missing: no_set_ifeq }],
    ..Info::exact("cas", "GET, then SET IFEQ the value that was read; retried if it has changed.")
};

pub(super) struct Cas;

struct Comparing {
    connection: Session,
    packed: Vec<u8>,
}

impl Comparing {
    fn attempt(&mut self, key: &str) -> RedisResult<Option<i64>> {
        let Self { connection, packed } = self;
        let old: Option<i64> = ask(connection, packed, &[b"GET", key.as_bytes()])?;
        let value = successor(old)?;
        let (new, old) = (value.to_string(), old.map(|old| old.to_string()));
        let done: Option<String> = match &old {
            Some(old) => ask(connection, packed, &[b"SET", key.as_bytes(), new.as_bytes(), b"IFEQ", old.as_bytes()])?,
            None => ask(connection, packed, &[b"SET", key.as_bytes(), new.as_bytes(), b"NX"])?,
        };
        Ok(done.map(|_ok| value))
    }
}

impl Updater for Comparing {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| self.attempt(key))
    }
}

fn no_set_ifeq(server: &Target) -> Result<Option<String>> {
    let mut db = server.connect()?;
    // On a missing key, so that a server that supports it writes nothing.
    let probe = format!("{}probe:{:016x}", server.prefix(), fastrand::u64(..));
    let answer = redis::cmd("SET").arg(&[&probe, "1", "IFEQ", "0"]).query::<Option<String>>(&mut db);
    Cmd::del(&probe).exec(&mut db).map_err(|e| server.refuses(&e))?;
    Ok(match answer {
        Ok(None) => None,
        Ok(Some(answer)) => Some(format!("its SET IFEQ returned {answer} for a missing key")),
        Err(error) => Some(format!("it has no SET IFEQ (needs Valkey 8.1 or Redis 8.4): {error}")),
    })
}

impl Strategy for Cas {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        BACKOFF.to_string()
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, |connection| Comparing { connection, packed: Vec::new() })
    }
}
