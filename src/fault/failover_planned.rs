//! The primary hands over to its replica, as an operator asks for before maintenance.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::servers::PRIMARY;
use crate::fault::{Chosen, Fault, Info, Scene, Words};
use crate::target::SENTINEL_NAME;

const INFO: Info = Info {
    topology: Topology::Replicated,
    forms: &["replicated", "sentinel", "cluster"],
    ..Info::of(
        "failover-planned",
        Words { title: "Planned failover", one: "planned failover", many: "planned failovers" },
        "Started by an operator. With FAILOVER and CLUSTER FAILOVER the primary blocks writes until its replica has caught \
         up; SENTINEL FAILOVER promotes the replica at once.",
        "Not what happens when a primary dies: for that see failover-crash. Clients keep their connections; those that \
         subscribe to +switch-master would leave the old primary earlier.",
    )
};

/// How long the roles may take to change. Sentinels demote the old primary only about ten seconds after the failover.
const PATIENCE: Duration = Duration::from_secs(18);

pub(super) struct FailoverPlanned;

impl Fault for FailoverPlanned {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn takes(&self, chosen: &Chosen) -> Duration {
        // Sentinels demote the old primary late.
        Duration::from_secs(if chosen.topology() == Topology::Sentinel { 12 } else { 0 })
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        let (primary, replica) = scene.pair();
        scene.did("failover-asked");
        let command = match scene.topology() {
            Topology::Sentinel => {
                scene.servers().ask_sentinel::<()>(&["SENTINEL", "FAILOVER", SENTINEL_NAME])?;
                "SENTINEL FAILOVER"
            }
            Topology::Cluster => {
                scene.ask::<()>(replica, &["CLUSTER", "FAILOVER"])?;
                "CLUSTER FAILOVER"
            }
            _ => {
                scene.ask::<()>(primary, &["FAILOVER"])?;
                "FAILOVER"
            }
        };
        scene.await_role(replica, |role| role == PRIMARY, PATIENCE, command)?;
        if !scene.servers().promote_themselves() {
            scene.servers().point_to(replica)?;
        }
        // Until then it acknowledges what will be thrown away.
        scene.await_role(primary, |role| role != PRIMARY, PATIENCE, command)?;
        scene.did("roles-changed");
        Ok(())
    }
}
