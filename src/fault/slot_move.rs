//! The counter's slot moves to another node of the cluster under load, as in resharding.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};
use crate::target::slot_of;

const INFO: Info = Info {
    topology: Topology::Cluster,
    time: Some(Duration::from_millis(100)),
    ..Info::of(
        "slot-move",
        Words { title: "Slot moved", one: "move of the slot", many: "moves of the slot" },
        "CLUSTER SETSLOT and MIGRATE move the counter's slot to another node, and 100 ms later every node knows its new owner.",
        "Not the move of a large key: MIGRATE blocks both nodes for as long as it takes.",
    )
};

pub(super) struct SlotMove;

impl Fault for SlotMove {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        let ((from, _), slot) = (scene.pair(), slot_of(scene.key().as_bytes()).to_string());
        let to = (from + 1) % scene.servers().current().shards() as usize;
        let ids = [scene.ask::<String>(from, &["CLUSTER", "MYID"])?, scene.ask(to, &["CLUSTER", "MYID"])?];
        let set = |node: usize, what: &str, id: &str| scene.ask::<()>(node, &["CLUSTER", "SETSLOT", &slot, what, id]);
        scene.did("slot-opened");
        set(to, "IMPORTING", &ids[0])?;
        set(from, "MIGRATING", &ids[1])?;
        let keys: Vec<String> = scene.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot, "1000"])?;
        scene.servers().migrate(from, to, &keys)?;
        scene.note("keys-moved");
        scene.wait(scene.lasts())?;
        set(to, "NODE", &ids[1])?;
        set(from, "NODE", &ids[1])?;
        scene.did("slot-moved");
        Ok(())
    }
}
