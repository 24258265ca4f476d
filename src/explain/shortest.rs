//! The shortest run of commands that shows one update being lost, with a note for each.
//!
//! An update is lost to a write whose value is not larger than the one it replaces. Its story consists of that write, the
//! write it replaced, the reads that both came from, everything else that these two clients sent in between (a WATCH, a
//! transaction, a lock), and every other write to the counter meanwhile. The story with the fewest commands is chosen, then
//! the quickest; if clients watch, stories that show the WATCH are preferred. If no write replaces another, the story shows
//! commands that had no effect: an aborted EXEC, an addition that changed nothing, writes that never reached the server.

use std::collections::BTreeSet;

use crate::explain::replay::{Act, What};
use crate::record::Step;
use crate::verdict::Ledger;

/// A story with more commands than this is not told; the race's ending is told instead.
const MOST: usize = 24;

/// One line of the story: a command and its part in it.
pub(super) struct Line {
    at_us: u64,
    lane: Option<usize>,
    command: String,
    value: Option<String>,
    mark: Mark,
    note: Note,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Read,
    StaleRead,
    Write,
    Overwritten,
    Overwriting,
    Other,
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::StaleRead => "stale-read",
            Self::Write => "write",
            Self::Overwritten => "overwritten",
            Self::Overwriting => "overwriting",
            Self::Other => "other",
        }
    }
}

/// The note on a line. It names clients by lane: they get their letters when all lines are chosen.
type Note = Box<dyn Fn(&dyn Fn(usize) -> String) -> String>;

/// What a story is about: the loss and the commands that show it.
struct Story {
    acts: BTreeSet<usize>,
    lost: Option<usize>,
    losing: Option<usize>,
    stale: Option<usize>,
}

/// The lines of the shortest story of an update lost in this race.
pub(super) fn shortest(acts: &[Act], ledger: &Ledger, rejected: u64) -> Vec<Line> {
    let stories = (0..acts.len()).filter_map(|i| replaced(acts, i));
    let best = shortest_of(acts, stories)
        .or_else(|| shortest_of(acts, (0..acts.len()).filter_map(|i| unchanged(acts, i))))
        .or_else(|| shortest_of(acts, (0..acts.len()).filter_map(|i| aborted(acts, i))));
    best.map_or_else(|| ending(acts, ledger, rejected), |story| told(acts, &story))
}

fn shortest_of(acts: &[Act], stories: impl Iterator<Item = Story>) -> Option<Story> {
    let span = |story: &Story| match (story.acts.first(), story.acts.last()) {
        (Some(&first), Some(&last)) => acts[last].at_us.saturating_sub(acts[first].at_us),
        _ => 0,
    };
    // If clients use WATCH, a story that shows two of them doing so is worth two more lines: it did not help.
    let watches = |all: &mut dyn Iterator<Item = usize>| all.filter(|&i| acts[i].what == What::Watch).take(2).count();
    let wanted = watches(&mut (0..acts.len()));
    let missing = |story: &Story| wanted - watches(&mut story.acts.iter().copied());
    let told = stories.filter(|story| story.acts.len() <= MOST);
    told.min_by_key(|story| (missing(story), story.acts.len(), span(story)))
}

/// The story of write `i`, if its value is no larger than that of the write it replaced.
fn replaced(acts: &[Act], i: usize) -> Option<Story> {
    let What::Write { before, after: Some(after), brought: true } = acts[i].what else { return None };
    let victim = (0..i).rfind(|&j| is_write(&acts[j]))?;
    let read = basis(acts, i);
    if after > before || read.is_some_and(|read| read > victim) {
        return None;
    }
    let mut own: BTreeSet<usize> = update(acts, i).chain(update(acts, victim)).collect();
    own.extend(ending_of(acts, victim).filter(|&j| j < i));
    let first = *own.first()?;
    let locked = own.iter().any(|&j| matches!(acts[j].what, What::Lock { .. }));
    own.extend((first..i).filter(|&j| is_write(&acts[j]) || locked && acts[j].what == What::Unlock));
    own.extend(ending_of(acts, i).take_while(|&j| matches!(acts[j].what, What::Commit { .. })));
    Some(Story { acts: own, lost: Some(victim), losing: Some(i), stale: read })
}

/// The story of write `i`, if it left the counter as it was.
fn unchanged(acts: &[Act], i: usize) -> Option<Story> {
    let What::Write { before, after, .. } = acts[i].what else { return None };
    (after == Some(before)).then(|| Story { acts: update(acts, i).collect(), lost: Some(i), losing: None, stale: None })
}

