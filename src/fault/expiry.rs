//! The counter expires, because somebody set an expiry on its key.

use crate::error::{Error, Result};
use crate::fault::{Fault, Info, Scene, Words};

const INFO: Info = Info::of(
    "expiry",
    Words { title: "Key expires", one: "expiry", many: "expiries" },
    "PEXPIRE expires the counter after 1 ms, and counting starts again.",
    "Not a fault of the server: this is what PEXPIRE does.",
);

pub(super) struct Expiry;

impl Fault for Expiry {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn strike(&self, scene: &Scene<'_>) -> Result<()> {
        scene.await_clients()?;
        let is_set = scene.ask::<bool>(0, &["PEXPIRE", scene.key(), "1"])?;
        scene.did("expires");
        if is_set { Ok(()) } else { Err(Error::broken("there is no counter that could expire")) }
    }
}
