//! The failure lab: what an acknowledged update is worth when something breaks.
//!
//! A trial races the clients of one [`Protection`] on its own private servers while one [`Fault`] is applied to them,
//! all on one clock. Then everything is healed, the trial waits until the servers are stable and reads the counter over
//! a new connection, and the same exact checker as everywhere else judges what the clients were told.
//!
//! A fault is one file below this one and a line in [`ALL`]; a protection is a line in [`PROTECTIONS`]. What each fault
//! is expected to do to each protection is written down in advance, in [`expected()`].
//!
//! # Clients
//! A client whose update ends in an error reconnects before its next one, to whatever is the primary then, as client
//! libraries do. An update that was in flight is *unknown*, never dropped. While there is nothing to connect to, an
//! update is *refused*: nothing was sent. Clients wait for a reply for up to [`REPLY_TIMEOUT`].
//!
//! Clients are threads of this process, or processes where a fault kills some of them, and where a client library of
//! another language sends the commands. A library reconnects and resends as configured. It knows one address, where a
//! proxy leads to whatever is the primary when a connection is made, as a service name would.
//!
//! # What it is not
//! Everything runs on one machine. A kill loses only what the process had not yet handed to the operating system. Power
//! loss also loses what had not reached the disk; the lab cannot show that.

mod catalogue;
mod clients;
mod crew;
mod dimension;
mod expected;
mod losses;
mod plan;
mod process;
mod protection;
mod scene;
mod servers;
mod trial;
mod witness;

mod client_crash;
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
mod slot_move;
mod split_brain;
mod write_behind;

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;

pub use catalogue::{Chosen, find};
pub use dimension::Dimension;
pub use expected::{Expectation, expected, table as expected_table};
pub use plan::{Cell, Plan};
pub use process::{NAME as WORKER, work};
pub use protection::{ClientLibrary, PROTECTIONS, Protection};
pub use scene::Scene;
pub use servers::Origin;
pub use trial::{Kept, Lab};

/// How long a client waits for a reply, or for a connection.
pub const REPLY_TIMEOUT: Duration = Duration::from_millis(500);

/// The longest that clients race, whatever happens.
const LONGEST: Duration = Duration::from_secs(20);

/// The description of a fault.
#[derive(Debug)]
pub struct Info {
    /// Its name: kebab-case.
    pub name: &'static str,
    /// Its name in headings and sentences.
    pub words: Words,
    /// What is done, in a sentence.
    pub about: &'static str,
    /// What it is not, or does not show.
    pub is_not: &'static str,
    /// The forms that may follow its name after a colon; the first is the default. Empty if it has no forms.
    pub forms: &'static [&'static str],
    /// How long it lasts by default, if a time may follow its name after a colon.
    pub time: Option<Duration>,
    /// The servers that it needs.
    pub topology: Topology,
    /// Whether clients go through a proxy.
    pub proxies_clients: bool,
    /// Whether the replica reaches the primary through a proxy.
    pub proxies_replica: bool,
    /// Whether clients run in processes of their own, so that they can be killed.
    pub in_processes: bool,
    /// How much the clients do.
    pub load: Load,
}

/// A fault in headings and sentences.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// The heading of its column: `Primary killed`.
    pub title: &'static str,
    /// One trial of it: `kill of the primary`.
    pub one: &'static str,
    /// Several: `kills of the primary`.
    pub many: &'static str,
}

/// How much the clients of a trial do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// This many updates by each client, acknowledged or not.
    Updates(u64),
    /// As many as they can, until the fault is over and for a while after.
    UntilOver,
}

impl Info {
    /// What it does, and what it is not, in sentences.
    pub fn what(&self) -> String {
        format!("{} {}", self.about, self.is_not)
    }

    /// A fault with the defaults: one server, no proxies, and clients that race until the fault is over.
    pub(crate) const fn of(name: &'static str, words: Words, about: &'static str, is_not: &'static str) -> Self {
        Self {
            name,
            words,
            about,
            is_not,
            forms: &[],
            time: None,
            topology: Topology::Single,
            proxies_clients: false,
            proxies_replica: false,
            in_processes: false,
            load: Load::UntilOver,
        }
    }
}

/// Something that breaks.
pub trait Fault: Sync {
    /// Its description.
    fn info(&self) -> &'static Info;

    /// Prepares what it needs before the clients start.
    ///
    /// # Errors
    /// It cannot be done.
    fn prepare(&self, _scene: &Scene<'_>) -> Result<()> {
        Ok(())
    }

    /// Applies the fault while the clients race.
    ///
    /// # Errors
    /// It cannot be done: the cell is then not measured.
    fn strike(&self, scene: &Scene<'_>) -> Result<()>;

    /// After the clients have ended, undoes whatever would keep the servers from becoming stable.
    ///
    /// # Errors
    /// It cannot be undone.
    fn heal(&self, _scene: &Scene<'_>) -> Result<()> {
        Ok(())
    }

    /// About how long it takes from its first action to its last.
    fn takes(&self, chosen: &Chosen) -> Duration {
        chosen.lasts()
    }

    /// How many acknowledged updates a model predicts to be lost, by when each was acknowledged. `None`: no model.
    fn predicts(&self, _chosen: &Chosen, _window: (u64, u64), _acked_ns: &[u64]) -> Option<u64> {
        None
    }
}

/// Every fault. `none` is the control that the others are compared with.
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
    &slot_move::SlotMove,
    &client_crash::ClientCrash,
];
