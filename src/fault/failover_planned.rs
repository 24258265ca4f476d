//! The primary hands over to its replica, as an operator asks for before maintenance.

use std::time::{Duration, Instant};

use crate::condition::Topology;
use crate::error::{Error, Result};
use crate::fault::servers::PRIMARY;
use crate::fault::{Fault, Info, Scene};

const INFO: Info = Info {
    topology: Topology::Replicated,
    ..Info::of(
        "failover-planned",
        "FAILOVER: the primary holds writes back until its replica has all, and then they change roles.",
        "Not what happens when a primary dies: for that see failover-crash.",
    )
};

/// How long the roles may take to change.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct FailoverPlanned;

impl Fault for FailoverPlanned {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.did("failover-asked");
        scene.ask::<()>(0, &["FAILOVER"])?;
        let since = Instant::now();
        while scene.servers().role(1)? != PRIMARY {
            if since.elapsed() > PATIENCE {
                return Err(Error::server(format!("FAILOVER is not done after {} s", PATIENCE.as_secs())));
            }
            scene.wait(Duration::from_millis(2))?;
        }
        scene.servers().point_to(1);
        scene.did("roles-changed");
        Ok(())
    }
}
