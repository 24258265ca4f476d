//! What the proxy did, and when.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::proxy::{By, Direction, Lose};

/// The most events that are kept.
const MOST: usize = 1_000_000;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A rule took this command.
    Lost(Lose, By),
    /// A direction was cut.
    Cut(Direction),
    /// Everything flows again, and connections are accepted.
    Healed,
    /// Connections are refused.
    Refused,
    /// Connections are accepted again.
    Reopened,
    /// Every connection was ended, and all it held was dropped.
    Killed(By),
    /// The server could not be reached for this connection, which was reset.
    Unreachable,
    /// This connection is not RESP: no rule applies to it any more.
    Unframed,
    /// After this command, replies no longer answer commands one by one: no rule applies to this connection any more.
    Unmatched,
    /// This connection is TLS, which hides the commands that the rules are about: it was reset.
    TlsRefused,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by = |by: &By| match by {
            By::Fin => "fin",
            By::Rst => "rst",
            By::Silence => "silence",
        };
        match self {
            Self::Lost(Lose::Reply, how) => write!(f, "lost-reply-{}", by(how)),
            Self::Lost(Lose::Request, how) => write!(f, "lost-request-{}", by(how)),
            Self::Cut(Direction::ToServer) => f.write_str("cut-to-server"),
            Self::Cut(Direction::ToClient) => f.write_str("cut-to-client"),
            Self::Cut(Direction::Both) => f.write_str("cut-both"),
            Self::Healed => f.write_str("healed"),
            Self::Refused => f.write_str("refused"),
            Self::Reopened => f.write_str("reopened"),
            Self::Killed(how) => write!(f, "killed-{}", by(how)),
            Self::Unreachable => f.write_str("unreachable"),
            Self::Unframed => f.write_str("unframed"),
            Self::Unmatched => f.write_str("unmatched"),
            Self::TlsRefused => f.write_str("tls-refused"),
        }
    }
}

/// One thing that the proxy did. Equality ignores the instant.
#[derive(Debug, Clone)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// To which connection, from 1 in the order in which they were made; `None` for all.
    pub connection: Option<u64>,
    /// Which of its commands, from 1.
    pub command: Option<u64>,
    /// That command's name.
    pub name: String,
    /// What was done.
    pub what: What,
}

impl Event {
    /// Nanoseconds from `zero` to this event; negative if it was before.
    pub fn since_ns(&self, zero: Instant) -> i64 {
        let ns = |time: std::time::Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        match self.at.checked_duration_since(zero) {
            Some(after) => ns(after),
            None => -ns(zero.duration_since(self.at)),
        }
    }
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        (self.connection, self.command, &self.name, self.what)
            == (other.connection, other.command, &other.name, other.what)
    }
}

/// All events so far, shared between the proxy's thread and its owner.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Vec<Event>>);

impl Log {
    pub(super) fn add(&self, connection: Option<u64>, command: Option<u64>, name: &str, what: What) {
        let mut events = self.lock();
        if events.len() < MOST {
            events.push(Event { at: Instant::now(), connection, command, name: name.to_owned(), what });
        }
    }

    pub(super) fn all(&self) -> Vec<Event> {
        self.lock().clone()
    }

    /// A push or a clone leaves whole events behind even if it panics.
    fn lock(&self) -> MutexGuard<'_, Vec<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
