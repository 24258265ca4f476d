//! A history as read from a file: lanes of rows with their line numbers, and what is known about each counter.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::history::{Action, Counter, Operation, Reply, Seen};
use crate::update::{Event, Outcome};

/// A history, and the line of the file that each row comes from.
pub(super) struct History {
    pub(super) rows: Rows,
    /// The worker of each lane.
    pub(super) workers: Vec<String>,
    pub(super) keys: Vec<Key>,
    /// Decimal places of every number.
    pub(super) places: u8,
    /// Workers that did several things at once, and how many lanes each got.
    pub(super) split: Vec<(String, usize)>,
}

/// The rows by lane: 24 bytes each if all are adds of one.
pub(super) enum Rows {
    Plain(Vec<Lane<Event>>),
    General(Vec<Lane<Operation>>),
}

impl Default for Rows {
    fn default() -> Self {
        Self::Plain(Vec::new())
    }
}

/// One worker's rows in its own order, each with its line.
pub(super) struct Lane<T> {
    pub(super) items: Vec<T>,
    pub(super) lines: Vec<u32>,
}

impl<T> Default for Lane<T> {
    fn default() -> Self {
        Self { items: Vec::new(), lines: Vec::new() }
    }
}

impl<T> Lane<T> {
    pub(super) fn push(&mut self, item: T, line: u32) {
        self.items.push(item);
        self.lines.push(line);
    }
}

/// One counter.
pub(super) struct Key {
    /// Empty if the file has no column for it.
    pub(super) name: String,
    pub(super) initial: i64,
    pub(super) last: Option<i64>,
    pub(super) min: Option<i64>,
    pub(super) max: Option<i64>,
}

/// What lanes need to know about a row.
pub(super) trait Timed: Copy {
    fn span(&self) -> (u64, u64);
    fn earlier_by(&self, ns: u64) -> Self;
}

impl Timed for Event {
    fn span(&self) -> (u64, u64) {
        (self.begin_ns(), self.end_ns())
    }

    fn earlier_by(&self, ns: u64) -> Self {
        Self::new(self.key(), self.begin_ns() - ns, self.end_ns() - ns, self.tries(), self.outcome())
    }
}

impl Timed for Operation {
    fn span(&self) -> (u64, u64) {
        (self.begin_ns, self.end_ns)
    }

    fn earlier_by(&self, ns: u64) -> Self {
        Self { begin_ns: self.begin_ns - ns, end_ns: self.end_ns - ns, ..*self }
    }
}

impl Rows {
    /// Converts events to operations, lane by lane.
    pub(super) fn generalise(&mut self) {
        let Self::Plain(lanes) = self else { return };
        let general = std::mem::take(lanes).into_iter().map(|lane| Lane {
            items: lane.items.iter().map(|event| operation(event, 0)).collect(),
            lines: lane.lines,
        });
        *self = Self::General(general.collect());
    }

    pub(super) fn lanes(&self) -> usize {
        match self {
            Self::Plain(lanes) => lanes.len(),
            Self::General(lanes) => lanes.len(),
        }
    }
}

/// An event as an operation; its value is relative to `initial`.
fn operation(event: &Event, initial: i64) -> Operation {
    let reply = match event.outcome() {
        Outcome::Acked(value) => Reply::Told(value.wrapping_add(initial)),
        Outcome::AckedBlind => Reply::Done,
        Outcome::Refused => Reply::Failed,
        Outcome::Unknown => Reply::Unknown,
    };
    let key = event.key() as u16; // fewer than 2^14
    Operation { key, begin_ns: event.begin_ns(), end_ns: event.end_ns(), action: Action::Add(1), reply }
}

impl History {
    pub(super) fn new(rows: Rows, workers: Vec<String>, keys: Vec<Key>, places: u8) -> Self {
        Self { rows, workers, keys, places, split: Vec::new() }
    }

    /// Sorts the lanes, splits those of workers that did several things at once, shifts times of another epoch so that
    /// the earliest row is at zero, and makes the values of increments relative to their counter's start. Returns the
    /// lines whose numbers are out of range.
    pub(super) fn settle(&mut self, rebase: bool) -> Vec<(u64, String)> {
        let workers = &mut self.workers;
        self.split = match &mut self.rows {
            Rows::Plain(lanes) => lay(lanes, workers, rebase),
            Rows::General(lanes) => lay(lanes, workers, rebase),
        };
        let mut bad = Vec::new();
        let keys = &self.keys;
        let Rows::Plain(lanes) = &mut self.rows else { return bad };
        if keys.iter().all(|key| key.initial == 0) {
            return bad;
        }
        for lane in lanes {
            for (event, &line) in lane.items.iter_mut().zip(&lane.lines) {
                let Outcome::Acked(value) = event.outcome() else { continue };
                match value.checked_sub(keys[event.key()].initial) {
                    Some(value) => {
                        let (begin, end) = event.span();
                        *event = Event::new(event.key(), begin, end, event.tries(), Outcome::Acked(value));
                    }
                    None => bad.push((line.into(), format!("its value {value} is too far from the initial one"))),
                }
            }
        }
        bad
    }

