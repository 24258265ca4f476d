//! The smallest proof that a history is not a counter's: one or two updates, and what is wrong with them.

use super::told::{Own, Told};
use super::{Events, Seen};
use crate::verdict::Ledger;

/// Why a history is not linearizable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// Which counter.
    pub key: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong, with the updates that show it. Values are relative to the counter's start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Two updates were told the same value: one overwrote the other.
    SameValue {
        /// The value; of several, the least.
        value: i64,
        /// The first of them to begin.
        first: Seen,
        /// The next.
        second: Seen,
    },
    /// An update was told a value that no increment makes, below 1.
    BelowStart {
        /// The update.
        update: Seen,
    },
    /// An update ended before another began, but was told a larger value.
    OutOfOrder {
        /// The one that came first and was told more.
        earlier: Seen,
        /// The one that came later and was told less.
        later: Seen,
    },
    /// The counter passed a value that no update can have made: no update without a value fits there in time.
    NobodyMade {
        /// The value.
        value: i64,
        /// The update told the least value above it, if any was.
        next: Option<Seen>,
    },
    /// An update acknowledged without a value fits nowhere: every value it can have made belongs to another.
    NoRoom {
        /// The update.
        update: Seen,
        /// The largest value told before it began, if any.
        after: Option<i64>,
        /// The least value told to an update that began after it had ended, if any.
        before: Option<i64>,
    },
    /// The counter's final value is below a value told, or is not one that this many updates can make.
    Final {
        /// What the counter gained.
        found: i64,
        /// The least that the acknowledged updates can make.
        least: u64,
        /// The most that they and the unknown ones can make.
        most: u64,
        /// The update told the largest value, if that is above the final one.
        told: Option<Seen>,
    },
    /// Like [`Fault::Final`], for adds of any amount, and for counters that fall.
    Ended {
        /// What the counter gained.
        found: i64,
        /// What the acknowledged adds make.
        least: i64,
        /// What they and the unknown ones can make.
        most: i64,
        /// The operation told a value beyond the final one, if there is one.
        told: Option<Seen>,
    },
    /// Two adds that claim overlapping steps: their ranges from value - amount to value intersect.
    Clash {
        /// The one told less.
        first: Seen,
        /// The one told more.
        second: Seen,
    },
    /// Two operations that overlap in time did the same to the same value, and the accounts do not balance.
    SameStep {
        /// The first to begin.
        first: Seen,
        /// The next.
        second: Seen,
    },
    /// A read was told a value that the counter never held.
    NeverHeld {
        /// The read.
        read: Seen,
        /// The add that took the counter past that value, if an add did.
        passed: Option<Seen>,
    },
    /// A value seen is out of reach, in whatever order the operations took effect.
    OutOfBounds {
        /// The operation that saw it.
        update: Seen,
        /// The least it can be, by what had been acknowledged before.
        least: i64,
        /// The most it can be, by what had begun.
        most: i64,
    },
    /// The steps that were told do not lead from the initial to the final value.
    Unbalanced {
        /// Units missing from the counter.
        lost: i64,
        /// Units in the counter that should not be there.
        surplus: i64,
    },
    /// More was granted than the limit allows.
    Oversold {
        /// The value that the counter, or the amount granted, reached.
        value: i64,
        /// The limit.
        limit: i64,
        /// An operation told a value beyond it, if there is one.
        update: Option<Seen>,
    },
    /// An add was denied although the counter was not close enough to its limit.
    Undersold {
        /// The denied add.
        update: Seen,
        /// The value from which on it may be denied, if there is a limit in that direction.
        needed: Option<i64>,
    },
    /// No order explains the operations: all were tried.
    NoOrder {
        /// The most operations that can be put in order.
        placed: u64,
        /// What the counter holds after these.
        holds: i64,
        /// Some of the operations that could come next but were told otherwise.
        next: Vec<Seen>,
    },
}

/// What the told values alone show to be wrong.
pub(super) fn in_values(events: impl Events, told: &Told, ledger: &Ledger, found: Option<i64>) -> Option<Fault> {
    // A proof by one row is shorter than one by two.
    if told.distinct() > told.possible() {
        let update = events.filter(|seen| seen.value().is_some_and(|value| value < 1)).min_by_key(Seen::span);
        return update.map(|update| Fault::BelowStart { update });
    }
    if let Some(found) = found.filter(|&found| found < told.largest().max(0)) {
        let least = ledger.acked.max(told.largest().max(0) as u64);
        let told = events.filter(|seen| seen.value().is_some()).max_by_key(Seen::value);
        return Some(Fault::Final { found, least, most: ledger.acked + ledger.unknown, told });
    }
    if ledger.repeated > 0 {
        return same_value(events, told);
    }
    if ledger.stale > 0 { out_of_order(events, told) } else { None }
}

fn same_value(events: impl Events, told: &Told) -> Option<Fault> {
    let value = told.least_repeated(events.clone())?;
    let mut tellers: Vec<Seen> = events.filter(|seen| seen.value() == Some(value)).collect();
    tellers.sort_by_key(Seen::span);
    Some(Fault::SameValue { value, first: tellers[0], second: *tellers.get(1)? })
}

/// The first update in time that was told too little, and the one before it that ended first.
fn out_of_order(events: impl Events, told: &Told) -> Option<Fault> {
    let mut own = Own::default();
    let stale = events.clone().filter(|seen| {
        let own = own.before(seen);
        told.is_stale(seen, own)
    });
    let later = stale.min_by_key(Seen::span)?;
    let (begin, worker) = (later.event.begin_ns(), later.worker);
    let more = events.filter(|seen| seen.value() > later.value());
    let before = more.filter(|seen| {
        let end = seen.event.end_ns();
        end < begin || (end == begin && seen.worker == worker && seen.index < later.index)
    });
    let earlier = before.min_by_key(|seen| seen.event.end_ns())?;
    Some(Fault::OutOfOrder { earlier, later })
}

/// The update told the least value above `value`.
pub(super) fn teller_above(events: impl Events, value: i64) -> Option<Seen> {
    events.filter(|seen| seen.value() > Some(value)).min_by_key(Seen::value)
}
