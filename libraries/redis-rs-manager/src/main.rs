//! The redis crate's ConnectionManager: one for every client, each on a runtime of its own thread.

#[path = "../../loops/worker.rs"]
mod worker;

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, ErrorKind, RedisError, Script};
use worker::{Adapter, Failure, Job, Told, Update};

fn config(job: &Job) -> ConnectionManagerConfig {
    match job.settings.as_str() {
        // It sends a command once in either case.
        "safe" => ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(1))),
        _ => ConnectionManagerConfig::new(),
    }
}

/// The server answers with an error: nothing was done. Anything else may have been.
fn failure(error: &RedisError) -> Failure {
    match error.kind() {
        ErrorKind::Server(_) => Failure::Refused(error.to_string()),
        _ => Failure::Unknown(error.to_string()),
    }
}

async fn watch(db: &mut ConnectionManager, key: &str) -> Result<Told, RedisError> {
    for tries in 1.. {
        redis::cmd("WATCH").arg(key).exec_async(db).await?;
        let value = db.get::<_, Option<i64>>(key).await?.unwrap_or(0) + 1;
        let done: Option<()> = redis::pipe().atomic().set(key, value).ignore().query_async(db).await?;
        if done.is_some() {
            return Ok((Some(value), tries));
        }
    }
    Ok((None, 0))
}

async fn update(db: &mut ConnectionManager, strategy: &str, script: &Script, keys: &[&str]) -> Result<Vec<Told>, RedisError> {
    let key = keys[0];
    let value: i64 = match strategy {
        "watch" => return watch(db, key).await.map(|told| vec![told]),
        "pipelined-incr" => {
            let mut pipe = redis::pipe();
            for key in keys {
                pipe.incr(*key, 1);
            }
            let values: Vec<i64> = pipe.query_async(db).await?;
            return Ok(values.into_iter().map(|value| (Some(value), 1)).collect());
        }
        "get-set" => {
            let value = db.get::<_, Option<i64>>(key).await?.unwrap_or(0) + 1;
            db.set::<_, _, ()>(key, value).await?;
            value
        }
        "lua-incr" => script.key(key).invoke_async(db).await?,
        _ => db.incr(key, 1).await?,
    };
    Ok(vec![(Some(value), 1)])
}

fn open(job: &Job) -> Result<Update, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let client = redis::Client::open(job.url.as_str()).map_err(|e| e.to_string())?;
    let manager = runtime.block_on(ConnectionManager::new_with_config(client, config(job)));
    let mut db = manager.map_err(|e| e.to_string())?;
    let strategy = job.strategy.clone();
    let script = Script::new("return redis.call('INCR', KEYS[1])");
    Ok(Box::new(move |keys| {
        runtime.block_on(update(&mut db, &strategy, &script, keys)).map_err(|error| failure(&error))
    }))
}

fn main() {
    worker::serve(Adapter {
        library: "redis-rs-manager",
        version: "1.8.1",
        open: &mut open,
        effective: &|job| {
            let config = config(job);
            vec![
                ("connection_retries", config.number_of_retries().to_string()),
                ("response_timeout", format!("{:?}", config.response_timeout())),
                ("connection_timeout", format!("{:?}", config.connection_timeout())),
                ("command_retries", "0 (from its source)".into()),
            ]
        },
    });
}
