//! Histories as files: written from our own trials, read from programs in any language, and judged.
//!
//! ```text
//! # redis-lost-updates history v2
//! worker,begin_ns,end_ns,outcome,value,op,amount
//! a,100,180,ok,1,add,1
//! b,120,250,ok,2,add,1
//! a,180,260,ok,1,read,
//! b,250,,unknown,,add,5
//! # initial 0
//! # final 2
//! ```
//!
//! One row is one operation. `worker` is any name. Times are nanoseconds on one monotonic clock that all workers share,
//! counted from any zero (Unix time works), and span less than 2^48 (78 hours). A worker's rows that share both times
//! are one hand-over, such as a pipeline. If its rows overlap otherwise, it is an asynchronous client, and is split
//! into lanes that claim no order between updates that touch. `outcome` is `ok` (acknowledged), `fail` (certainly did
//! not happen), `unknown` or `info` (may have happened) or `denied` (an add refused because of a limit); `end_ns` may
//! be empty for `unknown`. `value` is what an `ok` returned, if anything: the value an add made, the value read, what a
//! take took, what a set replaced.
//!
//! Optional columns: `key` names the counter; `op` is `add` (also if empty), `read`, `take` (GETDEL, GETSET 0) or
//! `set`; `amount` is what an add adds, of any sign (1 if empty), or what a set sets. Numbers may have up to 9 decimal
//! places and are exact. Other columns are ignored, unless their name looks like an operation or an amount: that is an
//! error, as it would change the verdict. `;` or a tab may separate fields. Rows may come in any order, but a worker's
//! updates with equal times are taken in file order. A `#` begins a comment. These comments are read wherever they are:
//! the version (in the first line only), `# initial N` and `# final N`, what the counter held before and after, and `#
//! min N` and `# max N`, beyond which no add may take it. With several counters, `# final N KEY` applies to one of
//! them, and likewise the others; a counter with a final value but no rows is judged too. Version 1 has no `op`,
//! `amount`, `denied`, `min` and `max`.

mod build;
mod decimal;
mod document;
mod edn;
mod explain;
mod history;
#[cfg(feature = "cli")]
mod json;
mod lines;
mod load;
mod packed;
mod table;
mod words;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

pub use decimal::Decimal;
pub use document::{Document, SCHEMA};
pub use load::Load;

use crate::error::{Error, Result};
use crate::history::{Causes, Findings, Judgement, Operation, Order, Units, check_known, judge as judge_operations};
use crate::update::{Event, Outcome};
use crate::verdict::{Verdict, judge};
use build::Builder;
use history::{History, Rows};
use lines::Lines;
use table::Table;

/// Bytes of memory that judging a history may take by default: enough for 28 million increments.
pub const MEMORY: u64 = 1 << 30;

/// The first line of the history files we write, which need nothing of version 2.
const VERSION: &str = "# redis-lost-updates history v1";

/// The result of judging a history file.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The verdict.
    pub verdict: Verdict,
    /// The accounts, and whether the operations are linearizable.
    pub judgement: Judgement,
    /// Whether the file has more than adds of one.
    pub general: bool,
    /// The accounts in units, for such a file.
    pub units: Option<Units>,
    /// By how many units the worst of the counters went beyond a limit.
    pub oversold: i128,
    /// How many adds were denied although the limit was not reached.
    pub undersold: u64,
    /// How many rows are reads.
    pub reads: u64,
    /// Why updates are missing, for each counter; empty for a valid history.
    pub causes: Vec<Causes>,
    /// Throughput, latency and overlap, if anything was acknowledged and took time.
    pub load: Option<Load>,
    /// Latency of acknowledged operations, as (upper bound in nanoseconds, count).
    pub latency: Vec<(u64, u64)>,
    /// How many workers there are.
    pub workers: usize,
    /// How many counters there are.
    pub counters: usize,
    /// Decimal places of the units.
    pub places: u8,
    /// All of this in plain text: verdict, accounts, witness with workers, times, values and lines of the file.
    pub explanation: String,
    /// The witness of an invalid history alone, in plain text.
    pub witness: Option<String>,
    /// The answer in one word.
    pub answer: Answer,
}

/// The answer to "is this the history of a counter?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes: some order explains it, with each acknowledged update happening once.
    Valid,
    /// No order explains it.
    Invalid,
    /// The file does not say enough, or it would take too long to find out.
    CannotSay,
}

