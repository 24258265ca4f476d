//! The replica is behind all the time, and nobody promotes it.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};
use crate::proxy::{Delay, Direction};

const INFO: Info = Info {
    topology: Topology::Replicated,
    proxies_replica: true,
    time: Some(Duration::from_millis(100)),
    ..Info::of(
        "replica-lag",
        Words { title: "Replica lags", one: "trial with a lagging replica", many: "trials with a lagging replica" },
        "Everything that the primary sends to its replica takes 100 ms.",
        "Not a loss: it is the price of waiting for a replica that is far away.",
    )
};

/// How long clients race.
const TIME: Duration = Duration::from_millis(800);

pub(super) struct ReplicaLag;

impl Fault for ReplicaLag {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.link()?.set_delay(Direction::ToClient, Delay::Fixed(scene.lasts()))?;
        scene.did("replica-delayed");
        scene.wait(TIME)?;
        scene.link()?.set_delay(Direction::ToClient, Delay::None)?;
        scene.did("healed");
        Ok(())
    }
}
