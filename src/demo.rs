//! The original program, faithfully: four threads, a hundred GET-then-SET updates each, first racing, then with the one
//! connection behind `Arc<Mutex<_>>`; and then what it left out, how many updates each phase lost.
//!
//! Where the original took any error for a zero and never reset its key, this resets the key first, begins the second
//! phase where the first ended by its own reading, and lets no error pass.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use redis::{Cmd, Connection};

use crate::error::{BoxError, Error, Result};
use crate::server::Server;
use crate::strategy::get_then_set;

/// What one phase added, and what it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase {
    /// Updates asked, every one acknowledged.
    pub asked: i64,
    /// What the counter gained.
    pub gained: i64,
}

impl Phase {
    /// Acknowledged updates missing from the counter.
    pub fn lost(&self) -> i64 {
        self.asked - self.gained
    }
}

/// Runs both phases and writes the original's lines to `out`: the racing one first, the mutex one second.
///
/// # Errors
/// The server does not answer, or `out` cannot be written.
pub fn demo(server: &Server, threads: usize, updates: u64, out: &mut (impl Write + Send)) -> Result<[Phase; 2]> {
    let key = format!("{}count", server.prefix());
    let mut db = server.connect()?;
    let key_names = [key.clone()];
    server.remove(&mut db, &key_names)?;
    let phases = both(server, &mut db, &key, threads, updates, &Mutex::new(out));
    server.remove(&mut db, &key_names)?;
    let phases = phases.map_err(|e| Error::server(format!("demo on {}: {e}", server.address())))?;
    writeln!(out, "Racing, {}", said(&phases[0]))
        .and_then(|()| writeln!(out, "Behind the mutex, {}", said(&phases[1])))
        .map_err(|e| Error::broken(format!("cannot print: {e}")))?;
    Ok(phases)
}

fn said(phase: &Phase) -> String {
    format!("{} of {} updates were lost.", phase.lost(), phase.asked)
}

type Out<'a, W> = Mutex<&'a mut W>;

fn both<W: Write + Send>(
    server: &Server,
    db: &mut Connection,
    key: &str,
    threads: usize,
    updates: u64,
    out: &Out<'_, W>,
) -> Result<[Phase; 2], BoxError> {
    say(out, "Running code producing race condition")?;
    let start = read(db, key)?;
    let connections = (0..threads).map(|_| server.connect()).collect::<Result<Vec<_>>>()?;
    all(connections, |mut connection| update_redis(&mut connection, key, updates, out))?;
    let middle = read(db, key)?;
    say(out, "\nRunning code avoiding race condition")?;
    let shared = Arc::new(Mutex::new(server.connect()?));
    all(vec![shared; threads], |connection| {
        let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
        update_redis(&mut connection, key, updates, out)
    })?;
    let end = read(db, key)?;
    let asked = threads as i64 * updates as i64;
    Ok([Phase { asked, gained: middle - start }, Phase { asked, gained: end - middle }])
}

/// Runs `each` on a thread of its own for every item, and gives the first error.
fn all<T: Send>(items: Vec<T>, each: impl Fn(T) -> Result<(), BoxError> + Sync) -> Result<(), BoxError> {
    std::thread::scope(|scope| {
        let each = &each;
        let running: Vec<_> = items.into_iter().map(|item| scope.spawn(move || each(item))).collect();
        running.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

fn update_redis<W: Write>(db: &mut Connection, key: &str, updates: u64, out: &Out<'_, W>) -> Result<(), BoxError> {
    say(out, &format!("Before: {}", read(db, key)?))?;
    for _ in 0..updates {
        let _value_told = get_then_set(db, key)?;
    }
    say(out, &format!("After: {}", read(db, key)?))
}

fn read(db: &mut Connection, key: &str) -> Result<i64, BoxError> {
    Ok(Cmd::get(key).query::<Option<i64>>(db)?.unwrap_or(0))
}

fn say<W: Write>(out: &Out<'_, W>, line: &str) -> Result<(), BoxError> {
    writeln!(out.lock().unwrap_or_else(PoisonError::into_inner), "{line}").map_err(Into::into)
}
