//! A judged history in plain words: what is wrong, who did it, when, and on which line of the file.

mod causes;
mod hints;
mod values;
mod witness;

use std::fmt::Write;

use super::decimal::InPlaces;
use super::history::{History, Key};
use super::load::Load;
use super::{Answer, Checked};
use crate::history::{Action, Operation, Order, Reply, Seen};
use crate::verdict::Verdict;

/// The explanation of `checked`, whose own is still empty.
pub(super) fn text(history: &History, checked: &Checked) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut out, &Teller { history, checked });
    out
}

/// The witness alone: one row per line, and what is wrong with them.
pub(super) fn witness(history: &History, checked: &Checked) -> Option<String> {
    let Order::Violated(witness) = &checked.judgement.order else { return None };
    let mut out = String::new();
    let _ = witness::fault(&mut out, &Teller { history, checked }, witness);
    Some(out)
}

struct Teller<'a> {
    history: &'a History,
    checked: &'a Checked,
}

impl Teller<'_> {
    fn units(&self, units: impl Into<i128>) -> InPlaces {
        InPlaces(units.into(), self.history.places)
    }

    fn absolute(&self, key: &Key, relative: i64) -> InPlaces {
        self.units(i128::from(relative) + i128::from(key.initial))
    }

    /// `worker a, 100 to 180 ns, told 4 (line 3)`.
    fn row(&self, seen: &Seen) -> String {
        let (operation, line) = self.history.at(seen);
        let Operation { begin_ns, end_ns, action, reply, .. } = operation;
        let what = match action {
            Action::Add(_) if self.is_plain() => String::new(),
            Action::Add(amount) => format!(" add {},", self.units(amount)),
            Action::Read => " read,".to_owned(),
            Action::Take => " take,".to_owned(),
            Action::Set(to) => format!(" set {},", self.units(to)),
        };
        let told = match reply {
            Reply::Told(value) => format!("told {}", self.units(value)),
            Reply::Done => "told no value".to_owned(),
            Reply::Failed => "failed".to_owned(),
            Reply::Denied => "denied".to_owned(),
            Reply::Unknown => "unknown".to_owned(),
        };
        let worker = &self.history.workers[seen.worker as usize];
        format!("worker {worker}, {begin_ns} to {end_ns} ns,{what} {told} (line {line})")
    }

    /// `worker a (line 3)`.
    fn place(&self, seen: &Seen) -> String {
        format!("worker {} (line {})", self.history.workers[seen.worker as usize], self.history.at(seen).1)
    }

    fn place_of(&self, (worker, index): (u32, u32)) -> String {
        let event = crate::update::Event::new(0, 0, 0, 1, crate::update::Outcome::AckedBlind);
        self.place(&Seen { worker, index, event })
    }

    fn is_plain(&self) -> bool {
        self.checked.units.is_none() && !self.checked.general
    }
}

fn write_all(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
    let (history, checked) = (teller.history, teller.checked);
    headline(out, teller)?;
    let ledger = &checked.judgement.ledger;
    let (attempted, workers) = (count(ledger.attempted, "update"), count(history.workers_named() as u64, "worker"));
    let (acked, refused, unknown) = (ledger.acked, ledger.refused, ledger.unknown);
    write!(out, "{attempted} by {workers}: {acked} acknowledged, {refused} failed, {unknown} unknown")?;
    writeln!(out, "{}", if checked.reads > 0 { format!("; {}", count(checked.reads, "read")) } else { String::new() })?;
    for key in &history.keys {
        let (of, initial) = (of(key), teller.units(key.initial));
        match key.last {
            Some(last) => write!(out, "{of}initial {initial}, final {}", teller.units(last))?,
            None => write!(out, "{of}initial {initial}, final value not known")?,
        }
        key.min.map_or(Ok(()), |min| write!(out, ", min {}", teller.units(min)))?;
        key.max.map_or(Ok(()), |max| write!(out, ", max {}", teller.units(max)))?;
        writeln!(out)?;
    }
    let (lost, overwritten, rolled_back) = (ledger.lost, ledger.overwritten, ledger.rolled_back);
    writeln!(out, "lost {lost}: {overwritten} overwritten, {rolled_back} rolled back")?;
    writeln!(out, "doubled {}, phantom {} (failed, but applied)", ledger.doubled, ledger.phantom)?;
    writeln!(
        out,
        "values returned more than once {}, values never returned to anyone {}",
        ledger.repeated, ledger.gaps
    )?;
    if !checked.general {
        writeln!(out, "returned out of order {}", ledger.stale)?;
    }
    units(out, teller)?;
    if let Order::Violated(witness) = &checked.judgement.order {
        writeln!(out, "witness:")?;
        witness::fault(out, teller, witness)?;
    }
    causes::causes(out, teller)?;
    if teller.is_plain() && [ledger.lost, ledger.doubled, ledger.phantom, ledger.repeated, ledger.unknown] != [0; 5] {
        for number in 0..history.keys.len() {
            values::values(out, teller, number)?;
        }
    }
    checked.load.as_ref().map_or(Ok(()), |load| driven(out, load))?;
    hints::hints(out, teller)?;
    limits(out, teller)
}

