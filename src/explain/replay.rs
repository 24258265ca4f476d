//! Replays the commands of one race: what every read returned, what every write replaced, and which client sent it.
//!
//! The server executes commands one by one, so their order determines the counter's value at each. If all clients share one
//! connection (or use a unix socket, whose clients have no addresses), the sender is inferred: a SET of v belongs to the
//! client that read v - 1 and has not written since; if there are several, to the one that read first.

use std::collections::{HashSet, VecDeque};
use std::ops::Range;

use crate::explain::monitor::Seen;
use crate::strategy::{Effect, Strategy, integer};
use crate::target::keyspace;

/// One command of the race.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    /// The server's clock.
    pub(super) at_us: u64,
    /// Which client.
    pub(super) lane: usize,
    /// The command without the key.
    pub(super) command: String,
    /// What it did.
    pub(super) what: What,
}

/// What a command did, as the order of all commands implies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Read this from the counter; a missing counter is 0.
    Read(i128),
    /// Wrote the counter.
    Write {
        /// What it held before.
        before: i128,
        /// What it held afterwards, if known.
        after: Option<i128>,
        /// Whether the client supplied the value (SET), rather than the server adding (INCR).
        brought: bool,
    },
    /// Watches the counter.
    Watch,
    /// Begins a transaction.
    Begin,
    /// Ends one; aborted if nothing of it was executed.
    Commit { wrote: bool },
    /// Asks for a lock with SET NX; got it if the client went on to the counter.
    Lock { got: bool },
    /// Removes a lock.
    Unlock,
    /// Runs a script on the counter: what the script calls comes next.
    Script,
    /// Something else.
    Other,
}

/// What the commands in `seen` did between a trial's two readings of the server's counts.
pub(super) fn replay(seen: &[Seen], strategy: &dyn Strategy, prefix: &str, threads: usize) -> Vec<Act> {
    // Others may be using the server too: ours are the clients that name a key of ours.
    let names_ours = |seen: &Seen| seen.words.iter().skip(1).any(|word| word.starts_with(prefix));
    let ours: HashSet<&str> = seen.iter().filter(|seen| names_ours(seen)).map(|seen| seen.client.as_str()).collect();
    let race = race(seen, &ours);
    let Some(counter) = seen.iter().flat_map(|seen| &seen.words).find(|word| is_counter(word, prefix)) else {
        return Vec::new();
    };
    let mut clients: Vec<&str> = Vec::new();
    let mut script_of = 0;
    let mut value = 0;
    let mut acts = Vec::new();
    for (i, command) in seen.iter().enumerate() {
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        let what = applied(strategy.effect(&words, counter, value), &mut value);
        let concerns_us = names_ours(command) || what.is_some();
        if !race.contains(&i) || !concerns_us || !ours.contains(command.client.as_str()) {
            continue;
        }
        let lane = if command.client == "lua" { script_of } else { number(&mut clients, &command.client) };
        script_of = lane;
        let what = what.unwrap_or(What::Other);
        acts.push(Act { at_us: command.at_us, lane, command: shown(&command.words, counter), what });
    }
    if clients.len() == 1 && threads > 1 {
        infer_lanes(&mut acts);
    }
    judge_commits_and_locks(&mut acts);
    acts
}

/// The commands of the race itself: the longest run between two of our own INFO commands.
fn race(seen: &[Seen], ours: &HashSet<&str>) -> Range<usize> {
    let is_reading = |seen: &Seen| seen.words[0] == "INFO" && ours.contains(seen.client.as_str());
    let edges: Vec<usize> = (0..seen.len()).filter(|&i| is_reading(&seen[i])).collect();
    let longest = edges.windows(2).map(|pair| pair[0] + 1..pair[1]).max_by_key(ExactSizeIterator::len);
    longest.unwrap_or(0..seen.len())
}

/// Whether this is a crew's first counter, and not another of its keys.
fn is_counter(word: &str, prefix: &str) -> bool {
    keyspace::number(prefix, word) == Some(0)
}

