//! Builds a history from rows: names become numbers, rows are distributed over lanes, and as long as every operation adds
//! one, each takes 24 bytes.

use std::collections::HashMap;

use super::decimal::Decimal;
use super::history::{History, Key, Lane, Rows};
use super::words::{Op, Outcome, Row};
use crate::error::{Error, Result};
use crate::history::{Action, Operation, Reply};
use crate::update::{self, Event};

/// How many bad rows are named one by one.
const NAMED: usize = 5;
/// The times of a history span less than this: an event has no room for more.
const SPAN: u64 = 1 << 48;
/// Bytes that a row takes while it is judged, as an event and as an operation.
const BYTES: [u64; 2] = [24 + 4 + 10, 56 + 4 + 180];

/// What a file may state about a counter besides its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Initial,
    Final,
    Min,
    Max,
}

/// Numbers names in the order in which they appear.
#[derive(Default)]
struct Names {
    numbers: HashMap<Box<[u8]>, usize>,
    names: Vec<String>,
    recent: Vec<(Box<[u8]>, usize)>,
}

/// Slots for recently seen names: hashing into the map for every row would take a tenth of the total time.
const RECENT: usize = 64;

impl Names {
    fn number(&mut self, name: &[u8]) -> Result<usize, String> {
        // Worker names differ mostly in their last two bytes.
        let slot = match name {
            [.., before, last] => (usize::from(*before) * 10 + usize::from(*last)) % RECENT,
            _ => name.first().map_or(0, |&byte| usize::from(byte)) % RECENT,
        };
        match self.recent.get(slot) {
            Some((recent, number)) if **recent == *name && !self.names.is_empty() => return Ok(*number),
            Some(_) => {}
            None => self.recent.resize(RECENT, (Box::from(&b"\0"[..]), 0)),
        }
        let number = match self.numbers.get(name) {
            Some(&number) => number,
            None => {
                let text = std::str::from_utf8(name).map_err(|_| "it is not text in UTF-8".to_owned())?;
                self.names.push(text.to_owned());
                self.numbers.insert(name.into(), self.names.len() - 1);
                self.names.len() - 1
            }
        };
        self.recent[slot] = (name.into(), number);
        Ok(number)
    }
}

/// A history being built.
pub(super) struct Builder {
    pub(super) version: u8,
    /// The number of the line being read.
    pub(super) line: u64,
    /// Bytes of memory that may be used; and the input's size in bytes, if known.
    pub(super) memory: u64,
    pub(super) input: Option<u64>,
    /// Bytes read so far.
    pub(super) read: u64,
    workers: Names,
    keys: Names,
    said: HashMap<(u8, String), Decimal>,
    rows: Rows,
    count: u64,
    places: u8,
    /// Subtracted from every time, so that Unix time fits.
    base: Option<u64>,
    bad: Vec<(u64, String)>,
    worse: usize,
}