impl Answer {
    /// 0 valid, 1 invalid, 2 cannot say.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Valid => 0,
            Self::Invalid => 1,
            Self::CannotSay => 2,
        }
    }

    /// The answer as one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::CannotSay => "cannot-say",
        }
    }
}

/// What is known about a history besides its file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What the counter held before; overrides the file.
    pub initial: Option<Decimal>,
    /// What it held after; overrides the file.
    pub last: Option<Decimal>,
    /// Bytes of memory that may be used; by default [`MEMORY`].
    pub memory: Option<u64>,
}

/// Judges the history in the file at `path`.
///
/// `initial` and `last`, what the counter held before and after, override what the file says. If neither gives an
/// initial value, it is 0; without a final value, the values alone are judged.
///
/// # Errors
/// The file cannot be read, or rows of it make no sense: each is named by its line, with the reason.
pub fn check_file(path: &Path, initial: Option<i64>, last: Option<i64>) -> Result<Checked> {
    let options = Options { initial: initial.map(Decimal::from), last: last.map(Decimal::from), memory: None };
    check_path(path, &options)
}

/// Like [`check_file`], with everything that may be known besides the file.
///
/// # Errors
/// As [`check_file`]; or judging it would take more memory than allowed.
pub fn check_path(path: &Path, options: &Options) -> Result<Checked> {
    let file = File::open(path).map_err(|e| Error::file(path, e))?;
    let meta = file.metadata().map_err(|e| Error::file(path, e))?;
    // Some devices never end, and a history is read whole.
    if meta.file_type().is_char_device() {
        return Err(Error::file(path, "is a device: expected a file, or - for standard input"));
    }
    let size = meta.is_file().then_some(meta.len());
    read(file, size, options).and_then(|history| judged(&history)).map_err(|why| Error::file(path, why))
}

/// Like [`check_file`], from anything that can be read.
///
/// # Errors
/// As [`check_file`].
pub fn check_reader(input: impl Read, initial: Option<i64>, last: Option<i64>) -> Result<Checked> {
    let options = Options { initial: initial.map(Decimal::from), last: last.map(Decimal::from), memory: None };
    check_stream(input, &options)
}

/// Like [`check_path`], from anything that can be read.
///
/// # Errors
/// As [`check_path`].
pub fn check_stream(input: impl Read, options: &Options) -> Result<Checked> {
    judged(&read(input, None, options)?)
}

/// How many lines are read between two memory checks.
const LOOK: u64 = 1 << 16;

fn read(input: impl Read, size: Option<u64>, options: &Options) -> Result<History> {
    let broken = |error: io::Error| Error::broken(error.to_string());
    let (input, packed) = packed::unpacked(input).map_err(broken)?;
    // How much a compressed file holds is known only at its end.
    let mut builder = Builder::new(options.memory.unwrap_or(MEMORY), size.filter(|_| !packed));
    let mut lines = Lines::new(input);
    match form(lines.peek(FIRST).map_err(broken)?) {
        Form::Table => table(&mut lines, &mut builder)?,
        Form::Json => json(&mut lines, &mut builder)?,
        Form::Edn => edn::read(lines, &mut builder).map_err(broken)?,
    }
    builder.finish(options.initial, options.last)
}

/// How many bytes are read to recognise a file's format.
const FIRST: usize = 512;

enum Form {
    Table,
    Json,
    Edn,
}

/// A file's format, by its first bytes.
fn form(first: &[u8]) -> Form {
    let first = first.trim_ascii_start();
    let keyword = |byte: &u8| *byte == b':';
    match first {
        [b'[' | b'(', ..] | [b';', ..] | [b'#', b'j', ..] => Form::Edn,
        [b'{', rest @ ..] if rest.trim_ascii_start().first().is_some_and(keyword) => Form::Edn,
        [b'{', ..] => Form::Json,
        _ => Form::Table,
    }
}

fn table(lines: &mut Lines<impl Read>, builder: &mut Builder) -> Result<()> {
    let mut table = Table::default();
    each_line(lines, builder, |line, builder| {
        let read = table.line(line, builder);
        // Without a header no row can be read.
        read.map_err(|why| (why, table.has_header()))
    })?;
    if !table.has_header() && builder.is_good() {
        builder.bad(1, "there is no header line: worker,begin_ns,end_ns,outcome,value".to_owned());
    }
    Ok(())
}

