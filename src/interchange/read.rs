//! Reads a history file into lanes, and says of every row that makes no sense which line it is and why.

use std::collections::HashMap;
use std::io::Read;

use csv::StringRecord;

use super::VERSION;
use crate::error::{Error, Result};
use crate::update::{Event, Outcome};

/// How many bad rows are named one by one.
const NAMED: usize = 5;
/// The first time an event has no room for.
const TOO_LATE: u64 = 1 << 48;

/// A history, and where in the file everything stood.
pub(super) struct History {
    pub(super) lanes: Vec<Lane>,
    pub(super) keys: Vec<Key>,
}

/// One worker's updates in its order, each with its line.
pub(super) struct Lane {
    pub(super) worker: String,
    pub(super) events: Vec<Event>,
    pub(super) lines: Vec<u64>,
}

/// One counter.
pub(super) struct Key {
    /// Empty if the file has no column for it.
    pub(super) name: String,
    pub(super) initial: i64,
    pub(super) last: Option<i64>,
}

impl History {
    /// What each counter gained, where it was read.
    pub(super) fn gained(&self) -> Vec<Option<i64>> {
        self.keys.iter().map(|key| key.last.map(|last| last.saturating_sub(key.initial))).collect()
    }

    /// Whether no counter was read and no update was told anything.
    pub(super) fn is_silent(&self) -> bool {
        let told = |event: &Event| matches!(event.outcome(), Outcome::Acked(_));
        self.keys.iter().all(|key| key.last.is_none()) && !self.lanes.iter().any(|lane| lane.events.iter().any(told))
    }
}

/// Where the columns are.
struct Columns {
    worker: usize,
    begin: usize,
    end: usize,
    outcome: usize,
    value: usize,
    key: Option<usize>,
    count: usize,
}

impl Columns {
    fn of(header: &StringRecord) -> Result<Self, String> {
        let place = |name| header.iter().position(|field| field == name);
        let need = |name| place(name).ok_or(format!("there is no column {name}"));
        Ok(Self {
            worker: need("worker")?,
            begin: need("begin_ns")?,
            end: need("end_ns")?,
            outcome: need("outcome")?,
            value: need("value")?,
            key: place("key"),
            count: header.len(),
        })
    }
}

/// One row, its value as it is in the file.
struct Row {
    line: u64,
    lane: usize,
    key: usize,
    begin: u64,
    end: u64,
    outcome: Outcome,
}

/// Names to numbers, in the order they are met.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, usize>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        self.numbers.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }
}

/// What comments say of the counters; the empty name is every counter's.
#[derive(Default)]
struct Said {
    initial: HashMap<String, i64>,
    last: HashMap<String, i64>,
}

#[derive(Default)]
struct Parser {
    columns: Option<Columns>,
    workers: Names,
    keys: Names,
    said: Said,
    rows: Vec<Row>,
    bad: Vec<(u64, String)>,
}

pub(super) fn history(input: impl Read, initial: Option<i64>, last: Option<i64>) -> Result<History> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(input);
    let mut parser = Parser::default();
    let mut record = StringRecord::new();
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                if let Err(why) = parser.line(line, &record) {
                    // Without its columns no row can be read.
                    let fatal = parser.columns.is_none();
                    parser.bad.push((line, why));
                    if fatal {
                        break;
                    }
                }
            }
            Err(error) if error.is_io_error() => return Err(Error::broken(error.to_string())),
            Err(_) => parser.bad.push((line, "it is not text in UTF-8".to_owned())),
        }
    }
    if parser.columns.is_none() && parser.bad.is_empty() {
        parser.bad.push((1, "there is no header line: worker,begin_ns,end_ns,outcome,value".to_owned()));
    }
    parser.finish(initial, last)
}

impl Parser {
    fn line(&mut self, line: u64, record: &StringRecord) -> Result<(), String> {
        if record.get(0).is_some_and(|field| field.starts_with('#')) {
            return self.comment(record.iter().collect::<Vec<_>>().join(",").as_str());
        }
        let Some(columns) = &self.columns else {
            self.columns = Some(Columns::of(record)?);
            return Ok(());
        };
        if record.len() != columns.count {
            return Err(format!("it has {} fields, the header has {}", record.len(), columns.count));
        }
        let begin = time("begin_ns", &record[columns.begin])?;
        let outcome = outcome(&record[columns.outcome], &record[columns.value])?;
        let end = match &record[columns.end] {
            "" if outcome == Outcome::Unknown => begin,
            "" => return Err("end_ns is empty, which only an unknown outcome allows".to_owned()),
            text => time("end_ns", text)?,
        };
        if end < begin {
            return Err(format!("it ends ({end}) before it begins ({begin})"));
        }
        let key = self.keys.number(columns.key.map_or("", |key| &record[key]));
        if key >= Event::MAX_KEYS {
            return Err(format!("it is of one counter too many: {} are the most", Event::MAX_KEYS));
        }
        let lane = self.workers.number(&record[columns.worker]);
        self.rows.push(Row { line, lane, key, begin, end, outcome });
        Ok(())
    }

