//! The values that updates returned, and which of them came out of order: in slots by value, without sorting values that
//! lie close together.

use super::{Events, Seen};

/// Every value told, and for each the least end of the updates told that value or a larger one.
pub(super) struct Told {
    slots: Slots,
    ended: Vec<u64>, // one more than there are slots; the last is never reached by a begin
    distinct: u64,
    possible: u64,
    within: u64,
}

/// Maps values to slots: one for every value in a range, told or not, and one for each value told outside it.
///
/// A counter's values lie close together, so slots are found by subtraction, without a sort. A few absurd values must
/// not change that.
struct Slots {
    below: Vec<i64>, // in order
    first: i64,
    len: usize,
    above: Vec<i64>, // in order
}

impl Slots {
    fn of(values: impl Iterator<Item = i64> + Clone, count: u64) -> Self {
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        values.clone().for_each(|value| (first, last) = (first.min(value), last.max(value)));
        if count == 0 {
            return Self { below: Vec::new(), first: 1, len: 0, above: Vec::new() };
        }
        // Slots that mostly stay empty would cost more than a sort.
        let reach = count.saturating_mul(2) + 512;
        let (mut below, mut above) = (Vec::new(), Vec::new());
        if last.abs_diff(first) >= reach * 2 {
            let middle = middle_of(values.clone(), count);
            (first, last) =
                (first.max(middle.saturating_sub_unsigned(reach)), last.min(middle.saturating_add_unsigned(reach)));
            below.extend(values.clone().filter(|&value| value < first));
            above.extend(values.filter(|&value| value > last));
            for outside in [&mut below, &mut above] {
                outside.sort_unstable();
                outside.dedup();
            }
        }
        Self { below, first, len: last.abs_diff(first) as usize + 1, above }
    }

    fn len(&self) -> usize {
        self.below.len() + self.len + self.above.len()
    }

    /// The slot of a value that was told.
    fn slot(&self, value: i64) -> usize {
        if value < self.first {
            return self.below.partition_point(|&other| other < value);
        }
        let place = value.abs_diff(self.first) as usize;
        let beyond =
            if place < self.len { place } else { self.len + self.above.partition_point(|&other| other < value) };
        self.below.len() + beyond
    }

    fn value(&self, slot: usize) -> i64 {
        match slot.checked_sub(self.below.len()) {
            None => self.below[slot],
            Some(place) if place < self.len => self.first + place as i64,
            Some(place) => self.above[place - self.len],
        }
    }
}

/// The median of `count` values.
fn middle_of(values: impl Iterator<Item = i64>, count: u64) -> i64 {
    let mut all: Vec<i64> = Vec::with_capacity(count as usize);
    all.extend(values);
    let half = all.len() / 2;
    *all.select_nth_unstable(half).1
}

impl Told {
    /// From the `count` updates in `events` that were told a value, for a counter that ended at `end`.
    pub(super) fn new(events: impl Events, count: u64, end: i64) -> Self {
        let slots = Slots::of(events.clone().filter_map(|seen| seen.value()), count);
        let mut ended = vec![u64::MAX; slots.len() + 1];
        events.for_each(|seen| {
            if let Some(value) = seen.value() {
                let end = &mut ended[slots.slot(value)];
                *end = seen.event.end_ns().min(*end);
            }
        });
        let (mut distinct, mut possible, mut within) = (0, 0, 0);
        let mut least = u64::MAX;
        for slot in (0..slots.len()).rev() {
            let used = u64::from(ended[slot] != u64::MAX);
            distinct += used;
            let value = slots.value(slot);
            possible += if value >= 1 { used } else { 0 };
            within += if value >= 1 && value <= end { used } else { 0 };
            least = least.min(ended[slot]);
            ended[slot] = least;
        }
        Self { slots, ended, distinct, possible, within }
    }

    /// How many different values were told.
    pub(super) fn distinct(&self) -> u64 {
        self.distinct
    }

    /// How many of them are values that increments can make: 1 or more.
    pub(super) fn possible(&self) -> u64 {
        self.possible
    }

    /// How many of these lie at or below where the counter ended.
    pub(super) fn within(&self) -> u64 {
        self.within
    }

    /// The largest value told; `i64::MIN` if none was.
    pub(super) fn largest(&self) -> i64 {
        if self.slots.len() == 0 { i64::MIN } else { self.slots.value(self.slots.len() - 1) }
    }

    /// The largest value told to an update that had ended before `begin`; `i64::MIN` if there is none.
    pub(super) fn largest_before(&self, begin: u64) -> i64 {
        // The last value from which on the least end is before `begin` has an update with that end itself.
        let before = self.ended[..self.slots.len()].partition_point(|&end| end < begin);
        if before == 0 { i64::MIN } else { self.slots.value(before - 1) }
    }

