//! Requests are lost before the server sees them: every 40th.

use crate::error::Result;
use crate::fault::reply_lost::{EVERY, FORMS, UPDATES, by};
use crate::fault::{Fault, Info, Load, Scene, Words};
use crate::proxy::{Lose, Rule};

const INFO: Info = Info {
    forms: FORMS,
    proxies_clients: true,
    load: Load::Updates(UPDATES),
    ..Info::of(
        "request-lost",
        Words { title: "Request lost", one: "trial with lost requests", many: "trials with lost requests" },
        "Every 40th write is lost on its way to the server, and its connection ends as with reply-lost.",
        "The client cannot distinguish it from reply-lost.",
    )
};

pub(super) struct RequestLost;

impl Fault for RequestLost {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn prepare(&self, scene: &Scene<'_>) -> Result<()> {
        scene.lose(vec![Rule::every(EVERY, Lose::Request, by(scene))])
    }

    fn strike(&self, _scene: &Scene<'_>) -> Result<()> {
        Ok(())
    }

    fn heal(&self, scene: &Scene<'_>) -> Result<()> {
        scene.lose(Vec::new())
    }
}
