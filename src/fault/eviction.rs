//! The server is out of memory and evicts keys at random, until the counter is among them.

use redis::{Pipeline, RedisResult};

use crate::error::{Error, Result};
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info::of(
    "eviction",
    Words { title: "Eviction", one: "eviction", many: "evictions" },
    "With maxmemory reached and allkeys-random, somebody else's keys fill the server until the counter is evicted.",
    "Says nothing about how likely eviction is: keys are written until it happens.",
);

/// Memory beyond what the server already uses.
const ROOM: u64 = 2 << 20;

/// Keys written at once, and how many times at most: far more than there is room for.
const KEYS: usize = 500;
const TIMES: usize = 400;

pub(super) struct Eviction;

impl Fault for Eviction {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        let used: String = scene.ask(0, &["INFO", "memory"])?;
        let used = used.lines().find_map(|line| line.trim_end().strip_prefix("used_memory:")?.parse::<u64>().ok());
        let limit = (used.unwrap_or(0) + ROOM).to_string();
        scene.ask::<()>(0, &["CONFIG", "SET", "maxmemory-policy", "allkeys-random"])?;
        scene.ask::<()>(0, &["CONFIG", "SET", "maxmemory", &limit])?;
        scene.did("memory-limited");
        let is_evicted = scene.servers().node(0).ask_with(|db| evicted(db, scene.key()));
        scene.did("counter-evicted");
        scene.ask::<()>(0, &["CONFIG", "SET", "maxmemory", "0"])?;
        match is_evicted? {
            true => Ok(()),
            false => Err(Error::server(format!("the counter is not evicted after {} keys", KEYS * TIMES))),
        }
    }
}

/// Fills the server until the counter is gone, or has started over.
fn evicted(db: &mut redis::Connection, key: &str) -> RedisResult<bool> {
    let filler = "x".repeat(1_024);
    let mut before = redis::cmd("GET").arg(key).query::<i64>(db)?;
    for time in 0..TIMES {
        let mut fill = Pipeline::new();
        for number in 0..KEYS {
            fill.set(format!("filler:{time}:{number}"), &filler).ignore();
        }
        fill.exec(db)?;
        let now = redis::cmd("GET").arg(key).query::<Option<i64>>(db)?.unwrap_or(-1);
        if now < before {
            return Ok(true);
        }
        before = now;
    }
    Ok(false)
}
