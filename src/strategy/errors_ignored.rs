//! `INCR` on a server that is out of memory, by code that ignores the error: fast, and nothing is counted.
//!
//! With `maxmemory` reached and `noeviction`, the server answers every write with an OOM error and does nothing.
//! READONLY after a failover and MOVED after a resharding are such error replies too. Pipelines whose replies are never
//! inspected, fire and forget, and `let _ =` all lose exactly the failed calls, and are as fast as ever. Load
//! generators that count replies count these too. One round trip. <https://github.com/gomodule/redigo/issues/131>,
//! <https://github.com/redis/redis/issues/9926>.
//!
//! The limit is set on the measured server while this strategy is open, and restored afterwards. On a server that is not
//! ours this needs permission, and the old value is first noted there, so that `report clean` can restore it if we are
//! killed.
//!
//! It cannot tell a refusal from an acknowledgement. Every update that is answered counts as acknowledged, without a
//! value. A lost connection is noticed, and leaves the update unknown.

use std::sync::Arc;

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{ONE_SERVER, ask};
use crate::strategy::{Info, Need, Replies, Strategy};
use crate::target::{Changed, Session, Target};
use crate::update::{Update, Updater};
use crate::workload::Workload;

/// Settings under which a server refuses every write, as if it were out of memory.
const FULL: [(&str, &str); 2] = [("maxmemory-policy", "noeviction"), ("maxmemory", "1")];

const INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["incr", "config"],
    replies: Replies::ErrorsIgnored,
    needs: &[ONE_SERVER, Need { what: "leave to change settings", missing: no_settings }],
    ..Info::lossy(
        "errors-ignored",
        "INCR on a server out of memory, its error replies ignored: fast, and nothing is counted.",
    )
};

pub(super) struct ErrorsIgnored;

struct Deaf {
    connection: Session,
    packed: Vec<u8>,
    _full: Arc<Changed>,
}

impl Updater for Deaf {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        match ask::<i64>(&mut self.connection, &mut self.packed, &[b"INCR", key.as_bytes()]) {
            Err(error) if error.is_io_error() => Err(error.into()),
            _ignored => Ok(Update::Applied { value: None, tries: 1 }), // the mistake
        }
    }
}

fn no_settings(server: &Target) -> Result<Option<String>> {
    let why = "it changes maxmemory temporarily, which needs a private server or --allow-config";
    Ok((!server.may_configure()).then(|| why.to_owned()))
}

impl Strategy for ErrorsIgnored {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        "maxmemory=1,maxmemory-policy=noeviction".to_owned()
    }

    fn hidden(&self, _workload: &Workload) -> Option<&str> {
        None // one client alone shows it
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let connections = (0..workers).map(|_| server.connect()).collect::<Result<Vec<_>>>()?;
        let full = Arc::new(Changed::set(server, &FULL)?);
        Ok(connections
            .into_iter()
            .map(|connection| {
                Box::new(Deaf { connection, packed: Vec::new(), _full: full.clone() }) as Box<dyn Updater>
            })
            .collect())
    }
}
