//! Jepsen's `history.edn`: maps of `:process`, `:type`, `:f`, `:value` and optionally `:time`, in the order of events. A
//! counter's history has `:f :add` and `:f :read`; with independent keys, values are `[key value]`.
//!
//! An `:invoke` and the next `:ok`, `:fail` or `:info` of its process make one operation. An operation without a completion
//! has an unknown outcome. Jepsen orders events by their place in the file, so equal times are moved apart by a nanosecond
//! each.

use std::collections::HashMap;
use std::io::{self, Read};

use super::build::Builder;
use super::decimal::Decimal;
use super::words::{Op, Outcome, Row};

/// How deep values may be nested.
const DEEPEST: usize = 64;
/// The most bytes one token may have.
const LONGEST: usize = 1 << 20;

/// A value, as far as a history needs it.
#[derive(Debug, Clone, PartialEq)]
enum Edn {
    /// A number, keyword, symbol, `nil`, `true`: as written.
    Word(String),
    Text(String),
    List(Vec<Edn>),
    Map(Vec<(Edn, Edn)>),
}

/// An operation that was invoked and has not completed.
struct Open {
    begin: u64,
    line: u64,
    f: String,
    value: Edn,
}

/// Reads a whole history into `builder`.
pub(super) fn read(input: impl Read, builder: &mut Builder) -> io::Result<()> {
    let mut reader = Reader { input: io::BufReader::with_capacity(1 << 16, input).bytes(), next: None, line: 1 };
    let mut open: HashMap<String, Open> = HashMap::new();
    let mut now = None;
    // The maps may stand in one vector or list, or one after the other.
    loop {
        let line = reader.line;
        match reader.top() {
            Ok(None) => break,
            Ok(Some(Edn::Map(map))) => {
                builder.line = line;
                if let Err(why) = happened(&map, line, &mut now, &mut open, builder) {
                    builder.bad(line, why);
                }
            }
            Ok(Some(_)) => builder.bad(line, "it is not a map, as a history's operations are".to_owned()),
            Err(Broken::Io(error)) => return Err(error),
            Err(Broken::Edn(why)) => {
                builder.bad(reader.line, why);
                return Ok(());
            }
        }
        if builder.line.is_multiple_of(1 << 16) {
            builder.has_room().map_err(io::Error::other)?;
        }
    }
    let mut left: Vec<(String, Open)> = open.into_iter().collect();
    left.sort_by_key(|(_, open)| open.line);
    for (process, open) in left {
        builder.line = open.line;
        if let Err(why) = complete(&process, &open, Outcome::Unknown, (open.begin, None), builder) {
            builder.bad(open.line, why);
        }
    }
    Ok(())
}

/// Records the event in one map.
fn happened(
    map: &[(Edn, Edn)],
    line: u64,
    now: &mut Option<u64>,
    open: &mut HashMap<String, Open>,
    builder: &mut Builder,
) -> Result<(), String> {
    let get =
        |name: &str| map.iter().find(|(key, _)| matches!(key, Edn::Word(word) if word == name)).map(|(_, value)| value);
    let word = |name: &str| match get(name) {
        Some(Edn::Word(word) | Edn::Text(word)) => Ok(word.as_str()),
        _ => Err(format!("there is no {name}")),
    };
    let process = word(":process")?.to_owned();
    // A process without a number, such as the nemesis, does not operate on a counter.
    if process.parse::<i64>().is_err() {
        return Ok(());
    }
    let time = match word(":time") {
        Ok(time) => time.parse().map_err(|_| format!(":time {time} is not a whole number of nanoseconds"))?,
        Err(_) => 0_u64,
    };
    let time = now.map_or(time, |now: u64| time.max(now.saturating_add(1)));
    *now = Some(time);
    let (kind, f) = (word(":type")?, word(":f")?);
    let value = get(":value").cloned().unwrap_or(Edn::Word("nil".to_owned()));
    if kind == ":invoke" {
        let begun = Open { begin: time, line, f: f.to_owned(), value };
        return match open.insert(process.clone(), begun) {
            None => Ok(()),
            Some(before) => Err(format!(
                "process {process} invoked an operation on line {} and another before that completed",
                before.line
            )),
        };
    }
    let outcome = match kind {
        ":ok" => Outcome::Ok,
        ":fail" => Outcome::Fail,
        ":info" => Outcome::Unknown,
        _ => return Err(format!(":type {kind} is not one of :invoke, :ok, :fail, :info")),
    };
    let Some(begun) = open.remove(&process) else {
        return Err(format!("process {process} completes an operation that it did not invoke"));
    };
    if begun.f != f {
        return Err(format!("process {process} invoked {} and completes {f}", begun.f));
    }
    complete(&process, &begun, outcome, (time, Some(value)), builder)
}

