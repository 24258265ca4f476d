//! One cell: a worker with one client, behind its own proxy, on its own counter.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::error::Result;
use crate::proxy::{Address, By, Lose, Options, Proxy, Rule, What};
use crate::record::lost_reply::{LossWay, LostReply};
use crate::target::Target;
use crate::update::{Event, Outcome};
use crate::worker::{Fault, Flush, Job, Patience, WorkerPace, Workers};

use super::account::account;
use super::{Cell, Trial, cluster};

/// A client is stuck if its last updates, this many, got no acknowledgement and an error came before.
const STUCK_AFTER: usize = 10;

/// Runtimes start slowly if two dozen start at once.
const PATIENCE: Patience = Patience { ready: Duration::from_secs(120), after_end: Duration::from_secs(2) };

/// Measures one cell; what keeps it from being measured is its row's note.
pub(super) fn measure(server: &Target, cell: Cell<'_>, trial: Trial, stop: &AtomicBool) -> LostReply {
    let mut row = super::row(&cell.library.manifest, cell.settings, cell.way, trial);
    if let Err(why) = race(server, cell, trial, stop, &mut row) {
        row.note = Some(why);
    }
    row
}

fn rule(way: LossWay, every: u64) -> Rule {
    match way {
        LossWay::Fin => Rule::every(every, Lose::Reply, By::Fin),
        LossWay::Rst => Rule::every(every, Lose::Reply, By::Rst),
        LossWay::Silence => Rule::every(every, Lose::Reply, By::Silence),
        LossWay::Dropped => Rule::every(every, Lose::Request, By::Fin),
    }
}

/// The server, which is another one for a cluster's client, and the proxy in front of it.
fn way_in(server: &Target, is_cluster: bool) -> Result<(Target, Proxy)> {
    if is_cluster {
        return cluster::start(server);
    }
    Ok((server.clone(), Proxy::start(&server.proxied()?, Options::default())?))
}

fn race(server: &Target, cell: Cell<'_>, trial: Trial, stop: &AtomicBool, row: &mut LostReply) -> Result<(), String> {
    let said = |e: crate::error::Error| e.to_string();
    let (server, proxy) = way_in(server, cell.library.manifest.cluster).map_err(said)?;
    let key = format!("{}lost-reply:{:08x}", server.prefix(), fastrand::u32(..));
    let Address::Tcp(address) = proxy.address() else { return Err("a proxy without a port".to_owned()) };
    let url = server.secret_url_at(&address.ip().to_string(), address.port());
    let job = Job::one_key(&url, "incr", cell.settings, &key);
    let mut workers = Workers::open(cell.library, &job, 1, PATIENCE, stop).map_err(|fault| fault.to_string())?;
    let ready = workers.ready();
    (row.version, row.runtime) = (ready.version.clone(), ready.runtime.clone());
    row.effective = ready.effective();
    // Only from here on: nothing is lost while connecting.
    proxy.set_rules(vec![rule(cell.way, trial.every)]).map_err(said)?;
    let pace = WorkerPace { rate: None, pause: trial.pause, flush: Flush::Row };
    let race = workers.race(&[trial.updates], trial.cap, pace, stop).map_err(|fault| fault.to_string())?;
    // Nothing that it still has under way is to reach the server after the counter was read.
    drop(workers);
    let events = race.clients.first().map(|client| client.events.as_slice()).unwrap_or_default();
    let waits = match &race.fault {
        None => false,
        Some(Fault::Silent { .. }) => true,
        Some(fault) => return Err(fault.to_string()),
    };
    let lost = proxy.events().iter().filter(|event| matches!(event.what, What::Lost(..))).count() as u64;
    let mut db = server.connect().map_err(said)?;
    let found = redis::cmd("GET").arg(&key).query::<Option<i64>>(&mut db).map_err(|e| e.to_string())?.unwrap_or(0);
    server.remove(&mut db, &[key]).map_err(said)?;
    tell(row, events, found, waits, trial.cap);
    (row.commands_lost, row.error) = (Some(lost), race.error);
    Ok(())
}

fn tell(row: &mut LostReply, events: &[Event], found: i64, waits: bool, cap: Duration) {
    let of = |is: fn(Outcome) -> bool| Some(events.iter().filter(|event| is(event.outcome())).count() as u64);
    row.attempted = Some(events.len() as u64 + u64::from(waits));
    row.acked = of(|outcome| matches!(outcome, Outcome::Acked(_) | Outcome::AckedBlind));
    row.unknown = of(|outcome| outcome == Outcome::Unknown);
    row.refused = of(|outcome| outcome == Outcome::Refused);
    row.executions = Some(u64::try_from(found).unwrap_or(0));
    let account = account(events, found, waits);
    (row.marks, row.doubled, row.lost) = (account.marks, Some(account.doubled), Some(account.lost));
    let failed_last = events.iter().rev().take_while(|event| !is_acked(event)).count();
    row.is_stuck = Some(failed_last >= STUCK_AFTER);
    let ended = events.last().map_or(0, Event::end_ns);
    row.waiting_ns = waits.then(|| (cap.as_nanos() as u64).saturating_sub(ended));
    let acked: Vec<&Event> = events.iter().filter(|event| is_acked(event)).collect();
    row.recovery_ns = acked.windows(2).map(|pair| pair[1].end_ns() - pair[0].end_ns()).max();
}

fn is_acked(event: &Event) -> bool {
    matches!(event.outcome(), Outcome::Acked(_) | Outcome::AckedBlind)
}
