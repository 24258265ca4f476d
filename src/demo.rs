//! The original program: four threads, 100 GET-then-SET updates each, first racing, then with one connection behind
//! `Arc<Mutex<_>>`. Added: how many updates each phase lost.
//!
//! The original treated any error as a zero and never reset its key. Here the key is reset first, the second phase begins
//! at the value that it reads, and every error is reported. Threads have names; with a pause, each command gets a line.

mod slow;

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Cmd;

use crate::error::{BoxError, Error, Result};
use crate::strategy::get_then_set;
use crate::target::{Lease, Session, Target};
use crate::update::Update;
use slow::{Narrated, Stage};

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demo {
    /// Threads in each phase.
    pub threads: usize,
    /// Updates by every thread.
    pub updates: u64,
    /// For people to follow: this long before every command, and a line for each.
    pub pause: Option<Duration>,
}

/// What became of one phase's updates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phase {
    /// Updates asked.
    pub asked: i64,
    /// Updates acknowledged: the others were refused, and changed nothing.
    pub acked: i64,
    /// What the counter gained.
    pub gained: i64,
    /// Why the first of the refused ones was.
    pub refusal: Option<String>,
}

impl Phase {
    /// Acknowledged updates missing from the counter.
    pub fn lost(&self) -> i64 {
        self.acked - self.gained
    }
}

/// Runs both phases and writes the original's lines to `out`: the racing one first, the mutex one second.
///
/// # Errors
/// The server does not answer, or `out` cannot be written.
pub fn demo(server: &Target, demo: Demo, out: &mut (impl Write + Send)) -> Result<[Phase; 2]> {
    let key = format!("{}count", server.prefix());
    let mut db = server.connect()?;
    let lease = Lease::of(server);
    let each = SLOWEST.saturating_add(demo.pause.unwrap_or_default().saturating_mul(4));
    let updates = (demo.threads as u64).saturating_mul(demo.updates);
    lease.renew(&mut db, each.saturating_mul(u32::try_from(updates).unwrap_or(u32::MAX)));
    let key_names = [key.clone()];
    server.remove(&mut db, &key_names)?;
    let phases = both(server, &mut db, &key, demo, &Stage::new(out, demo.pause));
    let phases = phases.map_err(|e| Error::server(format!("demo on {}: {e}", server.address())));
    let removed = server.remove(&mut db, &key_names);
    lease.end(&mut db);
    let phases = phases?;
    removed?;
    writeln!(out, "\nRacing: {}", said(&phases[0]))
        .and_then(|()| writeln!(out, "Behind the mutex: {}", said(&phases[1])))
        .map_err(|e| Error::broken(format!("cannot print: {e}")))?;
    Ok(phases)
}

/// What an update may take and the key still be ours.
const SLOWEST: Duration = Duration::from_millis(1);

fn said(phase: &Phase) -> String {
    let refused = phase.asked - phase.acked;
    let Phase { acked, gained, .. } = phase;
    let lost = format!("expected {acked}, found {gained}: {} updates were lost", phase.lost());
    match &phase.refusal {
        None => format!("{lost}."),
        Some(why) if phase.acked == 0 => format!("all {refused} updates were refused: {why}"),
        Some(why) => format!("{lost}, and {refused} were refused: {why}"),
    }
}

fn both<W: Write + Send>(
    server: &Target,
    db: &mut Session,
    key: &str,
    Demo { threads, updates, .. }: Demo,
    stage: &Stage<'_, W>,
) -> Result<[Phase; 2], BoxError> {
    stage.say("Running code producing race condition")?;
    let start = read(db, key)?;
    let connections = (1..=threads).map(|thread| Ok((thread, server.connect()?))).collect::<Result<Vec<_>>>()?;
    let racing =
        all(connections, |(thread, mut db)| update_redis(Narrated { db: &mut db, thread, stage }, key, updates))?;
    let middle = read(db, key)?;
    stage.say("\nRunning code avoiding race condition")?;
    let shared = Arc::new(Mutex::new(server.connect()?));
    let threads_of_it = (1..=threads).map(|thread| (thread, Arc::clone(&shared))).collect();
    let behind = all(threads_of_it, |(thread, db)| {
        let mut db = db.lock().unwrap_or_else(PoisonError::into_inner);
        update_redis(Narrated { db: &mut db, thread, stage }, key, updates)
    })?;
    let end = read(db, key)?;
    let asked = threads as i64 * updates as i64;
    let phase = |(acked, refusal), gained| Phase { asked, acked, gained, refusal };
    Ok([phase(racing, middle - start), phase(behind, end - middle)])
}

/// Updates acknowledged, and why the first of the others was refused.
type Told = (i64, Option<String>);

/// Runs `each` on a thread of its own for every item, and gives what they were told together, or the first error.
fn all<T: Send>(items: Vec<T>, each: impl Fn(T) -> Result<Told, BoxError> + Sync) -> Result<Told, BoxError> {
    std::thread::scope(|scope| {
        let each = &each;
        let running: Vec<_> = items.into_iter().map(|item| scope.spawn(move || each(item))).collect();
        running.into_iter().try_fold((0, None), |(acked, refusal), thread| {
            let (more, other) = thread.join().map_err(|_| "a thread panicked")??;
            Ok((acked + more, refusal.or(other)))
        })
    })
}

fn update_redis<W: Write>(mut narrated: Narrated<'_, '_, W>, key: &str, updates: u64) -> Result<Told, BoxError> {
    let (thread, stage) = (narrated.thread, narrated.stage);
    stage.say(&format!("thread {thread}: Before: {}", read(narrated.db, key)?))?;
    let (mut acked, mut refusal) = (0, None);
    for _ in 0..updates {
        match get_then_set(&mut narrated, key)? {
            Update::Applied { .. } => acked += 1,
            Update::Refused { reason, .. } => refusal = refusal.or(Some(reason)),
        }
    }
    stage.say(&format!("thread {thread}: After: {}", read(narrated.db, key)?))?;
    Ok((acked, refusal))
}

fn read(db: &mut Session, key: &str) -> Result<i64, BoxError> {
    Ok(Cmd::get(key).query::<Option<i64>>(db)?.unwrap_or(0))
}