    /// For each value told, the largest begin of the updates told that value or a smaller one.
    pub(super) fn begun(&self, events: impl Events) -> Vec<u64> {
        let mut begun = vec![0; self.slots.len()];
        events.for_each(|seen| {
            if let Some(value) = seen.value() {
                let begin = &mut begun[self.slots.slot(value)];
                *begin = seen.event.begin_ns().max(*begin);
            }
        });
        for slot in 1..begun.len() {
            begun[slot] = begun[slot].max(begun[slot - 1]);
        }
        begun
    }

    /// The least value told to an update that began after `end`, given what [`Told::begun`] returned; `i64::MAX` if
    /// none was.
    pub(super) fn least_after(&self, begun: &[u64], end: u64) -> i64 {
        let after = begun.partition_point(|&begin| begin <= end);
        if after == begun.len() { i64::MAX } else { self.slots.value(after) }
    }

    /// A function that says whether a value was told, for values from 1 on.
    pub(super) fn asked(&self, events: impl Events) -> impl Fn(i64) -> bool {
        let mut used = vec![false; self.slots.len()];
        events.filter_map(|seen| seen.value()).for_each(|value| used[self.slots.slot(value)] = true);
        move |value| {
            let slot = self.slots.slot(value);
            // A value that was never told maps to another's slot, or past the last one.
            used.get(slot).copied().unwrap_or(false) && self.slots.value(slot) == value
        }
    }

    /// The least value that two updates were told.
    pub(super) fn least_repeated(&self, events: impl Events) -> Option<i64> {
        let mut once = vec![false; self.slots.len()];
        let twice = |&value: &i64| std::mem::replace(&mut once[self.slots.slot(value)], true);
        events.filter_map(|seen| seen.value()).filter(twice).min()
    }

    /// How many updates were told less than one that came before them.
    pub(super) fn stale(&self, events: impl Events) -> u64 {
        let (mut own, mut stale) = (Own::default(), 0);
        events.for_each(|seen| stale += u64::from(self.is_stale(&seen, own.before(&seen))));
        stale
    }

    /// Whether an update was told less than one that came before it; `own` is the largest its worker had been told.
    pub(super) fn is_stale(&self, seen: &Seen, own: i64) -> bool {
        let begin = seen.event.begin_ns();
        seen.value().is_some_and(|value| value < own || self.ended[self.slots.slot(value) + 1] < begin)
    }
}

/// Walks along workers' updates and tracks the largest value that each had been told by its earlier hand-overs.
pub(super) struct Own {
    worker: u32,
    hand_over: (u64, u64), // the latest
    ended: u64,            // when its acknowledged updates had all ended
    told: i64,             // the largest value it was told
    before: i64,           // the largest that earlier ones were told
}

impl Default for Own {
    fn default() -> Self {
        Self { worker: u32::MAX, hand_over: (u64::MAX, u64::MAX), ended: 0, told: i64::MIN, before: i64::MIN }
    }
}

impl Own {
    /// The largest value that this update's worker had been told when it began; `i64::MIN` if none.
    pub(super) fn before(&mut self, seen: &Seen) -> i64 {
        self.step(seen.worker, seen.span(), seen.value())
    }

    /// The same, from plain numbers.
    pub(super) fn step(&mut self, worker: u32, span: (u64, u64), value: Option<i64>) -> i64 {
        if worker != self.worker {
            *self = Self { worker, ..Self::default() };
        }
        // Updates that share both timestamps are one hand-over, without an order, even if the clock stood still.
        if span != self.hand_over && span.0 >= self.ended {
            self.before = self.before.max(self.told);
            (self.told, self.hand_over) = (i64::MIN, span);
        }
        if let Some(value) = value {
            self.told = self.told.max(value);
            self.ended = self.ended.max(span.1);
        }
        self.before
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Slots;

    proptest! {
        /// Slots are ordered by value and map back to their values, wherever these lie.
        #[test]
        fn a_slot_gives_back_its_value(near in proptest::collection::vec(-40_i64..400, 0..40), far in proptest::collection::vec(any::<i64>(), 0..40)) {
            let mut values: Vec<i64> = near.into_iter().chain(far).chain([i64::MAX]).collect();
            let slots = Slots::of(values.iter().copied(), values.len() as u64);
            values.sort_unstable();
            values.dedup();
            let places: Vec<usize> = values.iter().map(|&value| slots.slot(value)).collect();
            prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(places.iter().zip(&values).all(|(&place, &value)| place < slots.len() && slots.value(place) == value));
        }
    }
}
