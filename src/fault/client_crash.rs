//! One of the processes that update the counter is killed while its updates are on their way.

use std::time::Duration;

use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info {
    in_processes: true,
    // As long as a one-second lock takes to expire, and more.
    time: Some(Duration::from_millis(1_500)),
    ..Info::of(
        "client-crash",
        Words { title: "Client killed", one: "kill of a client", many: "kills of a client" },
        "The clients run in two processes; SIGKILL ends one in the middle of its updates, and the other goes on for 1.5 s.",
        "Not a clean shutdown, in which a client could still send what it holds.",
    )
};

pub(super) struct ClientCrash;

impl Fault for ClientCrash {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.kill_client()?;
        scene.did("client-killed");
        scene.wait(scene.lasts())
    }
}
