//! A judged history as a JSON document. `docs/check-json.md` explains every field. Counter values are strings, because they
//! may be decimals and exceed 64 bits.

use serde::Serialize;

use super::decimal::InPlaces;
use super::{Checked, Load};
use crate::history::{Fault, Order, Units};

/// The version of the schema: raised when a field changes its meaning or is removed.
pub const SCHEMA: u32 = 1;

/// A judged history, to be written as JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    schema: u32,
    file: String,
    answer: &'static str,
    exit_code: u8,
    verdict: String,
    order: &'static str,
    reason: Option<String>,
    updates: Updates,
    units: Option<Amounts>,
    oversold: String,
    undersold: u64,
    causes: Causes,
    witness: Option<Witness>,
    load: Option<Load>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Updates {
    attempted: u64,
    acked: u64,
    refused: u64,
    unknown: u64,
    reads: u64,
    lost: u64,
    overwritten: u64,
    rolled_back: u64,
    doubled: u64,
    phantom: u64,
    repeated: u64,
    gaps: u64,
    stale: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Amounts {
    added: String,
    removed: String,
    taken: String,
    set: String,
    lost_added: String,
    lost_removed: String,
    taken_twice: String,
    set_twice: String,
    surplus: String,
    missing: String,
    unknown_added: String,
    unknown_removed: String,
    deficit: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Causes {
    overwritten_in_a_race: u64,
    went_back_times: u64,
    went_back_by_nobody_in_the_file: u64,
    went_back_by: String,
    rolled_back_at_the_end: u64,
    applied_twice: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Witness {
    counter: usize,
    kind: &'static str,
    text: String,
}

impl Document {
    /// The document for the history in `file`.
    pub fn new(file: &str, checked: &Checked) -> Self {
        let ledger = &checked.judgement.ledger;
        let units = |units: i128| InPlaces(units, checked.places).to_string();
        let sum = |of: fn(&crate::history::Causes) -> u64| checked.causes.iter().map(of).sum::<u64>();
        let witness = match &checked.judgement.order {
            Order::Violated(witness) => Some(Witness {
                counter: witness.key,
                kind: kind(&witness.fault),
                text: checked.witness.clone().unwrap_or_default(),
            }),
            _ => None,
        };
        Self {
            schema: SCHEMA,
            file: file.to_owned(),
            answer: checked.answer.word(),
            exit_code: checked.answer.exit_code(),
            verdict: checked.verdict.to_string(),
            order: checked.judgement.order.word(),
            reason: match &checked.judgement.order {
                Order::Undecided(why) => Some(why.clone()),
                _ => None,
            },
            updates: Updates {
                attempted: ledger.attempted,
                acked: ledger.acked,
                refused: ledger.refused,
                unknown: ledger.unknown,
                reads: checked.reads,
                lost: ledger.lost,
                overwritten: ledger.overwritten,
                rolled_back: ledger.rolled_back,
                doubled: ledger.doubled,
                phantom: ledger.phantom,
                repeated: ledger.repeated,
                gaps: ledger.gaps,
                stale: ledger.stale,
            },
            units: checked.units.as_ref().map(|of| amounts(of, units)),
            oversold: units(checked.oversold),
            undersold: checked.undersold,
            causes: Causes {
                overwritten_in_a_race: sum(|causes| causes.raced),
                went_back_times: sum(|causes| causes.falls),
                went_back_by_nobody_in_the_file: sum(|causes| causes.falls_by_nobody),
                went_back_by: units(checked.causes.iter().map(|causes| causes.fell).sum()),
                rolled_back_at_the_end: ledger.rolled_back,
                applied_twice: ledger.doubled,
            },
            witness,
            load: checked.load,
            text: checked.explanation.clone(),
        }
    }
}

fn amounts(of: &Units, show: impl Fn(i128) -> String) -> Amounts {
    Amounts {
        added: show(of.added),
        removed: show(of.removed),
        taken: show(of.taken),
        set: show(of.set),
        lost_added: show(of.lost_added),
        lost_removed: show(of.lost_removed),
        taken_twice: show(of.taken_twice),
        set_twice: show(of.set_twice),
        surplus: show(of.surplus),
        missing: show(of.missing),
        unknown_added: show(of.unknown_added),
        unknown_removed: show(of.unknown_removed),
        deficit: show(of.deficit),
    }
}

fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::SameValue { .. } => "same-value",
        Fault::BelowStart { .. } => "below-start",
        Fault::OutOfOrder { .. } => "out-of-order",
        Fault::NobodyMade { .. } => "nobody-made",
        Fault::NoRoom { .. } => "no-room",
        Fault::Final { .. } | Fault::Ended { .. } => "final",
        Fault::Clash { .. } => "clash",
        Fault::SameStep { .. } => "same-step",
        Fault::NeverHeld { .. } => "never-held",
        Fault::OutOfBounds { .. } => "out-of-bounds",
        Fault::Unbalanced { .. } => "unbalanced",
        Fault::Oversold { .. } => "oversold",
        Fault::Undersold { .. } => "undersold",
        Fault::NoOrder { .. } => "no-order",
    }
}
