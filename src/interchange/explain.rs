//! A judged history in plain words: what is wrong, who did it, when, and on which line of the file.

use std::fmt::Write;

use super::decimal::InPlaces;
use super::history::{History, Key};
use super::load::Load;
use super::{Answer, Checked};
use crate::history::{Action, Causes, Fault, Operation, Order, Reply, Seen, Witness};
use crate::verdict::Verdict;

/// How many values of a kind are named one by one.
const NAMED: usize = 5;

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
    let _ = fault(&mut out, &Teller { history, checked }, witness);
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
    writeln!(out, "repeated values {}, values that nobody was told {}", ledger.repeated, ledger.gaps)?;
    if !checked.general {
        writeln!(out, "told out of order {}", ledger.stale)?;
    }
    units(out, teller)?;
    if let Order::Violated(witness) = &checked.judgement.order {
        writeln!(out, "witness:")?;
        fault(out, teller, witness)?;
    }
    causes(out, teller)?;
    if teller.is_plain() && [ledger.lost, ledger.doubled, ledger.phantom, ledger.repeated, ledger.unknown] != [0; 5] {
        for number in 0..history.keys.len() {
            values(out, teller, number)?;
        }
    }
    checked.load.as_ref().map_or(Ok(()), |load| driven(out, load))?;
    hints(out, teller)?;
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

fn fault(out: &mut String, teller: &Teller<'_>, witness: &Witness) -> std::fmt::Result {
    let key = &teller.history.keys[witness.key];
    let line = |seen: &Seen| format!("  {}{}", of(key), teller.row(seen));
    let absolute = |value: i64| teller.absolute(key, value);
    match &witness.fault {
        Fault::SameValue { value, first, second } => {
            writeln!(out, "{}\n{}", line(first), line(second))?;
            let apart = first.event.end_ns() < second.event.begin_ns();
            let why = if apart { "the counter went back between them" } else { "one wrote over the other" };
            writeln!(out, "  both were told {}: {why}", absolute(*value))
        }
        Fault::SameStep { first, second } => {
            writeln!(out, "{}\n{}", line(first), line(second))?;
            writeln!(out, "  both changed the same value at the same time, and the accounts lack one of them")
        }
        Fault::Clash { first, second } => {
            writeln!(out, "{}\n{}", line(first), line(second))?;
            writeln!(out, "  their ranges overlap: one wrote over the other")
        }
        Fault::BelowStart { update } => {
            writeln!(out, "{}\n  no such add from {} makes that", line(update), teller.units(key.initial))
        }
        Fault::OutOfOrder { earlier, later } => {
            writeln!(out, "{}\n{}", line(earlier), line(later))?;
            writeln!(out, "  the first had ended before the second began, and saw the larger value")
        }
        Fault::NobodyMade { value, next } => {
            writeln!(out, "  the counter passed {}, and no update can have produced that value", absolute(*value))?;
            next.map_or(Ok(()), |next| writeln!(out, "{}\n  was told the next one", line(&next)))
        }
        Fault::NoRoom { update, after, before } => {
            writeln!(out, "{}", line(update))?;
            let after = after.map_or(String::new(), |after| format!(" above {}", absolute(after)));
            let before = before.map_or(String::new(), |before| format!(" below {}", absolute(before)));
            writeln!(out, "  must have produced a value{after}{before}, and each of these belongs to another update")
        }
        Fault::Final { found, least, most, told } => {
            told.map_or(Ok(()), |told| writeln!(out, "{}", line(&told)))?;
            let clamped = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            ended(out, teller, key, (*found, clamped(*least), clamped(*most)))
        }
        Fault::Ended { found, least, most, told } => {
            told.map_or(Ok(()), |told| writeln!(out, "{}", line(&told)))?;
            ended(out, teller, key, (*found, *least, *most))
        }
        Fault::NeverHeld { read, passed } => {
            writeln!(out, "{}", line(read))?;
            passed.map_or(Ok(()), |passed| writeln!(out, "{}", line(&passed)))?;
            writeln!(out, "  the counter never held what was read")
        }
        Fault::OutOfBounds { update, least, most } => {
            writeln!(out, "{}", line(update))?;
            let (least, most) = (absolute(*least), absolute(*most));
            writeln!(out, "  whatever the order, the counter then held {least} at least and {most} at most")
        }
        Fault::Unbalanced { lost, surplus } => {
            let (lost, surplus) = (teller.units(*lost), teller.units(*surplus));
            writeln!(
                out,
                "  the returned values do not lead from the start to the end: {lost} units are missing, \
                 {surplus} are too many"
            )
        }
        Fault::Oversold { value, limit, update } => {
            update.map_or(Ok(()), |update| writeln!(out, "{}", line(&update)))?;
            writeln!(out, "  the limit is {}, and the granted updates reach {}", absolute(*limit), absolute(*value))
        }
        Fault::Undersold { update, needed } => {
            writeln!(out, "{}", line(update))?;
            match needed {
                Some(needed) => {
                    writeln!(out, "  the counter never reached {}, above which it may be denied", absolute(*needed))
                }
                None => writeln!(out, "  there is no limit that it could have exceeded"),
            }
        }
        Fault::NoOrder { placed, holds, next } => {
            next.iter().try_for_each(|seen| writeln!(out, "{}", line(seen)))?;
            let (placed, holds) = (count(*placed, "operation"), absolute(*holds));
            writeln!(
                out,
                "  every order was tried: at best {placed} fit; the counter is then {holds}, which none of the \
                 next returned"
            )
        }
    }
}

