//! WATCH, GET, MULTI, SET, EXEC: the parts that the watching strategies share, and `watch`, `watch-pipelined` and
//! `watch-shared` as a state machine when one thread drives all clients.
//!
//! The state machine sends the same commands in the same round trips as the blocking form, with the same jittered waits
//! between tries.

use redis::{ConnectionLike, ErrorKind, RedisError, RedisResult, Value};

use crate::client_machine::{ClientMachine, Turn};
use crate::resp::{Reply, Requests, pack};
use crate::strategy::toolkit::{Backoff, END, read_successor};
use crate::update::Update;

/// The wait before the next try, after an aborted EXEC.
pub(crate) const BACKOFF: Backoff = Backoff { first_us: 200, most_us: 6_400 };

/// MULTI, SET, EXEC in one round trip; false if EXEC said that a watched key was touched.
pub(crate) fn set_if_untouched(
    connection: &mut impl ConnectionLike,
    packed: &mut Vec<u8>,
    key: &str,
    value: i64,
) -> RedisResult<bool> {
    packed.clear();
    pack(packed, &[b"MULTI"]);
    pack(packed, &[b"SET", key.as_bytes(), value.to_string().as_bytes()]);
    pack(packed, &[b"EXEC"]);
    let mut replies = connection.req_packed_commands(packed, 0, 3)?;
    is_done(replies.pop().unwrap_or_default())
}

/// Whether EXEC's reply says that it was executed. The replies before it need no check: an error in one of them makes
/// EXEC fail too.
pub(crate) fn is_done(exec: Value) -> RedisResult<bool> {
    match exec.extract_error()? {
        Value::Nil => Ok(false),
        Value::Array(_) => Ok(true),
        _ => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "EXEC returned neither a list nor nil"))),
    }
}

/// One client.
pub(crate) struct WatchMachine {
    /// WATCH and GET in one round trip.
    together: bool,
    key: String,
    tries: u32,
    awaits: Awaits,
}

/// Which command's reply comes next, with the value to write once it is known.
#[derive(Clone, Copy)]
enum Awaits {
    Watch,
    Get,
    Multi(i64),
    Queued(i64),
    Exec(i64),
}

impl WatchMachine {
    pub(crate) fn new(together: bool) -> Self {
        Self { together, key: String::new(), tries: 0, awaits: Awaits::Watch }
    }

    fn get(&self, requests: &mut Requests) {
        requests.ask(&[b"GET", self.key.as_bytes()]);
    }

    fn set(&self, value: i64, requests: &mut Requests) {
        requests.ask(&[b"MULTI"]);
        requests.ask(&[b"SET", self.key.as_bytes(), value.to_string().as_bytes()]);
        requests.ask(&[b"EXEC"]);
    }

    fn refused(&self, reason: &str, done: &mut Vec<Update>) -> Turn {
        done.push(Update::Refused { tries: self.tries, reason: reason.to_owned() });
        Turn::Done
    }

    fn beaten(&self, elapsed_ns: u64, done: &mut Vec<Update>) -> Turn {
        match BACKOFF.after(self.tries, elapsed_ns) {
            Ok(wait) => Turn::Later(wait),
            Err(given_up) => {
                done.push(given_up);
                Turn::Done
            }
        }
    }
}

impl ClientMachine for WatchMachine {
    fn begin(&mut self, keys: &[&str], requests: &mut Requests) {
        self.key.clear();
        self.key.push_str(keys[0]);
        self.tries = 0;
        self.again(requests);
    }

    fn again(&mut self, requests: &mut Requests) {
        self.tries += 1;
        self.awaits = Awaits::Watch;
        requests.ask(&[b"WATCH", self.key.as_bytes()]);
        if self.together {
            self.get(requests);
        }
    }

