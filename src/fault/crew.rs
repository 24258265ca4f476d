//! The clients of a trial: threads of this process, or processes of their own, which a fault can kill and which a client
//! library of any language needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::fault::clients::{Done, MOST, PAUSE, Work};
use crate::fault::protection::ClientLibrary;
use crate::fault::{Cell, LONGEST, Load, process};
use crate::race::ClientLog;
use crate::target::Target;
use crate::update::{Event, Outcome, Updater};
use crate::worker::{Fault, Flush, Installed, Job, Killer, Patience, Race, WorkerPace, Workers};

/// How many processes the clients are spread over, so that some go on when one is killed.
const PROCESSES: usize = 2;

/// How long processes may take to connect, and to say that they are done. A client that still waits then is cut off.
const PATIENCE: Patience = Patience { ready: Duration::from_secs(30), after_end: Duration::from_secs(3) };

/// How long a process may take to exit normally, and to send what it still holds. On a busy machine that may be long, and a
/// process killed before would lose updates that no fault lost.
const TO_END: Duration = Duration::from_secs(20);

/// The same for one that was still waiting for a reply when its time was over.
const STUCK_TO_END: Duration = Duration::from_secs(1);

/// The clients, connected.
pub(super) enum Crew {
    Threads(Vec<Box<dyn Updater>>, Arc<AtomicU64>),
    Processes(Workers),
}

/// What a process of clients is started from.
pub(super) struct Processes<'a> {
    pub(super) library: Option<&'a ClientLibrary>,
    /// This program.
    pub(super) report: &'a std::path::Path,
    pub(super) seed: u64,
}

impl Crew {
    /// Starts `clients` clients in processes, and waits until all are connected.
    pub(super) fn start(
        from: &Processes<'_>,
        server: &Target,
        strategy: (&str, usize),
        key: &str,
        clients: usize,
        stop: &AtomicBool,
    ) -> Result<Self> {
        let (installed, settings) = match from.library {
            Some(library) => (library.installed()?.clone(), library.settings.as_str()),
            None => (process::library(from.report.to_owned()), "default"),
        };
        let installed = in_processes(installed, clients);
        let (strategy, batch) = strategy;
        let job = Job {
            batch,
            // Fits into an integer of every language.
            seed: from.seed >> 11,
            sequences: vec![vec![0]; clients],
            ..Job::one_key(&server.secret_url(), strategy, settings, key)
        };
        let workers = Workers::open(&installed, &job, clients, PATIENCE, stop);
        workers.map(Self::Processes).map_err(|fault| failed(&fault))
    }

    /// Updates acknowledged so far, by all clients.
    pub(super) fn acked(&self) -> Arc<AtomicU64> {
        match self {
            Self::Threads(_, acked) => acked.clone(),
            Self::Processes(workers) => workers.acked(),
        }
    }

    /// A handle that kills some of the clients, if they are processes.
    pub(super) fn killer(&self) -> Option<Killer> {
        match self {
            Self::Threads(..) => None,
            Self::Processes(workers) => workers.killer(),
        }
    }

    /// The settings in effect, as the library reports them, if there is one.
    pub(super) fn effective(&self) -> String {
        match self {
            Self::Threads(..) => String::new(),
            Self::Processes(workers) => workers.ready().effective(),
        }
    }

    /// Races all clients to their end. Threads end when the fault is over; processes after a time that is known in
    /// advance. Also tells how far apart their clocks may be, in nanoseconds.
    pub(super) fn race(self, work: &Work<'_>, cell: &Cell) -> Result<(Vec<Done>, u64)> {
        match self {
            Self::Threads(updaters, acked) => std::thread::scope(|scope| {
                let start = |updater| scope.spawn(|| work.run(updater, &acked));
                let threads: Vec<_> = updaters.into_iter().map(start).collect();
                let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Done>>| {
                    thread.join().unwrap_or_else(|_| Err(Error::broken("a client's thread panicked")))
                };
                let done: Result<Vec<Done>> = threads.into_iter().map(join).collect();
                done.map(|done| (done, 0))
            }),
            Self::Processes(workers) => race(workers, work, cell),
        }
    }
}