fn ended(out: &mut String, teller: &Teller<'_>, key: &Key, (found, least, most): (i64, i64, i64)) -> std::fmt::Result {
    let (low, high) = (least.min(most), least.max(most));
    let (low, high) = (teller.absolute(key, low), teller.absolute(key, high));
    writeln!(out, "  but the counter ended at {}", teller.absolute(key, found))?;
    if least == most {
        writeln!(out, "  these updates end at {low}")
    } else {
        writeln!(out, "  these updates end between {low} and {high}")
    }
}

/// Why updates are missing, one line per cause.
fn causes(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
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
                "cause: {}overwritten in a race: {raced}, returned the same value as another at the same time",
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

/// A value told, which update it was told to, and when.
type ToldAt = (i64, (u32, u32), (u64, u64));

/// Names the values of one counter that two updates were told, and those that no update was told.
fn values(out: &mut String, teller: &Teller<'_>, number: usize) -> std::fmt::Result {
    let history = teller.history;
    let key = &history.keys[number];
    let mut told: Vec<ToldAt> = Vec::new();
    let (mut unknown, mut blind) = (Vec::new(), 0);
    for (worker, index, op) in history.operations().filter(|(_, _, op)| usize::from(op.key) == number) {
        match op.reply {
            Reply::Told(value) => told.push((value, (worker, index), (op.begin_ns, op.end_ns))),
            Reply::Done => blind += 1,
            Reply::Unknown => unknown.push((worker, index)),
            Reply::Failed | Reply::Denied => {}
        }
    }
    told.sort_by_key(|&(value, _, span)| (value, span));
    let groups: Vec<&[ToldAt]> = told.chunk_by(|one, two| one.0 == two.0).collect();
    let repeated: Vec<_> = groups.iter().filter(|group| group.len() > 1).collect();
    for group in repeated.iter().take(NAMED) {
        let places: Vec<String> = group.iter().take(NAMED).map(|&(_, place, _)| teller.place_of(place)).collect();
        let more = if group.len() > NAMED { format!(" and {} more", group.len() - NAMED) } else { String::new() };
        let (lost, value) = (group.len() - 1, group[0].0);
        writeln!(out, "lost {lost}: {}value {value} was returned to {}{more}", of(key), places.join(" and "))?;
    }
    rest(out, repeated.len(), "repeated values")?;
    let first: Vec<(i64, (u32, u32))> = groups.iter().map(|group| (group[0].0, group[0].1)).collect();
    let gaps = gaps(&first, key);
    for &(from, to, next) in gaps.iter().take(NAMED) {
        let value = if from == to { format!("value {from}") } else { format!("values {from} to {to}") };
        let next = next.map_or("and the counter ended there".to_owned(), |next| {
            format!("and the next one to {}", teller.place_of(next))
        });
        writeln!(out, "not returned to anyone: {}{value}, {next}", of(key))?;
    }
    rest(out, gaps.len(), "gaps")?;
    if gaps.is_empty() {
        return Ok(());
    }
    if blind > 0 {
        writeln!(out, "  {} told no value can account for as many", count(blind, "acknowledged update"))?;
    }
    if !unknown.is_empty() {
        let places: Vec<String> = unknown.iter().take(NAMED).map(|&place| teller.place_of(place)).collect();
        let places = places.join(", ");
        writeln!(out, "  {} can too: {places}", count(unknown.len() as u64, "update of unknown outcome"))?;
    }
    writeln!(out, "  values beyond that come from updates applied twice, or from another writer")
}

fn rest(out: &mut String, all: usize, what: &str) -> std::fmt::Result {
    if all > NAMED { writeln!(out, "and {} more {what}", all - NAMED) } else { Ok(()) }
}

/// A run of values that no update was told, and the update told the next one.
type Gap = (i128, i128, Option<(u32, u32)>);

/// The runs of values from the start to the end that no update was told.
fn gaps(told: &[(i64, (u32, u32))], key: &Key) -> Vec<Gap> {
    let start = i128::from(key.initial);
    let end = key.last.map(i128::from);
    let (mut gaps, mut expected) = (Vec::new(), start + 1);
    for &(value, place) in told {
        let value = i128::from(value);
        if value <= start || end.is_some_and(|end| value > end) {
            continue;
        }
        if value > expected {
            gaps.push((expected, value - 1, Some(place)));
        }
        expected = value + 1;
    }
    match end {
        Some(end) if end >= expected => gaps.push((expected, end, None)),
        _ => {}
    }
    gaps
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

/// Hints at common mistakes, each given once.
fn hints(out: &mut String, teller: &Teller<'_>) -> std::fmt::Result {
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
