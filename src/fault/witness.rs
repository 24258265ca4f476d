//! The shortest account that shows what a trial lost or doubled. Pure.

use crate::fault::losses::LostUpdate;
use crate::fault::scene::Mark;
use crate::record::lab::{Evidence, EvidenceKind};
use crate::update::{Event, Outcome};

/// An acknowledged update: when, by which client, the value that it was told, and after how many tries.
#[derive(Clone, Copy)]
struct Told {
    at_ns: u64,
    client: usize,
    value: i64,
    tries: u32,
}

/// The outcome of a trial.
pub(super) struct Found<'a> {
    pub(super) trial: u32,
    pub(super) clients: &'a [&'a [Event]],
    pub(super) lost: &'a [LostUpdate],
    pub(super) marks: &'a [Mark],
    pub(super) doubled: u64,
    pub(super) found: i64,
    /// When the counter was read.
    pub(super) read_ns: u64,
}

/// A few rows in the order of time; none if nothing was lost or doubled.
pub(super) fn witness(found: &Found<'_>) -> Vec<Evidence> {
    let mut rows = Vec::new();
    if let (Some(first), Some(last)) = (found.lost.first(), found.lost.last()) {
        rows.extend(of_losses(found, *first, *last));
    } else if found.doubled > 0 {
        rows.extend(of_doubling(found));
    }
    if rows.is_empty() {
        return rows;
    }
    let mut within = found.marks.iter().filter(|mark| mark.is_within);
    let (first, last) = (within.clone().next(), within.next_back());
    let marks = first.into_iter().chain(last.filter(|last| Some(*last) != first));
    rows.extend(marks.map(|mark| row(found, mark.at_ns, None, EvidenceKind::Fault, None, mark.what.replace('-', " "))));
    rows.sort_by_key(|row| row.at_ns);
    let note = format!("the counter is read: {}", found.found);
    rows.push(row(found, found.read_ns, None, EvidenceKind::ReadBack, Some(found.found), note));
    (1_u32..).zip(rows).map(|(step, row)| Evidence { step, ..row }).collect()
}

fn row(
    found: &Found<'_>,
    at_ns: u64,
    client: Option<usize>,
    what: EvidenceKind,
    value: Option<i64>,
    note: String,
) -> Evidence {
    let client = client.map(|client| client as u32 + 1);
    Evidence { client, value, ..Evidence::of(found.trial, 1, what, note).at(at_ns) }
}

fn told<'a>(found: &'a Found<'_>) -> impl Iterator<Item = Told> + Clone + 'a {
    found.clients.iter().enumerate().flat_map(|(client, events)| {
        events.iter().filter_map(move |event| match event.outcome() {
            Outcome::Acked(value) => Some(Told { at_ns: event.end_ns(), client, value, tries: event.tries() }),
            _ => None,
        })
    })
}

/// The first and the last lost update, and the update that was told the first one's value again.
fn of_losses(found: &Found<'_>, first: LostUpdate, last: LostUpdate) -> Vec<Evidence> {
    let lost = |update: LostUpdate, which: &str| {
        let (client, value) = (update.client, update.value);
        let note = format!("client {} is told {value}: {which} of {} lost updates", client + 1, found.lost.len());
        row(found, update.at_ns, Some(client), EvidenceKind::Lost, Some(value), note)
    };
    let mut rows = vec![lost(first, "the first")];
    if last != first {
        rows.push(lost(last, "the last"));
    }
    let again = told(found).filter(|told| told.value == first.value && told.at_ns > first.at_ns);
    if let Some(again) = again.max_by_key(|told| told.at_ns) {
        let note = format!("client {} is told {} too: the counter had gone back", again.client + 1, again.value);
        rows.push(row(found, again.at_ns, Some(again.client), EvidenceKind::Acked, Some(again.value), note));
    }
    rows
}

/// An update that was told a value although none was told the one before.
fn of_doubling(found: &Found<'_>) -> Vec<Evidence> {
    let mut values: Vec<i64> = told(found).map(|told| told.value).collect();
    values.sort_unstable();
    let nobody = |value: i64| value >= 1 && values.binary_search(&value).is_err();
    // Prefer one that was sent several times: it is the one that was executed more than once.
    let skipping = told(found).filter(|told| nobody(told.value - 1));
    let Some(update) = skipping.max_by_key(|told| (told.tries, std::cmp::Reverse(told.at_ns))) else {
        return Vec::new();
    };
    let Told { at_ns, client, value, tries } = update;
    let sent = if tries > 1 { format!(", at try {tries}") } else { String::new() };
    let note = format!("client {} is told {value}{sent}, and nobody is told {}", client + 1, value - 1);
    vec![row(found, at_ns, Some(client), EvidenceKind::Doubled, Some(value), note)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::losses::lost_updates;

    fn acked(end_ns: u64, value: i64, tries: u32) -> Event {
        Event::new(0, end_ns - 1, end_ns, tries, Outcome::Acked(value))
    }

    fn words(clients: &[&[Event]], found: i64, doubled: u64) -> Vec<String> {
        let marks = [Mark { at_ns: 25, what: "primary-killed".to_owned(), is_within: true }];
        let lost = lost_updates(clients, found).unwrap();
        let found = Found { trial: 1, clients, lost: &lost, marks: &marks, doubled, found, read_ns: 99 };
        witness(&found).into_iter().map(|row| format!("{} {}", row.step, row.note)).collect()
    }

    #[test]
    fn a_loss_is_told_from_its_acknowledgement_to_the_reading() {
        let (one, other) = ([acked(10, 1, 1), acked(20, 2, 1)], [acked(40, 2, 1)]);
        let expected = [
            "1 client 1 is told 2: the first of 1 lost updates",
            "2 primary killed",
            "3 client 2 is told 2 too: the counter had gone back",
            "4 the counter is read: 2",
        ];
        assert_eq!(words(&[&one, &other], 2, 0), expected);
        assert_eq!(words(&[&one], 2, 0), [""; 0]);
    }

    #[test]
    fn a_doubling_is_told_by_the_value_that_nobody_was_told() {
        let one = [acked(10, 1, 1), acked(20, 3, 2)];
        let expected =
            ["1 client 1 is told 3, at try 2, and nobody is told 2", "2 primary killed", "3 the counter is read: 3"];
        assert_eq!(words(&[&one], 3, 1), expected);
    }
}