    /// How many workers there are, each counted once, however many lanes it has.
    pub(super) fn workers_named(&self) -> usize {
        let extra: usize = self.split.iter().map(|(_, lanes)| lanes - 1).sum();
        self.rows.lanes().saturating_sub(extra)
    }

    /// What each counter gained, if it was read.
    pub(super) fn gained(&self) -> Vec<Option<i64>> {
        self.keys.iter().map(|key| key.last.map(|last| last.saturating_sub(key.initial))).collect()
    }

    pub(super) fn counters(&self) -> Vec<Counter> {
        let counter = |key: &Key| Counter { initial: key.initial, last: key.last, min: key.min, max: key.max };
        self.keys.iter().map(counter).collect()
    }

    /// All rows, lane by lane: worker, index, and what was done.
    pub(super) fn operations(&self) -> Box<dyn Iterator<Item = (u32, u32, Operation)> + '_> {
        let keys = &self.keys;
        match &self.rows {
            Rows::Plain(lanes) => Box::new((0..).zip(lanes).flat_map(move |(worker, lane)| {
                let absolute = move |event: &Event| operation(event, keys[event.key()].initial);
                (0..).zip(&lane.items).map(move |(index, event)| (worker, index, absolute(event)))
            })),
            Rows::General(lanes) => Box::new((0..).zip(lanes).flat_map(|(worker, lane)| {
                (0..).zip(&lane.items).map(move |(index, &operation)| (worker, index, operation))
            })),
        }
    }

    /// The row that a witness names.
    pub(super) fn at(&self, seen: &Seen) -> (Operation, u32) {
        let (worker, index) = (seen.worker as usize, seen.index as usize);
        match &self.rows {
            Rows::Plain(lanes) => {
                let event = &lanes[worker].items[index];
                (operation(event, self.keys[event.key()].initial), lanes[worker].lines[index])
            }
            Rows::General(lanes) => (lanes[worker].items[index], lanes[worker].lines[index]),
        }
    }

    /// Whether no counter was read and no update was told a value.
    pub(super) fn is_silent(&self) -> bool {
        let told = |operation: &Operation| matches!(operation.reply, Reply::Told(_));
        self.keys.iter().all(|key| key.last.is_none()) && !self.operations().any(|(_, _, operation)| told(&operation))
    }
}

/// Puts lanes in order; returns the workers whose rows overlapped, and how many lanes each got.
fn lay<T: Timed>(lanes: &mut Vec<Lane<T>>, workers: &mut Vec<String>, rebase: bool) -> Vec<(String, usize)> {
    let mut split = Vec::new();
    for worker in 0..lanes.len() {
        sort(&mut lanes[worker]);
        if !overlaps(&lanes[worker].items) {
            continue;
        }
        let parts = apart(std::mem::take(&mut lanes[worker]));
        split.push((workers[worker].clone(), parts.len()));
        for (number, part) in parts.into_iter().enumerate() {
            if number == 0 {
                lanes[worker] = part;
            } else {
                lanes.push(part);
                let name = workers[worker].clone();
                workers.push(name);
            }
        }
    }
    if rebase {
        let earliest = lanes.iter().filter_map(|lane| lane.items.first()).map(|item| item.span().0).min().unwrap_or(0);
        lanes.iter_mut().flat_map(|lane| &mut lane.items).for_each(|item| *item = item.earlier_by(earliest));
    }
    split
}

fn sort<T: Timed>(lane: &mut Lane<T>) {
    if lane.items.is_sorted_by_key(Timed::span) {
        return;
    }
    let mut order: Vec<u32> = (0..).take(lane.items.len()).collect();
    // Stable: rows with equal times stay in the order of the file.
    order.sort_by_key(|&i| lane.items[i as usize].span());
    lane.items = order.iter().map(|&i| lane.items[i as usize]).collect();
    lane.lines = order.iter().map(|&i| lane.lines[i as usize]).collect();
}

fn overlaps<T: Timed>(items: &[T]) -> bool {
    let mut latest: Option<(u64, u64)> = None;
    for item in items {
        let span = item.span();
        if latest.is_some_and(|latest| span.0 < latest.1 && span != latest) {
            return true;
        }
        latest = Some(latest.map_or(span, |latest| if span.1 >= latest.1 { span } else { latest }));
    }
    false
}

/// Spreads rows over as few lanes as possible without overlap within a lane. Rows that touch are separated too: a lane
/// claims that its rows came one after the other, and for these the order is unknown.
fn apart<T: Timed>(lane: Lane<T>) -> Vec<Lane<T>> {
    let mut lanes: Vec<Lane<T>> = Vec::new();
    let mut free: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut last: Option<((u64, u64), usize)> = None;
    for (item, line) in lane.items.into_iter().zip(lane.lines) {
        let span = item.span();
        let number = match (last, free.peek()) {
            // The rows of one hand-over, which have no order, stay together.
            (Some((before, number)), _) if before == span => number,
            (_, Some(&Reverse((end, number)))) if end < span.0 => {
                free.pop();
                free.push(Reverse((span.1, number)));
                number
            }
            _ => {
                free.push(Reverse((span.1, lanes.len())));
                lanes.push(Lane::default());
                lanes.len() - 1
            }
        };
        last = Some((span, number));
        lanes[number].push(item, line);
    }
    lanes
}