#[cfg(feature = "cli")]
fn json(lines: &mut Lines<impl Read>, builder: &mut Builder) -> Result<()> {
    each_line(lines, builder, |line, builder| json::line(line, builder).map_err(|why| (why, true)))
}

#[cfg(not(feature = "cli"))]
fn json(_: &mut Lines<impl Read>, _: &mut Builder) -> Result<()> {
    Err(Error::usage("it is JSON, which only the feature cli can read"))
}

/// Passes every line to `read`; an error names the line, and says whether to go on.
fn each_line(
    lines: &mut Lines<impl Read>,
    builder: &mut Builder,
    mut read: impl FnMut(&[u8], &mut Builder) -> Result<(), (String, bool)>,
) -> Result<()> {
    while let Some(line) = lines.next().map_err(|error| Error::broken(error.to_string()))? {
        builder.line += 1;
        builder.read += line.len() as u64 + 1;
        if let Err((why, go_on)) = read(line, builder) {
            let number = builder.line;
            builder.bad(number, why);
            if !go_on {
                break;
            }
        }
        if builder.line.is_multiple_of(LOOK) {
            builder.has_room()?;
        }
    }
    Ok(())
}

fn judged(history: &History) -> Result<Checked> {
    let findings = findings(history);
    let Findings { judgement, units, oversold, undersold, reads } = findings;
    let general = matches!(history.rows, Rows::General(_));
    let answer = match &judgement.order {
        Order::Violated(_) => Answer::Invalid,
        Order::Undecided(_) => Answer::CannotSay,
        // No values were returned, and no counter was read.
        Order::Linearizable if history.is_silent() => Answer::CannotSay,
        Order::Linearizable => Answer::Valid,
    };
    let missing = judgement.ledger.lost > 0 || judgement.ledger.repeated > 0;
    let causes = if answer == Answer::Invalid && missing {
        let of = |key: usize| Causes::of(history.operations().filter(move |(_, _, op)| usize::from(op.key) == key));
        // Each counter takes a walk over all rows, so only the first 64 are explained.
        (0..history.keys.len().min(64)).map(of).collect()
    } else {
        Vec::new()
    };
    let (load, latency) = Load::of(history);
    let mut checked = Checked {
        verdict: judge(&judgement.ledger),
        judgement,
        general,
        units: units.filter(|_| general),
        oversold,
        undersold,
        reads,
        causes,
        load,
        latency,
        workers: history.workers_named(),
        counters: history.keys.len(),
        places: history.places,
        explanation: String::new(),
        witness: None,
        answer,
    };
    checked.explanation = explain::text(history, &checked);
    checked.witness = explain::witness(history, &checked);
    Ok(checked)
}

fn findings(history: &History) -> Findings {
    match &history.rows {
        Rows::Plain(lanes) => {
            let lanes: Vec<&[Event]> = lanes.iter().map(|lane| lane.items.as_slice()).collect();
            let judgement = check_known(&lanes, &history.gained());
            Findings { judgement, units: None, oversold: 0, undersold: 0, reads: 0 }
        }
        Rows::General(lanes) => {
            let lanes: Vec<&[Operation]> = lanes.iter().map(|lane| lane.items.as_slice()).collect();
            judge_operations(&lanes, &history.counters())
        }
    }
}

/// Writes the history of one race: `found` is what each counter gained, and there is a column `key` if there are several.
///
/// # Errors
/// `out` cannot be written.
pub fn write_history(out: &mut dyn Write, lanes: &[&[Event]], found: &[i64]) -> io::Result<()> {
    let several = found.len() > 1;
    writeln!(out, "{VERSION}\nworker,begin_ns,end_ns,outcome,value{}", if several { ",key" } else { "" })?;
    for (worker, lane) in lanes.iter().enumerate() {
        for event in *lane {
            write!(out, "{worker},{},{},", event.begin_ns(), event.end_ns())?;
            match event.outcome() {
                Outcome::Acked(value) => write!(out, "ok,{value}")?,
                Outcome::AckedBlind => write!(out, "ok,")?,
                Outcome::Refused => write!(out, "fail,")?,
                Outcome::Unknown => write!(out, "unknown,")?,
            }
            if several {
                write!(out, ",{}", event.key())?;
            }
            writeln!(out)?;
        }
    }
    writeln!(out, "# initial 0")?;
    for (key, gained) in found.iter().enumerate() {
        if several {
            writeln!(out, "# final {gained} {key}")?;
        } else {
            writeln!(out, "# final {gained}")?;
        }
    }
    Ok(())
}
