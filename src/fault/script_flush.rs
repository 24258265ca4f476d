//! The server forgets all scripts, as after a restart or a failover.

use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info::of(
    "script-flush",
    Words { title: "Scripts forgotten", one: "loss of the scripts", many: "losses of the scripts" },
    "SCRIPT FLUSH: scripts that were loaded are not there any more.",
    "Loses nothing: EVALSHA fails with NOSCRIPT until the script is loaded again.",
);

pub(super) struct ScriptFlush;

impl Fault for ScriptFlush {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.ask::<()>(0, &["SCRIPT", "FLUSH"])?;
        scene.did("scripts-flushed");
        Ok(())
    }
}
