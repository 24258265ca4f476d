//! Two primaries at once: the replica is cut off and promoted, and some clients stay with the old primary for a while.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};
use crate::proxy::Direction;

const INFO: Info = Info {
    topology: Topology::Replicated,
    proxies_replica: true,
    time: Some(Duration::from_millis(400)),
    ..Info::of(
        "split-brain",
        Words { title: "Split brain", one: "split", many: "splits" },
        "Primary and replica are cut off from each other, the replica is promoted, and half of the clients go there; after \
         400 ms the old primary becomes its replica.",
        "Not what an orderly failover does: the old primary is still written to.",
    )
};

pub(super) struct SplitBrain;

impl Fault for SplitBrain {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.cut(Direction::Both)?;
        scene.did("cut-both");
        scene.servers().promote(1)?;
        scene.note("replica-promoted");
        half_of_the_clients_go(scene)?;
        scene.wait(scene.lasts())?;
        scene.drop_link()?;
        scene.servers().follow(0, 1)?;
        scene.did("old-primary-demoted");
        Ok(())
    }
}

/// Ends every other client's connection to the old primary: they connect to the new one.
fn half_of_the_clients_go(scene: &Scene<'_>) -> Result<()> {
    let list: String = scene.ask(0, &["CLIENT", "LIST", "TYPE", "normal"])?;
    let ids = list.lines().filter(|line| !line.contains("cmd=client")).filter_map(|line| {
        let rest = line.strip_prefix("id=")?;
        rest.split(' ').next()
    });
    for id in ids.step_by(2) {
        // The client may have disconnected already.
        let _ = scene.ask::<u64>(0, &["CLIENT", "KILL", "ID", id])?;
    }
    Ok(())
}