    fn comment(&mut self, text: &str) -> Result<(), String> {
        let text = text.trim_start_matches('#').trim();
        if let Some(version) = text.strip_prefix("redis-lost-updates history") {
            return if VERSION.ends_with(version) {
                Ok(())
            } else {
                Err(format!("version{version} is not one that can be read: say {VERSION}"))
            };
        }
        let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let said = match word {
            "initial" => &mut self.said.initial,
            "final" => &mut self.said.last,
            _ => return Ok(()),
        };
        let (number, key) = rest.trim().split_once(char::is_whitespace).unwrap_or((rest.trim(), ""));
        if let Ok(number) = number.parse() {
            let before = said.insert(key.trim().to_owned(), number);
            if before.is_some_and(|before| before != number) {
                return Err(format!("a second, different value is given as {word}"));
            }
            Ok(())
        } else {
            Err(format!("{number:?} is not a number"))
        }
    }

    fn finish(mut self, initial: Option<i64>, last: Option<i64>) -> Result<History> {
        if self.keys.names.is_empty() {
            self.keys.number("");
        }
        let several = self.keys.names.len() > 1;
        if several && (last.is_some() || self.said.last.contains_key("")) {
            return Err(Error::usage(
                "one final value cannot speak of several counters: give a comment '# final N KEY' for each",
            ));
        }
        let (said, alone) = (&self.said, last.filter(|_| !several));
        let of = |map: &HashMap<String, i64>, name: &str| map.get(name).or_else(|| map.get("")).copied();
        let keys: Vec<Key> = std::mem::take(&mut self.keys.names)
            .into_iter()
            .map(|name| Key {
                initial: initial.or(of(&said.initial, &name)).unwrap_or(0),
                last: alone.or(of(&said.last, &name)),
                name,
            })
            .collect();
        let lanes = self.lanes(&keys);
        if self.bad.is_empty() {
            return Ok(History { lanes, keys });
        }
        self.bad.sort();
        let named: Vec<String> = self.bad.iter().take(NAMED).map(|(line, why)| format!("line {line}: {why}")).collect();
        let more = self.bad.len() - named.len();
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        Err(Error::usage(format!("{}{more}", named.join("; "))))
    }

    /// Sorts the rows into lanes, and finds workers that did two things at once.
    fn lanes(&mut self, keys: &[Key]) -> Vec<Lane> {
        let lane = |worker| Lane { worker, events: Vec::new(), lines: Vec::new() };
        let mut lanes: Vec<Lane> = std::mem::take(&mut self.workers.names).into_iter().map(lane).collect();
        self.rows.sort_by_key(|row| (row.lane, row.begin, row.end));
        let mut latest: Option<&Row> = None; // the row of this lane that ends last
        for row in &self.rows {
            let last = latest.filter(|last| last.lane == row.lane);
            if let Some(last) = last
                && row.begin < last.end
                && (row.begin, row.end) != (last.begin, last.end)
            {
                let why = format!("it overlaps the update on line {} of the same worker", last.line);
                self.bad.push((row.line, why));
            }
            if last.is_none_or(|last| row.end >= last.end) {
                latest = Some(row);
            }
            let outcome = match row.outcome {
                Outcome::Acked(value) => match value.checked_sub(keys[row.key].initial) {
                    Some(value) => Outcome::Acked(value),
                    None => {
                        self.bad.push((row.line, format!("its value {value} is too far from the initial one")));
                        continue;
                    }
                },
                other => other,
            };
            lanes[row.lane].events.push(Event::new(row.key, row.begin, row.end, 1, outcome));
            lanes[row.lane].lines.push(row.line);
        }
        lanes
    }
}

fn time(column: &str, text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(time) if time < TOO_LATE => Ok(time),
        Ok(_) => Err(format!("{column} {text} is 2^48 ns (78 hours) or more: count from the start of the run")),
        Err(_) => Err(format!("{column} {text:?} is not a whole number of nanoseconds")),
    }
}

fn outcome(word: &str, value: &str) -> Result<Outcome, String> {
    let outcome = match word {
        "ok" if value.is_empty() => return Ok(Outcome::AckedBlind),
        "ok" => return value.parse().map(Outcome::Acked).map_err(|_| format!("value {value:?} is not a number")),
        "fail" => Outcome::Refused,
        "unknown" => Outcome::Unknown,
        _ => return Err(format!("outcome {word:?} is not one of ok, fail, unknown")),
    };
    if value.is_empty() { Ok(outcome) } else { Err(format!("only an ok update is told a value, not a {word} one")) }
}
