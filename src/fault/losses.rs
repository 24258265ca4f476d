//! What happened in a trial over time, from its updates alone. Pure.

use crate::record::lab::Moment;
use crate::update::{Event, Outcome};

/// The length of a bucket of the timeline.
const STRETCH_NS: u64 = 25_000_000;

/// The most buckets of one trial.
const MOST: u64 = 4_000;

/// An update that was acknowledged and is not in the counter: its client, when, and the value that it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LostUpdate {
    pub(super) client: usize,
    pub(super) at_ns: u64,
    pub(super) value: i64,
}

/// The acknowledged updates that are not in the counter, in the order of their acknowledgement; `None` if one of them
/// was told no value.
///
/// An update is lost if it was told a value beyond the counter's last, or one that no increment makes. Of several that
/// were told the same value, all but one are lost. The last to be acknowledged counts as the survivor, because a
/// counter that went back hands out its values a second time.
pub(super) fn lost_updates(clients: &[&[Event]], found: i64) -> Option<Vec<LostUpdate>> {
    let mut told: Vec<LostUpdate> = Vec::new();
    for (client, events) in clients.iter().enumerate() {
        for event in *events {
            match event.outcome() {
                Outcome::Acked(value) => told.push(LostUpdate { client, at_ns: event.end_ns(), value }),
                Outcome::AckedBlind => return None,
                Outcome::Refused | Outcome::Unknown => {}
            }
        }
    }
    told.sort_unstable_by_key(|update| (update.value, update.at_ns));
    let is_lost = |place: usize| {
        let update = &told[place];
        let is_again = told.get(place + 1).is_some_and(|next| next.value == update.value);
        is_again || !(1..=found).contains(&update.value)
    };
    let mut lost: Vec<LostUpdate> = (0..told.len()).filter(|&place| is_lost(place)).map(|place| told[place]).collect();
    lost.sort_unstable_by_key(|update| (update.at_ns, update.value));
    Some(lost)
}

/// How many of these updates lie before, within and after the window; without a window, all count as before.
pub(super) fn attributed(lost: &[LostUpdate], window: Option<(u64, u64)>) -> (u64, u64, u64) {
    let Some((begin, end)) = window else { return (lost.len() as u64, 0, 0) };
    lost.iter().fold((0, 0, 0), |(before, during, after), update| match update.at_ns {
        at if at < begin => (before + 1, during, after),
        at if at <= end => (before, during + 1, after),
        _ => (before, during, after + 1),
    })
}

/// When each acknowledged update was acknowledged, in order.
pub(super) fn acked_ns(clients: &[&[Event]]) -> Vec<u64> {
    let is_acked = |event: &&Event| matches!(event.outcome(), Outcome::Acked(_) | Outcome::AckedBlind);
    let mut ends: Vec<u64> =
        clients.iter().flat_map(|events| events.iter().filter(is_acked).map(Event::end_ns)).collect();
    ends.sort_unstable();
    ends
}

/// The longest time without an acknowledgement: when it began and when it ended. The trial's beginning and end count as
/// acknowledgements; with `overlapping`, only gaps that touch that window count.
pub(super) fn longest_gap(acked: &[u64], span: (u64, u64), overlapping: Option<(u64, u64)>) -> (u64, u64) {
    let instants = std::iter::once(span.0).chain(acked.iter().copied()).chain([span.1]);
    let gaps = instants.clone().zip(instants.skip(1)).filter(|(begin, end)| begin <= end);
    let touches = |gap: &(u64, u64)| overlapping.is_none_or(|(begin, end)| gap.1 >= begin && gap.0 <= end);
    gaps.filter(touches).max_by_key(|(begin, end)| end - begin).unwrap_or(span)
}

/// From the beginning of the window to the end of the longest gap that touches it; `None` if nothing was acknowledged
/// after that.
pub(super) fn recovery(acked: &[u64], span: (u64, u64), window: (u64, u64)) -> Option<u64> {
    let (_, end) = longest_gap(acked, span, Some(window));
    let is_back = acked.last().is_some_and(|&last| last >= end);
    is_back.then(|| end.saturating_sub(window.0))
}

