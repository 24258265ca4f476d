//! The clients of a trial: one thread each, which makes updates and reconnects after an error.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::error::{BoxError, Error, Result};
use crate::fault::Load;
use crate::fault::servers::Servers;
use crate::race::{ClientLog, said};
use crate::strategy::Strategy;
use crate::update::{Event, Outcome, Update, Updater};

/// The pause between two attempts of a client that is refused.
pub(super) const PAUSE: Duration = Duration::from_millis(5);

/// The longest that clients race, whatever happens.
pub(super) const LONGEST: Duration = Duration::from_secs(20);

/// The most updates of one client: enough for the longest race at the fastest rate that a blocking client reaches.
const MOST: usize = 4_000_000;

/// Errors after which a client reconnects: it needs another server, another connection, or its script loaded again.
const GO_ELSEWHERE: [&str; 6] = ["READONLY", "MASTERDOWN", "LOADING", "NOSCRIPT", "UNBLOCKED", "CLUSTERDOWN"];

/// Whether an error says so; the redis crate writes its name as `ReadOnly`.
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
    /// Updates acknowledged so far, by all clients.
    pub(super) acked: &'a AtomicU64,
}

/// What a client did, and how often it reconnected.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) log: ClientLog,
    pub(super) reconnects: u64,
}

impl Work<'_> {
    /// Runs one client to its end, with the updater that was opened for it.
    pub(super) fn run(&self, updater: Box<dyn Updater>) -> Result<Done> {
        let mut client = Client { work: self, updater: Some(updater), done: Done::default() };
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

    fn goes_on(&self, events: usize) -> bool {
        let is_enough = match self.load {
            Load::Updates(updates) => events as u64 >= updates,
            Load::UntilOver => self.is_over.load(Ordering::Relaxed),
        };
        !is_enough && events < MOST && self.zero.elapsed() < LONGEST && !self.stop.load(Ordering::Relaxed)
    }
}

struct Client<'a> {
    work: &'a Work<'a>,
    updater: Option<Box<dyn Updater>>,
    done: Done,
}

impl Client<'_> {
    fn race(&mut self) {
        while self.work.goes_on(self.done.log.events.len()) {
            let begin_ns = self.work.now();
            let updated = match &mut self.updater {
                Some(updater) => updater.update(self.work.key),
                None => self.reconnected(),
            };
            self.write_down(begin_ns, updated);
        }
    }

    /// A new connection and the update on it, or a refusal: without a connection nothing was sent.
    fn reconnected(&mut self) -> Result<Update, BoxError> {
        match self.work.strategy.open(self.work.servers.current(), 1).map(|mut opened| opened.pop()) {
            Ok(Some(updater)) => {
                self.done.reconnects += 1;
                self.updater.insert(updater).update(self.work.key)
            }
            Ok(None) => Ok(Update::Refused { tries: 1, reason: "no client was opened".to_owned() }),
            Err(error) => Ok(Update::Refused { tries: 1, reason: error.to_string() }),
        }
    }

    fn write_down(&mut self, begin_ns: u64, updated: Result<Update, BoxError>) {
        let (outcome, tries, trouble) = match updated {
            Ok(Update::Applied { value: Some(value), tries }) => (Outcome::Acked(value), tries, None),
            Ok(Update::Applied { value: None, tries }) => (Outcome::AckedBlind, tries, None),
            Ok(Update::Refused { tries, reason }) => (Outcome::Refused, tries, Some(reason)),
            Err(error) => (Outcome::Unknown, 1, Some(error.to_string())),
        };
        let end_ns = self.work.now();
        self.done.log.events.push(Event::new(0, begin_ns, end_ns, tries, outcome));
        let Some(trouble) = trouble else {
            self.work.acked.fetch_add(1, Ordering::Relaxed);
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
