//! Nothing at all: the trial that prices and controls are taken from.

use std::time::Duration;

use crate::condition::Topology;
use crate::error::Result;
use crate::fault::{Fault, Info, Scene};

const INFO: Info = Info {
    // The servers are those of the faults that need the most, so that prices are of the same ground.
    topology: Topology::Replicated,
    ..Info::of("none", "Nothing is done.", "Not a proof that nothing can happen.")
};

/// How long clients race.
const TIME: Duration = Duration::from_millis(500);

pub(super) struct Nothing;

impl Fault for Nothing {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.wait(TIME)
    }
}
