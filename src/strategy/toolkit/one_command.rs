//! A state machine for clients whose every update is one command: `incr`, `multiplexed-incr`, `pipelined-incr` and the
//! scripts. They differ in the command, and in how many are sent together.
//!
//! An error reply refuses only the update that it answers.

use crate::client_machine::{ClientMachine, Turn};
use crate::resp::{Reply, Requests};
use crate::update::Update;

pub(crate) struct OneCommand<Ask> {
    ask: Ask,
    batch: usize,
    /// Replies still to come.
    left: usize,
}

impl<Ask: Fn(&str, &mut Requests) + Send> OneCommand<Ask> {
    /// `ask` appends the command that adds one to a counter and returns its value; `batch` of them are sent at once.
    pub(crate) fn new(batch: usize, ask: Ask) -> Self {
        Self { ask, batch, left: 0 }
    }
}

impl<Ask: Fn(&str, &mut Requests) + Send> ClientMachine for OneCommand<Ask> {
    fn batch(&self) -> usize {
        self.batch
    }

    fn begin(&mut self, keys: &[&str], requests: &mut Requests) {
        keys.iter().for_each(|key| (self.ask)(key, requests));
        self.left = keys.len();
    }

    fn reply(&mut self, reply: Reply<'_>, _elapsed_ns: u64, _requests: &mut Requests, done: &mut Vec<Update>) -> Turn {
        // A script returns text if the number would not fit into Lua's number type.
        let text = |text| std::str::from_utf8(text).ok()?.parse().ok();
        let told = match reply {
            Reply::Error(reason) => Ok(Update::Refused { tries: 1, reason: reason.to_owned() }),
            Reply::Integer(value) => Ok(Update::told(value)),
            Reply::Text(digits) => text(digits).map(Update::told).ok_or(reply),
            _ => Err(reply),
        };
        match told {
            Ok(update) => done.push(update),
            Err(reply) => return Turn::Failed(format!("expected a number, got {reply:?}").into()),
        }
        self.left -= 1;
        if self.left == 0 { Turn::Done } else { Turn::Reply }
    }
}

/// `INCR key`.
pub(crate) fn ask_incr(key: &str, requests: &mut Requests) {
    requests.ask(&[b"INCR", key.as_bytes()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_is_done_with_its_last_reply_and_an_error_refuses_its_own_update() {
        let (mut machine, mut requests, mut done) = (OneCommand::new(3, ask_incr), Requests::default(), Vec::new());
        machine.begin(&["a", "b", "a"], &mut requests);
        let command = |key: &str| format!("*2\r\n$4\r\nINCR\r\n$1\r\n{key}\r\n");
        let all = [command("a"), command("b"), command("a")].concat();
        assert_eq!((requests.bytes(), requests.commands()), (all.as_bytes(), 3));
        for reply in [Reply::Integer(7), Reply::Error("OOM no")] {
            assert!(matches!(machine.reply(reply, 0, &mut requests, &mut done), Turn::Reply));
        }
        assert!(matches!(machine.reply(Reply::Text(b"8"), 0, &mut requests, &mut done), Turn::Done));
        let refused = Update::Refused { tries: 1, reason: "OOM no".to_owned() };
        assert_eq!((done, requests.commands()), (vec![Update::told(7), refused, Update::told(8)], 3));
    }

    #[test]
    fn a_reply_of_another_kind_leaves_the_rest_unknown() {
        let (mut machine, mut requests, mut done) = (OneCommand::new(2, ask_incr), Requests::default(), Vec::new());
        machine.begin(&["a", "a"], &mut requests);
        assert!(matches!(machine.reply(Reply::Status("QUEUED"), 0, &mut requests, &mut done), Turn::Failed(_)));
        assert!(done.is_empty());
    }
}
