//! One client's updates in one race: what is left to do, the current batch, and the record of what happened.
//!
//! Every driver uses it in the same way: hand over the next updates, find out their outcomes, record them, and ask
//! whether to continue. Functions called in the timed section are inlined.

use std::sync::atomic::Ordering;

use crate::error::BoxError;
use crate::race::{ClientLog, Limits, Work};
use crate::update::{Event, Outcome, Update};

/// A client whose updates fail this many times in a row stops: its server is gone, and the row says so.
const GIVE_UP_AFTER: u32 = 3;

pub(crate) struct Recorder {
    pub(crate) log: ClientLog,
    /// The outcomes of the current batch, as far as they are known.
    pub(crate) done: Vec<Update>,
    /// The next place in the sequence of keys.
    place: usize,
    left: u64,
    /// When the client stops beginning updates, in nanoseconds since the race's zero.
    over_ns: u64,
    /// Whether it was told to stop early.
    is_stopped: bool,
    failures: u32,
    /// The first event of the current batch, and when it began.
    handed_from: usize,
    began_ns: u64,
}

impl Recorder {
    /// Allocates the memory that it will write to and touches its pages, so that no page fault falls into the race.
    /// `work` says how many events to allocate; `batch` is the size of a batch.
    pub(crate) fn of(work: &Work, batch: usize) -> Self {
        let mut events = vec![Event::new(0, 0, 0, 1, Outcome::Unknown); work.room.min(work.updates) as usize];
        events.clear();
        Self {
            log: ClientLog { events, ..ClientLog::default() },
            done: Vec::with_capacity(batch.max(1)),
            place: 0,
            left: work.updates,
            over_ns: u64::MAX,
            is_stopped: false,
            failures: 0,
            handed_from: 0,
            began_ns: 0,
        }
    }

    /// Starts at `now`, in a race whose common start is `of_all`.
    pub(crate) fn start(&mut self, now: u64, of_all: u64, limits: Limits<'_>) {
        self.log.start_ns = now;
        self.log.end_ns = now;
        self.over_ns = of_all.saturating_add(u64::try_from(limits.deadline.as_nanos()).unwrap_or(u64::MAX));
    }

    /// The number of updates in the next batch, if the client takes `batch` at once.
    #[inline]
    pub(crate) fn next(&self, batch: usize) -> usize {
        self.left.min(batch.max(1) as u64) as usize
    }

    /// The index of that batch's last update among all updates of this client. There is one only while the client
    /// [goes on](Self::goes_on).
    pub(crate) fn last_of_next(&self, batch: usize) -> u64 {
        (self.log.events.len() + self.next(batch)) as u64 - 1
    }

    /// Takes the next updates, at most `batch`, and fills `keys` with their counters. Until more is known, their outcome
    /// is unknown.
    #[inline]
    pub(crate) fn hand_over<'w>(&mut self, work: &'w Work, batch: usize, begin_ns: u64, keys: &mut Vec<&'w str>) {
        let handed = self.next(batch);
        self.left -= handed as u64;
        self.handed_from = self.log.events.len();
        self.began_ns = begin_ns;
        keys.clear();
        for _ in 0..handed {
            let key = usize::from(work.sequence.get(self.place).copied().unwrap_or(0));
            self.place += 1;
            if self.place >= work.sequence.len() {
                self.place = 0;
            }
            keys.push(&work.keys[key]);
            self.log.events.push(Event::new(key, begin_ns, begin_ns, 1, Outcome::Unknown));
        }
    }

    /// How long ago the current batch began.
    pub(crate) fn elapsed_ns(&self, now: u64) -> u64 {
        now - self.began_ns
    }

    /// The current batch is the last, whatever its outcome.
    pub(crate) fn stop_after_this(&mut self) {
        self.is_stopped = true;
    }

    /// Stops between two batches, for this reason.
    pub(crate) fn stop_for(&mut self, why: &str) {
        self.is_stopped = true;
        self.log.trouble.get_or_insert_with(|| why.to_owned());
    }

    /// Records the batch that ended now: the outcomes in `done`, and for updates without one, the way the batch ended.
    #[inline]
    pub(crate) fn write_down(&mut self, ending: Result<(), BoxError>, now: u64) {
        self.log.end_ns = now;
        self.failures = if ending.is_err() { self.failures + 1 } else { 0 };
        let error = ending.err().map(|e| e.to_string());
        let mut done = self.done.drain(..);
        for event in &mut self.log.events[self.handed_from..] {
            let (outcome, tries) = match done.next() {
                Some(update) => told(update, &mut self.log.trouble),
                None => {
                    self.log
                        .trouble
                        .get_or_insert_with(|| error.as_deref().unwrap_or("no outcome reported").to_owned());
                    (Outcome::Unknown, 1)
                }
            };
            *event = Event::new(event.key(), self.began_ns, now, tries, outcome);
        }
    }

    /// Whether there is another batch to run.
    #[inline]
    pub(crate) fn goes_on(&self, limits: Limits<'_>) -> bool {
        self.left > 0
            && !self.is_stopped
            && self.failures < GIVE_UP_AFTER
            && self.log.end_ns < self.over_ns
            && !limits.stop.load(Ordering::Relaxed)
    }

    /// Whether all updates were handed over, without an early stop.
    pub(crate) fn are_done(&self) -> bool {
        self.left == 0 && !self.is_stopped
    }
}

/// The outcome as the history stores it. The reason of a refusal is stored as the trouble, if it is the first.
#[inline]
fn told(update: Update, trouble: &mut Option<String>) -> (Outcome, u32) {
    match update {
        Update::Applied { value: Some(value), tries } => (Outcome::Acked(value), tries),
        Update::Applied { value: None, tries } => (Outcome::AckedBlind, tries),
        Update::Refused { tries, reason } => {
            trouble.get_or_insert(reason);
            (Outcome::Refused, tries)
        }
    }
}
