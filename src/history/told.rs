//! The values that updates were told, and which of them came out of order: in slots by value, with no sort where the
//! values lie close together.

use super::{Events, Seen};

/// Every value told, and for each the least end of the updates told it or a larger one.
pub(super) struct Told {
    slots: Slots,
    ended: Vec<u64>, // one more than there are slots; the last is never reached by a begin
    distinct: u64,
    possible: u64,
}

/// Where a value's slot is.
enum Slots {
    /// One slot for every value from the first on, told or not.
    Dense { first: i64, len: usize },
    /// One for every value told, in order.
    Sorted(Vec<i64>),
}

impl Slots {
    fn of(values: impl Iterator<Item = i64> + Clone, count: u64) -> Self {
        let (mut first, mut last) = (i64::MAX, i64::MIN);
        values.clone().for_each(|value| (first, last) = (first.min(value), last.max(value)));
        if count == 0 {
            return Self::Dense { first: 1, len: 0 };
        }
        // Slots that mostly stay empty would cost more than a sort.
        let range = last.abs_diff(first);
        if range < count.saturating_mul(4) + 1024 {
            return Self::Dense { first, len: range as usize + 1 };
        }
        let mut sorted: Vec<i64> = Vec::with_capacity(count as usize);
        sorted.extend(values);
        sorted.sort_unstable();
        sorted.dedup();
        Self::Sorted(sorted)
    }

    fn len(&self) -> usize {
        match self {
            Self::Dense { len, .. } => *len,
            Self::Sorted(values) => values.len(),
        }
    }

    /// The slot of a value that was told.
    fn slot(&self, value: i64) -> usize {
        match self {
            Self::Dense { first, .. } => value.abs_diff(*first) as usize,
            Self::Sorted(values) => values.partition_point(|&other| other < value),
        }
    }

    fn value(&self, slot: usize) -> i64 {
        match self {
            Self::Dense { first, .. } => first + slot as i64,
            Self::Sorted(values) => values[slot],
        }
    }
}

impl Told {
    /// Of `count` updates among `events` that were told a value.
    pub(super) fn new(events: impl Events, count: u64) -> Self {
        let slots = Slots::of(events.clone().filter_map(|seen| seen.value()), count);
        let mut ended = vec![u64::MAX; slots.len() + 1];
        events.for_each(|seen| {
            if let Some(value) = seen.value() {
                let end = &mut ended[slots.slot(value)];
                *end = seen.event.end_ns().min(*end);
            }
        });
        let (mut distinct, mut possible) = (0, 0);
        let mut least = u64::MAX;
        for slot in (0..slots.len()).rev() {
            let used = u64::from(ended[slot] != u64::MAX);
            distinct += used;
            possible += if slots.value(slot) >= 1 { used } else { 0 };
            least = least.min(ended[slot]);
            ended[slot] = least;
        }
        Self { slots, ended, distinct, possible }
    }

    /// How many different values were told.
    pub(super) fn distinct(&self) -> u64 {
        self.distinct
    }

    /// How many of them are values that increments can make: 1 or more.
    pub(super) fn possible(&self) -> u64 {
        self.possible
    }

    /// The largest value told; `i64::MIN` if none was.
    pub(super) fn largest(&self) -> i64 {
        if self.slots.len() == 0 { i64::MIN } else { self.slots.value(self.slots.len() - 1) }
    }

    /// The largest value told to an update that had ended before `begin`; `i64::MIN` if there is none.
    pub(super) fn largest_before(&self, begin: u64) -> i64 {
        // Where the least end from here on is too early, but from the next value on is not, this value's own is.
        let before = self.ended[..self.slots.len()].partition_point(|&end| end < begin);
        if before == 0 { i64::MIN } else { self.slots.value(before - 1) }
    }

    /// For each value told, the largest begin of the updates told it or a smaller one.
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

    /// The least value told to an update that began after `end`, by what [`Told::begun`] gave; `i64::MAX` if none was.
    pub(super) fn least_after(&self, begun: &[u64], end: u64) -> i64 {
        let after = begun.partition_point(|&begin| begin <= end);
        if after == begun.len() { i64::MAX } else { self.slots.value(after) }
    }

    /// Which values from 1 on were told, as a question.
    pub(super) fn asked(&self, events: impl Events) -> impl Fn(i64) -> bool {
        let mut used = vec![false; self.slots.len()];
        events.filter_map(|seen| seen.value()).for_each(|value| used[self.slots.slot(value)] = true);
        move |value| match &self.slots {
            Slots::Dense { first, .. } => {
                value >= *first && used.get(value.abs_diff(*first) as usize).copied().unwrap_or(false)
            }
            Slots::Sorted(values) => values.binary_search(&value).is_ok(),
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

/// Walks along workers' updates and knows the largest value each had been told by its earlier hand-overs.
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

    /// The same, numbers only.
    pub(super) fn step(&mut self, worker: u32, span: (u64, u64), value: Option<i64>) -> i64 {
        if worker != self.worker {
            *self = Self { worker, ..Self::default() };
        }
        // Updates with both stamps equal are one hand-over, in no order, even if the clock stood still.
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
