//! The primary dies while its replica is behind: the control that must lose.
//!
//! Over loopback a replica is only microseconds behind, and a kill loses something in only half of the trials. Here a
//! proxy between the two delays everything by a fixed time, and drops what it holds when the primary is killed.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::failover_crash::take_over;
use crate::fault::{Chosen, Fault, Info, Scene, Words};
use crate::proxy::{Delay, Direction};

const INFO: Info = Info {
    topology: Topology::Replicated,
    proxies_replica: true,
    time: Some(Duration::from_millis(200)),
    ..Info::of(
        "failover-lagging",
        Words {
            title: "Primary killed, replica behind",
            one: "kill with a replica behind",
            many: "kills with a replica behind",
        },
        "The replica is 200 ms behind; SIGKILL ends the primary, what was on its way is dropped, and the replica is promoted.",
        "Not how often a failover loses: the lag is imposed. It shows what is lost when a replica is so far behind.",
    )
};

/// How long after the kill the replica is promoted.
const NOTICED: Duration = Duration::from_millis(200);

pub(super) struct FailoverLagging;

impl Fault for FailoverLagging {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn prepare(&self, scene: &Scene<'_>) -> Result<()> {
        scene.link()?.set_delay(Direction::ToClient, Delay::Fixed(scene.lasts()))?;
        scene.note("replica-delayed");
        Ok(())
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        // Until the delayed link to the replica is full.
        scene.wait(scene.lasts())?;
        scene.did("primary-killed");
        scene.drop_link()?;
        scene.servers().node(0).hold_down()?;
        take_over(scene, NOTICED)
    }

    fn predicts(&self, chosen: &Chosen, window: (u64, u64), acked_ns: &[u64]) -> Option<u64> {
        Some(acked_while_behind(chosen, window, acked_ns))
    }
}

/// What the replica never receives: the updates acknowledged while it is behind, at the rate in the second half of the
/// time before the fault; the first half is warm-up.
fn acked_while_behind(chosen: &Chosen, window: (u64, u64), acked_ns: &[u64]) -> u64 {
    rate_within((window.0 / 2, window.0), acked_ns) * chosen.lasts().as_nanos() as u64 / 1_000_000_000
}

/// Acknowledged updates per second within a window.
pub(super) fn rate_within((begin_ns, end_ns): (u64, u64), acked_ns: &[u64]) -> u64 {
    let acked = acked_ns.iter().filter(|&&end| (begin_ns..=end_ns).contains(&end)).count() as u128;
    (acked * 1_000_000_000 / u128::from(end_ns.saturating_sub(begin_ns).max(1))) as u64
}
