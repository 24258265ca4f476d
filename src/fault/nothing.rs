//! No fault at all: the trials that prices and controls come from.

use std::time::Duration;

use crate::condition::{NO_FAULT, Topology};
use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info {
    // With a replica, because the faults that need the most servers have one: so prices are measured on the same setup.
    topology: Topology::Replicated,
    ..Info::of(
        NO_FAULT,
        Words { title: "No fault", one: "trial without a fault", many: "trials without a fault" },
        "Nothing is done.",
        "Not a proof that nothing can happen.",
    )
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
