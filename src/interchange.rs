//! Anyone's history as a CSV file: written from our own trials, read from any program in any language, and judged.
//!
//! ```text
//! # redis-lost-updates history v1
//! worker,begin_ns,end_ns,outcome,value
//! a,100,180,ok,1
//! b,120,250,ok,2
//! a,180,260,fail,
//! b,250,,unknown,
//! # initial 0
//! # final 2
//! ```
//!
//! One row is one increment. `worker` is any name; one worker does one thing at a time (rows with both times equal are
//! one hand-over, such as a pipeline). Times are nanoseconds on one monotonic clock that all workers share, below 2^48
//! (78 hours), counted from any zero. `outcome` is `ok` (acknowledged), `fail` (certainly did not happen) or `unknown`
//! (may have); `end_ns` may be empty for `unknown`, `value` is what an `ok` update was told, if it was. An optional column
//! `key` names the counter, and other columns are left alone. Rows may come in any order, but a worker's updates with
//! equal times are taken in the order they are in. A `#` begins a comment; three are read wherever they are: the version
//! (only the first line), and `# initial N` and `# final N`, what the counter held before and after. With several
//! counters, `# final N KEY` speaks of one.

mod explain;
mod read;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::history::{Judgement, Order, check_known};
use crate::update::{Event, Outcome};
use crate::verdict::{Verdict, judge};

/// The first line of a history file.
const VERSION: &str = "# redis-lost-updates history v1";

/// What a history file amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The word for it.
    pub verdict: Verdict,
    /// The accounts, and whether the increments are linearizable.
    pub judgement: Judgement,
    /// The same in plain text: verdict, accounts, witness with workers, times, values and lines of the file.
    pub explanation: String,
    /// The answer in one word.
    pub answer: Answer,
}

/// The answer to "is this the history of a counter?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It can be explained, each acknowledged update having happened once.
    Valid,
    /// It cannot.
    Invalid,
    /// The file does not say enough.
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
}

/// Judges the history in the file at `path`.
///
/// What the counter held before (`initial`, else 0) and after (`last`), if given here, counts instead of what the file
/// says of it. Without a final value the values alone are judged.
///
/// # Errors
/// The file cannot be read, or rows of it make no sense: each is named by its line, with the reason.
pub fn check_file(path: &Path, initial: Option<i64>, last: Option<i64>) -> Result<Checked> {
    let file = File::open(path).map_err(|e| Error::file(path, e))?;
    // Some devices never end, and a history is read whole.
    if file.metadata().is_ok_and(|meta| meta.file_type().is_char_device()) {
        return Err(Error::file(path, "is a device: give a CSV file, or /dev/stdin behind a pipe"));
    }
    check_reader(file, initial, last).map_err(|why| Error::file(path, why))
}

/// As [`check_file`], from anything that can be read.
///
/// # Errors
/// As [`check_file`].
pub fn check_reader(input: impl Read, initial: Option<i64>, last: Option<i64>) -> Result<Checked> {
    let history = read::history(input, initial, last)?;
    let lanes: Vec<&[Event]> = history.lanes.iter().map(|lane| lane.events.as_slice()).collect();
    let judgement = check_known(&lanes, &history.gained());
    let answer = match &judgement.order {
        Order::Violated(_) => Answer::Invalid,
        Order::Undecided(_) => Answer::CannotSay,
        // Nothing at all, and nobody looked.
        Order::Linearizable if history.is_silent() => Answer::CannotSay,
        Order::Linearizable => Answer::Valid,
    };
    let verdict = judge(&judgement.ledger);
    let explanation = explain::text(&history, &judgement, verdict, answer);
    Ok(Checked { verdict, judgement, explanation, answer })
}

/// Writes the history of one race: `found` is what each counter gained, and there is a column `key` if there are several.
///
/// # Errors
/// Whatever keeps `out` from being written.
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