/// The story of EXEC `i`, if it was aborted.
fn aborted(acts: &[Act], i: usize) -> Option<Story> {
    if acts[i].what != (What::Commit { wrote: false }) {
        return None;
    }
    let read = (0..i).rfind(|&j| acts[j].lane == acts[i].lane && matches!(acts[j].what, What::Read(_)))?;
    let mut own: BTreeSet<usize> = (read..=i).filter(|&j| acts[j].lane == acts[i].lane).collect();
    own.extend(preparation(acts, read));
    let culprit = (*own.first()?..i).rfind(|&j| is_write(&acts[j]))?;
    own.insert(culprit);
    Some(Story { acts: own, lost: Some(i), losing: Some(culprit), stale: Some(read) })
}

fn is_write(act: &Act) -> bool {
    matches!(act.what, What::Write { .. })
}

/// The read that write `i` came from: its client's last, unless that client has written since.
fn basis(acts: &[Act], i: usize) -> Option<usize> {
    let mut before = (0..i).rev().filter(|&j| acts[j].lane == acts[i].lane);
    before.find(|&j| is_write(&acts[j]) || matches!(acts[j].what, What::Read(_))).filter(|&j| !is_write(&acts[j]))
}

/// All commands of write `i`'s update, up to the write.
fn update(acts: &[Act], i: usize) -> impl Iterator<Item = usize> {
    let read = basis(acts, i);
    let from = read.unwrap_or(i);
    (from..=i).filter(move |&j| acts[j].lane == acts[i].lane).chain(preparation(acts, from))
}

/// What a client sent just before command `read` to prepare for it: a WATCH, a lock.
fn preparation(acts: &[Act], read: usize) -> impl Iterator<Item = usize> {
    let before = (0..read).rev().filter(move |&j| acts[j].lane == acts[read].lane);
    before.take_while(|&j| matches!(acts[j].what, What::Watch | What::Script | What::Lock { got: true }))
}

/// What a client sent after write `i` to end its update: EXEC, the unlocking.
fn ending_of(acts: &[Act], i: usize) -> impl Iterator<Item = usize> {
    let after = (i + 1..acts.len()).filter(move |&j| acts[j].lane == acts[i].lane);
    let own = after.take_while(|&j| matches!(acts[j].what, What::Commit { .. } | What::Unlock | What::Other));
    own.filter(|&j| acts[j].what != What::Other)
}

/// The story in lines.
fn told(acts: &[Act], story: &Story) -> Vec<Line> {
    let mut seen = BTreeSet::new();
    let each = story.acts.iter().map(|&i| {
        let act = &acts[i];
        let is = |index: Option<usize>| index == Some(i);
        let (value, mark, note): (_, _, Note) = match act.what {
            What::Read(value) => {
                let too = if seen.insert(value) { "" } else { " too" };
                let mark = if is(story.stale) { Mark::StaleRead } else { Mark::Read };
                (Some(value), mark, said(act.lane, format!("reads {value}{too}")))
            }
            What::Write { before, after, brought } => {
                let (mark, note) = write_told(acts, story, i, before, after, brought);
                (after, mark, note)
            }
            What::Commit { wrote: false } if is(story.lost) => {
                (None, Mark::Overwritten, said(act.lane, "gets nil, nothing was executed: its update is lost"))
            }
            What::Lock { got: true } => (None, Mark::Other, lock_told(acts, story, i)),
            other => (None, Mark::Other, said(act.lane, aside(other))),
        };
        let (command, value) = (act.command.clone(), value.map(|value| value.to_string()));
        Line { at_us: act.at_us, lane: Some(act.lane), command, value, mark, note }
    });
    each.collect()
}

fn said(lane: usize, words: impl Into<String>) -> Note {
    let words = words.into();
    Box::new(move |name| format!("{} {words}", name(lane)))
}

/// The note on taking a lock. If the last holder has still to write, it has not given the lock back.
fn lock_told(acts: &[Act], story: &Story, i: usize) -> Note {
    let lane = acts[i].lane;
    let before = story.acts.range(..i).rfind(|&&j| acts[j].what == (What::Lock { got: true }));
    let holder = before.map(|&j| acts[j].lane).filter(|&holder| holder != lane);
    let is_busy = |holder: usize| story.acts.range(i..).any(|&j| acts[j].lane == holder && is_write(&acts[j]));
    let freed = story.acts.range(..i).any(|&j| acts[j].what == What::Unlock);
    match holder.filter(|&holder| is_busy(holder)) {
        Some(holder) if freed => {
            Box::new(move |name| format!("{} takes the lock while {} still works", name(lane), name(holder)))
        }
        Some(holder) => Box::new(move |name| format!("{} takes the lock: {}'s has expired", name(lane), name(holder))),
        None => said(lane, "takes the lock"),
    }
}

