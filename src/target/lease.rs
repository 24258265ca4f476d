//! Marks a run on the server as still going: a key under our prefix that expires by itself.
//!
//! Only `report clean` reads it, and leaves the keys of such a run alone. It is renewed between races and never during one.
//! If the server refuses it (out of memory, no permission), the run continues without it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::target::{Session, Target};

/// What is added to the time that is asked for: for opening, judging and cleaning up.
const MARGIN: Duration = Duration::from_secs(60);

/// The longest a lease is taken for, however long a race may be.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A right to keys under the server's prefix. Several may be held at once; the last to end removes the key.
pub(crate) struct Lease {
    server: Target,
}

impl Lease {
    pub(crate) fn of(server: &Target) -> Self {
        server.leases.fetch_add(1, Ordering::Relaxed);
        Self { server: server.clone() }
    }

    /// Makes sure that it holds for `time` from now and a minute more.
    pub(crate) fn renew(&self, db: &mut Session, time: Duration) {
        let (key, wanted) = (key(self.server.prefix()), (time.min(LONGEST) + MARGIN).as_millis() as i64);
        let left = redis::cmd("PTTL").arg(&key).query::<i64>(db).unwrap_or(-2);
        if left >= wanted {
            return;
        }
        // A server that is out of memory still lets an old lease be renewed.
        let renewed = redis::cmd("PEXPIRE").arg(&key).arg(wanted).query::<i64>(db).unwrap_or(0);
        if renewed == 0 {
            // Refused or not, the run goes on. Not SET: the server's counts of that one are of the races alone.
            let _ = redis::cmd("PSETEX").arg(&key).arg(wanted).arg(1).exec(db);
        }
    }

    /// Ends it; to be called when all keys are removed. One that is dropped expires.
    pub(crate) fn end(self, db: &mut Session) {
        if self.server.leases.load(Ordering::Relaxed) == 1 {
            // One that cannot be removed expires.
            let _ = redis::cmd("DEL").arg(key(self.server.prefix())).exec(db);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.leases.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The key that says so for a prefix.
pub(super) fn key(prefix: &str) -> String {
    format!("{prefix}lease")
}