fn complete(
    process: &str,
    open: &Open,
    outcome: Outcome,
    (end, value): (u64, Option<Edn>),
    builder: &mut Builder,
) -> Result<(), String> {
    let value = value.unwrap_or(open.value.clone());
    let (key, value) = keyed(value)?;
    let (invoked_key, invoked) = keyed(open.value.clone())?;
    let key = if key.is_empty() { invoked_key } else { key };
    let number = |value: &Edn| match value {
        Edn::Word(word) if word == "nil" => Ok(None),
        Edn::Word(word) => {
            word.trim_end_matches(['N', 'M']).parse::<Decimal>().map(Some).map_err(|why| format!(":value {why}"))
        }
        other => Err(format!(":value {other:?} is not a number")),
    };
    let (op, amount, value) = match open.f.trim_start_matches(':') {
        "read" => (Op::Read, None, number(&value)?),
        "add" | "increment" | "inc" | "incr" => (Op::Add, number(&invoked)?, None),
        "decrement" | "dec" | "decr" | "subtract" => (Op::Subtract, number(&invoked)?, None),
        f => return Err(format!(":f :{f} is not :add or :read: it is not the history of a counter")),
    };
    let value = value.filter(|_| outcome == Outcome::Ok);
    let (worker, key) = (process.as_bytes(), key.as_bytes());
    builder.row(&Row { worker, key, begin: open.begin, end, op, amount, outcome, value })
}

/// `[key value]`, or just a value.
fn keyed(value: Edn) -> Result<(String, Edn), String> {
    match value {
        Edn::List(pair) => match <[Edn; 2]>::try_from(pair) {
            Ok([Edn::Word(key) | Edn::Text(key), value]) => Ok((key, value)),
            _ => Err(":value is a list that is not [key value]".to_owned()),
        },
        other => Ok((String::new(), other)),
    }
}

enum Broken {
    Io(io::Error),
    Edn(String),
}

/// Reads EDN values.
struct Reader<R> {
    input: io::Bytes<io::BufReader<R>>,
    next: Option<u8>,
    line: u64,
}

impl<R: Read> Reader<R> {
    fn peek(&mut self) -> Result<Option<u8>, Broken> {
        if self.next.is_none() {
            self.next = self.input.next().transpose().map_err(Broken::Io)?;
        }
        Ok(self.next)
    }

    fn take(&mut self) -> Result<Option<u8>, Broken> {
        let byte = self.peek()?;
        self.next = None;
        self.line += u64::from(byte == Some(b'\n'));
        Ok(byte)
    }

    /// Skips spaces, commas and comments.
    fn space(&mut self) -> Result<(), Broken> {
        while let Some(byte) = self.peek()? {
            match byte {
                b';' => while self.take()?.is_some_and(|byte| byte != b'\n') {},
                _ if byte.is_ascii_whitespace() || byte == b',' => {
                    self.take()?;
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// The next map at the top level, or inside the one list at the top level.
    fn top(&mut self) -> Result<Option<Edn>, Broken> {
        loop {
            self.space()?;
            match self.peek()? {
                None => return Ok(None),
                Some(b'[' | b'(' | b']' | b')') => {
                    self.take()?;
                }
                Some(_) => return self.value(0).map(Some),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Edn, Broken> {
        if depth > DEEPEST {
            return Err(Broken::Edn(format!("it is nested more than {DEEPEST} deep")));
        }
        self.space()?;
        match self.peek()? {
            None => Err(Broken::Edn("it ends in the middle of a value".to_owned())),
            Some(b'"') => self.text().map(Edn::Text),
            Some(b'[' | b'(') => self.list(depth).map(Edn::List),
            Some(b'{') => {
                let flat = self.list(depth)?;
                if !flat.len().is_multiple_of(2) {
                    return Err(Broken::Edn("a map has a key without a value".to_owned()));
                }
                let mut pairs = Vec::with_capacity(flat.len() / 2);
                let mut flat = flat.into_iter();
                while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
                    pairs.push((key, value));
                }
                Ok(Edn::Map(pairs))
            }
            Some(b'#') => self.tagged(depth),
            Some(b']' | b')' | b'}') => Err(Broken::Edn("a bracket closes nothing".to_owned())),
            Some(_) => self.word().map(Edn::Word),
        }
    }

    /// `#{...}`, `#_ ignored`, `#tag value`.
    fn tagged(&mut self, depth: usize) -> Result<Edn, Broken> {
        self.take()?;
        match self.peek()? {
            Some(b'{') => self.list(depth).map(Edn::List),
            Some(b'_') => {
                self.take()?;
                self.value(depth + 1)?;
                self.value(depth + 1)
            }
            _ => {
                self.word()?;
                self.value(depth + 1)
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Edn>, Broken> {
        self.take()?;
        let mut items = Vec::new();
        loop {
            self.space()?;
            match self.peek()? {
                Some(b']' | b')' | b'}') => {
                    self.take()?;
                    return Ok(items);
                }
                _ if items.len() > LONGEST => {
                    return Err(Broken::Edn("a list has more than a million items".to_owned()));
                }
                _ => items.push(self.value(depth + 1)?),
            }
        }
    }

    fn text(&mut self) -> Result<String, Broken> {
        self.take()?;
        let mut bytes = Vec::new();
        loop {
            match self.take()? {
                Some(b'"') => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                Some(b'\\') => bytes.extend(self.take()?),
                Some(byte) if bytes.len() < LONGEST => bytes.push(byte),
                Some(_) => return Err(Broken::Edn("a text is longer than a megabyte".to_owned())),
                None => return Err(Broken::Edn("a text is not closed".to_owned())),
            }
        }
    }

    fn word(&mut self) -> Result<String, Broken> {
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek()? {
            let ends = byte.is_ascii_whitespace() || b",;\"[](){}".contains(&byte);
            if ends || bytes.len() >= LONGEST {
                break;
            }
            bytes.extend(self.take()?);
        }
        if bytes.is_empty() {
            return Err(Broken::Edn("a word is missing".to_owned()));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
