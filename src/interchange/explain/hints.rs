//! Hints at mistakes in the file itself, which a verdict alone would hide.

use std::fmt::Write;

use super::{Teller, count, of};
use crate::history::{Fault, Operation, Order, Reply, Witness};
use crate::interchange::Answer;

/// Hints at common mistakes, each given once.
pub(super) fn hints(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
    let history = teller.history;
    for (worker, lanes) in &history.split {
        writeln!(
            out,
            "note: worker {worker} had several updates in progress at once: it is treated as {lanes} workers, with no \
             order between updates that touch"
        )?;
    }
    if let (Order::Violated(Witness { fault: Fault::BelowStart { .. }, key }), true) =
        (&teller.checked.judgement.order, teller.is_plain())
    {
        let key = &history.keys[*key];
        let below = |op: &Operation| matches!(op.reply, Reply::Told(value) if value < key.initial);
        let falling = history.operations().filter(|(_, _, op)| below(op)).take(2).count() > 0;
        if falling {
            writeln!(
                out,
                "hint: an add of 1 cannot make the counter fall below {}. If these are decrements, say so: a column \
                 'amount' with -1; if it did not start there, give --initial",
                key.initial
            )?;
        }
    }
    shifted(out, teller)
}

/// Notes that unknown updates explain the counter only if they took effect last of all: replies may be out of step.
fn shifted(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
    let history = teller.history;
    if !teller.is_plain() || teller.checked.answer == Answer::Invalid || teller.checked.judgement.ledger.unknown == 0 {
        return Ok(());
    }
    for (number, key) in history.keys.iter().enumerate() {
        let (mut largest, mut latest, mut told, mut blind) = (key.initial, 0, 0_u64, 0_u64);
        let mut begins = Vec::new();
        for (_, _, op) in history.operations().filter(|(_, _, op)| usize::from(op.key) == number) {
            match op.reply {
                Reply::Told(value) => {
                    (largest, latest, told) = (largest.max(value), latest.max(op.end_ns), told + 1);
                }
                Reply::Done => blind += 1,
                Reply::Unknown => begins.push(op.begin_ns),
                Reply::Failed | Reply::Denied => {}
            }
        }
        let full = blind == 0 && largest.abs_diff(key.initial) == told && told > 0;
        let needed = key.last.filter(|_| full).map_or(0, |last| last.saturating_sub(largest).max(0) as u64);
        let after = begins.iter().filter(|&&begin| begin >= latest).count() as u64;
        if needed > after {
            let (updates, took) = (count(needed, "update"), if needed == 1 { "took" } else { "each took" });
            writeln!(
                out,
                "note: {}consistent only if {updates} of unknown outcome {took} effect after every update that \
                 returned a value: replies shifted by one, left over from a command that timed out, look the same",
                of(key)
            )?;
        }
    }
    Ok(())
}
