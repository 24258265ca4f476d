//! What a fault works with: the servers, the clock that it shares with the clients, and the record of what it did when.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::FromRedisValue;

use crate::condition::Topology;
use crate::error::{Error, Result};
use crate::fault::servers::Servers;
use crate::fault::{Chosen, LONGEST};
use crate::proxy::{By, Direction, Proxy, Rule};
use crate::worker::Killer;

/// Updates that are acknowledged before most faults begin.
const BEFORE: u64 = 5_000;

/// The longest wait for them: slow protections make fewer.
const NOT_LONGER: Duration = Duration::from_millis(500);

/// The longest wait for the first of them, on a machine that is busy: a fault that meets no client shows nothing.
const FOR_ONE: Duration = Duration::from_secs(10);

/// What was done at one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) at_ns: u64,
    pub(super) what: String,
    /// Whether it belongs to the window of the fault, or only prepares or follows it.
    pub(super) is_within: bool,
}

/// A trial, as its fault sees it.
pub struct Scene<'a> {
    pub(super) servers: &'a Servers,
    pub(super) chosen: Chosen,
    pub(super) key: &'a str,
    pub(super) zero: Instant,
    /// Updates acknowledged so far, by all clients.
    pub(super) acked: &'a AtomicU64,
    /// A handle that kills some of the clients, if they are processes.
    pub(super) killer: Option<Killer>,
    /// Set when the run must end now.
    pub(super) stop: &'a AtomicBool,
    pub(super) marks: Mutex<Vec<Mark>>,
}

impl Scene<'_> {
    /// The counter's name.
    pub(super) fn key(&self) -> &str {
        self.key
    }

    /// The node that has the counter at the start, and its replica, by their numbers.
    pub(super) fn pair(&self) -> (usize, usize) {
        self.servers.pair_of(self.key)
    }

    /// Waits until a node has the role that it should have after `what`.
    ///
    /// # Errors
    /// It does not happen within `patience`, or the run must end.
    pub(super) fn await_role(
        &self,
        node: usize,
        is_so: impl Fn(&str) -> bool,
        patience: Duration,
        what: &str,
    ) -> Result<()> {
        // Sentinels close the connections of a server that they promote or demote.
        self.await_that(|| self.servers.role(node).is_ok_and(|role| is_so(&role)), patience, what)
    }

    /// Waits until `is_so` holds after `what`.
    ///
    /// # Errors
    /// It does not happen within `patience`, or the run must end.
    pub(super) fn await_that(&self, is_so: impl Fn() -> bool, patience: Duration, what: &str) -> Result<()> {
        let since = Instant::now();
        while !is_so() {
            if since.elapsed() > patience {
                return Err(Error::server(format!("{what} is not done after {} s", patience.as_secs())));
            }
            self.wait(Duration::from_millis(2))?;
        }
        Ok(())
    }

    /// The servers.
    pub(super) fn servers(&self) -> &Servers {
        self.servers
    }

    /// How the servers are arranged.
    pub(super) fn topology(&self) -> Topology {
        self.servers.current().topology()
    }

    /// How long the fault lasts.
    pub(super) fn lasts(&self) -> Duration {
        self.chosen.lasts()
    }

    /// Whether the fault is applied in this form.
    pub(super) fn is_form(&self, form: &str) -> bool {
        self.chosen.form == Some(form)
    }

    /// Kills one of the processes that the clients run in.
    pub(super) fn kill_client(&self) -> Result<()> {
        let killer = self.killer.ok_or_else(|| Error::broken("the clients of this fault are not processes"))?;
        killer.kill();
        Ok(())
    }

    /// Records that the fault has just done this: the first and the last such mark bound its window.
    pub(super) fn did(&self, what: &str) {
        self.mark(what, true);
    }

    /// Records that this was done before or after the fault itself.
    pub(super) fn note(&self, what: &str) {
        self.mark(what, false);
    }

    fn mark(&self, what: &str, is_within: bool) {
        let at_ns = u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mark = Mark { at_ns, what: what.to_owned(), is_within };
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).push(mark);
    }

    /// Waits until the clients are under way: for the 5,000th acknowledged update, or half a second if they are slow.
    ///
    /// # Errors
    /// Not one update is acknowledged, or the run must end.
    pub(super) fn await_clients(&self) -> Result<()> {
        let since = Instant::now();
        loop {
            match self.acked.load(Ordering::Relaxed) {
                0 if since.elapsed() >= FOR_ONE => {
                    return Err(Error::broken("no update was acknowledged before the fault"));
                }
                1.. if since.elapsed() >= NOT_LONGER => return Ok(()),
                BEFORE.. => return Ok(()),
                _ => self.wait(Duration::from_micros(200))?,
            }
        }
    }

    /// Waits, unless the run must end.
    ///
    /// # Errors
    /// The run must end.
    pub(super) fn wait(&self, time: Duration) -> Result<()> {
        const STEP: Duration = Duration::from_millis(20);
        let until = Instant::now() + time;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(STEP));
        }
    }

    /// Sends a command to a node, bypassing all proxies.
    pub(super) fn ask<T: FromRedisValue>(&self, node: usize, words: &[&str]) -> Result<T> {
        self.servers.ask(node, words)
    }

    /// Makes the proxy in front of the clients lose what these rules say.
    pub(super) fn lose(&self, rules: Vec<Rule>) -> Result<()> {
        self.servers.front()?.set_rules(rules)
    }

    /// Stalls the link between primary and replica, in this direction.
    pub(super) fn cut(&self, direction: Direction) -> Result<()> {
        self.link()?.cut(direction)
    }

    /// The proxy between primary and replica.
    pub(super) fn link(&self) -> Result<&Proxy> {
        self.servers.link()
    }

    /// Closes the link between primary and replica and discards all that is in flight, as when a primary dies.
    ///
    /// The replica cannot connect again: it would get what was discarded, or empty itself to copy everything anew.
    pub(super) fn drop_link(&self) -> Result<()> {
        self.link()?.refuse(LONGEST)?;
        self.link()?.kill(By::Rst).map(drop)
    }
}
