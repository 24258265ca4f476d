//! The server is out of memory and refuses writes.

use std::time::Duration;

use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info {
    time: Some(Duration::from_millis(300)),
    ..Info::of(
        "out-of-memory",
        Words { title: "Out of memory", one: "trial out of memory", many: "trials out of memory" },
        "With noeviction, maxmemory is below what is used for 300 ms: the server refuses every write.",
        "Not the system's own shortage of memory, which kills the process: for that see crash-restart.",
    )
};

pub(super) struct OutOfMemory;

impl Fault for OutOfMemory {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.ask::<()>(0, &["CONFIG", "SET", "maxmemory", "1"])?;
        scene.did("memory-limited");
        let waited = scene.wait(scene.lasts());
        scene.ask::<()>(0, &["CONFIG", "SET", "maxmemory", "0"])?;
        scene.did("limit-lifted");
        waited
    }
}
