//! The failure lab: what an acknowledged update is worth when something breaks.
//!
//! A trial races the clients of one [`Protection`] on private servers of its own while one [`Fault`] is done to them, on one
//! clock. Afterwards everything is healed, the servers are waited for until they are stable, the counter is read over a new
//! connection, and the same exact checker as everywhere judges what the clients were told.
//!
//! A fault is one file below this one and a line in [`ALL`]; a protection is a line in [`PROTECTIONS`]. What each fault
//! does to each protection is written down beforehand, in [`expected()`].
//!
//! # Clients
//! A client whose update ends in an error connects anew before its next one, to whatever is the primary then, as client
//! libraries do; an update that was under way is *unknown*, never dropped. While there is nothing to connect to, an update is
//! *refused*: nothing was sent. Replies are waited for [`REPLY_TIMEOUT`].
//!
//! # What it is not
//! One machine: a kill loses what the process had not handed to the system, and nothing that it had. Power loss, which
//! loses what the disk had not got yet, cannot be shown so.

mod catalogue;
mod clients;
mod expected;
mod losses;
mod plan;
mod protection;
mod scene;
mod servers;
mod trial;
mod witness;

mod connections_killed;
mod crash_restart;
mod eviction;
mod expiry;
mod failover_crash;
mod failover_lagging;
mod failover_planned;
mod flush;
mod nothing;
mod one_way_cut;
mod out_of_memory;
mod pause;
mod read_only;
mod replica_frozen;
mod replica_lag;
mod reply_lost;
mod request_lost;
mod script_flush;
mod split_brain;

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;

pub use catalogue::{Chosen, find};
pub use expected::{Expectation, expected, table as expected_table};
pub use plan::{Cell, Plan};
pub use protection::{PROTECTIONS, Protection};
pub use scene::Scene;
pub use trial::{Kept, Lab};

/// How long a client waits for a reply, or for a connection.
pub const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// What is known of a fault without doing it.
#[derive(Debug)]
pub struct Info {
    /// Its name: kebab-case.
    pub name: &'static str,
    /// What is done, in a sentence.
    pub about: &'static str,
    /// What it is not, or does not show.
    pub is_not: &'static str,
    /// What it may be named with, after a colon; the first is what it is without. Empty if it has no such forms.
    pub forms: &'static [&'static str],
    /// How long something lasts in it, where that may be said after a colon.
    pub time: Option<Duration>,
    /// The servers that it needs.
    pub topology: Topology,
    /// Whether clients go through a proxy.
    pub proxies_clients: bool,
    /// Whether the replica reaches the primary through a proxy.
    pub proxies_replica: bool,
    /// How much the clients do.
    pub load: Load,
}

/// How much the clients of a trial do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// So many updates by each client, acknowledged or not.
    Updates(u64),
    /// As many as they can, until the fault is over and for a while after.
    UntilOver,
}

impl Info {
    /// A fault of one server that is there for a while.
    pub(crate) const fn of(name: &'static str, about: &'static str, is_not: &'static str) -> Self {
        Self {
            name,
            about,
            is_not,
            forms: &[],
            time: None,
            topology: Topology::Single,
            proxies_clients: false,
            proxies_replica: false,
            load: Load::UntilOver,
        }
    }
}

/// Something that breaks.
pub trait Fault: Sync {
    /// What is known of it.
    fn info(&self) -> &'static Info;

    /// What has to be done before the clients start.
    ///
    /// # Errors
    /// It cannot be done.
    fn prepare(&self, _scene: &Scene<'_>) -> Result<()> {
        Ok(())
    }

    /// Does it, beside the racing clients.
    ///
    /// # Errors
    /// It cannot be done: the cell is then not measured.
    fn strike(&self, scene: &Scene<'_>) -> Result<()>;

    /// Puts back, once the clients have ended, what would keep the servers from becoming stable.
    ///
    /// # Errors
    /// It cannot be put back.
    fn heal(&self, _scene: &Scene<'_>) -> Result<()> {
        Ok(())
    }

    /// How many acknowledged updates a model says are lost, given when each was acknowledged, where there is a model.
    fn predicts(&self, _chosen: &Chosen, _window: (u64, u64), _acked_ns: &[u64]) -> Option<u64> {
        None
    }
}

/// Every fault. `none` is the trial that the others are held against.
pub static ALL: &[&dyn Fault] = &[
    &nothing::Nothing,
    &reply_lost::ReplyLost,
    &request_lost::RequestLost,
    &connections_killed::ConnectionsKilled,
    &pause::Pause,
    &crash_restart::CrashRestart,
    &failover_planned::FailoverPlanned,
    &failover_crash::FailoverCrash,
    &failover_lagging::FailoverLagging,
    &one_way_cut::OneWayCut,
    &split_brain::SplitBrain,
    &replica_lag::ReplicaLag,
    &replica_frozen::ReplicaFrozen,
    &read_only::ReadOnly,
    &eviction::Eviction,
    &out_of_memory::OutOfMemory,
    &expiry::Expiry,
    &flush::Flush,
    &script_flush::ScriptFlush,
];
