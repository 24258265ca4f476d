//! A lock with a fencing token that is checked by the write: exact even if the lock expires while it is held.
//!
//! Each holder of the lock draws the next number. The write is a script that writes only if no later number was drawn. A
//! client that was paused past its TTL is refused at the write, changes nothing, and starts again. It matters that the
//! check is against the newest number *drawn*. With the usual check against the newest number *written*, a late holder can
//! still write after its successor has read, and the successor then overwrites that.
//!
//! Four round trips, like `lock`, two of them with one more command. The store itself must check the number, so a lock
//! over several stores does not get this for free:
//! <https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>.

use std::fmt::Write;

use redis::RedisResult;

use crate::error::{BoxError, Result};
use crate::strategy::lock::{BACKOFF, UNLOCK};
use crate::strategy::toolkit::{ask, load, own_connections, successor};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};

/// How long the lock outlives a holder that does not release it. Only speed depends on it.
const TTL_MS: &str = "1000";

/// KEYS: lock, fence. ARGV: token, TTL. Returns the number drawn, or nil if the lock is taken.
const ENTER: &str = r"
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return redis.call('INCR', KEYS[2]) end
return false";

/// KEYS: counter, fence. ARGV: the new value, the number drawn.
const WRITE: &str = r"
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1";

const INFO: Info = Info {
    round_trips: "4+",
    commands: &["script", "evalsha", "set", "incr", "get", "del"],
    ..Info::exact(
        "fenced-lock",
        "The lock with a fencing number that the write checks: exact even if the lock expires.",
    )
};

pub(super) struct Fenced;

#[derive(Clone)]
struct Scripts {
    enter: String,
    write: String,
    unlock: String,
}

struct Section {
    connection: Session,
    packed: Vec<u8>,
    scripts: Scripts,
    lock: String,
    fence: String,
    token: String,
}

impl Section {
    fn attempt(&mut self, key: &str) -> RedisResult<Option<i64>> {
        let Self { connection, packed, scripts, lock, fence, token } = self;
        for (name, ending) in [(&mut *lock, ":lock"), (&mut *fence, ":fence")] {
            name.clear();
            name.push_str(key);
            name.push_str(ending);
        }
        token.clear();
        // Writing to a string cannot fail.
        let _ = write!(token, "{:016x}", fastrand::u64(..));
        let (lock, fence, token) = (lock.as_bytes(), fence.as_bytes(), token.as_bytes());
        let enter = [b"EVALSHA", scripts.enter.as_bytes(), b"2", lock, fence, token, TTL_MS.as_bytes()];
        let Some(number) = ask::<Option<i64>>(connection, packed, &enter)? else { return Ok(None) };
        let mut write = || {
            let value = successor(ask(connection, packed, &[b"GET", key.as_bytes()])?)?;
            let (new, number) = (value.to_string(), number.to_string());
            let write: [&[u8]; 7] =
                [b"EVALSHA", scripts.write.as_bytes(), b"2", key.as_bytes(), fence, new.as_bytes(), number.as_bytes()];
            Ok(ask::<bool>(connection, packed, &write)?.then_some(value))
        };
        let written = write();
        // Whether or not the lock was still ours: what was written stands, and what was refused was not written.
        let _left = ask::<bool>(connection, packed, &[b"EVALSHA", scripts.unlock.as_bytes(), b"1", lock, token]);
        written
    }
}

impl Updater for Section {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| self.attempt(key))
    }
}

impl Strategy for Fenced {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("ttl={TTL_MS}ms,{BACKOFF}")
    }

    fn side_keys(&self, key: &str) -> Vec<String> {
        vec![format!("{key}:lock"), format!("{key}:fence")]
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let scripts =
            Scripts { enter: load(server, ENTER)?, write: load(server, WRITE)?, unlock: load(server, UNLOCK)? };
        own_connections(server, workers, |connection| Section {
            connection,
            packed: Vec::new(),
            scripts: scripts.clone(),
            lock: String::new(),
            fence: String::new(),
            token: String::new(),
        })
    }
}
