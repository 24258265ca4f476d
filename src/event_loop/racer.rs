//! One client in one race of the event loop: what is left to do, and its lane.

use std::sync::atomic::Ordering;

use crate::error::BoxError;
use crate::race::{GIVE_UP_AFTER, Lane, Limits, Work, keep, touched};
use crate::update::{Event, Outcome, Update};

pub(super) struct Racer<'w> {
    work: &'w Work<'w>,
    pub(super) lane: Lane,
    /// The next place in the sequence of keys.
    place: usize,
    left: u64,
    failures: u32,
    /// The first event of the hand-over under way.
    handed_from: usize,
    /// Its outcomes so far.
    pub(super) done: Vec<Update>,
    /// How it ended, while replies are still owed.
    pub(super) ending: Option<Result<(), BoxError>>,
    /// Replies to come.
    pub(super) owed: u32,
    /// When it last asked something.
    pub(super) asked_ns: u64,
    pub(super) is_finished: bool,
}

impl<'w> Racer<'w> {
    /// Everything it will write to is allocated and touched here.
    pub(super) fn new(work: &'w Work<'w>) -> Self {
        Self {
            work,
            lane: Lane { events: touched(work.updates), ..Lane::default() },
            place: 0,
            left: work.updates,
            failures: 0,
            handed_from: 0,
            done: Vec::with_capacity(1),
            ending: None,
            owed: 0,
            asked_ns: 0,
            is_finished: false,
        }
    }

    pub(super) fn start(&mut self, now: u64) {
        self.lane.start_ns = now;
        self.lane.end_ns = now;
    }

    /// Takes the next updates, at most `batch`, and fills `keys` with their counters. Until more is known, their outcome
    /// is unknown.
    pub(super) fn hand_over(&mut self, batch: usize, keys: &mut Vec<&'w str>) {
        let handed = self.left.min(batch.max(1) as u64);
        self.left -= handed;
        self.handed_from = self.lane.events.len();
        keys.clear();
        for _ in 0..handed {
            let key = usize::from(self.work.sequence.get(self.place).copied().unwrap_or(0));
            self.place += 1;
            if self.place >= self.work.sequence.len() {
                self.place = 0;
            }
            keys.push(&self.work.keys[key]);
            self.lane.events.push(Event::new(key, self.lane.end_ns, self.lane.end_ns, 1, Outcome::Unknown));
        }
    }

    /// Whatever becomes of the hand-over under way, it is the last.
    pub(super) fn stop_after_this(&mut self) {
        self.left = 0;
    }

    /// Writes down what became of the hand-over that ended now.
    pub(super) fn write_down(&mut self, ending: Result<(), BoxError>, now: u64) {
        let begin_ns = std::mem::replace(&mut self.lane.end_ns, now);
        self.failures = if ending.is_err() { self.failures + 1 } else { 0 };
        let error = ending.err().map(|e| e.to_string());
        let mut done = self.done.drain(..);
        for event in &mut self.lane.events[self.handed_from..] {
            let each = done.next().ok_or_else(|| BoxError::from(error.as_deref().unwrap_or("no outcome reported")));
            let (outcome, tries) = keep(each, &mut self.lane.trouble);
            *event = Event::new(event.key(), begin_ns, now, tries, outcome);
        }
    }

    /// Whether there is another hand-over to make.
    pub(super) fn goes_on(&self, limits: Limits<'_>) -> bool {
        self.left > 0
            && self.failures < GIVE_UP_AFTER
            && self.lane.end_ns < limits.deadline.as_nanos() as u64
            && !limits.stop.load(Ordering::Relaxed)
    }
}
