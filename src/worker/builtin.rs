//! The worker of this program itself: the built-in redis crate, under the same protocol as every other library.

use std::time::Duration;

use redis::{Cmd, Commands, Connection, ErrorKind, RedisError, RedisResult, Script};

use crate::error::{Error, Result};

#[path = "../../libraries/loops/worker.rs"]
#[allow(missing_docs, unreachable_pub, reason = "the adapters of other packages take the same file in")]
pub(crate) mod worker_loop;

use worker_loop::{Adapter, Failure, Job, Told, Update, serve};

const SECOND: Duration = Duration::from_secs(1);
/// The version of the redis crate in Cargo.lock; a test checks it.
const REDIS: &str = "1.8.1";

/// Does one job over standard input and output as the library `name`: `redis-rs`.
///
/// # Errors
/// There is no such worker.
pub fn work(name: &str) -> Result<()> {
    if name != "redis-rs" {
        return Err(Error::usage(format!("worker '{name}': expected redis-rs")));
    }
    serve(Adapter { library: name, version: REDIS, open: &mut open_redis, effective: &effective });
    Ok(())
}

fn effective(job: &Job) -> Vec<(&'static str, String)> {
    let timeout = if job.settings == "safe" { "1 s" } else { "none" };
    vec![("retries", "0".to_owned()), ("reconnects", "never by itself".to_owned()), ("timeout", timeout.to_owned())]
}

fn connect(client: &redis::Client, is_safe: bool) -> RedisResult<Connection> {
    if !is_safe {
        return client.get_connection();
    }
    let db = client.get_connection_with_timeout(SECOND)?;
    db.set_read_timeout(Some(SECOND))?;
    db.set_write_timeout(Some(SECOND))?;
    Ok(db)
}

fn open_redis(job: &Job) -> Result<Update, String> {
    let client = redis::Client::open(job.url.as_str()).map_err(|e| e.to_string())?;
    let (strategy, is_safe) = (job.strategy.clone(), job.settings == "safe");
    let mut db = Some(connect(&client, is_safe).map_err(|e| e.to_string())?);
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    Ok(Box::new(move |keys| {
        if db.is_none() {
            // Without a connection nothing is sent.
            db = Some(connect(&client, is_safe).map_err(|e| Failure::Refused(e.to_string()))?);
        }
        let Some(open) = db.as_mut() else { return Err(Failure::Refused("not connected".to_owned())) };
        update(open, &strategy, &script, keys).map_err(|error| {
            if matches!(error.kind(), ErrorKind::Server(_)) {
                return Failure::Refused(error.to_string());
            }
            db = None; // the crate's connection does not connect again
            Failure::Unknown(error.to_string())
        })
    }))
}

fn update(db: &mut Connection, strategy: &str, script: &Script, keys: &[&str]) -> RedisResult<Vec<Told>> {
    let key = keys[0];
    let value = match strategy {
        "watch" => return watch(db, key).map(|told| vec![told]),
        "pipelined-incr" => {
            let mut pipe = redis::pipe();
            for key in keys {
                pipe.incr(*key, 1);
            }
            let values: Vec<i64> = pipe.query(db)?;
            return Ok(values.into_iter().map(|value| (Some(value), 1)).collect());
        }
        "get-set" => {
            let value = db.get::<_, Option<i64>>(key)?.unwrap_or(0).saturating_add(1);
            db.set::<_, _, ()>(key, value)?;
            value
        }
        "lua-incr" => script.key(key).invoke(db)?,
        "incr" => db.incr(key, 1)?,
        _ => return Err(RedisError::from((ErrorKind::Client, "no such strategy"))),
    };
    Ok(vec![(Some(value), 1)])
}

fn watch(db: &mut Connection, key: &str) -> RedisResult<Told> {
    let mut tries = 0;
    loop {
        tries += 1;
        redis::cmd("WATCH").arg(key).exec(db)?;
        let value = Cmd::get(key).query::<Option<i64>>(db)?.unwrap_or(0).saturating_add(1);
        let done: Option<()> = redis::pipe().atomic().set(key, value).ignore().query(db)?;
        if done.is_some() {
            return Ok((Some(value), tries));
        }
    }
}