fn number<'a>(clients: &mut Vec<&'a str>, client: &'a str) -> usize {
    clients.iter().position(|&known| known == client).unwrap_or_else(|| {
        clients.push(client);
        clients.len() - 1
    })
}

/// Applies one command to the counter's `value`; `None` for commands that do not concern it.
fn applied(effect: Option<Effect>, value: &mut i128) -> Option<What> {
    let before = *value;
    let mut write = |after: Option<i128>, brought| {
        *value = after.unwrap_or(before);
        What::Write { before, after, brought }
    };
    Some(match effect? {
        Effect::Read => What::Read(before),
        Effect::Set(after) => write(after, true),
        Effect::Added(after) => write(after, false),
        Effect::Watch => What::Watch,
        Effect::Begin => What::Begin,
        Effect::Commit => What::Commit { wrote: true },
        Effect::Lock => What::Lock { got: false },
        Effect::Unlock => What::Unlock,
        Effect::Script => What::Script,
        Effect::Refused => What::Other,
    })
}

/// The command as shown: without the counter's key, other keys by what they add to it, long words cut.
fn shown(words: &[String], counter: &str) -> String {
    let short = words.iter().filter(|word| *word != counter).map(|word| {
        let word = word.strip_prefix(counter).map_or(word.as_str(), |side| side.trim_start_matches([':', '.']));
        let is_number = integer(word).is_some();
        let longest = if is_number { 24 } else { 12 };
        let is_long = word.chars().count() > longest;
        if is_long { format!("{}..", word.chars().take(6).collect::<String>()) } else { word.to_owned() }
    });
    short.collect::<Vec<_>>().join(" ")
}

/// Tells the clients of one shared connection apart, by what each must have read to write what it wrote.
fn infer_lanes(acts: &mut [Act]) {
    let mut held: Vec<Option<(usize, i128)>> = Vec::new(); // by lane: when it read, and what
    let (mut watches, mut begun) = (VecDeque::new(), None);
    let mut last = 0;
    for i in 0..acts.len() {
        match acts[i].what {
            What::Watch => watches.push_back(i),
            What::Begin => begun = Some(i),
            What::Read(value) => {
                let free = held.iter().position(Option::is_none);
                last = free.unwrap_or(held.len());
                held.resize(held.len().max(last + 1), None);
                held[last] = Some((i, value));
                if let Some(watch) = watches.pop_front() {
                    acts[watch].lane = last;
                }
            }
            What::Write { after, .. } => last = release(&mut held, after.map(|value| value - 1)).unwrap_or(last),
            // An EXEC with no write since its MULTI was aborted: the longest waiting client's.
            What::Commit { .. } if begun.is_some() => last = release(&mut held, None).unwrap_or(last),
            _ => {}
        }
        acts[i].lane = last;
        if !matches!(acts[i].what, What::Begin)
            && let Some(begin) = begun.take()
        {
            acts[begin].lane = last;
        }
    }
}

/// The lane that has held this value longest, or any value if none holds this one; it holds nothing from now on.
fn release(held: &mut [Option<(usize, i128)>], wanted: Option<i128>) -> Option<usize> {
    let open = held.iter().enumerate().filter_map(|(lane, held)| held.map(|(since, value)| (lane, since, value)));
    let best = open.min_by_key(|&(_, since, value)| (Some(value) != wanted, since));
    let (lane, ..) = best?;
    held[lane] = None;
    Some(lane)
}

/// Decides whether each EXEC executed anything, and whether each lock was taken.
fn judge_commits_and_locks(acts: &mut [Act]) {
    for i in 0..acts.len() {
        let lane = acts[i].lane;
        match acts[i].what {
            What::Commit { .. } => {
                let previous = acts[..i].iter().rfind(|act| act.lane == lane);
                let wrote = previous.is_some_and(|act| act.what != What::Begin);
                acts[i].what = What::Commit { wrote };
            }
            What::Lock { .. } => {
                let next = acts[i + 1..].iter().find(|act| act.lane == lane);
                let got = next.is_some_and(|act| matches!(act.what, What::Read(_) | What::Write { .. }));
                acts[i].what = What::Lock { got };
            }
            _ => {}
        }
    }
}
