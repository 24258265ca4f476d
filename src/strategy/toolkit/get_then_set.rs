//! GET, add one, SET as a state machine: `get-set` and `get-set-multiplexed` when one thread drives all clients.

use crate::client_machine::{ClientMachine, Turn};
use crate::resp::{Reply, Requests};
use crate::strategy::toolkit::{END, read_successor};
use crate::update::Update;

/// One client.
#[derive(Default)]
pub(crate) struct GetThenSet {
    key: String,
    /// The value sent with SET; `None` before that.
    written: Option<i64>,
}

impl ClientMachine for GetThenSet {
    fn begin(&mut self, keys: &[&str], requests: &mut Requests) {
        self.key.clear();
        self.key.push_str(keys[0]);
        self.written = None;
        requests.ask(&[b"GET", self.key.as_bytes()]);
    }

    fn reply(&mut self, reply: Reply<'_>, _elapsed_ns: u64, requests: &mut Requests, done: &mut Vec<Update>) -> Turn {
        let refused = |reason: &str| Update::Refused { tries: 1, reason: reason.to_owned() };
        match (self.written, reply) {
            (_, Reply::Error(reason)) => done.push(refused(reason)),
            (Some(value), Reply::Status(_)) => done.push(Update::told(value)),
            (Some(_), reply) => return Turn::Failed(format!("SET answered {reply:?}").into()),
            (None, reply) => match read_successor(reply) {
                Ok(Some(value)) => {
                    self.written = Some(value);
                    requests.ask(&[b"SET", self.key.as_bytes(), value.to_string().as_bytes()]);
                    return Turn::Reply;
                }
                Ok(None) => done.push(refused(END)),
                Err(error) => return Turn::Failed(error),
            },
        }
        Turn::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The last request and the outcomes when GET and then SET get these replies.
    fn play(replies: &[Reply<'_>]) -> (String, Result<Vec<Update>, String>) {
        let (mut machine, mut requests, mut done) = (GetThenSet::default(), Requests::default(), Vec::new());
        machine.begin(&["k"], &mut requests);
        let mut sent = String::new();
        for (i, &reply) in replies.iter().enumerate() {
            assert_eq!(requests.commands(), 1);
            sent = String::from_utf8(requests.bytes().to_vec()).unwrap();
            requests.clear();
            match machine.reply(reply, 0, &mut requests, &mut done) {
                Turn::Reply => assert!(i + 1 < replies.len()),
                Turn::Done => assert_eq!((requests.commands(), i + 1), (0, replies.len())),
                Turn::Failed(error) => return (sent, Err(error.to_string())),
                Turn::Later(_) => panic!("nobody waits here"),
            }
        }
        (sent, Ok(done))
    }

    #[test]
    fn the_machine_writes_one_more_than_it_read() {
        let written = |value: i64, digits: usize| {
            (format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${digits}\r\n{value}\r\n"), Ok(vec![Update::told(value)]))
        };
        assert_eq!(play(&[Reply::Nil, Reply::Status("OK")]), written(1, 1));
        assert_eq!(play(&[Reply::Text(b"41"), Reply::Status("OK")]), written(42, 2));
    }

    #[test]
    fn an_error_reply_refuses_and_what_is_no_number_is_unknown() {
        let refused = |reason: &str| Ok(vec![Update::Refused { tries: 1, reason: reason.to_owned() }]);
        assert_eq!(play(&[Reply::Error("WRONGTYPE no")]).1, refused("WRONGTYPE no"));
        assert_eq!(play(&[Reply::Nil, Reply::Error("OOM no")]).1, refused("OOM no"));
        assert_eq!(play(&[Reply::Text(b"9223372036854775807")]).1, refused(END));
        assert!(play(&[Reply::Text(b"many")]).1.is_err() && play(&[Reply::Nil, Reply::Nil]).1.is_err());
    }
}
