//! Shows how an update is lost: races a few clients under the server's MONITOR until an update is lost, then picks the
//! shortest run of commands that shows it.
//!
//! MONITOR streams every command of every client in the order in which the server executes them, with the server's
//! timestamps, so no client's clock has to be trusted. It costs the server half of its throughput or more
//! (<https://redis.io/docs/latest/commands/monitor/>) and is therefore never used in a measured trial. The races here are
//! extra ones of a few dozen updates, and their figures are not kept.
//!
//! MONITOR does not show what reads returned, nor which update a command belongs to; `replay` works that out. `shortest`
//! then picks the commands to show.

mod monitor;
mod replay;
mod shortest;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::driver;
use crate::error::{Error, Result};
use crate::explain::monitor::Monitor;
use crate::record::{Run, Step, WITNESS, rows_of, write_whole};
use crate::strategy::Strategy;
use crate::target::Target;
use crate::trial::{Crew, Entrant};
use crate::workload::Workload;

/// How long [`explain`] goes on looking for a loss.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Updates by every client in the first race; each later race has twice as many, up to the last figure.
const FIRST: u64 = 25;
const LAST: u64 = 400;

/// How long [`record_losses`] may take for a whole run, and for one strategy of it.
const WHOLE_RUN: Duration = Duration::from_secs(2);
const ONE_STRATEGY: Duration = Duration::from_millis(300);

/// The most clients [`record_losses`] races: more of them only make the proof longer to find.
const MOST: usize = 64;

/// An update being lost, command by command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// The commands, in the order the server executed them.
    pub steps: Vec<Step>,
    /// Updates acknowledged in the race they are taken from.
    pub acked: u64,
    /// How many of them were lost.
    pub lost: u64,
}

/// Races `threads` clients until an update is lost, and shows it; `None` if none was lost within [`PATIENCE`].
///
/// # Errors
/// The server does not answer or does not allow MONITOR, the strategy cannot be opened, or `stop` was raised.
pub fn explain(server: &Target, strategy: &dyn Strategy, threads: usize, stop: &AtomicBool) -> Result<Option<Witness>> {
    explain_within(server, strategy, Workload::one_key(threads), PATIENCE, stop)
}

/// Like [`explain`], with a given load and patience. A race that began in time may end a little later.
///
/// # Errors
/// As [`explain`].
pub fn explain_within(
    server: &Target,
    strategy: &dyn Strategy,
    workload: Workload,
    patience: Duration,
    stop: &AtomicBool,
) -> Result<Option<Witness>> {
    within(server, Entrant { strategy, driver: driver::of(workload.driver)?, breaker: None }, workload, patience, stop)
}

fn within(
    server: &Target,
    entrant: Entrant<'_>,
    workload: Workload,
    patience: Duration,
    stop: &AtomicBool,
) -> Result<Option<Witness>> {
    if let Some(why) = entrant.strategy.unavailable(server)? {
        return Err(Error::server(format!("strategy {} cannot run here: {why}", entrant.strategy.info().name)));
    }
    // Opening may take long (a replica to start), so patience counts from here.
    let mut crew = Crew::of(server, entrant, workload, 0, stop)?;
    crew.warm_connections()?;
    let since = Instant::now();
    let mut updates = FIRST;
    let witness = loop {
        let left = patience.saturating_sub(since.elapsed());
        if left.is_zero() {
            break Ok(None);
        }
        match watched(server, entrant, &mut crew, workload.threads, updates, left) {
            Ok(None) => updates = (updates * 2).min(LAST),
            found_or_failed => break found_or_failed,
        }
        if stop.load(Ordering::Relaxed) {
            break Err(Error::interrupted());
        }
    };
    // Clean up even if no witness was found. An error of the race is reported before one of the clean-up.
    let closed = crew.close();
    witness.and_then(|witness| closed.map(|()| witness))
}

/// One race under MONITOR, and its witness if it lost an update.
fn watched(
    server: &Target,
    entrant: Entrant<'_>,
    crew: &mut Crew<'_>,
    threads: usize,
    updates: u64,
    deadline: Duration,
) -> Result<Option<Witness>> {
    let monitor = Monitor::attach(server)?;
    let trial = crew.trial(updates, deadline)?;
    let seen = monitor.seen()?;
    let ledger = &trial.judgement.ledger;
    if ledger.lost == 0 {
        return Ok(None);
    }
    // In a cluster, the commands of the node that has the counter.
    let replayed = seen.iter().map(|seen| replay::replay(seen, entrant.strategy, server.prefix(), threads));
    let acts = replayed.max_by_key(Vec::len).unwrap_or_default();
    let steps = shortest::shortest(&acts, ledger, trial.spent.map_or(0, |spent| spent.rejected));
    Ok(Some(Witness {
        steps: shortest::rows(entrant.strategy.info().name, &entrant.driver.library().name, threads, &steps),
        acked: ledger.acked,
        lost: ledger.lost,
    }))
}

/// Writes `witness.csv` into a result folder: one witness for every entrant that lost something there. Each is raced
/// again with the same driver, at the smallest number of threads at which it lost something (but at most 64). Takes
/// about two seconds at most, plus the time that the last strategy needs to open (to start a replica, for example).
/// Witnesses not found in that time are left out.
///
/// # Errors
/// The folder cannot be read or written, the server is gone or does not allow MONITOR, or `stop` was raised. What was
/// found until then is written all the same.
pub fn record_losses(folder: &Path, servers: &[Target], entrants: &[Entrant<'_>], stop: &AtomicBool) -> Result<()> {
    let run = Run::read(folder)?;
    let since = Instant::now();
    let mut steps: Vec<Step> = Vec::new();
    let mut trouble = Ok(());
    // A loss caused by a fault cannot be reproduced on a healthy server.
    for entrant in entrants.iter().filter(|entrant| entrant.breaker.is_none()) {
        let name = entrant.name();
        let losses =
            run.records.iter().filter(|r| r.condition.entrant() == name && r.lost.is_some_and(|lost| lost > 0));
        // The shortest round trip shows it soonest.
        let Some(least) = losses.min_by_key(|record| (record.condition.rtt_us, record.condition.threads)) else {
            continue;
        };
        let workload = Workload::one_key(least.condition.threads.min(MOST)).driven_by(least.condition.driver);
        let patience = WHOLE_RUN.saturating_sub(since.elapsed()).min(ONE_STRATEGY);
        if patience.is_zero() || stop.load(Ordering::Relaxed) {
            break;
        }
        // On the server that lost it, if there are several.
        let is_on =
            |server: &&Target| server.product() == least.condition.server && server.rtt_us() == least.condition.rtt_us;
        let Some(server) = servers.iter().find(is_on).or(servers.first()) else { break };
        match within(server, *entrant, workload, patience, stop) {
            Ok(witness) => steps.extend(witness.into_iter().flat_map(|witness| witness.steps)),
            Err(error) => trouble = Err(error),
        }
    }
    if !steps.is_empty() {
        let path = folder.join(WITNESS);
        let bytes = rows_of(&steps, true).map_err(|e| Error::file(&path, e))?;
        write_whole(&path, &bytes)?;
    }
    trouble
}
