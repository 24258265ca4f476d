//! `INCR` through the redis crate's own cluster client, which knows the slots, follows redirections and retries.
//!
//! `cluster-incr` uses the client's defaults: it retries a command up to 16 times, even one whose reply was lost, and so
//! adds twice without an error. With every tenth reply lost, 60 updates gave a counter of 66. Without faults it is exact.
//! `cluster-incr-no-retry` turns retries off. Then an update whose reply is lost is an error, but so is every later one
//! over that connection, because the client does not reconnect; and a slot that moves is an error too.
//!
//! The client's time limit applies to each piece of a reply, not to the whole: it waits forever for a node that sends
//! one byte per second.
//!
//! Every other strategy here uses a session that goes to the key's own node and resends only commands that were refused.

#![cfg(feature = "topologies")]

use redis::cluster::{ClusterClient, ClusterConnection};

use crate::error::{BoxError, Error, Result};
use crate::strategy::toolkit::{CLUSTER, incr};
use crate::strategy::{Info, Strategy};
use crate::target::{RESPONSE_TIMEOUT, Target};
use crate::update::{Update, Updater};

const AS_IT_COMES: Info = Info {
    counted_by: &["incr"],
    commands: &["incr", "cluster"],
    needs: &[CLUSTER],
    ..Info::exact("cluster-incr", "INCR through the redis crate's cluster client: exact until a reply is lost.")
};

const NO_RETRY: Info = Info {
    counted_by: &["incr"],
    commands: &["incr", "cluster"],
    needs: &[CLUSTER],
    ..Info::exact(
        "cluster-incr-no-retry",
        "The same client without retries: a lost reply is an error, and nothing is doubled.",
    )
};

/// The two strategies, which differ in whether the client retries.
pub(super) struct Clustered {
    info: &'static Info,
    retries: Option<u32>,
}

/// With the client's default settings.
pub(super) const RETRYING: Clustered = Clustered { info: &AS_IT_COMES, retries: None };
/// With `retries(0)`.
pub(super) const ONCE: Clustered = Clustered { info: &NO_RETRY, retries: Some(0) };

struct Own {
    connection: ClusterConnection,
    resends: bool,
}

impl Updater for Own {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        match incr(&mut self.connection, key)? {
            // It may be the answer to a later try, after one that was executed.
            Update::Refused { reason, .. } if self.resends => Err(reason.into()),
            update => Ok(update),
        }
    }
}

impl Strategy for Clustered {
    fn info(&self) -> &'static Info {
        self.info
    }

    fn sees_redirections(&self) -> bool {
        false
    }

    fn parameters(&self) -> String {
        format!("retries={}", self.retries.unwrap_or(16))
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let mut builder = ClusterClient::builder(server.seeds())
            .connection_timeout(RESPONSE_TIMEOUT)
            .response_timeout(RESPONSE_TIMEOUT);
        if let Some(retries) = self.retries {
            builder = builder.retries(retries);
        }
        // The client does not use the seeds' TLS settings for nodes that it discovers.
        if let Some(certificates) = server.certificates() {
            builder = builder.certs(certificates);
        }
        let client = builder.build().map_err(|e| server.refuses(&e))?;
        let resends = self.retries != Some(0);
        let own = |connection| Box::new(Own { connection, resends }) as Box<dyn Updater>;
        let open = || client.get_connection().map(own);
        (0..workers).map(|_| open().map_err(|e| Error::server(server.refuses(&e).to_string()))).collect()
    }
}