impl Builder {
    pub(super) fn new(memory: u64, input: Option<u64>) -> Self {
        Self {
            version: 0,
            line: 0,
            memory,
            input,
            read: 0,
            workers: Names::default(),
            keys: Names::default(),
            said: HashMap::new(),
            rows: Rows::Plain(Vec::new()),
            count: 0,
            places: 0,
            base: None,
            bad: Vec::new(),
            worse: 0,
        }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_good(&self) -> bool {
        self.bad.is_empty()
    }

    /// Remembers what is wrong with a line.
    pub(super) fn bad(&mut self, line: u64, why: String) {
        if self.bad.len() < NAMED { self.bad.push((line, why)) } else { self.worse += 1 }
    }

    /// What a comment's keyword states; files of version 1 state no limits.
    pub(super) fn said_of(&self, word: &str) -> Option<Said> {
        match word {
            "initial" => Some(Said::Initial),
            "final" => Some(Said::Final),
            "min" if self.version != 1 => Some(Said::Min),
            "max" if self.version != 1 => Some(Said::Max),
            _ => None,
        }
    }

    /// Records what is stated about the counter `key`, or about every counter if that is empty.
    pub(super) fn say(&mut self, what: Said, number: Decimal, key: &str) -> Result<(), String> {
        self.widen(number.places());
        let before = self.said.insert((what as u8, key.to_owned()), number);
        if before.is_some_and(|before| before != number) {
            return Err(format!("a second, different value is given as {}", format!("{what:?}").to_lowercase()));
        }
        Ok(())
    }

    /// Adds an increment that returned `value`, if there is only one unnamed counter. Does what [`Builder::row`] does,
    /// but faster; nearly every row of a long file is of this kind.
    pub(super) fn told(&mut self, worker: &[u8], begin: u64, end: u64, value: i64) -> Result<(), String> {
        if let (Rows::Plain(lanes), Some(base), [only]) = (&mut self.rows, self.base, &self.keys.names[..])
            && only.is_empty()
            && let (Some(begin), Some(end)) = (begin.checked_sub(base), end.checked_sub(base))
            && begin < SPAN
            && end < SPAN
        {
            let worker = self.workers.number(worker)?;
            self.count += 1;
            let line = u32::try_from(self.line).unwrap_or(u32::MAX);
            lane(lanes, worker).push(Event::new(0, begin, end, 1, update::Outcome::Acked(value)), line);
            return Ok(());
        }
        let value = Some(Decimal::from(value));
        self.row(&Row { worker, key: b"", begin, end, op: Op::Add, amount: None, outcome: Outcome::Ok, value })
    }

    /// Adds one row.
    pub(super) fn row(&mut self, row: &Row<'_>) -> Result<(), String> {
        row.sense()?;
        let base = *self.base.get_or_insert(row.begin.saturating_sub(SPAN / 2));
        let relative = |time: u64| time.checked_sub(base).filter(|&time| time < SPAN);
        let (Some(begin), Some(end)) = (relative(row.begin), relative(row.end)) else {
            let (column, time) =
                if relative(row.begin).is_none() { ("begin_ns", row.begin) } else { ("end_ns", row.end) };
            return Err(format!(
                "{column} {time} is 2^48 ns (78 hours) or more away from the others: is it one clock?"
            ));
        };
        let key = self.keys.number(row.key)?;
        if key >= Event::MAX_KEYS {
            return Err(format!("it has too many counters: at most {}", Event::MAX_KEYS));
        }
        let worker = self.workers.number(row.worker)?;
        let line = u32::try_from(self.line).unwrap_or(u32::MAX);
        self.widen(row.value.map_or(0, Decimal::places).max(row.amount.map_or(0, Decimal::places)));
        if let Rows::Plain(_) = self.rows
            && (!row.is_plain() || self.places > 0)
        {
            self.rows.generalise();
        }
        self.count += 1;
        match &mut self.rows {
            Rows::Plain(lanes) => {
                let outcome = match (row.outcome, row.value.and_then(|value| value.units(0))) {
                    (Outcome::Ok, Some(value)) => update::Outcome::Acked(value),
                    (Outcome::Ok, None) => update::Outcome::AckedBlind,
                    (Outcome::Fail | Outcome::Denied, _) => update::Outcome::Refused,
                    (Outcome::Unknown, _) => update::Outcome::Unknown,
                };
                lane(lanes, worker).push(Event::new(key, begin, end, 1, outcome), line);
            }
            Rows::General(lanes) => {
                let (action, reply) = row.in_units(self.places)?;
                let key = key as u16; // fewer than 2^14
                let operation = Operation { key, begin_ns: begin, end_ns: end, action, reply };
                lane(lanes, worker).push(operation, line);
            }
        }
        Ok(())
    }

    /// Makes room for numbers with this many decimal places.
    fn widen(&mut self, places: u8) {
        if places <= self.places {
            return;
        }
        self.rows.generalise();
        let factor = 10_i64.pow(u32::from(places - self.places));
        self.places = places;
        let Rows::General(lanes) = &mut self.rows else { return };
        let mut too_large = Vec::new();
        for lane in lanes {
            for (operation, &line) in lane.items.iter_mut().zip(&lane.lines) {
                let mut fits = true;
                let mut scale = |number: &mut i64| match number.checked_mul(factor) {
                    Some(scaled) => *number = scaled,
                    None => fits = false,
                };
                if let Action::Add(amount) | Action::Set(amount) = &mut operation.action {
                    scale(amount);
                }
                if let Reply::Told(value) = &mut operation.reply {
                    scale(value);
                }
                if !fits {
                    too_large.push(u64::from(line));
                }
            }
        }
        for line in too_large {
            self.bad(line, format!("its number is too large for {places} decimal places, which this file has"));
        }
    }

    /// Checks that there is memory for what was read, and for the rest if the input's size is known.
    pub(super) fn has_room(&self) -> Result<()> {
        let each = BYTES[usize::from(matches!(self.rows, Rows::General(_)))];
        let now = self.count * each;
        let all = match self.input {
            Some(input) if self.read > 0 => (now as f64 * (input as f64 / self.read as f64).max(1.0)) as u64,
            _ => now,
        };
        if all.max(now) <= self.memory {
            return Ok(());
        }
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        // The final size of a pipe or a compressed file is unknown.
        let takes = match self.input {
            Some(_) => format!("it would take {} MiB of memory", mib(all.max(now))),
            None => {
                format!("it takes more than {} MiB of memory, how much more shows only at its end", mib(self.memory))
            }
        };
        Err(Error::usage(format!(
            "{takes}, at {each} bytes a row ({} rows so far; {} MiB for every 10 million), and {} MiB may be used: give \
             --memory MIB, split the file by counter, or check a part of it",
            self.count,
            mib(each * 10_000_000),
            mib(self.memory)
        )))
    }

    fn number(&self, what: Said, key: &str) -> Option<Decimal> {
        let of = |key: &str| self.said.get(&(what as u8, key.to_owned())).copied();
        of(key).or_else(|| of(""))
    }

    /// The finished history. What was given on the command line overrides what the file says.
    pub(super) fn finish(mut self, initial: Option<Decimal>, last: Option<Decimal>) -> Result<History> {
        [initial, last].into_iter().flatten().for_each(|number| self.widen(number.places()));
        // Nothing in the file changed a counter that has only a final value.
        let ends = self.said.keys().filter(|(what, key)| *what == Said::Final as u8 && !key.is_empty());
        let mut silent: Vec<String> =
            ends.map(|(_, key)| key.clone()).filter(|key| !self.keys.names.contains(key)).collect();
        silent.sort();
        let rows_of = self.keys.names.len();
        if self.keys.names.is_empty() && silent.is_empty() {
            self.keys.names.push(String::new());
        }
        let several = rows_of > 1;
        let unnamed = last.is_some() || self.said.contains_key(&(Said::Final as u8, String::new()));
        if several && unnamed {
            return Err(Error::usage(
                "there are several counters, so one final value is ambiguous: add a comment '# final N KEY' for each",
            ));
        }
        if rows_of + silent.len() > Event::MAX_KEYS {
            return Err(Error::usage(format!("it names more than {} counters", Event::MAX_KEYS)));
        }
        let names = std::mem::take(&mut self.keys.names);
        let alone = names.len();
        let keys = names.into_iter().chain(silent).enumerate().map(|(number, name)| {
            let given = |option: Option<Decimal>, what| option.or_else(|| self.number(what, &name));
            // A final value without a counter's name applies only to counters that have rows.
            let own = |what| self.said.get(&(what as u8, name.clone())).copied();
            let last = if number < alone { given(last, Said::Final) } else { own(Said::Final) };
            let numbers = [given(initial, Said::Initial), last, given(None, Said::Min), given(None, Said::Max)];
            let units = |number: Option<Decimal>| match number.map(|number| number.units(self.places).ok_or(number)) {
                None => Ok(None),
                Some(Ok(units)) => Ok(Some(units)),
                Some(Err(number)) => {
                    Err(Error::usage(format!("{number} is too large for {} decimal places", self.places)))
                }
            };
            let [initial, last, min, max] = numbers.map(units);
            Ok(Key { initial: initial?.unwrap_or(0), last: last?, min: min?, max: max?, name })
        });
        let keys = keys.collect::<Result<Vec<Key>>>()?;
        if keys.iter().any(|key| key.min.is_some() || key.max.is_some()) {
            self.rows.generalise();
        }
        let names = std::mem::take(&mut self.workers.names);
        let mut history = History::new(std::mem::take(&mut self.rows), names, keys, self.places);
        for (line, why) in history.settle(self.base.is_some_and(|base| base > 0)) {
            self.bad(line, why);
        }
        if self.bad.is_empty() {
            return Ok(history);
        }
        self.bad.sort();
        let named: Vec<String> = self.bad.iter().map(|(line, why)| format!("line {line}: {why}")).collect();
        let more = if self.worse > 0 { format!("; and {} more", self.worse) } else { String::new() };
        Err(Error::usage(format!("{}{more}", named.join("; "))))
    }
}

fn lane<T>(lanes: &mut Vec<Lane<T>>, worker: usize) -> &mut Lane<T> {
    while lanes.len() <= worker {
        lanes.push(Lane::default());
    }
    &mut lanes[worker]
}
