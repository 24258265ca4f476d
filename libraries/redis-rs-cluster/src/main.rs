//! The redis crate's cluster client: a connection and a thread for every client.

#[path = "../../loops/worker.rs"]
mod worker;

use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterConnection};
use redis::{Commands, ErrorKind, RedisError, Script};
use worker::{Adapter, Failure, Job, Update};

const SECOND: Duration = Duration::from_secs(1);

fn client(job: &Job) -> Result<ClusterClient, RedisError> {
    let builder = ClusterClient::builder([job.url.as_str()]);
    match job.settings.as_str() {
        // A command is sent once, and its reply is waited for a second.
        "safe" => builder.retries(0).response_timeout(SECOND).connection_timeout(SECOND).build(),
        _ => builder.build(),
    }
}

/// The server answers with an error: nothing was done. Anything else may have been.
fn failure(error: &RedisError) -> Failure {
    match error.kind() {
        ErrorKind::Server(_) => Failure::Refused(error.to_string()),
        _ => Failure::Unknown(error.to_string()),
    }
}

fn one(db: &mut ClusterConnection, strategy: &str, script: &Script, key: &str) -> Result<i64, RedisError> {
    match strategy {
        "get-set" => {
            let value = db.get::<_, Option<i64>>(key)?.unwrap_or(0) + 1;
            db.set(key, value).map(|()| value)
        }
        "lua-incr" => script.key(key).invoke(db),
        _ => db.incr(key, 1),
    }
}

fn open(job: &Job) -> Result<Update, String> {
    let client = client(job).map_err(|e| e.to_string())?;
    let mut db = Some(client.get_connection().map_err(|e| e.to_string())?);
    let (strategy, is_safe) = (job.strategy.clone(), job.settings == "safe");
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    Ok(Box::new(move |keys| {
        if db.is_none() {
            // Without a connection nothing is sent.
            db = Some(client.get_connection().map_err(|e| Failure::Refused(e.to_string()))?);
        }
        let told = one(db.as_mut().ok_or(Failure::Refused(String::new()))?, &strategy, &script, keys[0]);
        told.map(|value| vec![(Some(value), 1)]).map_err(|error| {
            if is_safe && !matches!(error.kind(), ErrorKind::Server(_)) {
                db = None; // without retries the client does not connect again
            }
            failure(&error)
        })
    }))
}

fn main() {
    worker::serve(Adapter {
        library: "redis-rs-cluster",
        version: "1.8.1",
        open: &mut open,
        // The client has no way to ask it.
        effective: &|job| match job.settings.as_str() {
            "safe" => vec![("retries", "0 (set)".into()), ("response_timeout", "1 s (set)".into())],
            _ => vec![("retries", "16 (from its source)".into()), ("response_timeout", "none (from its source)".into())],
        },
    });
}
