//! Marks a run on the server as still going: a key under our prefix that expires by itself.
//!
//! Only `report clean` reads it, and leaves the keys of such a run alone. It is renewed between races and never during one.
//! If the server refuses it (out of memory, no permission), the run continues without it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::target::{Session, Target};

/// Added to the requested time, for opening, judging and cleaning up.
const MARGIN: Duration = Duration::from_secs(60);

/// The longest time that a lease covers, even if a race may last longer.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A claim on the keys under the server's prefix. Several may be held at once; the last to end removes the lease's key.
pub(crate) struct Lease {
    server: Target,
}

impl Lease {
    pub(crate) fn of(server: &Target) -> Self {
        server.leases.fetch_add(1, Ordering::Relaxed);
        Self { server: server.clone() }
    }

    /// Makes sure that it is valid for `time` from now and a minute more.
    pub(crate) fn renew(&self, db: &mut Session, time: Duration) {
        let (key, wanted) = (key(self.server.prefix()), (time.min(LONGEST) + MARGIN).as_millis() as i64);
        let left = redis::cmd("PTTL").arg(&key).query::<i64>(db).unwrap_or(-2);
        if left >= wanted {
            return;
        }
        // A server that is out of memory still lets an old lease be renewed.
        let renewed = redis::cmd("PEXPIRE").arg(&key).arg(wanted).query::<i64>(db).unwrap_or(0);
        if renewed == 0 {
            // The run continues even if this is refused. SET is not used here, because the server's count of SET must
            // cover the races alone.
            let _ = redis::cmd("PSETEX").arg(&key).arg(wanted).arg(1).exec(db);
        }
    }

    /// Ends it, once all keys are removed. A lease that is only dropped expires.
    pub(crate) fn end(self, db: &mut Session) {
        if self.server.leases.load(Ordering::Relaxed) == 1 {
            // A lease that cannot be removed expires.
            let _ = redis::cmd("DEL").arg(key(self.server.prefix())).exec(db);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.server.leases.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The lease's key for a prefix.
pub(super) fn key(prefix: &str) -> String {
    format!("{prefix}lease")
}