    fn reply(&mut self, reply: Reply<'_>, elapsed_ns: u64, requests: &mut Requests, done: &mut Vec<Update>) -> Turn {
        match (self.awaits, reply) {
            (Awaits::Watch | Awaits::Get, Reply::Error(reason)) => return self.refused(reason, done),
            (Awaits::Watch, _) => {
                self.awaits = Awaits::Get;
                if !self.together {
                    self.get(requests);
                }
            }
            (Awaits::Get, reply) => match read_successor(reply) {
                Ok(Some(value)) => {
                    self.awaits = Awaits::Multi(value);
                    self.set(value, requests);
                }
                Ok(None) => return self.refused(END, done),
                Err(error) => return Turn::Failed(error),
            },
            // An error before EXEC makes EXEC fail too.
            (Awaits::Multi(value), _) => self.awaits = Awaits::Queued(value),
            (Awaits::Queued(value), _) => self.awaits = Awaits::Exec(value),
            (Awaits::Exec(_), Reply::Nil) => return self.beaten(elapsed_ns, done),
            (Awaits::Exec(_), Reply::Error(reason) | Reply::List(Some(reason))) => return self.refused(reason, done),
            (Awaits::Exec(value), Reply::List(None)) => {
                done.push(Update::Applied { value: Some(value), tries: self.tries });
                return Turn::Done;
            }
            (Awaits::Exec(_), reply) => return Turn::Failed(format!("EXEC answered {reply:?}").into()),
        }
        Turn::Reply
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUED: Reply<'static> = Reply::Status("QUEUED");
    const OK: Reply<'static> = Reply::Status("OK");

    /// A try with these replies to GET and EXEC, `elapsed_ns` into the update.
    fn attempt(
        machine: &mut WatchMachine,
        requests: &mut Requests,
        (get, exec): (Reply<'_>, Reply<'_>),
        elapsed_ns: u64,
    ) -> (Turn, Vec<Update>) {
        let mut done = Vec::new();
        for reply in [OK, get, OK, QUEUED] {
            assert!(matches!(machine.reply(reply, elapsed_ns, requests, &mut done), Turn::Reply));
        }
        (machine.reply(exec, elapsed_ns, requests, &mut done), done)
    }

    fn begun(together: bool) -> (WatchMachine, Requests) {
        let (mut machine, mut requests) = (WatchMachine::new(together), Requests::default());
        machine.begin(&["k"], &mut requests);
        (machine, requests)
    }

    #[test]
    fn one_that_is_beaten_waits_and_tries_again() {
        for together in [false, true] {
            let (mut machine, mut requests) = begun(together);
            assert_eq!(requests.commands(), if together { 2 } else { 1 });
            let (turn, done) = attempt(&mut machine, &mut requests, (Reply::Text(b"4"), Reply::Nil), 0);
            assert!(matches!(turn, Turn::Later(_)) && done.is_empty());
            requests.clear();
            machine.again(&mut requests);
            let (turn, done) = attempt(&mut machine, &mut requests, (Reply::Text(b"6"), Reply::List(None)), 0);
            assert!(matches!(turn, Turn::Done));
            assert_eq!(done, [Update::Applied { value: Some(7), tries: 2 }]);
            let sent = String::from_utf8(requests.bytes().to_vec()).unwrap();
            let round_trips = "*2\r\n$5\r\nWATCH\r\n$1\r\nk\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\n\
                               SET\r\n$1\r\nk\r\n$1\r\n7\r\n*1\r\n$4\r\nEXEC\r\n";
            assert_eq!(sent, round_trips);
        }
    }

    #[test]
    fn patience_ends_in_a_refusal_with_nothing_changed() {
        let (mut machine, mut requests) = begun(false);
        let (turn, done) = attempt(&mut machine, &mut requests, (Reply::Nil, Reply::Nil), 60_000_000_000);
        assert!(matches!(turn, Turn::Done) && matches!(done[..], [Update::Refused { tries: 1, .. }]));
    }

    #[test]
    fn errors_refuse_and_what_exec_cannot_answer_is_unknown() {
        let exec = |reply| {
            let (mut machine, mut requests) = begun(true);
            attempt(&mut machine, &mut requests, (Reply::Nil, reply), 0)
        };
        for error in [Reply::Error("EXECABORT no"), Reply::List(Some("OOM no"))] {
            let (turn, done) = exec(error);
            assert!(matches!(turn, Turn::Done) && matches!(done[..], [Update::Refused { tries: 1, .. }]));
        }
        assert!(matches!(exec(QUEUED), (Turn::Failed(_), done) if done.is_empty()));
        let (mut machine, mut requests) = begun(false);
        let mut done = Vec::new();
        let turn = machine.reply(Reply::Error("NOPERM no"), 0, &mut requests, &mut done);
        assert!(matches!(turn, Turn::Done) && matches!(done[..], [Update::Refused { .. }]));
    }
}
