//! The values that were returned more than once, and those that were returned to nobody.

use std::fmt::Write;

use super::{Teller, count, of};
use crate::history::Reply;
use crate::interchange::history::Key;

/// How many values of a kind are named one by one.
const NAMED: usize = 5;

/// A value told, which update it was told to, and when.
type ToldAt = (i64, (u32, u32), (u64, u64));

/// Names the values of one counter that two updates were told, and those that no update was told.
pub(super) fn values(out: &mut String, teller: &Teller<'_>, number: usize) -> std::fmt::Result {
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
