//! The primary dies and its replica takes over, with whatever it has by then.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::servers::PRIMARY;
use crate::fault::{Fault, Info, Scene, Words};
use crate::target::SENTINEL_NAME;

const INFO: Info = Info {
    topology: Topology::Replicated,
    forms: &["replicated", "sentinel", "cluster"],
    time: Some(Duration::from_millis(200)),
    ..Info::of(
        "failover-crash",
        Words { title: "Primary killed", one: "kill of the primary", many: "kills of the primary" },
        "SIGKILL ends the primary. 200 ms later its replica is promoted, or Sentinels or the cluster's other nodes notice and \
         promote it.",
        "Loses little here: over loopback the replica mostly has everything. failover-lagging is the one that must lose.",
    )
};

/// How long after the promotion the old primary comes back as a replica.
const COMES_BACK: Duration = Duration::from_millis(200);

/// How long Sentinels or a cluster may take to promote a replica.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct FailoverCrash;

impl Fault for FailoverCrash {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        let (primary, replica) = scene.pair();
        scene.did("primary-killed");
        scene.servers().node(primary).hold_down()?;
        if !scene.servers().promote_themselves() {
            return take_over(scene, scene.lasts());
        }
        // The old primary stays down: what it had not sent is lost with it either way.
        scene.await_role(replica, |role| role == PRIMARY, PATIENCE, "a failover")?;
        scene.note("replica-promoted");
        if scene.topology() == Topology::Sentinel {
            await_its_name(scene, replica)?;
        }
        scene.did("clients-are-sent-there");
        Ok(())
    }
}

/// Sentinels send clients to a new primary only once they have seen that it is one.
fn await_its_name(scene: &Scene<'_>, node: usize) -> Result<()> {
    let port = scene.servers().node(node).port().to_string();
    let is_named = || {
        let asked = scene.servers().ask_sentinel(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SENTINEL_NAME]);
        asked.is_ok_and(|address: Vec<String>| address.get(1) == Some(&port))
    };
    scene.await_that(is_named, PATIENCE, "a failover")
}

/// The replica is promoted `noticed_after` after the kill; later the old primary, without its data, becomes its
/// replica.
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