fn headline(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
    let (history, checked) = (teller.history, teller.checked);
    let (verdict, order) = (checked.verdict, checked.judgement.order.word());
    match checked.answer {
        Answer::Valid => writeln!(out, "valid: {verdict}, {order}"),
        Answer::Invalid if checked.oversold > 0 => {
            writeln!(out, "not valid: oversold by {}, {order}", teller.units(checked.oversold))
        }
        Answer::Invalid if checked.undersold > 0 => {
            writeln!(out, "not valid: undersold, {} denied below the limit", count(checked.undersold, "add"))
        }
        Answer::Invalid if checked.general && verdict == Verdict::Misordered => {
            writeln!(out, "not valid: no order explains it, {order}")
        }
        Answer::Invalid => writeln!(out, "not valid: {verdict}, {order}"),
        Answer::CannotSay if history.is_silent() => {
            writeln!(out, "cannot say: no update returned a value, and the counter's final value is not given")
        }
        Answer::CannotSay => writeln!(out, "cannot say: {order}"),
    }
}

/// The accounts in units, if the file has more than adds of one.
fn units(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
    if !teller.checked.general {
        return Ok(());
    }
    let Some(units) = &teller.checked.units else {
        return writeln!(out, "in units: not counted, because a take, a set or the end returned no value");
    };
    let parts = [
        ("added", units.added),
        ("removed", units.removed),
        ("taken", units.taken),
        ("set", units.set),
        ("added and lost", units.lost_added),
        ("removed and lost", units.lost_removed),
        ("taken twice", units.taken_twice),
        ("set twice", units.set_twice),
        ("surplus", units.surplus),
        ("missing", units.missing),
        ("added by unknown outcomes", units.unknown_added),
        ("removed by unknown outcomes", units.unknown_removed),
    ];
    let parts = parts.into_iter().filter(|&(_, part)| part != 0);
    let parts: Vec<String> = parts.map(|(name, part)| format!("{name} {}", teller.units(part))).collect();
    let parts = if parts.is_empty() { "nothing changed".to_owned() } else { parts.join(", ") };
    writeln!(out, "in units: {parts}; net deficit {}", teller.units(units.deficit))
}

fn driven(out: &mut String, load: &Load) -> std::fmt::Result {
    let [p50, p90, p99, p999, max] = load.latency_ns;
    writeln!(
        out,
        "{:.0} acknowledged/s over {} ns; latency ns p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p999}, max {max}",
        load.acked_per_s, load.span_ns
    )?;
    let hardly = if load.in_flight < Load::HARDLY_A_RACE { ": one after another, hardly a race" } else { "" };
    writeln!(out, "{:.2} concurrent on average, overlap {:.2}{hardly}", load.in_flight, load.overlap)
}

/// What the file leaves open.
fn limits(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
    let ledger = &teller.checked.judgement.ledger;
    if teller.history.keys.iter().any(|key| key.last.is_none()) {
        writeln!(
            out,
            "not covered: without a final value, updates lost after the largest returned value, and updates applied"
        )?;
        writeln!(out, "twice after it, are invisible; so are losses among updates that returned no value")?;
    }
    if ledger.unknown > 0 && teller.is_plain() {
        let surplus = i128::from(ledger.found.max(0)) - i128::from(ledger.acked) + i128::from(ledger.lost);
        let happened = surplus - i128::from(ledger.doubled) - i128::from(ledger.phantom);
        let all = count(ledger.unknown, "update");
        writeln!(
            out,
            "not covered: of {all} of unknown outcome, {happened} would explain the counter; the file does not"
        )?;
        writeln!(out, "show whether these were applied or others were applied twice")?;
    }
    if let Order::Undecided(why) = &teller.checked.judgement.order {
        writeln!(out, "not said: {why}")?;
    }
    Ok(())
}

fn of(key: &Key) -> String {
    if key.name.is_empty() { String::new() } else { format!("counter {}: ", key.name) }
}

fn count(number: u64, what: &str) -> String {
    match (number, what.split_once(' ')) {
        (1, _) => format!("1 {what}"),
        (_, Some(("update", rest))) => format!("{number} updates {rest}"),
        _ => format!("{number} {what}s"),
    }
}
