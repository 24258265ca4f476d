//! One measured race from opening to verdict: [`Crew`] and its [`Trial`]s, and [`measure`], which walks a whole plan.
//!
//! A crew is a set of open clients, the driver that runs them, and counters under its own random prefix. A trial resets the
//! counters, races, reads the counters back over a new connection, and judges. If the server crashed, restarted or failed
//! over during the race, the trial waits for it, so that the loss is judged instead of the race being discarded. Criterion
//! and the `report` command use the same code.

mod crew;
mod entrant;
mod latency;
mod memory;
mod row;
mod run;

use std::time::Duration;

use crate::driver::{Library, Process};
use crate::history::Judgement;
use crate::pace::Schedule;
use crate::record::Fault;
use crate::target::Spent;
use crate::verdict::Verdict;

pub use crate::race::{ClientLog, RaceLog};
pub use crew::{Crew, READ_BACK};
pub use entrant::{Breaker, Entrant};
pub use run::{Observer, check_room, measure, measure_entrants};

/// One race, read back and judged.
#[derive(Debug)]
pub struct Trial {
    /// What every client did.
    pub log: RaceLog,
    /// The ledger, and whether the increments are linearizable.
    pub judgement: Judgement,
    /// The verdict on the ledger.
    pub verdict: Verdict,
    /// How far apart the clocks of two clients may be, in nanoseconds; 0 if all read the same one.
    pub apart_ns: u64,
    /// Each counter's gain.
    pub found: Vec<i64>,
    /// How long after the race the counters could be read.
    pub waited: Duration,
    /// What the server spent; `None` if it restarted in the meantime and counts from zero.
    pub spent: Option<Spent>,
    /// What each node of a cluster spent; empty for a single server.
    pub nodes: Vec<Spent>,
    /// What each replica spent, its primary's writes included; empty if there are none, or if one did not say.
    pub replicas: Vec<Spent>,
    /// How often nodes of a cluster redirected a command: MOVED and ASK.
    pub redirects: Option<(u64, u64)>,
    /// Updates by the server's own count, if it can be told from its calls of commands.
    pub applied: Option<u64>,
    /// When the updates were due, in an open loop.
    pub schedule: Option<Schedule>,
    /// The client library that sent the commands.
    pub library: Library,
    /// The clients' processes, if they were not in this one.
    pub process: Option<Process>,
    /// The faults that were injected into the servers.
    pub faults: Vec<Fault>,
}
