//! fred: a client for every client of ours, each on a runtime of its own thread.

#[path = "../../loops/worker.rs"]
mod worker;

use std::time::Duration;

use fred::prelude::*;
use fred::types::scripts::Script;
use worker::{Adapter, Failure, Job, Told, Update};

const SECOND: Duration = Duration::from_secs(1);

/// The server answers with an error: nothing was done. Anything else may have been.
fn failure(error: &Error) -> Failure {
    match error.kind() {
        ErrorKind::InvalidArgument | ErrorKind::InvalidCommand => Failure::Refused(error.to_string()),
        _ => Failure::Unknown(error.to_string()),
    }
}

fn client(job: &Job) -> Result<Client, Error> {
    let mut builder = Builder::from_config(Config::from_url(&job.url)?);
    if job.settings == "safe" {
        // A command is sent once; a connection that says nothing for a second is given up; a lost one is made again.
        builder
            .with_connection_config(|config| {
                config.max_command_attempts = 1;
                config.unresponsive.max_timeout = Some(SECOND);
                config.unresponsive.interval = SECOND / 4;
            })
            .with_performance_config(|config| config.default_command_timeout = SECOND * 2)
            .set_policy(ReconnectPolicy::new_constant(0, 50));
    }
    builder.build()
}

async fn update(db: &Client, strategy: &str, script: &Script, keys: &[&str]) -> Result<Vec<Told>, Error> {
    let key = keys[0];
    let value: i64 = match strategy {
        "get-set" => {
            let value = db.get::<Option<i64>, _>(key).await?.unwrap_or(0) + 1;
            db.set::<(), _, _>(key, value, None, None, false).await?;
            value
        }
        "lua-incr" => script.evalsha_with_reload(db, vec![key], ()).await?,
        "pipelined-incr" => {
            let pipe = db.pipeline();
            for key in keys {
                pipe.incr::<(), _>(*key).await?;
            }
            let values: Vec<i64> = pipe.all().await?;
            return Ok(values.into_iter().map(|value| (Some(value), 1)).collect());
        }
        _ => db.incr(key).await?,
    };
    Ok(vec![(Some(value), 1)])
}

fn open(job: &Job) -> Result<Update, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let db = client(job).map_err(|e| e.to_string())?;
    runtime.block_on(db.init()).map_err(|e| e.to_string())?;
    let (strategy, script) = (job.strategy.clone(), Script::from_lua("return redis.call('INCR', KEYS[1])"));
    Ok(Box::new(move |keys| {
        runtime.block_on(update(&db, &strategy, &script, keys)).map_err(|error| failure(&error))
    }))
}

fn effective(job: &Job) -> Vec<(&'static str, String)> {
    let Ok(client) = client(job) else { return Vec::new() };
    let (connection, performance) = (client.connection_config(), client.perf_config());
    vec![
        ("max_command_attempts", connection.max_command_attempts.to_string()),
        ("reconnect_policy", client.client_reconnect_policy().map_or("none".into(), |policy| format!("{policy:?}"))),
        ("command_timeout", format!("{:?}", performance.default_command_timeout)),
        ("unresponsive_after", format!("{:?}", connection.unresponsive.max_timeout)),
    ]
}

fn main() {
    worker::serve(Adapter { library: "fred", version: "10.1.0", open: &mut open, effective: &effective });
}
