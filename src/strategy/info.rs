//! What is known about a strategy before it runs: its name, its promise, its cost, what it needs from a server.
//!
//! Each strategy has one `const` of it. The plan, the rows, the page and the preflight read data here instead of
//! guessing from a name or from a figure meant for display.

use crate::error::Result;
use crate::target::Target;
use crate::verdict::{Promise, Role};

/// The facts of one strategy. Start from [`Info::exact`] or [`Info::lossy`] and set the fields that differ:
///
/// ```
/// use redis_lost_updates::strategy::Info;
///
/// const INFO: Info = Info {
///     round_trips: "2",
///     commands: &["get", "set"],
///     ..Info::lossy("my-get-set", "GET, add one, SET, my way.")
/// };
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Info {
    /// Kebab-case, unique among the strategies of a run.
    pub name: &'static str,
    /// One sentence for people.
    pub about: &'static str,
    /// What it promises for the updates it acknowledges.
    pub promise: Promise,
    /// Round trips an update costs when nothing goes wrong, for display only: `1`, `2`, `1/16`, `3+`.
    pub round_trips: &'static str,
    /// Updates per batch. A batch above 1 needs many updates at once, which a request handler does not have.
    pub batch: usize,
    /// Its role in the comparison.
    pub role: Role,
    /// The commands that add one per successful call, by their names in INFO commandstats. If there are none, the
    /// server's own count cannot be used.
    pub counted_by: &'static [&'static str],
    /// Every command that its clients send, including those inside scripts, in lower case: what an ACL must permit.
    pub commands: &'static [&'static str],
    /// How its clients treat the replies to their updates.
    pub replies: Replies,
    /// What a client does after its connection is lost.
    pub after_loss: AfterLoss,
    /// Whether its clients exclude one another by a lock in memory: one that is opened later, or in another process, is
    /// not excluded.
    pub locks_in_memory: bool,
    /// What it needs that not every server or user has.
    pub needs: &'static [Need],
}

/// How a client treats the replies to its updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// It reads them: an error reply is not an acknowledgement.
    Checked,
    /// It takes an error reply for an acknowledgement.
    ErrorsIgnored,
    /// It reads none: whatever was sent counts as acknowledged.
    Unread,
    /// It acknowledges updates before it sends them.
    Early,
}

/// What a client does after its connection is lost in the middle of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterLoss {
    /// It keeps the broken connection, so its later updates fail too.
    Stays,
    /// Its next update goes over a new connection.
    Reconnects,
    /// It sends the update again over a new connection, with an id by which the server recognises it.
    RetriesById,
    /// It sends the update again over a new connection. If the server had executed it, the update counts twice.
    RetriesBlindly,
}

/// Something that a strategy needs and a server may lack.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// What, in a few words: `SET IFEQ`, `a second server`.
    pub what: &'static str,
    /// Why this server does not have it; `None` if it does.
    ///
    /// An error if the server does not answer.
    pub missing: fn(&Target) -> Result<Option<String>>,
}

impl Info {
    /// An exact strategy that is one of the usual choices: one round trip, one update at a time, nothing special
    /// needed.
    pub const fn exact(name: &'static str, about: &'static str) -> Self {
        Self::new(name, about, Promise::Exact, Role::Alternative)
    }

    /// A strategy that is known to lose updates: one round trip, one update at a time, nothing special needed.
    pub const fn lossy(name: &'static str, about: &'static str) -> Self {
        Self::new(name, about, Promise::Lossy, Role::Mistake)
    }

    const fn new(name: &'static str, about: &'static str, promise: Promise, role: Role) -> Self {
        let (counted_by, commands, needs) = (&[], &[], &[]);
        let (replies, after_loss) = (Replies::Checked, AfterLoss::Stays);
        let (round_trips, batch, locks_in_memory) = ("1", 1, false);
        Self {
            name,
            about,
            promise,
            round_trips,
            batch,
            role,
            counted_by,
            commands,
            replies,
            after_loss,
            locks_in_memory,
            needs,
        }
    }
}
