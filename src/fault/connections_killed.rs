//! The server ends all connections of clients, again and again.

use std::time::Duration;

use crate::error::Result;
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info::of(
    "connections-killed",
    Words { title: "Connections killed", one: "trial with killed connections", many: "trials with killed connections" },
    "CLIENT KILL ends every client's connection, ten times, 30 ms apart.",
    "Not a restart: the data stays, and clients may connect again at once.",
);

const TIMES: u32 = 10;
const APART: Duration = Duration::from_millis(30);

pub(super) struct ConnectionsKilled;

impl Fault for ConnectionsKilled {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        for _ in 0..TIMES {
            scene.ask::<u64>(0, &["CLIENT", "KILL", "TYPE", "normal"])?;
            scene.did("connections-killed");
            scene.wait(APART)?;
        }
        Ok(())
    }
}
