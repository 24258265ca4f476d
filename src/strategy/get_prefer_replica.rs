//! GET from a replica if there is one, SET to the primary: what clients do when told to prefer replicas.
//!
//! `readFrom=REPLICA_PREFERRED`, `readMode=SLAVE`, `READ_FROM=replica`, `scaleReads: 'slave'`: one word in the settings,
//! and reads come from a server that is behind. The code is that of `get-set`, which is safe with a single client. Now even
//! a single client loses updates, because it may not see its own write. The replicas are those of the target;
//! `get-replica-set-primary` does the same with a replica that it starts itself.

use redis::Cmd;

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{READABLE_REPLICA, successor, told_or_refused, written};
use crate::strategy::{Info, Strategy};
use crate::target::{Session, Target};
use crate::update::{Update, Updater};
use crate::workload::Workload;

const INFO: Info = Info {
    round_trips: "2",
    counted_by: &["set"],
    commands: &["get", "set", "readonly"],
    needs: &[READABLE_REPLICA],
    ..Info::lossy(
        "get-prefer-replica",
        "GET from the key's replica, add one, SET to its primary: the value read is already old.",
    )
};

pub(super) struct GetPreferReplica;

struct Behind {
    replica: Session,
    primary: Session,
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

impl Strategy for GetPreferReplica {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn hidden(&self, workload: &Workload) -> Option<&str> {
        (workload.threads == 1).then_some("a single client is rarely faster than a nearby replica")
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let open = |_| {
            let (replica, primary) = (server.replica()?, server.connect()?);
            Ok(Box::new(Behind { replica, primary }) as Box<dyn Updater>)
        };
        (0..workers).map(open).collect()
    }
}
