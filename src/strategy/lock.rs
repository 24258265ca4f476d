//! A lock in Redis: SET NX PX with a random token, GET, SET, and an unlock that deletes only its own token.
//!
//! Four round trips, with the lock held for three of them, so all threads together are slower than one alone. The
//! others poll for the lock, which slows down its holder. **It is exact only as long as nobody holds the lock longer
//! than its TTL.** A client that is paused for longer (a stalled machine, a swapped-out process, a slow network) wakes
//! up, believes that it still holds the lock, and writes. With a TTL of 30 s that takes a long pause, but no TTL rules
//! it out. A client that finds its lock gone at the unlock reports an unknown outcome, never success. A crashed holder
//! blocks all other clients until the TTL ends.
//!
//! `fenced-lock` does not depend on time; `lock-expired` and `lock-plain-del` show the two usual mistakes.
//! <https://redis.io/docs/latest/develop/clients/patterns/distributed-locks/>,
//! <https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>.

use std::fmt::Write;

use redis::{ErrorKind, RedisError, RedisResult};

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Backoff, ask, load, own_connections, successor, written};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// The wait before asking for the lock again.
pub(super) const BACKOFF: Backoff = Backoff { first_us: 200, most_us: 6_400 };

/// How long the lock outlives a holder that does not release it.
const TTL_MS: u32 = 30_000;

/// Deletes the lock only if it still holds our token.
pub(super) const UNLOCK: &str =
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) else return 0 end";

const INFO: Info = Info {
    round_trips: "4+",
    commands: &["script", "set", "get", "evalsha", "del"],
    ..Info::exact(
        "lock",
        "SET NX PX with a token, GET, SET, compare-and-delete: exact as long as no client outlasts the TTL.",
    )
};

pub(super) struct Lock;

/// One client, which takes the lock for each update.
pub(super) struct Section {
    connection: Session,
    packed: Vec<u8>,
    ttl_ms: String,
    unlock: String,
    lock: String,
    token: String,
}

impl Section {
    /// `unlock` is the hash of the loaded [`UNLOCK`].
    pub(super) fn new(connection: Session, unlock: &str, ttl_ms: u32) -> Self {
        Self {
            connection,
            packed: Vec::new(),
            ttl_ms: ttl_ms.to_string(),
            unlock: unlock.to_owned(),
            lock: String::new(),
            token: String::new(),
        }
    }

    /// Asks once for the lock of `key`; true if it is ours now.
    pub(super) fn enter(&mut self, key: &str) -> RedisResult<bool> {
        self.lock.clear();
        self.token.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.lock, "{key}:lock");
        let _ = write!(self.token, "{:016x}", fastrand::u64(..));
        let (lock, token, ttl) = (self.lock.as_bytes(), self.token.as_bytes(), self.ttl_ms.as_bytes());
        let ok: Option<String> =
            ask(&mut self.connection, &mut self.packed, &[b"SET", lock, token, b"NX", b"PX", ttl])?;
        Ok(ok.is_some())
    }

    /// Reads the counter and returns its successor.
    pub(super) fn read(&mut self, key: &str) -> RedisResult<i64> {
        successor(ask(&mut self.connection, &mut self.packed, &[b"GET", key.as_bytes()])?)
    }

    /// Writes the counter.
    pub(super) fn write(&mut self, key: &str, value: i64) -> RedisResult<()> {
        let text = value.to_string();
        written(ask(&mut self.connection, &mut self.packed, &[b"SET", key.as_bytes(), text.as_bytes()])?)
    }

    /// Releases the lock; false if it was no longer ours.
    pub(super) fn leave(&mut self) -> RedisResult<bool> {
        let call: [&[u8]; 5] = [b"EVALSHA", self.unlock.as_bytes(), b"1", self.lock.as_bytes(), self.token.as_bytes()];
        ask(&mut self.connection, &mut self.packed, &call)
    }

    /// Deletes the lock, even if another client holds it by now.
    pub(super) fn delete(&mut self) -> RedisResult<()> {
        ask(&mut self.connection, &mut self.packed, &[b"DEL", self.lock.as_bytes()])
    }
}

impl Updater for Section {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| {
            if !self.enter(key)? {
                return Ok(None);
            }
            let written = self.read(key).and_then(|value| self.write(key, value).map(|()| value));
            match (self.leave(), written) {
                // Nothing was written: the write was refused, or never sent.
                (_, Err(error)) => Err(error),
                (Ok(true), Ok(value)) => Ok(Some(value)),
                // Written, but perhaps over somebody else's value, or by now overwritten.
                _ => Err(RedisError::from((ErrorKind::Client, "the lock was gone before it was released"))),
            }
        })
    }
}

/// The key of the lock.
pub(super) fn side_keys(key: &str) -> Vec<String> {
    vec![format!("{key}:lock")]
}

impl Strategy for Lock {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("ttl={TTL_MS}ms,{BACKOFF}")
    }

    fn side_keys(&self, key: &str) -> Vec<String> {
        side_keys(key)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let unlock = load(server, UNLOCK)?;
        own_connections(server, workers, |connection| Section::new(connection, &unlock, TTL_MS))
    }
}
