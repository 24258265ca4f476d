//! Removes what was left behind by runs that were killed, lost their connection or were not permitted to clean up.
//!
//! Only keys with our prefix, `lost-updates:` and 16 hexadecimal digits, are touched, and never by a command that could
//! reach others. Keys of a run whose [lease](super::lease) is still valid are left alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::{RedisResult, Value};

use crate::error::{Error, Result};
use crate::target::{Connection, OURS, Session, Target, lease, settings};

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Keys removed.
    pub keys: u64,
    /// Function libraries removed.
    pub libraries: u64,
    /// Settings put back, each with its value.
    pub settings: Vec<String>,
    /// Runs that are still going, by prefix, and how long their leases remain valid. They were left alone.
    pub going: BTreeMap<String, Duration>,
}

/// The runs seen so far, and how long their leases remain valid, if they do.
type Leases = HashMap<String, Option<Duration>>;

impl Target {
    /// Removes what finished runs left in this database, and restores the settings they changed.
    ///
    /// # Errors
    /// The server does not answer or does not permit it (the message quotes the server), or `stop` was raised.
    pub fn clean(&self, stop: &AtomicBool) -> Result<Cleaned> {
        let mut db = self.connect_newest()?;
        let refuses = |e: redis::RedisError| self.refuses(&e);
        let (mut cleaned, mut leases) = (Cleaned::default(), Leases::new());
        let found = db.on_each(|node| ours_on(node, stop)).map_err(refuses)?;
        for keys in found.concat().chunks(PAGE) {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            clean_page(&mut db, keys, &mut leases, &mut cleaned).map_err(refuses)?;
        }
        remove_libraries(&mut db, &mut leases, &mut cleaned).map_err(refuses)?;
        let going = leases.into_iter().filter_map(|(run, lease)| Some((run, lease?)));
        cleaned.going.extend(going);
        Ok(cleaned)
    }
}

/// How many keys are listed or removed at once.
const PAGE: usize = 1_000;

/// The keys on one node that begin with our prefix; only some of them if `stop` is raised.
fn ours_on(node: &mut Connection, stop: &AtomicBool) -> RedisResult<Vec<String>> {
    let (mut cursor, mut found) = (0_u64, Vec::new());
    loop {
        let scan = ["MATCH", &format!("{OURS}*"), "COUNT", &PAGE.to_string()].map(str::to_owned);
        let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN").arg(cursor).arg(&scan).query(node)?;
        found.extend(keys.into_iter().filter_map(|key| String::from_utf8(key).ok()));
        if next == 0 || stop.load(Ordering::Relaxed) {
            return Ok(found);
        }
        cursor = next;
    }
}

fn clean_page(db: &mut Session, keys: &[String], leases: &mut Leases, cleaned: &mut Cleaned) -> RedisResult<()> {
    let mut over = Vec::new();
    for key in keys {
        let Some(run) = run_of(key) else { continue };
        if lease_of(db, run, leases)?.is_some() {
            continue;
        }
        if *key == settings::key(run) {
            // Before the other keys, which a full server may refuse to remove. This removes the note too.
            cleaned.settings.extend(settings::put_back(db, key)?);
            cleaned.keys += 1;
        } else {
            over.push(key.clone());
        }
    }
    if !over.is_empty() {
        cleaned.keys += db.remove(&over)?;
    }
    Ok(())
}

/// Removes the function libraries of runs that are over, on each node: their names begin with our prefix, with `_` for
/// punctuation.
fn remove_libraries(db: &mut Session, leases: &mut Leases, cleaned: &mut Cleaned) -> RedisResult<()> {
    let found: BTreeSet<String> = db.on_each(libraries_on)?.into_iter().flatten().collect();
    for name in found {
        let Some(id) = name.strip_prefix(&ours()).and_then(|rest| rest.get(..16)) else { continue };
        let run = format!("{OURS}{id}:");
        if run_of(&run).is_none() || lease_of(db, &run, leases)?.is_some() {
            continue;
        }
        db.on_each(|node| match libraries_on(node)?.contains(&name) {
            true => redis::cmd("FUNCTION").arg("DELETE").arg(&name).exec(node),
            false => Ok(()),
        })?;
        cleaned.libraries += 1;
    }
    Ok(())
}

fn ours() -> String {
    OURS.replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}

/// The names of a node's function libraries that may be ours.
fn libraries_on(node: &mut Connection) -> RedisResult<Vec<String>> {
    let mut listed = redis::cmd("FUNCTION");
    listed.arg(&["LIST", "LIBRARYNAME", &format!("{}*", ours())]);
    let libraries = match listed.query::<Vec<HashMap<String, Value>>>(node) {
        Ok(libraries) => libraries,
        Err(error) if error.is_io_error() => return Err(error),
        // A server that has no functions, or does not let us list them, has none of ours.
        Err(_) => return Ok(Vec::new()),
    };
    let names = libraries.into_iter().filter_map(|mut library| library.remove("library_name"));
    names.map(|name| redis::from_redis_value(name).map_err(Into::into)).collect()
}

/// How long the run's lease remains valid; read once for each run.
fn lease_of(db: &mut Session, run: &str, leases: &mut Leases) -> RedisResult<Option<Duration>> {
    if let Some(&known) = leases.get(run) {
        return Ok(known);
    }
    let left = redis::cmd("PTTL").arg(lease::key(run)).query::<i64>(db)?;
    // A key without an expiry (-1) is not a lease of ours; -2 means that there is no key.
    let lease = u64::try_from(left).ok().map(Duration::from_millis);
    leases.insert(run.to_owned(), lease);
    Ok(lease)
}

/// The prefix of the run that made this key, if one of ours did.
fn run_of(key: &str) -> Option<&str> {
    let id = key.strip_prefix(OURS)?.split_once(':')?.0;
    let is_ours = id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| &key[..OURS.len() + 17])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_that_begin_as_ours_do_are_a_runs() {
        assert_eq!(run_of("lost-updates:0123456789abcdef:count"), Some("lost-updates:0123456789abcdef:"));
        let others = [
            "lost-updates:0123456789abcdef",
            "lost-updates:0123456789abcdeg:x",
            "lost-updates:0123456789ABCDEF:x",
            "lost-updates:0123:x",
            "lost-updates:mine",
            "my-lost-updates:0123456789abcdef:x",
        ];
        for other in others {
            assert_eq!(run_of(other), None, "{other}");
        }
    }
}
