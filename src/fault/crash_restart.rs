//! The server is killed and started again, with whatever it had written to its disk.

use std::time::Duration;

use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info {
    time: Some(Duration::from_millis(200)),
    ..Info::of(
        "crash-restart",
        Words { title: "Process killed and restarted", one: "crash", many: "crashes" },
        "SIGKILL ends the server, and 200 ms later it starts again from what it had written to its disk.",
        "Not a power loss: data already passed to the kernel survives the process, but not the machine.",
    )
};

/// By then a server that takes a snapshot every second has taken one.
const FIRST_SNAPSHOT: Duration = Duration::from_millis(1_300);

pub(super) struct CrashRestart;

impl Fault for CrashRestart {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        scene.wait(FIRST_SNAPSHOT)?;
        let server = scene.servers().node(0);
        scene.did("killed");
        server.hold_down()?;
        let waited = scene.wait(scene.lasts());
        server.revive()?;
        scene.did("answers-again");
        waited
    }
}
