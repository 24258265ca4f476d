//! Assigns updates that returned no value to the values that no update returned: interval scheduling, earliest deadline
//! first. The proof that this finds an assignment if there is one is in the documentation of the parent module.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::told::{Own, Told};
use super::witness::{Fault, teller_above};
use super::{Events, Seen};
use crate::update::Outcome;
use crate::verdict::Ledger;

/// An update without a value and the window of values it can have made.
#[derive(Clone, Copy)]
struct Loose {
    after: i64,
    before: i64,
    seen: Seen,
}

impl Loose {
    fn is_blind(&self) -> bool {
        self.seen.event.outcome() == Outcome::AckedBlind
    }

    /// The order in which updates are assigned: earliest end of the window, blind before unknown, then by time and
    /// worker.
    fn urgency(&self) -> (i64, bool, u64, u64, u32, u32) {
        let (begin, end) = self.seen.span();
        (self.before, !self.is_blind(), end, begin, self.seen.worker, self.seen.index)
    }
}

/// Fills every gap and places every blind update, or reports one that it cannot.
///
/// Told values must be distinct, in 1..=found and in order.
pub(super) fn gaps(
    events: impl Events,
    told: &Told,
    ledger: &Ledger,
    blind: u64,
    found: Option<i64>,
) -> Result<(), Fault> {
    if let Some(found) = found {
        let (least, most) = (ledger.acked, ledger.acked + ledger.unknown);
        if (found as u64) < least || found as u64 > most {
            return Err(Fault::Final { found, least, most, told: None });
        }
    }
    // Nothing to fill; or no update was told a value, and the count alone decides.
    let top = found.unwrap_or(told.largest());
    if told.distinct() == 0 || (blind == 0 && told.distinct() == top as u64) {
        return Ok(());
    }
    let mut loose = windows(events.clone(), told, blind);
    loose.sort_unstable_by_key(|update| update.after);
    let is_told = told.asked(events.clone());
    let mut coming = loose.iter().peekable();
    let mut waiting = BinaryHeap::new();
    // However far `top` is, this ends once the updates run out.
    for value in (1..=top).filter(|&value| !is_told(value)) {
        while let Some(&update) = coming.next_if(|update| update.after < value) {
            waiting.push(Reverse(Waiting(update)));
        }
        match waiting.pop() {
            Some(Reverse(Waiting(update))) if update.before > value => {}
            Some(Reverse(Waiting(update))) => return Err(nowhere(update)),
            None => return Err(Fault::NobodyMade { value, next: teller_above(events, value) }),
        }
    }
    // If the counter was not read, all we know is that it went on from the largest value told.
    let waiting = waiting.into_iter().map(|Reverse(Waiting(update))| update).chain(coming.copied());
    let left = waiting.filter(|update| update.is_blind() && (found.is_some() || update.before < i64::MAX));
    left.min_by_key(Loose::urgency).map_or(Ok(()), |update| Err(nowhere(update)))
}

fn nowhere(update: Loose) -> Fault {
    let bound = |value: i64, none: i64| (value != none).then_some(value);
    Fault::NoRoom { update: update.seen, after: bound(update.after, 0), before: bound(update.before, i64::MAX) }
}

/// The window of every blind and unknown update.
fn windows(events: impl Events, told: &Told, blind: u64) -> Vec<Loose> {
    let (mut loose, mut own) = (Vec::new(), Own::default());
    events.clone().for_each(|seen| {
        let own = own.before(&seen);
        if matches!(seen.event.outcome(), Outcome::AckedBlind | Outcome::Unknown) {
            let after = own.max(told.largest_before(seen.event.begin_ns())).max(0);
            loose.push(Loose { after, before: i64::MAX, seen });
        }
    });
    if blind == 0 {
        return loose;
    }
    // The same backwards, with time and values mirrored: the next value a worker was told bounds its blind updates
    // above.
    let begun = told.begun(events.clone());
    let (mut own, mut last) = (Own::default(), loose.len());
    events.rev().for_each(|seen| {
        let (begin, end) = seen.span();
        let next = own.step(seen.worker, (u64::MAX - end, u64::MAX - begin), seen.value().map(|value| -value));
        let outcome = seen.event.outcome();
        if matches!(outcome, Outcome::AckedBlind | Outcome::Unknown) {
            last -= 1;
            if outcome == Outcome::AckedBlind {
                let next = next.checked_neg().unwrap_or(i64::MAX);
                loose[last].before = next.min(told.least_after(&begun, end));
            }
        }
    });
    loose
}

struct Waiting(Loose);

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.urgency().cmp(&other.0.urgency())
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Waiting {}