fn aside(what: What) -> &'static str {
    match what {
        What::Watch => "watches the counter",
        What::Begin => "begins a transaction",
        What::Commit { wrote: true } => "ends it: executed",
        What::Commit { wrote: false } => "ends it: nil, nothing was executed",
        What::Script => "runs a script",
        What::Lock { .. } => "finds the lock taken",
        What::Unlock => "removes the lock, whoever holds it now",
        _ => "goes on",
    }
}

fn write_told(acts: &[Act], story: &Story, i: usize, before: i128, after: Option<i128>, brought: bool) -> (Mark, Note) {
    let lane = acts[i].lane;
    let value = after.map_or_else(|| "it".to_owned(), |value| value.to_string());
    let writes = if brought { format!("writes {value}") } else { format!("makes it {value}") };
    if story.losing == Some(i) && is_write(&acts[story.lost.unwrap_or(i)]) {
        let victim = acts[story.lost.unwrap_or(i)].lane;
        let back = after.map_or(0, |after| before - after);
        let more = if back > 0 { format!(", and {back} before it") } else { String::new() };
        let unread = if story.stale.is_none() { " without having seen it here" } else { "" };
        let note: Note = Box::new(move |name| {
            let (own, theirs) = (name(lane), name(victim));
            if own == theirs {
                format!("{own} {writes} over its own {before}{unread}: an update is lost{more}")
            } else {
                format!("{own} {writes} over {theirs}'s {before}{unread}: {theirs}'s update is lost{more}")
            }
        });
        (Mark::Overwriting, note)
    } else if story.losing == Some(i) {
        let watcher = acts[story.lost.unwrap_or(i)].lane;
        (Mark::Write, Box::new(move |name| format!("{} {writes}, which {} watches", name(lane), name(watcher))))
    } else if story.lost == Some(i) && story.losing.is_none() {
        (Mark::Overwritten, said(lane, format!("leaves it at {before}: its update is lost")))
    } else if story.lost == Some(i) {
        (Mark::Overwritten, said(lane, writes))
    } else {
        (Mark::Write, said(lane, writes))
    }
}

/// If there is no story: the last writes, and the accounts.
fn ending(acts: &[Act], ledger: &Ledger, rejected: u64) -> Vec<Line> {
    let written: Vec<usize> = (0..acts.len()).filter(|&i| is_write(&acts[i])).collect();
    let last: BTreeSet<usize> = written.iter().rev().take(2).copied().collect();
    let mut lines = told(acts, &Story { acts: last, lost: None, losing: None, stale: None });
    let Ledger { acked, found, lost, .. } = *ledger;
    let executed = written.len() as u64;
    // Writes explain the loss only if there are as many as updates that survived: the server may have gone on since the
    // counter was read.
    let why = if executed.checked_add(lost) == Some(acked) {
        let refused = if rejected > 0 { format!(" and refused {rejected}") } else { String::new() };
        format!("{acked} updates acknowledged; the server executed {executed} writes{refused}: {lost} are lost")
    } else {
        format!("{acked} updates were acknowledged, the counter gained {found}: {lost} are lost")
    };
    let at_us = lines.last().map_or(0, |line| line.at_us);
    let (command, value) = ("(end of the race)".to_owned(), Some(found.to_string()));
    lines.push(Line { at_us, lane: None, command, value, mark: Mark::Other, note: Box::new(move |_| why.clone()) });
    lines
}

/// The lines as rows of `witness.csv`.
pub(super) fn rows(strategy: &str, library: &str, threads: usize, lines: &[Line]) -> Vec<Step> {
    let mut lanes: Vec<usize> = Vec::new();
    for lane in lines.iter().filter_map(|line| line.lane) {
        if !lanes.contains(&lane) {
            lanes.push(lane);
        }
    }
    let name = |lane: usize| letter(lanes.iter().position(|&known| known == lane).unwrap_or(lanes.len()));
    let first = lines.first().map_or(0, |line| line.at_us);
    let row = |(i, line): (usize, &Line)| Step {
        strategy: strategy.to_owned(),
        library: library.to_owned(),
        threads,
        step: i as u32 + 1,
        at_us: line.at_us.saturating_sub(first),
        client: line.lane.map_or_else(|| "all".to_owned(), name),
        command: line.command.clone(),
        value: line.value.clone(),
        mark: line.mark.word().to_owned(),
        note: (line.note)(&name),
    };
    lines.iter().enumerate().map(row).collect()
}

/// A, B, ... Z, A1, B1, ...
fn letter(number: usize) -> String {
    let letter = char::from(b'A' + (number % 26) as u8);
    if number < 26 { letter.to_string() } else { format!("{letter}{}", number / 26) }
}
