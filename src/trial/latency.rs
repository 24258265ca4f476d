//! How long the updates of a trial took: from the send, and in an open loop also from the intended instant.
//!
//! An update that was due but never sent has waited at least until the end of the trial, and is counted with that time.
//! Otherwise the percentiles would improve the worse the server is.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::race::ClientLog;
use crate::trial::Trial;

/// Two significant digits: latencies are stored within 1 %.
const PRECISION: u8 = 2;

impl Trial {
    /// How long updates took from the send (closed loop: from the end of the one before) to the acknowledgement: buckets
    /// within 1 %, as (the longest time in nanoseconds, updates).
    pub fn latency(&self) -> Vec<(u64, u64)> {
        let events = self.log.clients.iter().flat_map(|lane| &lane.events);
        buckets(events.map(|event| event.end_ns() - event.begin_ns()))
    }

    /// How long updates took from the intended instant, in an open loop. An update that was due and never sent counts
    /// with the time from its intended instant to the trial's end: it took longer than that.
    pub fn response(&self) -> Option<Vec<(u64, u64)>> {
        let schedule = self.schedule.as_ref()?;
        let over = self.log.clients.iter().map(|lane| lane.end_ns).max().unwrap_or(0);
        let lanes = self.log.clients.iter().enumerate();
        let times = lanes.flat_map(|(client, lane)| {
            let ends = lane.events.iter().map(|event| event.end_ns()).chain(std::iter::repeat(over));
            (0..schedule.updates_of(client)).zip(ends).filter_map(move |(i, end)| {
                // If all clients gave up early, some updates never became due.
                end.checked_sub(lane.start_ns + schedule.intended_ns(client, i))
            })
        });
        Some(buckets(times))
    }

    /// How long updates waited for a shared resource, such as a pooled connection. It is part of their latency. Empty
    /// if that was not measured.
    pub fn waits(&self) -> Vec<(u64, u64)> {
        let mut all = BTreeMap::new();
        for &(up_to, count) in self.log.clients.iter().flat_map(|lane| &lane.waits) {
            *all.entry(up_to).or_default() += count;
        }
        all.into_iter().collect()
    }

    /// The backlog: updates that were due but not yet sent when the schedule was over.
    pub(super) fn backlog(&self) -> Option<u64> {
        let length = self.schedule.as_ref()?.length_ns();
        let late =
            |lane: &ClientLog| lane.events.iter().filter(|e| e.begin_ns() >= lane.start_ns + length).count() as u64;
        Some(self.log.clients.iter().map(late).sum::<u64>() + self.unsent()?)
    }

    /// Updates of the schedule that were never sent.
    pub(super) fn unsent(&self) -> Option<u64> {
        let sent: u64 = self.log.clients.iter().map(|lane| lane.events.len() as u64).sum();
        Some(self.schedule.as_ref()?.updates() - sent)
    }
}

fn buckets(times: impl Iterator<Item = u64>) -> Vec<(u64, u64)> {
    let range = Histogram::<u64>::new_with_bounds(1, 1 << 48, PRECISION);
    let mut histogram = range.expect("two digits over an event's 48 bits are a range it knows");
    times.for_each(|ns| histogram.saturating_record(ns.max(1)));
    histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect()
}
