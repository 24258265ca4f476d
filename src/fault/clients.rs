//! The clients of a trial: one thread each, which makes updates and reconnects after an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{BoxError, Error, Result};
use crate::fault::servers::Servers;
use crate::fault::{LONGEST, Load};
use crate::race::{ClientLog, said};
use crate::strategy::Strategy;
use crate::update::{Event, Outcome, Update, Updater};

/// The pause between two attempts of a client that is refused.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// The most updates of one client: enough for the longest race at the fastest rate that a blocking client reaches.
pub(super) const MOST: usize = 1_000_000;

/// Errors after which a client reconnects: it needs another server, another connection, or its script loaded again.
const GO_ELSEWHERE: [&str; 6] = ["READONLY", "MASTERDOWN", "LOADING", "NOSCRIPT", "UNBLOCKED", "CLUSTERDOWN"];

/// Whether this is such an error; the redis crate writes its name as `ReadOnly`.
fn sends_elsewhere(trouble: &str) -> bool {
    let trouble = trouble.to_ascii_uppercase();
    GO_ELSEWHERE.iter().any(|word| trouble.contains(word))
}

/// What all clients of a trial share.
pub(super) struct Work<'a> {
    pub(super) strategy: &'a dyn Strategy,
    pub(super) servers: &'a Servers,
    pub(super) key: &'a str,
    pub(super) load: Load,
    /// The instant that all times are counted from.
    pub(super) zero: Instant,
    /// Set when the fault and its aftermath are over.
    pub(super) is_over: &'a AtomicBool,
    /// Set when the run must end now.
    pub(super) stop: &'a AtomicBool,
    /// How many clients there are.
    pub(super) clients: usize,
}

/// What a client did, and how often it reconnected.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) log: ClientLog,
    /// `None` if its library reconnects without saying so.
    pub(super) reconnects: Option<u64>,
    /// Whether it was still waiting for a reply when the others had ended.
    pub(super) is_waiting: bool,
}

impl Work<'_> {
    /// Runs one client to its end, with the updater that was opened for it.
    pub(super) fn run(&self, updater: Box<dyn Updater>, acked: &AtomicU64) -> Result<Done> {
        let keys = vec![self.key; updater.batch()];
        let done = Done { reconnects: Some(0), ..Done::default() };
        let mut client = Client { work: self, keys, acked, updater: Some(updater), done };
        client.done.log.start_ns = self.now();
        // Caught here, so that one panicking client does not keep the others racing forever.
        catch_unwind(AssertUnwindSafe(|| client.race())).map_err(|panic| {
            let name = self.strategy.info().name;
            Error::broken(format!("strategy {name}: a client panicked: {}", said(&*panic)))
        })?;
        client.done.log.end_ns = self.now();
        Ok(client.done)
    }

    fn now(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    /// How many updates a client that has made `events` may still make, of `batch` at once; 0 if it is to end.
    fn left(&self, events: usize, batch: usize) -> usize {
        let left = match self.load {
            Load::Updates(updates) => usize::try_from(updates).unwrap_or(MOST).saturating_sub(events),
            Load::UntilOver if self.is_over.load(Ordering::Relaxed) => 0,
            Load::UntilOver => batch,
        };
        let is_stopped = self.zero.elapsed() >= LONGEST || self.stop.load(Ordering::Relaxed);
        if is_stopped { 0 } else { left.min(batch).min(MOST.saturating_sub(events)) }
    }
}

struct Client<'a> {
    work: &'a Work<'a>,
    /// The counter's name, once for each update of a batch.
    keys: Vec<&'a str>,
    /// Updates acknowledged so far, by all clients.
    acked: &'a AtomicU64,
    updater: Option<Box<dyn Updater>>,
    done: Done,
}

impl Client<'_> {
    fn race(&mut self) {
        let mut done = Vec::with_capacity(self.keys.len());
        loop {
            let batch = self.work.left(self.done.log.events.len(), self.keys.len());
            if batch == 0 {
                return;
            }
            let begin_ns = self.work.now();
            let updated = self.update(batch, &mut done);
            let end_ns = self.work.now();
            let told = done.len();
            done.drain(..).for_each(|update| self.write_down((begin_ns, end_ns), Ok(update)));
            if let Err(error) = updated {
                let why = error.to_string();
                (told..batch).for_each(|_| self.write_down((begin_ns, end_ns), Err(why.as_str())));
            }
        }
    }

    /// Makes this many updates at once, over a new connection if there is none.
    fn update(&mut self, batch: usize, done: &mut Vec<Update>) -> Result<(), BoxError> {
        if self.updater.is_none() {
            match self.work.strategy.open(self.work.servers.current(), 1).map(|mut opened| opened.pop()) {
                Ok(Some(updater)) => {
                    self.done.reconnects = self.done.reconnects.map(|before| before + 1);
                    self.updater = Some(updater);
                }
                Ok(None) => done.push(not_sent("no client was opened".to_owned())),
                Err(error) => done.push(not_sent(error.to_string())),
            }
        }
        match &mut self.updater {
            Some(updater) => updater.update_batch(&self.keys[..batch], done),
            None => Ok(()),
        }
    }

    fn write_down(&mut self, (begin_ns, end_ns): (u64, u64), updated: Result<Update, &str>) {
        let (outcome, tries, trouble) = match updated {
            Ok(Update::Applied { value: Some(value), tries }) => (Outcome::Acked(value), tries, None),
            Ok(Update::Applied { value: None, tries }) => (Outcome::AckedBlind, tries, None),
            Ok(Update::Refused { tries, reason }) => (Outcome::Refused, tries, Some(reason)),
            Err(why) => (Outcome::Unknown, 1, Some(why.to_owned())),
        };
        self.done.log.events.push(Event::new(0, begin_ns, end_ns, tries, outcome));
        let Some(trouble) = trouble else {
            self.acked.fetch_add(1, Ordering::Relaxed);
            return;
        };
        // A late reply on a connection with a command in flight must not be taken for the reply to the next command.
        if outcome == Outcome::Unknown || sends_elsewhere(&trouble) {
            self.updater = None;
        }
        if outcome == Outcome::Refused {
            std::thread::sleep(PAUSE);
        }
        self.done.log.trouble.get_or_insert(trouble);
    }
}

/// Without a connection nothing is sent.
fn not_sent(reason: String) -> Update {
    Update::Refused { tries: 1, reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_goes_elsewhere_whoever_names_the_error() {
        let named = redis::make_extension_error("READONLY".to_owned(), None).to_string();
        for error in ["READONLY You can't write against a read only replica.", &named, "NoScript: No matching script."]
        {
            assert!(sends_elsewhere(error), "{error}");
        }
        assert!(!sends_elsewhere("OOM command not allowed"));
    }
}
