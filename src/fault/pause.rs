//! The server freezes for a while, as on a machine that swaps or a virtual machine that is migrated.

use std::time::Duration;

use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info {
    time: Some(Duration::from_millis(900)),
    ..Info::of(
        "pause",
        Words { title: "Server paused", one: "pause", many: "pauses" },
        "SIGSTOP stops the server's process, and SIGCONT continues it after 900 ms.",
        "Loses nothing: a paused server keeps its data. What clients had sent is executed afterwards.",
    )
};

pub(super) struct Pause;

impl Fault for Pause {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.servers().node(0).stall();
        scene.did("stopped");
        let waited = scene.wait(scene.lasts());
        scene.servers().node(0).resume();
        scene.did("continued");
        waited
    }
}
