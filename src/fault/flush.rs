//! Somebody empties the server.

use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info::of(
    "flush",
    Words { title: "Everything deleted", one: "deletion of everything", many: "deletions of everything" },
    "FLUSHALL, as a colleague may send to the wrong server.",
    "Not done to any server but the lab's own.",
);

pub(super) struct Flush;

impl Fault for Flush {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.ask::<()>(0, &["FLUSHALL"])?;
        scene.did("flushed");
        Ok(())
    }
}
