//! The vocabulary of history files: our own, and synonyms that other tools use.

use super::decimal::Decimal;
use crate::history::{Action, Reply};

/// What a row says happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    Fail,
    Unknown,
    Denied,
}

impl Outcome {
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        match word {
            b"ok" => Some(Self::Ok),
            b"fail" => Some(Self::Fail),
            b"unknown" => Some(Self::Unknown),
            _ => match word.to_ascii_lowercase().as_slice() {
                b"ok" => Some(Self::Ok),
                b"fail" | b"failed" => Some(Self::Fail),
                b"unknown" | b"info" => Some(Self::Unknown),
                b"denied" => Some(Self::Denied),
                _ => None,
            },
        }
    }
}

/// What a row asks for, before its amount is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    /// An add whose amount is written without its sign.
    Subtract,
    Read,
    Take,
    Set,
}

impl Op {
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_slice() {
            b"" | b"add" | b"incr" | b"incrby" | b"incrbyfloat" | b"increment" | b"inc" => Self::Add,
            b"decr" | b"decrby" | b"decrement" | b"dec" => Self::Subtract,
            b"read" | b"get" => Self::Read,
            b"take" | b"getdel" => Self::Take,
            b"set" => Self::Set,
            _ => return None,
        })
    }
}

/// One row, as written in its file.
pub(super) struct Row<'a> {
    pub(super) worker: &'a [u8],
    pub(super) key: &'a [u8],
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) op: Op,
    pub(super) amount: Option<Decimal>,
    pub(super) outcome: Outcome,
    pub(super) value: Option<Decimal>,
}

impl Row<'_> {
    /// Whether it is an add of one, with nothing that needs a general history.
    pub(super) fn is_plain(&self) -> bool {
        let one = self.amount.is_none_or(|amount| amount == Decimal::from(1));
        self.op == Op::Add && one && self.outcome != Outcome::Denied && self.value.is_none_or(|v| v.places() == 0)
    }

    /// Checks what can be wrong with it whatever the numbers are.
    pub(super) fn sense(&self) -> Result<(), String> {
        if self.value.is_some() && self.outcome != Outcome::Ok {
            return Err("only an ok update has a value".to_owned());
        }
        if self.outcome == Outcome::Denied && !matches!(self.op, Op::Add | Op::Subtract) {
            return Err("only an add can be denied".to_owned());
        }
        match (self.op, self.amount) {
            (Op::Set, None) => Err("a set needs the amount it sets".to_owned()),
            (Op::Read | Op::Take, Some(_)) => Err("a read or a take has no amount".to_owned()),
            _ => Ok(()),
        }
    }

    /// The action and the reply, in units of 10^-`places`.
    pub(super) fn in_units(&self, places: u8) -> Result<(Action, Reply), String> {
        let units = |number: Decimal| {
            number
                .units(places)
                .ok_or(format!("{number} is too large for {places} decimal places, which this file has"))
        };
        let amount = units(self.amount.unwrap_or(Decimal::from(1)))?;
        let action = match self.op {
            Op::Add => Action::Add(amount),
            Op::Subtract => Action::Add(amount.checked_neg().ok_or("the amount is too large")?),
            Op::Read => Action::Read,
            Op::Take => Action::Take,
            Op::Set => Action::Set(amount),
        };
        let reply = match (self.outcome, self.value) {
            (Outcome::Ok, Some(value)) => Reply::Told(units(value)?),
            (Outcome::Ok, None) => Reply::Done,
            (Outcome::Fail, _) => Reply::Failed,
            (Outcome::Unknown, _) => Reply::Unknown,
            (Outcome::Denied, _) => Reply::Denied,
        };
        Ok((action, reply))
    }
}

/// The columns a history may have.
pub(super) const COLUMNS: [&str; 8] = ["worker", "begin_ns", "end_ns", "outcome", "value", "key", "op", "amount"];

/// Names that other programs give to an operation or an amount: a column that says what was done is never ignored.
const LIKE_OP: &[&str] = &[
    "operation",
    "ops",
    "optype",
    "type",
    "command",
    "cmd",
    "action",
    "method",
    "verb",
    "kind",
    "f",
    "func",
    "function",
];
const LIKE_AMOUNT: &[&str] = &[
    "amounts",
    "delta",
    "by",
    "increment",
    "incr",
    "incrby",
    "inc",
    "decrement",
    "decr",
    "decrby",
    "dec",
    "step",
    "quantity",
    "qty",
    "units",
    "difference",
    "diff",
    "change",
    "addend",
    "n",
    "size",
    "count",
    "sign",
];

/// The column that a name seems to mean, if it looks like an operation or an amount.
pub(super) fn looks_like(name: &str) -> Option<&'static str> {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let near = |known: &str| plain.len() > 4 && strsim::damerau_levenshtein(&plain, known) <= 2;
    if LIKE_OP.contains(&plain.as_str()) || near("operation") {
        Some("op")
    } else if LIKE_AMOUNT.contains(&plain.as_str()) || near("amount") {
        Some("amount")
    } else {
        COLUMNS.into_iter().find(|known| {
            let known: String = known.chars().filter(|c| *c != '_').collect();
            known == plain && !COLUMNS.contains(&name)
        })
    }
}
