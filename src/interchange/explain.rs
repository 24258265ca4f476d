//! A judged history in plain words: what is wrong, by whom, when, and on which line of the file.

use std::fmt::Write;

use super::Answer;
use super::read::{History, Key};
use crate::history::{Fault, Judgement, Order, Seen};
use crate::update::{Event, Outcome};
use crate::verdict::Verdict;

/// How many values of a kind are named one by one.
const NAMED: usize = 5;

pub(super) fn text(history: &History, judgement: &Judgement, verdict: Verdict, answer: Answer) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_all(&mut text, history, judgement, verdict, answer);
    text
}

fn write_all(
    out: &mut String,
    history: &History,
    judgement: &Judgement,
    verdict: Verdict,
    answer: Answer,
) -> std::fmt::Result {
    let ledger = &judgement.ledger;
    let order = judgement.order.word();
    match answer {
        Answer::Valid => writeln!(out, "valid: {verdict}, {order}")?,
        Answer::Invalid => writeln!(out, "not valid: {verdict}, {order}")?,
        Answer::CannotSay if history.is_silent() => {
            writeln!(out, "cannot say: no update in it was told a value, and nothing says what the counter held after")?
        }
        Answer::CannotSay => writeln!(out, "cannot say: {order}")?,
    }
    let (attempted, workers) = (count(ledger.attempted, "update"), count(history.lanes.len() as u64, "worker"));
    let (acked, refused, unknown) = (ledger.acked, ledger.refused, ledger.unknown);
    writeln!(out, "{attempted} by {workers}: {acked} acknowledged, {refused} failed, {unknown} unknown")?;
    for key in &history.keys {
        match key.last {
            Some(last) => writeln!(out, "{}initial {}, final {last}", of(key), key.initial)?,
            None => writeln!(out, "{}initial {}, final value not known", of(key), key.initial)?,
        }
    }
    let (lost, overwritten, rolled_back) = (ledger.lost, ledger.overwritten, ledger.rolled_back);
    writeln!(out, "lost {lost}: {overwritten} overwritten, {rolled_back} rolled back")?;
    writeln!(out, "doubled {}, phantom {} (failed, but applied)", ledger.doubled, ledger.phantom)?;
    writeln!(out, "repeated values {}, values told to nobody {}", ledger.repeated, ledger.gaps)?;
    writeln!(out, "told out of order {}", ledger.stale)?;
    if let Order::Violated(witness) = &judgement.order {
        writeln!(out, "witness:")?;
        fault(out, history, witness.key, &witness.fault)?;
    }
    if [ledger.lost, ledger.doubled, ledger.phantom, ledger.repeated, ledger.unknown] != [0; 5] {
        for number in 0..history.keys.len() {
            values(out, history, number)?;
        }
    }
    limits(out, history, judgement)
}

fn fault(out: &mut String, history: &History, key: usize, fault: &Fault) -> std::fmt::Result {
    let key = &history.keys[key];
    let line = |seen: &Seen| format!("  {}{}", of(key), update(history, seen));
    let absolute = |value: i64| i128::from(value) + i128::from(key.initial);
    match fault {
        Fault::SameValue { value, first, second } => {
            writeln!(out, "{}\n{}", line(first), line(second))?;
            writeln!(out, "  both were told {}: one wrote over the other", absolute(*value))
        }
        Fault::BelowStart { update } => {
            writeln!(out, "{}\n  no increment of {} makes that", line(update), key.initial)
        }
        Fault::OutOfOrder { earlier, later } => {
            writeln!(out, "{}\n{}", line(earlier), line(later))?;
            writeln!(out, "  the first was over before the second began, and was told more")
        }
        Fault::NobodyMade { value, next } => {
            writeln!(out, "  the counter passed {}, and no update can have made that value", absolute(*value))?;
            next.map_or(Ok(()), |next| writeln!(out, "{}\n  was told the next one", line(&next)))
        }
        Fault::NoRoom { update, after, before } => {
            writeln!(out, "{}", line(update))?;
            let after = after.map_or(String::new(), |after| format!(" above {}", absolute(after)));
            let before = before.map_or(String::new(), |before| format!(" below {}", absolute(before)));
            writeln!(out, "  must have made a value{after}{before}, and each of these belongs to another")
        }
        Fault::Final { found, least, most, told } => {
            if let Some(told) = told {
                writeln!(out, "{}\n  but the counter ended at {}", line(told), absolute(*found))?;
            }
            let (least, most) = (i128::from(*least), i128::from(*most).max(i128::from(*least)));
            let initial = i128::from(key.initial);
            let range = if least == most {
                format!("at {}", least + initial)
            } else {
                format!("between {} and {}", least + initial, most + initial)
            };
            writeln!(out, "  these updates end {range}, and the counter ended at {}", absolute(*found))
        }
    }
}