/// The trial in buckets of 25 ms, or longer ones if the trial is long.
pub(super) fn timeline(trial: u32, clients: &[&[Event]], lost: &[LostUpdate], end_ns: u64) -> Vec<Moment> {
    let for_ns = STRETCH_NS.max(end_ns.div_ceil(MOST));
    let stretches = end_ns / for_ns + 1;
    let mut moments: Vec<Moment> =
        (0..stretches).map(|n| Moment { trial, at_ns: n * for_ns, for_ns, ..Moment::default() }).collect();
    let last = moments.len() - 1;
    for event in clients.iter().flat_map(|events| events.iter()) {
        let moment = &mut moments[((event.end_ns() / for_ns) as usize).min(last)];
        match event.outcome() {
            Outcome::Acked(_) | Outcome::AckedBlind => moment.acked += 1,
            Outcome::Unknown => moment.unknown += 1,
            Outcome::Refused => moment.refused += 1,
        }
    }
    for update in lost {
        moments[((update.at_ns / for_ns) as usize).min(last)].lost += 1;
    }
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acked(end_ns: u64, value: i64) -> Event {
        Event::new(0, end_ns.saturating_sub(1), end_ns, 1, Outcome::Acked(value))
    }

    #[test]
    fn a_counter_that_went_back_lost_what_it_hands_out_again_and_what_lies_beyond() {
        // Told 1 to 5; then the counter is at 3, and 4 is told again; at the end it holds 4.
        let (one, other) = ([acked(10, 1), acked(30, 3), acked(50, 5)], [acked(20, 2), acked(40, 4), acked(90, 4)]);
        let lost = lost_updates(&[&one, &other], 4).unwrap();
        let of = |client, at_ns, value| LostUpdate { client, at_ns, value };
        assert_eq!(lost, [of(1, 40, 4), of(0, 50, 5)]);
        assert_eq!(attributed(&lost, Some((45, 60))), (1, 1, 0));
        assert_eq!(attributed(&lost, Some((10, 20))), (0, 0, 2));
        assert_eq!(attributed(&lost, None), (2, 0, 0));
        let blind = [Event::new(0, 1, 2, 1, Outcome::AckedBlind)];
        assert_eq!(lost_updates(&[&blind], 4), None);
        assert_eq!(lost_updates(&[&[acked(1, 0)]], 4).unwrap().len(), 1);
    }

    #[test]
    fn downtime_is_the_longest_time_without_an_acknowledgement() {
        let acked = [10, 20, 30, 500, 510];
        assert_eq!(longest_gap(&acked, (0, 520), None), (30, 500));
        assert_eq!(longest_gap(&acked, (0, 520), Some((0, 5))), (0, 10));
        assert_eq!(longest_gap(&acked, (0, 2_000), None), (510, 2_000));
        assert_eq!(longest_gap(&[], (5, 9), None), (5, 9));
        assert_eq!(recovery(&acked, (0, 520), (40, 450)), Some(460));
        // Nothing came after it.
        assert_eq!(recovery(&[10], (0, 520), (40, 450)), None);
    }

    #[test]
    fn the_timeline_holds_every_update_once() {
        let events = [acked(10, 1), acked(STRETCH_NS + 1, 2), Event::new(0, 0, 3 * STRETCH_NS, 1, Outcome::Unknown)];
        let lost = [LostUpdate { client: 0, at_ns: STRETCH_NS + 1, value: 2 }];
        let moments = timeline(7, &[&events], &lost, 3 * STRETCH_NS);
        let counts: Vec<(u64, u64, u64)> = moments.iter().map(|m| (m.acked, m.lost, m.unknown)).collect();
        assert_eq!(counts, [(1, 0, 0), (1, 1, 0), (0, 0, 0), (0, 0, 1)]);
        assert!(moments.windows(2).all(|pair| pair[0].at_ns + pair[0].for_ns == pair[1].at_ns));
        assert!(timeline(1, &[], &[], u64::MAX / 2).len() as u64 <= MOST + 1);
    }
}
