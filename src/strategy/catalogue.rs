//! Strategies by name and by group.

use crate::error::{Error, Result};
use crate::strategy::{ALL, Strategy};
use crate::verdict::Promise;

/// Why a strategy cannot be driven by one thread.
pub const UNSUPPORTED: &str = "not supported by --driver events or --driver tasks";

/// The names of those among `known` that one thread can drive.
pub fn driven_by_one_thread(known: &[&dyn Strategy]) -> Vec<&'static str> {
    known.iter().filter(|strategy| strategy.machines().is_some()).map(|strategy| strategy.info().name).collect()
}

/// The default plan's strategies: the race itself, the usual ways to avoid it, and one that only looks right.
pub static DEFAULT: &[&str] = &[
    "pooled-incr",
    "pooled-incr-ping",
    "incr",
    "multiplexed-incr",
    "pipelined-incr",
    "lua-incr",
    "watch",
    "mutex",
    "mutex-batch",
    "lock",
    "get-set",
    "watch-after-get",
];

/// The default plan's strategies when one thread drives all clients: those of [`DEFAULT`] that it can drive, and the
/// two that go wrong because clients share a connection.
pub static DEFAULT_OF_ONE_THREAD: &[&str] = &[
    "incr",
    "multiplexed-incr",
    "pipelined-incr",
    "lua-incr",
    "watch",
    "get-set",
    "get-set-multiplexed",
    "watch-shared",
];

/// The strategies with these names, in the order given; `all`, `exact` and `lossy` stand for whole groups.
///
/// # Errors
/// An unknown name: the message lists the known ones.
pub fn find(names: &[impl AsRef<str>]) -> Result<Vec<&'static dyn Strategy>> {
    find_among(ALL, names)
}

/// The same as [`find`], among the `known` strategies.
///
/// # Errors
/// As [`find`].
pub fn find_among<'a>(known: &[&'a dyn Strategy], names: &[impl AsRef<str>]) -> Result<Vec<&'a dyn Strategy>> {
    let mut found: Vec<&dyn Strategy> = Vec::new();
    for name in names {
        let before = found.len();
        let wanted = name.as_ref();
        for &strategy in known {
            let fits = match wanted {
                "all" => true,
                "exact" => strategy.info().promise == Promise::Exact,
                "lossy" => strategy.info().promise == Promise::Lossy,
                name => strategy.info().name == name,
            };
            if fits && !found.iter().any(|other| other.info().name == strategy.info().name) {
                found.push(strategy);
            } else if fits {
                return Err(Error::usage(format!("strategy '{}' is named twice", strategy.info().name)));
            }
        }
        if found.len() == before {
            return Err(Error::usage(unknown(known, wanted)));
        }
    }
    Ok(found)
}

/// The message for an unknown name.
fn unknown(known: &[&dyn Strategy], wanted: &str) -> String {
    let names: Vec<&str> = known.iter().map(|strategy| strategy.info().name).collect();
    let likeness = |name: &&&str| (strsim::jaro_winkler(wanted, name) * 1_000.0) as u32;
    let meant = names.iter().max_by_key(likeness).filter(|name| likeness(name) > 800);
    match meant {
        Some(name) => format!("no strategy '{wanted}': did you mean {name}? `report list` prints all"),
        None => format!("no strategy '{wanted}': expected all, exact, lossy, or {}", names.join(", ")),
    }
}