/// Names the values of one counter that two updates were told, and those that nobody was.
fn values(out: &mut String, history: &History, number: usize) -> std::fmt::Result {
    let key = &history.keys[number];
    let mut told: Vec<(i64, Seen)> = Vec::new();
    let (mut unknown, mut blind) = (Vec::new(), 0);
    for seen in updates(history, number) {
        match seen.event.outcome() {
            Outcome::Acked(value) => told.push((value, seen)),
            Outcome::AckedBlind => blind += 1,
            Outcome::Unknown => unknown.push(seen),
            Outcome::Refused => {}
        }
    }
    told.sort_by_key(|(value, seen)| (*value, seen.event.begin_ns(), seen.event.end_ns()));
    let groups: Vec<&[(i64, Seen)]> = told.chunk_by(|one, two| one.0 == two.0).collect();
    let absolute = |value: i64| i128::from(value) + i128::from(key.initial);
    let repeated: Vec<_> = groups.iter().filter(|group| group.len() > 1).collect();
    for group in repeated.iter().take(NAMED) {
        let lines: Vec<String> = group.iter().take(NAMED).map(|(_, seen)| place(history, seen)).collect();
        let more = if group.len() > NAMED { format!(" and {} more", group.len() - NAMED) } else { String::new() };
        let lost = group.len() - 1;
        let value = absolute(group[0].0);
        writeln!(out, "lost {lost}: {}value {value} was told to {}{more}", of(key), lines.join(" and "))?;
    }
    rest(out, repeated.len(), "repeated values")?;
    let gaps = gaps(&groups, history.gained()[number]);
    for &(from, to, next) in gaps.iter().take(NAMED) {
        let (from, to) = (absolute(from), absolute(to));
        let value = if from == to { format!("value {from}") } else { format!("values {from} to {to}") };
        let next = next.map_or("and the counter ended there".to_owned(), |next| {
            format!("and the next one to {}", place(history, &next))
        });
        writeln!(out, "told to nobody: {}{value}, {next}", of(key))?;
    }
    rest(out, gaps.len(), "gaps")?;
    if gaps.is_empty() {
        return Ok(());
    }
    if blind > 0 {
        writeln!(out, "  {} told no value can account for as many", count(blind, "acknowledged update"))?;
    }
    if !unknown.is_empty() {
        let places: Vec<String> = unknown.iter().take(NAMED).map(|seen| place(history, seen)).collect();
        let places = places.join(", ");
        writeln!(out, "  {} can too: {places}", count(unknown.len() as u64, "update of unknown outcome"))?;
    }
    writeln!(out, "  values beyond that were made by updates applied twice, or by somebody else")
}

fn rest(out: &mut String, all: usize, what: &str) -> std::fmt::Result {
    if all > NAMED { writeln!(out, "and {} more {what}", all - NAMED) } else { Ok(()) }
}

/// The runs of values from 1 on that nobody was told, each with the update told the next one.
fn gaps(groups: &[&[(i64, Seen)]], gained: Option<i64>) -> Vec<(i64, i64, Option<Seen>)> {
    let (mut gaps, mut expected) = (Vec::new(), 1);
    for group in groups.iter().filter(|group| group[0].0 >= 1) {
        let (value, seen) = group[0];
        if value > expected {
            gaps.push((expected, value - 1, Some(seen)));
        }
        expected = value.saturating_add(1);
    }
    match gained {
        Some(gained) if gained >= expected => gaps.push((expected, gained, None)),
        _ => {}
    }
    gaps
}

/// What the file leaves open.
fn limits(out: &mut String, history: &History, judgement: &Judgement) -> std::fmt::Result {
    let ledger = &judgement.ledger;
    if history.keys.iter().any(|key| key.last.is_none()) {
        writeln!(
            out,
            "not said: without a final value, updates lost after the largest value told, and updates applied"
        )?;
        writeln!(out, "twice after it, cannot be seen; neither can those that were told no value")?;
    }
    if ledger.unknown > 0 {
        let surplus = i128::from(ledger.found) - i128::from(ledger.acked) + i128::from(ledger.lost);
        let happened = surplus - i128::from(ledger.doubled) - i128::from(ledger.phantom);
        let all = count(ledger.unknown, "update");
        writeln!(out, "not said: of {all} of unknown outcome, {happened} would explain the counter; whether these")?;
        writeln!(out, "happened, or others were applied twice, the file does not tell")?;
    }
    if let Order::Undecided(why) = &judgement.order {
        writeln!(out, "not said: {why}")?;
    }
    Ok(())
}

fn updates(history: &History, key: usize) -> impl Iterator<Item = Seen> {
    (0..).zip(&history.lanes).flat_map(move |(worker, lane)| {
        let events = (0..).zip(&lane.events).filter(move |(_, event): &(u32, &Event)| event.key() == key);
        events.map(move |(index, &event)| Seen { worker, index, event })
    })
}

/// `worker a, 100 to 180 ns, told 4 (line 3)`.
fn update(history: &History, seen: &Seen) -> String {
    let lane = &history.lanes[seen.worker as usize];
    let event = &seen.event;
    let told = match event.outcome() {
        Outcome::Acked(value) => {
            let value = i128::from(value) + i128::from(history.keys[event.key()].initial);
            format!("told {value}")
        }
        Outcome::AckedBlind => "told no value".to_owned(),
        Outcome::Refused => "failed".to_owned(),
        Outcome::Unknown => "unknown".to_owned(),
    };
    let line = lane.lines[seen.index as usize];
    format!("worker {}, {} to {} ns, {told} (line {line})", lane.worker, event.begin_ns(), event.end_ns())
}

/// `worker a (line 3)`.
fn place(history: &History, seen: &Seen) -> String {
    let lane = &history.lanes[seen.worker as usize];
    format!("worker {} (line {})", lane.worker, lane.lines[seen.index as usize])
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
