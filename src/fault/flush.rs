//! Somebody empties the server.

use crate::error::Result;
use crate::fault::{Fault, Info, Scene};

const INFO: Info = Info::of(
    "flush",
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
