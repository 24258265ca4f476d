//! Two ways for two clients to be in a locked section at once: the lock expires, or another client deletes it.
//!
//! `lock-expired` works longer between GET and SET than the lock lives. The next client enters, reads the same value, and
//! one of the two writes is lost. The unlock itself is correct, but its answer (the lock was no longer ours) is ignored.
//! <https://github.com/lukas-krecan/ShedLock/issues/2583>,
//! <https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html>.
//!
//! `lock-plain-del` writes in time and only unlocks late. Its lock expires harmlessly, the next client enters, and then the
//! plain DEL removes that client's lock, so a third client enters the section as well.
//! <https://github.com/nexspence/nexspence/issues/223>, <https://github.com/errorception/redis-lock/issues/29>.
//!
//! The slow work is a sleep of a few milliseconds in every update, so that a short trial shows the fault. In practice it is
//! a garbage collection, a slow query or a stalled machine, once a week. Four round trips each.

use std::thread::sleep;
use std::time::Duration;

use crate::error::{BoxError, Result};
use crate::strategy::lock::{Section, UNLOCK, side_keys};
use crate::strategy::toolkit::{Backoff, load, own_connections};
use crate::strategy::{Info, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};

/// The wait before asking for the lock again: short compared with the section.
const BACKOFF: Backoff = Backoff { first_us: 200, most_us: 800 };

/// How long the lock lives in `lock-expired`, and how long its section works between GET and SET.
const TTL_MS: u32 = 2;
const WORK: Duration = Duration::from_millis(4);

/// The same for `lock-plain-del`, which works before the SET and lingers after it.
const DEL_TTL_MS: u32 = 6;
const DEL_WORK: Duration = Duration::from_millis(4);
const DEL_LINGER: Duration = Duration::from_millis(4);

const EXPIRED_INFO: Info = Info {
    round_trips: "4+",
    commands: &["script", "set", "get", "evalsha", "del"],
    ..Info::lossy("lock-expired", "A lock whose TTL ends inside the section: two clients are in it at once.")
};

const PLAIN_DEL_INFO: Info = Info {
    round_trips: "4+",
    commands: &["script", "set", "get", "del"],
    ..Info::lossy("lock-plain-del", "A lock released by plain DEL after it expired: it releases another client's lock.")
};

pub(super) struct Expired;
pub(super) struct PlainDel;

struct Slow(Section);
struct Deleting(Section);

impl Updater for Slow {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| {
            if !self.0.enter(key)? {
                return Ok(None);
            }
            let value = self.0.read(key)?;
            sleep(WORK);
            self.0.write(key, value)?;
            let _ours = self.0.leave(); // the mistake, after the first one
            Ok(Some(value))
        })
    }
}

impl Updater for Deleting {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        BACKOFF.retry(|| {
            if !self.0.enter(key)? {
                return Ok(None);
            }
            let value = self.0.read(key)?;
            sleep(DEL_WORK);
            self.0.write(key, value)?;
            sleep(DEL_LINGER);
            let _done = self.0.delete(); // the mistake
            Ok(Some(value))
        })
    }
}

impl Strategy for Expired {
    fn info(&self) -> &'static Info {
        &EXPIRED_INFO
    }

    fn parameters(&self) -> String {
        format!("ttl={TTL_MS}ms,work={}ms,{BACKOFF}", WORK.as_millis())
    }

    fn side_keys(&self, key: &str) -> Vec<String> {
        side_keys(key)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let unlock = load(server, UNLOCK)?;
        own_connections(server, workers, |connection| Slow(Section::new(connection, &unlock, TTL_MS)))
    }
}

impl Strategy for PlainDel {
    fn info(&self) -> &'static Info {
        &PLAIN_DEL_INFO
    }

    fn parameters(&self) -> String {
        let (work, linger) = (DEL_WORK.as_millis(), DEL_LINGER.as_millis());
        format!("ttl={DEL_TTL_MS}ms,work={work}ms,linger={linger}ms,{BACKOFF}")
    }

    fn side_keys(&self, key: &str) -> Vec<String> {
        side_keys(key)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let unlock = load(server, UNLOCK)?;
        own_connections(server, workers, |connection| Deleting(Section::new(connection, &unlock, DEL_TTL_MS)))
    }
}
