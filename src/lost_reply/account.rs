//! How often each of one client's updates was executed, worked out from the values it returned and from the counter.
//!
//! There is one client and one counter, and updates are made one after another. So the difference between two acknowledged
//! values is the number of executions of the updates in between. Which of several failed updates ran does not affect the
//! sums: each is assumed to have run at most once, in order, and the rest is assigned to the acknowledged update.

use crate::update::{Event, Outcome};

/// The account of one cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// A mark for every update: `.` acknowledged and executed once, `2` to `9` acknowledged and executed that many
    /// times, `+` more often; `x` an error, executed; `o` an error, not executed; `w` still waiting; `!` acknowledged
    /// and not executed.
    pub(super) marks: String,
    pub(super) doubled: u64,
    pub(super) lost: u64,
}

/// Works the account out; `found` is the counter, and `waits` says whether one more update was under way.
pub(super) fn account(events: &[Event], found: i64, waits: bool) -> Account {
    let mut account = Account::default();
    let (mut before, mut errors) = (0_i64, 0_u64);
    for event in events {
        let Outcome::Acked(value) = event.outcome() else {
            errors += 1;
            continue;
        };
        let gap = u64::try_from(value.saturating_sub(before)).unwrap_or(0);
        before = before.max(value);
        let rest = account.mark_errors(errors, gap.saturating_sub(1), gap.min(1));
        errors = 0;
        account.mark_acked(rest);
    }
    let gap = u64::try_from(found.saturating_sub(before)).unwrap_or(0);
    let rest = account.mark_errors(errors, gap, 0);
    account.doubled += if waits { rest.saturating_sub(1) } else { rest };
    account.lost += u64::try_from(before.saturating_sub(found)).unwrap_or(0);
    if waits {
        account.marks.push('w');
    }
    account
}

impl Account {
    /// Marks `errors` failed updates, the first `executed` of them as executed; returns the executions left over, plus
    /// `own`.
    fn mark_errors(&mut self, errors: u64, executed: u64, own: u64) -> u64 {
        let ran = executed.min(errors);
        self.marks.extend((0..errors).map(|at| if at < ran { 'x' } else { 'o' }));
        executed - ran + own
    }

    fn mark_acked(&mut self, executed: u64) {
        self.doubled += executed.saturating_sub(1);
        self.lost += u64::from(executed == 0);
        self.marks.push(match executed {
            0 => '!',
            1 => '.',
            2..=9 => char::from(b'0' + executed as u8),
            _ => '+',
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(outcomes: &[Outcome]) -> Vec<Event> {
        let event = |(i, &outcome)| Event::new(0, i as u64, i as u64 + 1, 1, outcome);
        outcomes.iter().enumerate().map(event).collect()
    }

    #[test]
    fn each_execution_is_found() {
        use Outcome::{Acked, Refused, Unknown};
        let of = |outcomes: &[Outcome], found, waits| {
            let Account { marks, doubled, lost } = account(&events(outcomes), found, waits);
            (marks, doubled, lost)
        };
        assert_eq!(of(&[Acked(1), Acked(3), Acked(4)], 4, false), (".2.".to_owned(), 1, 0));
        assert_eq!(of(&[Acked(1), Unknown, Acked(3)], 3, false), (".x.".to_owned(), 0, 0));
        assert_eq!(of(&[Acked(1), Unknown, Refused, Acked(2)], 2, false), (".oo.".to_owned(), 0, 0));
        assert_eq!(of(&[Acked(1), Unknown, Acked(5)], 5, false), (".x3".to_owned(), 2, 0));
        assert_eq!(of(&[Acked(1), Unknown], 5, false), (".x".to_owned(), 3, 0));
        assert_eq!(of(&[Acked(1)], 3, true), (".w".to_owned(), 1, 0));
        assert_eq!(of(&[Acked(1), Acked(2)], 1, false), ("..".to_owned(), 0, 1));
        assert_eq!(of(&[Acked(1), Acked(1)], 1, false), (".!".to_owned(), 0, 1));
        assert_eq!(of(&[Acked(13)], 13, false), ("+".to_owned(), 12, 0));
        // Whatever the counter holds, this must not panic.
        for found in [i64::MIN, -1, i64::MAX] {
            account(&events(&[Acked(i64::MIN), Unknown, Acked(i64::MAX), Acked(0)]), found, true);
        }
    }
}