fn race(mut workers: Workers, work: &Work<'_>, cell: &Cell) -> Result<(Vec<Done>, u64)> {
    let (most, time) = match work.load {
        Load::Updates(updates) => (updates, LONGEST),
        Load::UntilOver => (MOST as u64, cell.races_for().min(LONGEST)),
    };
    // Row by row, a killed process leaves a record of all it did; in blocks, the rates are the library's own.
    let flush = if cell.fault.is_none() { Flush::Block } else { Flush::Row };
    let pace = WorkerPace { pause: PAUSE, flush, ..WorkerPace::CLOSED };
    let batch = workers.ready().batch;
    let raced = workers.race(&vec![most; work.clients], time, pace, work.stop).map_err(|fault| failed(&fault));
    let done = raced.and_then(|race| match &race.fault {
        None => Ok(race),
        // A client waits for a reply that does not come. Without a fault, a process that hangs keeps a block of rows back.
        Some(Fault::Silent { .. }) if !cell.fault.is_none() => Ok(race),
        Some(Fault::Died(_)) if cell.fault.fault.info().in_processes => Ok(race),
        Some(fault) => Err(failed(fault)),
    });
    let is_stuck = done.as_ref().map_or(true, |race| race.clients.iter().any(|client| client.is_silent));
    workers.end(if is_stuck { STUCK_TO_END } else { TO_END });
    let race = done?;
    let apart_ns = race.apart_ns;
    Ok((logs(race, work.zero, batch), apart_ns))
}

/// What the clients did, on the clock of the trial. A client that was cut off may have had a batch in flight.
fn logs(race: Race, zero: Instant, batch: usize) -> Vec<Done> {
    let late_ns = race.zero.saturating_duration_since(zero).as_nanos() as u64;
    let now_ns = zero.elapsed().as_nanos() as u64;
    let start_ns = race.start_ns + late_ns;
    let clients = race.clients.into_iter().map(|client| {
        let at = |event: &Event| {
            Event::new(
                event.key(),
                event.begin_ns() + late_ns,
                event.end_ns() + late_ns,
                event.tries(),
                event.outcome(),
            )
        };
        let mut events: Vec<Event> = client.events.iter().map(at).collect();
        let last_ns = events.last().map_or(start_ns, Event::end_ns);
        if client.is_cut_off {
            events.extend(in_flight(&events, batch, (last_ns, now_ns)));
        }
        // A client that waits in vain has been racing until now; one that was killed has not.
        let end_ns = if client.is_silent { now_ns } else { last_ns };
        let log = ClientLog { events, start_ns, end_ns, trouble: race.error.clone(), ..ClientLog::default() };
        Done { log, reconnects: None, is_waiting: client.is_silent }
    });
    clients.collect()
}

/// The updates that a client which was cut off left unreported, in time order: the rest of a batch of which it had written
/// only some rows, or else the whole next batch.
///
/// A client writes the rows of a batch one by one once it has all replies. So if some are there, the rest was executed
/// within the same time, and saying that it came later would call the values that others were told impossible.
fn in_flight(events: &[Event], batch: usize, next: (u64, u64)) -> Vec<Event> {
    let unknown = |(begin_ns, end_ns), many| vec![Event::new(0, begin_ns, end_ns, 1, Outcome::Unknown); many];
    let times = |event: &Event| (event.begin_ns(), event.end_ns());
    let Some(last) = events.last().map(times) else { return unknown(next, batch) };
    match events.iter().rev().take_while(|event| times(event) == last).count() % batch {
        0 => unknown(next, batch),
        written => unknown(last, batch - written),
    }
}

/// The same library with its clients spread over at least [`PROCESSES`].
fn in_processes(mut installed: Installed, clients: usize) -> Installed {
    let each = clients.div_ceil(PROCESSES);
    let own = installed.manifest.clients_per_process.unwrap_or(each);
    installed.manifest.clients_per_process = Some(own.min(each));
    installed
}

fn failed(fault: &Fault) -> Error {
    match fault {
        Fault::Interrupted => Error::interrupted(),
        fault => Error::broken(fault.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history;
    use crate::verdict::{Verdict, judge};

    #[test]
    fn what_a_killed_client_left_unreported_is_the_rest_of_its_batch_or_the_next_one() {
        let told = |begin, end, value| Event::new(0, begin, end, 1, Outcome::Acked(value));
        let of = |events: &[Event]| -> Vec<(u64, u64)> {
            in_flight(events, 3, (20, 90)).iter().map(|event| (event.begin_ns(), event.end_ns())).collect()
        };
        let whole = [told(5, 10, 1), told(5, 10, 2), told(5, 10, 3)];
        assert_eq!(of(&[]), [(20, 90); 3]);
        assert_eq!(of(&whole), [(20, 90); 3]);
        let partly = [&whole[..], &[told(10, 20, 4)]].concat();
        assert_eq!(of(&partly), [(10, 20); 2]);
        // Another client was told 7 before the batch ended: only what its batch still did explains 5 and 6.
        let killed = [&partly[..], &in_flight(&partly, 3, (20, 90))].concat();
        let judgement = history::check_apart(&[&killed, &[told(12, 18, 7)]], &[7], 0);
        assert_eq!(judge(&judgement.ledger), Verdict::Unproven);
    }
}
