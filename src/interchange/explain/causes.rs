//! What made updates disappear or count twice: a race, a counter that went back, a rollback at the end.

use std::fmt::Write;

use super::{Teller, count, of};
use crate::history::{Causes, Reply};
use crate::interchange::Answer;
use crate::interchange::history::{History, Key};

/// Why updates are missing, one line per cause.
pub(super) fn causes(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
    let ledger = &teller.checked.judgement.ledger;
    if teller.checked.answer != Answer::Invalid {
        return Ok(());
    }
    for (key, causes) in teller.history.keys.iter().zip(&teller.checked.causes) {
        let Causes { raced, falls, falls_by_nobody, fell, first } = causes;
        if *raced > 0 {
            let raced = count(*raced, "update");
            writeln!(
                out,
                "cause: {}{raced} overwritten in a race: a concurrent update returned the same value",
                of(key)
            )?;
        }
        if let Some(first) = first {
            let times = count(*falls, "time");
            let (high, low) = (teller.place_of(first.high), teller.place_of(first.low));
            let by = teller.units(first.by);
            writeln!(
                out,
                "cause: {}the counter went back {times}, by {} in all; by {by} between {high} and {low}",
                of(key),
                teller.units(*fell)
            )?;
            match first.late {
                Some(late) => {
                    writeln!(out, "  a late write of an old value can explain it: {}", teller.place_of(late))?
                }
                None => writeln!(
                    out,
                    "  no update in this file can explain it ({falls_by_nobody} of {falls}): look for a reset, an \
                     expiry, a failover or another writer"
                )?,
            }
        }
    }
    if ledger.rolled_back > 0 {
        let rolled_back = count(ledger.rolled_back, "update");
        let by = teller.units(below_the_top(teller.history));
        writeln!(
            out,
            "cause: rolled back at the end: {rolled_back}; the counter ended {by} below the largest value told"
        )?;
    }
    if ledger.doubled > 0 {
        let doubled = count(ledger.doubled, "update");
        writeln!(out, "cause: applied twice, or by another writer: {doubled} more than the file explains")?;
    }
    Ok(())
}

/// How far the counters ended below the largest values told.
fn below_the_top(history: &History) -> i128 {
    let mut tops: Vec<Option<i64>> = vec![None; history.keys.len()];
    for (_, _, op) in history.operations() {
        if let Reply::Told(value) = op.reply {
            let top = &mut tops[usize::from(op.key)];
            *top = (*top).max(Some(value));
        }
    }
    let below = |(top, key): (&Option<i64>, &Key)| Some((i128::from((*top)?) - i128::from(key.last?)).max(0));
    tops.iter().zip(&history.keys).filter_map(below).sum()
}
