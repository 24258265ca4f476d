//! Settings of the server that a strategy changes temporarily, and their previous values.
//!
//! On a server that is not ours, the previous values are first written under our prefix, so that `report clean` can restore
//! them if we are killed.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use redis::RedisResult;

use crate::error::{Error, Result};
use crate::target::{Session, Target};

/// The settings that may be changed, in the order in which they are restored. No other setting is ever touched,
/// whatever a key on the server says.
const MAY_CHANGE: [&str; 2] = ["maxmemory", "maxmemory-policy"];

/// How long to wait for a server that does not answer, before its settings are left as they are.
const PATIENCE: Duration = Duration::from_secs(5);

/// Changed settings; dropping this restores them.
pub(crate) struct Changed {
    server: Target,
    before: Vec<(&'static str, String)>,
}

impl Changed {
    /// Notes the previous values of `settings` and changes them.
    ///
    /// # Errors
    /// The server does not let us read, note or change them; or they already have these values, so the right ones are
    /// unknown.
    pub(crate) fn set(server: &Target, settings: &[(&'static str, &str)]) -> Result<Self> {
        let refuses = |e: redis::RedisError| server.refuses(&e);
        let mut db = server.connect_newest()?;
        let mut before = Vec::new();
        for &(name, _) in settings {
            before.push((name, get(&mut db, name).map_err(refuses)?));
        }
        if before.iter().zip(settings).all(|((_, is), (_, wanted))| is == wanted) {
            let names: Vec<String> = settings.iter().map(|(name, value)| format!("{name} {value}")).collect();
            return Err(Error::server(format!(
                "server {}: it is set to {} already; a killed run may have left it so: `report clean` restores it",
                server.address(),
                names.join(", ")
            )));
        }
        if server.child().is_none() {
            let mut note = redis::cmd("HSET");
            note.arg(key(server.prefix()));
            for ((name, was), (_, wanted)) in before.iter().zip(settings) {
                note.arg(*name).arg(was).arg(ours(name)).arg(*wanted);
            }
            note.exec(&mut db).map_err(refuses)?;
        }
        // From here on they are restored, whatever happens.
        let changed = Self { server: server.clone(), before };
        for (name, value) in settings {
            put(&mut db, name, value).map_err(refuses)?;
        }
        Ok(changed)
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        let put_back = |db: &mut Session| -> RedisResult<()> {
            for name in MAY_CHANGE {
                for (_, value) in self.before.iter().filter(|(changed, _)| *changed == name) {
                    put(db, name, value)?;
                }
            }
            redis::cmd("DEL").arg(key(self.server.prefix())).exec(db)
        };
        // If this fails, the note stays, and `settings_left` finds it.
        let _ = self.server.reach(PATIENCE, &AtomicBool::new(false)).map(|mut db| put_back(&mut db));
    }
}

impl Target {
    /// Checks that all settings we changed were restored.
    ///
    /// # Errors
    /// They were not: the message says what to do.
    pub(crate) fn settings_left(&self, db: &mut Session) -> Result<()> {
        let is_noted = self.may_configure() && self.child().is_none();
        let left = is_noted && redis::cmd("EXISTS").arg(key(self.prefix())).query::<bool>(db).unwrap_or(false);
        match left {
            false => Ok(()),
            true => Err(Error::server(format!(
                "server {}: its settings (maxmemory) could not be restored: `report clean --redis-url URL` does it",
                self.address()
            ))),
        }
    }
}

/// Restores the settings in the note of a finished run, except those that somebody has changed since, and removes the
/// note. Returns what was restored.
pub(super) fn put_back(db: &mut Session, key: &str) -> RedisResult<Vec<String>> {
    let note: HashMap<String, String> = redis::cmd("HGETALL").arg(key).query(db)?;
    let mut done = Vec::new();
    for name in MAY_CHANGE {
        let (Some(was), Some(set)) = (note.get(name), note.get(&ours(name))) else { continue };
        if get(db, name)? == *set {
            put(db, name, was)?;
            done.push(format!("{name} {was}"));
        }
    }
    redis::cmd("DEL").arg(key).exec(db)?;
    Ok(done)
}

/// The key of the note for a prefix.
pub(super) fn key(prefix: &str) -> String {
    format!("{prefix}settings")
}

/// The field that says what we set.
fn ours(name: &str) -> String {
    format!("{name}:ours")
}

fn get(db: &mut Session, name: &str) -> RedisResult<String> {
    redis::cmd("CONFIG").arg("GET").arg(name).query::<(String, String)>(db).map(|(_, value)| value)
}

fn put(db: &mut Session, name: &str, value: &str) -> RedisResult<()> {
    redis::cmd("CONFIG").arg(&["SET", name, value]).exec(db)
}
