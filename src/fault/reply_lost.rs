//! Replies are lost after the server has executed the command: every 40th, by a closed connection, a reset, or silence.

use crate::error::Result;
use crate::fault::{Fault, Info, Load, Scene, Words};
use crate::proxy::{By, Lose, Rule};

/// One reply in this many writes is lost.
pub(super) const EVERY: u64 = 40;

/// Updates of each client.
pub(super) const UPDATES: u64 = 400;

/// How the client learns of it.
pub(super) const FORMS: &[&str] = &["fin", "rst", "silence"];

const INFO: Info = Info {
    forms: FORMS,
    proxies_clients: true,
    load: Load::Updates(UPDATES),
    ..Info::of(
        "reply-lost",
        Words { title: "Reply lost", one: "trial with lost replies", many: "trials with lost replies" },
        "The reply to every 40th write is lost: the connection is closed, reset, or says nothing any more.",
        "Not a slow server: every command is executed, and at once.",
    )
};

pub(super) struct ReplyLost;

impl Fault for ReplyLost {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn prepare(&self, scene: &Scene<'_>) -> Result<()> {
        scene.lose(vec![Rule::every(EVERY, Lose::Reply, by(scene))])
    }

    fn strike(&self, _scene: &Scene<'_>) -> Result<()> {
        Ok(())
    }

    fn heal(&self, scene: &Scene<'_>) -> Result<()> {
        scene.lose(Vec::new())
    }
}

/// How the client learns of it, in the form asked for.
pub(super) fn by(scene: &Scene<'_>) -> By {
    match (scene.is_form("rst"), scene.is_form("silence")) {
        (true, _) => By::Rst,
        (_, true) => By::Silence,
        _ => By::Fin,
    }
}
