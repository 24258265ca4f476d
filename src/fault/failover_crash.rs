//! The primary dies and its replica takes over, with whatever it has by then.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::{Fault, Info, Scene};

const INFO: Info = Info {
    topology: Topology::Replicated,
    time: Some(Duration::from_millis(200)),
    ..Info::of(
        "failover-crash",
        "SIGKILL ends the primary, and 200 ms later its replica is promoted.",
        "No control for loss: over loopback the replica mostly has everything. For that see failover-lagging.",
    )
};

/// How long after the promotion the old primary comes back as a replica.
const COMES_BACK: Duration = Duration::from_millis(200);

pub(super) struct FailoverCrash;

impl Fault for FailoverCrash {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.did("primary-killed");
        scene.servers().node(0).hold_down()?;
        take_over(scene, scene.lasts())
    }
}

/// The replica is promoted so long after the kill; later the old primary, without its data, becomes its replica.
pub(super) fn take_over(scene: &Scene<'_>, noticed_after: Duration) -> Result<()> {
    scene.wait(noticed_after)?;
    scene.servers().promote(1)?;
    scene.did("replica-promoted");
    scene.wait(COMES_BACK)?;
    scene.servers().node(0).revive()?;
    scene.servers().follow(0, 1)?;
    scene.note("old-primary-is-replica");
    Ok(())
}
