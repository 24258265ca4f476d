//! The primary is demoted for a while, with its clients still connected.

use std::time::Duration;

use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info {
    time: Some(Duration::from_millis(300)),
    ..Info::of(
        "read-only",
        Words { title: "Primary demoted", one: "demotion", many: "demotions" },
        "REPLICAOF makes the primary a replica of a server that is not there, and 300 ms later it is the primary again.",
        "Not a failover: nobody else takes over, and the data stays.",
    )
};

pub(super) struct ReadOnly;

impl Fault for ReadOnly {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        // Nobody listens at port 1.
        scene.ask::<()>(0, &["REPLICAOF", "127.0.0.1", "1"])?;
        scene.did("demoted");
        let waited = scene.wait(scene.lasts());
        scene.ask::<()>(0, &["REPLICAOF", "NO", "ONE"])?;
        scene.did("promoted-again");
        waited
    }
}
