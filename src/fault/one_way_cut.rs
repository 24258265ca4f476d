//! Only the direction from the primary to its replica stalls, and then the replica is promoted.
//!
//! The replica still reports to the primary, so `min-replicas-to-write` there sees nothing wrong.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::failover_lagging::rate_within;
use crate::fault::{Chosen, Fault, Info, Scene, Words};
use crate::proxy::Direction;

const INFO: Info = Info {
    topology: Topology::Replicated,
    proxies_replica: true,
    time: Some(Duration::from_millis(500)),
    ..Info::of(
        "one-way-cut",
        Words { title: "Cut to the replica", one: "one-way cut", many: "one-way cuts" },
        "What the primary sends to its replica stalls for 500 ms while the replica's reports arrive; then it is promoted.",
        "Not a loss by itself: nothing is lost until somebody promotes that replica.",
    )
};

pub(super) struct OneWayCut;

impl Fault for OneWayCut {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.cut(Direction::ToClient)?;
        scene.did("cut-to-replica");
        scene.wait(scene.lasts())?;
        // What was held back never arrives.
        scene.drop_link()?;
        scene.servers().promote(1)?;
        scene.servers().follow(0, 1)?;
        scene.did("replica-promoted");
        Ok(())
    }

    fn predicts(&self, chosen: &Chosen, window: (u64, u64), acked_ns: &[u64]) -> Option<u64> {
        // The rate in the middle of the cut: on a machine with few CPUs the primary is faster without its replica.
        let quarter = (window.1 - window.0) / 4;
        let rate = rate_within((window.0 + quarter, window.1 - quarter), acked_ns);
        Some(rate * chosen.lasts().as_nanos() as u64 / 1_000_000_000)
    }
}
