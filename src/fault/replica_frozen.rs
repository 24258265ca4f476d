//! The replica freezes, and nobody promotes it.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info {
    topology: Topology::Replicated,
    time: Some(Duration::from_millis(3_500)),
    ..Info::of(
        "replica-frozen",
        Words { title: "Replica frozen", one: "trial with a frozen replica", many: "trials with a frozen replica" },
        "SIGSTOP stops the replica for 3.5 s.",
        "Not a loss: protections that ask for a replica stand still or refuse, each after a time of its own.",
    )
};

pub(super) struct ReplicaFrozen;

impl Fault for ReplicaFrozen {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.servers().node(1).stall();
        scene.did("replica-stopped");
        let waited = scene.wait(scene.lasts());
        scene.servers().node(1).resume();
        scene.did("replica-continued");
        waited
    }
}
