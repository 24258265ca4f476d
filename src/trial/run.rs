//! A whole plan, measured cell by cell and round by round.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::driver;
use crate::error::{Error, Result};
use crate::plain::one_line;
use crate::record::{Bucket, Clock, Record};
use crate::strategy::Strategy;
use crate::target::Target;
use crate::workload::{Plan, Workload};

use super::row::blank;
use super::{Crew, Entrant, Trial, memory};

/// Observes a plan while it is measured.
pub trait Observer {
    /// Trial number `done` (from 0) of the plan is about to begin.
    fn begins(&mut self, _entrant: Entrant<'_>, _server: &Target, _workload: &Workload, _done: usize) {}

    /// A row is complete, with its latencies and the trial itself, if there was one.
    ///
    /// # Errors
    /// The row could not be stored: this ends the run.
    fn keeps(&mut self, record: Record, latency: Vec<Bucket>, trial: Option<Trial>) -> Result<()>;

    /// The keys of a cell could not be removed; its trial is valid nevertheless.
    fn leaves(&mut self, _error: &Error) {}

    /// Called after each round: whether to run the next one, if the plan has one.
    fn wants_more(&mut self) -> bool {
        true
    }
}

/// Measures every cell of the plan on each server, round by round, each round in its own shuffled order, until `observer` wants
/// no more. Several servers are measured in turn within each round.
///
/// A strategy that the server cannot run gives rows without a verdict that say why, and so does an error inside a
/// trial.
///
/// # Errors
/// The plan is not valid, the server is gone, `observer` failed, or `stop` was raised; rows handed over before are valid.
pub fn measure(
    plan: &Plan,
    servers: &[Target],
    strategies: &[&dyn Strategy],
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<()> {
    let driver = driver::of(plan.driver)?;
    let entrants: Vec<Entrant<'_>> =
        strategies.iter().map(|&strategy| Entrant { strategy, driver, breaker: None }).collect();
    measure_entrants(plan, servers, &entrants, stop, observer)
}

/// The same for entrants whose drivers differ: those of several client libraries. All drivers are of the plan's kind.
///
/// # Errors
/// As [`measure`].
pub fn measure_entrants(
    plan: &Plan,
    servers: &[Target],
    entrants: &[Entrant<'_>],
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<()> {
    plan.validate()?;
    servers.iter().try_for_each(|server| check_room(plan, server, entrants))?;
    // The plan treats an entrant on another server as another entrant.
    let pairs: Vec<(&Target, Entrant<'_>)> =
        servers.iter().flat_map(|server| entrants.iter().map(move |entrant| (server, *entrant))).collect();
    let unavailable: Vec<Option<String>> =
        pairs.iter().map(|(server, entrant)| entrant.unavailable(server)).collect::<Result<_>>()?;
    // The keys of servers of ours disappear with them.
    let staying: Vec<(&Target, Option<u64>)> = servers
        .iter()
        .filter(|server| !server.is_private() && !server.is_composed())
        .map(|server| (server, server.failovers()))
        .collect();
    let measured = measure_rounds(plan, &pairs, &unavailable, stop, observer);
    for (server, failovers) in staying {
        if let Err(error) = server.remove_after_failover(failovers) {
            observer.leaves(&error);
        }
    }
    measured
}

/// All rounds of the plan; `unavailable` says for each pair of a server and an entrant why it cannot run there.
fn measure_rounds(
    plan: &Plan,
    pairs: &[(&Target, Entrant<'_>)],
    unavailable: &[Option<String>],
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<()> {
    let mut done = 0;
    for round in 1..=plan.rounds {
        for cell in plan.round(round, pairs.len()) {
            let (server, entrant) = pairs[cell.entrant];
            observer.begins(entrant, server, &cell.workload, done);
            done += 1;
            let library = entrant.driver.library();
            let blank = blank(entrant.strategy, server, &cell.workload, &library);
            let blank = entrant.row(Record { trial: done as u32, round, ..blank });
            match &unavailable[cell.entrant] {
                Some(why) => {
                    let note = Some(one_line(&format!("skipped: {why}")));
                    observer.keeps(Record { note, ..blank }, Vec::new(), None)?;
                }
                None => measure_cell(plan, server, entrant, cell.workload, blank, stop, observer)?,
            }
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
        }
        if !observer.wants_more() {
            break;
        }
    }
    Ok(())
}

/// Checks that we may reset and read counters, and send the commands of at least one strategy that can run here; the
/// rows name the strategies whose commands are not permitted.
fn check_rights(server: &Target, entrants: &[Entrant<'_>]) -> Result<()> {
    server.lets_us(&["del", "get"])?;
    let mut refused = Ok(());
    for Entrant { strategy, .. } in entrants {
        if strategy.unavailable(server)?.is_some() {
            continue;
        }
        match server.lets_us(strategy.info().commands) {
            Ok(()) => return Ok(()),
            Err(error) => refused = refused.and(Err(error)),
        }
    }
    refused
}

/// Checks that the plan's clients can all connect and that their updates fit into memory. Some servers and systems do not
/// permit thousands of clients, and one error before the run is better than one in every row. [`measure`] begins with it.
///
/// # Errors
/// A limit is too low: the message says which, and what to do.
pub fn check_room(plan: &Plan, server: &Target, entrants: &[Entrant<'_>]) -> Result<()> {
    check_rights(server, entrants)?;
    let most = plan.threads.iter().copied().max().unwrap_or(0);
    memory::check(plan.most_updates()?, plan.keys.iter().copied().max().unwrap_or(1))?;
    let strategies: Vec<&dyn Strategy> = entrants.iter().map(|entrant| entrant.strategy).collect();
    // Drivers of one kind need the same room.
    entrants.first().map_or(Ok(()), |first| first.driver.check_room(server, &strategies, most))
}

fn measure_cell(
    plan: &Plan,
    server: &Target,
    entrant: Entrant<'_>,
    workload: Workload,
    blank: Record,
    stop: &AtomicBool,
    observer: &mut dyn Observer,
) -> Result<()> {
    let mut left = Ok(());
    let trial = match entrant.breaker {
        Some(breaker) => {
            let seed = fastrand::Rng::with_seed(plan.seed ^ u64::from(blank.trial).rotate_left(32)).u64(..);
            breaker.trial(server, entrant.strategy, &workload, (blank.trial, seed), stop)
        }
        None => Crew::of(server, entrant, workload, plan.seed, stop).and_then(|mut crew| {
            let trial = crew.sized_trial(plan.size_at(workload.threads));
            left = crew.close();
            trial.map(Ok)
        }),
    };
    // A private server's keys disappear with it.
    if let (Err(error), None) = (&left, server.child()) {
        observer.leaves(error);
    }
    // A strategy's error goes into its row; a server that no longer answers ends the run.
    let answers = if trial.is_err() { server.connect().map(drop) } else { Ok(()) };
    // A race cut short by Ctrl-C still has a verdict, but not the planned span, so it is not kept. Neither is an error, which the
    // signal itself may have caused by interrupting a read.
    if stop.load(Ordering::Relaxed) {
        return Err(Error::interrupted());
    }
    let trial = match trial {
        Ok(Ok(trial)) => trial,
        Ok(Err(why)) => {
            let note = Some(one_line(&format!("skipped: {why}")));
            return observer.keeps(Record { note, ..blank }, Vec::new(), None);
        }
        Err(error) => {
            let error = Some(one_line(&error.to_string()));
            observer.keeps(Record { error, ..blank }, Vec::new(), None)?;
            return answers;
        }
    };
    let record = entrant.row(trial.record(entrant.strategy, server, &workload));
    let record = Record { trial: blank.trial, round: blank.round, ..record };
    let service = trial.latency().into_iter().map(|times| record.bucket(Clock::Service, times));
    let response = trial.response().into_iter().flatten().map(|times| record.bucket(Clock::Response, times));
    let pool = trial.waits().into_iter().map(|times| record.bucket(Clock::Pool, times));
    let latency = service.chain(response).chain(pool).collect();
    observer.keeps(record, latency, Some(trial))
}
