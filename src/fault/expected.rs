//! What each fault is expected to do to each protection, and why: written down before it is measured.
//!
//! METHODOLOGY.md shows the same table, generated from this one. `report faults --expect` compares results with it.

use crate::fault::{Chosen, Protection};
use crate::record::lab::Expected;

use Expected::{May, Must, Never};

/// What is expected of one cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// Whether acknowledged updates are lost.
    pub lost: Expected,
    /// Whether updates are counted twice.
    pub doubled: Expected,
    /// Why.
    pub why: &'static str,
}

/// What one fault does to most protections, and to those named as exceptions.
struct Line {
    fault: &'static str,
    most: Expectation,
    but: &'static [(&'static [&'static str], Expectation)],
}

const fn is(lost: Expected, doubled: Expected, why: &'static str) -> Expectation {
    Expectation { lost, doubled, why }
}

const NO_LOSS: &str = "nothing that was acknowledged is taken back";
/// What `get-set` does under any fault.
const RACES: Expectation =
    is(Must, May, "two clients read one value and both write its successor, with or without a fault");
const RESENDS: &str = "a command whose reply is missing is sent again though it was executed";
const MAY_RESEND: &str = "a command that was under way may be sent again though it was executed";
const WAITS: &str = "what was acknowledged is on the replica that is promoted";
const LATE: &str = "the primary acknowledges before its replica has the write";
const GONE: &str = "the counter is deleted; no protection in front of it helps";
const REWRITES: &str = "a client that read the counter before may write value + 1 afterwards, restoring it";
const HELD: &str = "updates acknowledged before they were sent are lost with the client";
const LOCK_LOST: &str = "the lock may be lost with the primary while its holder still writes";

/// The expectations, one line for each fault.
static TABLE: &[Line] = &[
    Line { fault: "none", most: is(Never, Never, NO_LOSS), but: &[] },
    Line {
        fault: "reply-lost",
        most: is(Never, Never, "the update is executed, and reported as unknown"),
        but: &[
            (&["incr-retry"], is(Never, Must, RESENDS)),
            (&["idempotent-lua"], is(Never, Never, "the update is sent again, and the script recognises it")),
        ],
    },
    Line {
        fault: "request-lost",
        most: is(Never, Never, "the update is not executed, so sending it again is right"),
        but: &[],
    },
    Line {
        fault: "connections-killed",
        most: is(Never, Never, "updates under way are unknown"),
        but: &[(&["incr-retry"], is(Never, May, MAY_RESEND))],
    },
    Line {
        fault: "pause",
        most: is(Never, Never, "a paused server keeps its data"),
        but: &[(&["incr-retry"], is(Never, May, MAY_RESEND))],
    },
    Line {
        fault: "crash-restart",
        most: is(Must, May, "the server restarts empty, and its replica resynchronises from it"),
        but: &[
            (&["incr+rdb"], is(Must, Never, "it restarts from its last snapshot")),
            (
                &["incr+aof-everysec"],
                is(May, Never, "what was written survives a kill, and a slow disk may delay the writing"),
            ),
            (
                &["incr+aof-always", "incr-waitaof"],
                is(Never, Never, "every update is in the log before it is acknowledged"),
            ),
        ],
    },
    Line {
        fault: "failover-planned",
        most: is(Never, Never, "writes are held back until the replica has all"),
        but: &[(&["incr-retry"], is(Never, May, MAY_RESEND))],
    },
    Line {
        fault: "failover-planned:sentinel",
        most: is(Must, May, "the old primary goes on acknowledging until Sentinels demote it, about ten seconds later"),
        but: &[(&["incr-wait"], is(Never, Never, WAITS))],
    },
    Line {
        fault: "failover-crash",
        most: is(May, Never, "what was acknowledged and not yet sent to the replica dies with the primary"),
        but: &[
            (&["incr-wait"], is(Never, Never, WAITS)),
            (&["incr-retry"], is(May, May, MAY_RESEND)),
            (&["lock"], is(May, May, LOCK_LOST)),
        ],
    },
    Line {
        fault: "failover-lagging",
        most: is(Must, Never, LATE),
        but: &[(&["incr-wait"], is(Never, Never, WAITS)), (&["incr-retry", "lock"], is(Must, May, LATE))],
    },
    Line {
        fault: "one-way-cut",
        most: is(Must, Never, "the replica still reports to the primary, and gets nothing"),
        but: &[(&["incr-wait"], is(Never, Never, WAITS)), (&["incr-retry", "lock"], is(Must, May, LATE))],
    },
    Line {
        fault: "split-brain",
        most: is(Must, May, "one side's writes are discarded when the partition heals"),
        but: &[
            (&["incr-wait"], is(Never, Never, "neither side has a replica that answers")),
            (
                &["lock", "fenced-lock"],
                is(May, May, "on the side where a disconnected client holds the lock, nobody can write"),
            ),
        ],
    },
    Line { fault: "replica-lag", most: is(Never, Never, "nobody promotes the replica"), but: &[] },
    Line {
        fault: "replica-frozen",
        most: is(Never, Never, "nobody promotes the replica"),
        but: &[(&["incr-retry"], is(Never, May, MAY_RESEND))],
    },
    Line { fault: "read-only", most: is(Never, Never, "a replica refuses the write"), but: &[] },
    Line {
        fault: "eviction",
        most: is(Must, May, "the counter is evicted without an error, and starts again at 1"),
        but: &[(&["lock", "fenced-lock"], is(May, May, REWRITES))],
    },
    Line { fault: "out-of-memory", most: is(Never, Never, "the server refuses the write"), but: &[] },
    Line {
        fault: "expiry",
        most: is(Must, May, "the counter expires, and starts again at 1"),
        but: &[(&["lock", "fenced-lock"], is(May, May, REWRITES))],
    },
    Line { fault: "flush", most: is(Must, May, GONE), but: &[(&["lock"], is(May, May, REWRITES))] },
    Line {
        fault: "client-crash",
        most: is(Never, Never, "the other process goes on, and updates that were on their way are unknown"),
        but: &[
            (&["write-behind"], is(Must, Never, HELD)),
            (&["lock", "fenced-lock"], is(Never, Never, "the lock stays taken until it expires, and nobody writes")),
        ],
    },
    Line {
        fault: "script-flush",
        most: is(Never, Never, "a script that is not there is an error, and a client that connects again loads it"),
        but: &[],
    },
    Line {
        fault: "slot-move",
        most: is(Never, Never, "a node that no longer owns the slot redirects the client"),
        but: &[],
    },
];

/// What is expected of a protection under a fault; `None` if nothing is written down.
///
/// A client library that sends a command again when no reply comes is expected to do what `incr-retry` does, and any other
/// what `incr` does: its manifest says which it is.
pub fn expected(fault: &Chosen, protection: &Protection) -> Option<Expectation> {
    let name = fault.fault.info().name;
    let Some(library) = &protection.library else { return of(name, fault.form, &protection.name) };
    let settings = library.manifest.settings.get(&library.settings)?;
    let predicts = &settings.predicts;
    let doubles = |way: &str| Some(predicts.get(way)?.doubled? > 0);
    let resends = match (name, fault.form) {
        ("reply-lost", Some(way)) => doubles(way)?,
        _ if predicts.is_empty() => return None,
        _ => settings.resends(),
    };
    of(name, fault.form, if resends { "incr-retry" } else { "incr" })
}

fn of(fault: &str, form: Option<&str>, protection: &str) -> Option<Expectation> {
    let of_form = |line: &&Line| form.is_some_and(|form| line.fault.split_once(':') == Some((fault, form)));
    let line = TABLE.iter().find(of_form).or_else(|| TABLE.iter().find(|line| line.fault == fault))?;
    if protection == "get-set" {
        return Some(RACES);
    }
    let named = line.but.iter().find(|(names, _)| names.contains(&protection));
    Some(named.map_or(line.most, |(_, expectation)| *expectation))
}

/// The table in markdown, as METHODOLOGY.md has it: one line for each fault and each expectation in it.
pub fn table() -> String {
    let mut text = "| fault | protection | lost | counted twice | why |\n|---|---|---|---|---|\n".to_owned();
    for line in TABLE {
        let rest = if line.but.is_empty() { "all" } else { "all others" };
        let lines = line.but.iter().map(|(names, is)| (format!("`{}`", names.join("`, `")), is));
        for (names, is) in lines.chain([(rest.to_owned(), &line.most)]) {
            let (lost, doubled) = (is.lost.word(), is.doubled.word());
            text += &format!("| `{}` | {names} | {lost} | {doubled} | {} |\n", line.fault, is.why);
        }
    }
    let (lost, doubled) = (RACES.lost.word(), RACES.doubled.word());
    text + &format!("| any | `get-set` | {lost} | {doubled} | {} |\n", RACES.why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{ALL, PROTECTIONS};

    #[test]
    fn every_cell_is_written_down_and_every_name_in_the_table_is_one() {
        for fault in ALL {
            for protection in PROTECTIONS {
                assert!(of(fault.info().name, None, &protection.name).is_some(), "{}", fault.info().name);
            }
        }
        for line in TABLE {
            let (name, form) = line.fault.split_once(':').map_or((line.fault, None), |(name, form)| (name, Some(form)));
            let is_one = |fault: &&dyn crate::fault::Fault| {
                fault.info().name == name && form.is_none_or(|form| fault.info().forms.contains(&form))
            };
            assert!(ALL.iter().any(is_one), "{}", line.fault);
            for name in line.but.iter().flat_map(|(names, _)| *names) {
                assert!(PROTECTIONS.iter().any(|protection| protection.name == *name), "{}: {name}", line.fault);
            }
        }
    }
}
