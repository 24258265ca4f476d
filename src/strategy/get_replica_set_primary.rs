//! GET from a replica, SET to the primary: the value read is already old.
//!
//! Replication is asynchronous: a write is acknowledged before any replica has it. Reading from a replica and writing a
//! value derived from it loses updates even with one client, once the replica lags by more than a round trip: 5 ms of lag
//! left 3 of 200 updates. Here the replica lags by microseconds, and many clients race as well. Two round trips. It looks
//! like an improvement, because it takes reads off the primary. Clients do it by themselves if told to prefer replicas
//! (`readMode=SLAVE`, `READ_FROM=replica`): <https://github.com/redisson/redisson/issues/5659>.
//!
//! The replica is a second private server on the same CPUs as the first; it ends with the last updater.

use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::Cmd;

use crate::error::{BoxError, Error, Result};
use crate::strategy::toolkit::{successor, told_or_refused, written};
use crate::strategy::{Info, Need, Strategy};
use crate::target::{Private, Session, Target};
use crate::update::{Update, Updater};
use crate::workload::Workload;

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["set"],
    commands: &["get", "set"],
    needs: &[Need { what: "a second private server", missing: no_replica }],
    ..Info::lossy(
        "get-replica-set-primary",
        "GET from a replica, add one, SET to the primary: the value read is already old.",
    )
};

pub(super) struct GetReplicaSetPrimary;

struct Behind {
    replica: Session,
    primary: Session,
    /// Keeps the replica running.
    _replica: Arc<Target>,
}

/// Starts a replica of `server` and waits until it has caught up.
fn replica(server: &Target) -> Result<Target> {
    let port = server.child().map(Private::port).unwrap_or_default().to_string();
    let replica = server.beside(&["--replicaof", "127.0.0.1", &port])?;
    let mut db = replica.connect()?;
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(10) {
        let info: String = redis::cmd("INFO").arg("replication").query(&mut db).map_err(|e| replica.refuses(&e))?;
        if info.contains("master_link_status:up") {
            return Ok(replica);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(Error::server("the replica did not reach its primary within 10 seconds"))
}

impl Updater for Behind {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let told = Cmd::get(key).query::<Option<i64>>(&mut self.replica).and_then(successor).and_then(|value| {
            written(Cmd::set(key, value).query(&mut self.primary)?)?;
            Ok(value)
        });
        told_or_refused(told)
    }
}

fn no_replica(server: &Target) -> Result<Option<String>> {
    let why = "it needs a single private server, and starts a replica of it";
    Ok(server.child().is_none().then(|| why.to_owned()))
}

impl Strategy for GetReplicaSetPrimary {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        "replicas=1".to_owned()
    }

    fn hidden(&self, workload: &Workload) -> Option<&str> {
        (workload.threads == 1).then_some("a single client is rarely faster than a replica on the same machine")
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let running = Arc::new(replica(server)?);
        (0..workers)
            .map(|_| {
                let (replica, primary) = (running.connect()?, server.connect()?);
                Ok(Box::new(Behind { replica, primary, _replica: running.clone() }) as Box<dyn Updater>)
            })
            .collect()
    }
}
