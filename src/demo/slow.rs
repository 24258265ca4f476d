//! The same updates slowly enough to follow: every command as the server executes it, with a pause before each.

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use redis::{Arg, Cmd, ConnectionLike, RedisResult, Value};

use crate::target::Session;

/// What all threads of a phase write to, and the last that was written to the counter.
pub(super) struct Stage<'a, W> {
    pub(super) out: Mutex<&'a mut W>,
    pub(super) pause: Option<Duration>,
    written: Mutex<Option<(usize, i64)>>,
}

impl<'a, W: Write> Stage<'a, W> {
    pub(super) fn new(out: &'a mut W, pause: Option<Duration>) -> Self {
        Self { out: Mutex::new(out), pause, written: Mutex::new(None) }
    }

    /// A line, whole.
    pub(super) fn say(&self, line: &str) -> std::io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(out, "{line}").and_then(|()| out.flush())
    }
}

/// A connection of one thread that says what it does, if there is a pause to read it in.
pub(super) struct Narrated<'a, 'b, W> {
    pub(super) db: &'a mut Session,
    pub(super) thread: usize,
    pub(super) stage: &'a Stage<'b, W>,
}

impl<W: Write> ConnectionLike for Narrated<'_, '_, W> {
    fn req_command(&mut self, command: &Cmd) -> RedisResult<Value> {
        let Some(pause) = self.stage.pause else { return self.db.req_command(command) };
        std::thread::sleep(pause);
        // Held while the server executes it, so that the lines are in its order.
        let mut written = self.stage.written.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = self.db.req_command(command)?;
        let words = words(command);
        let line = match (&words[..], &reply) {
            ([get, ..], Value::BulkString(value)) if get == "GET" => {
                format!("reads {}", String::from_utf8_lossy(value))
            }
            ([get, ..], Value::Nil) if get == "GET" => "reads nothing, which is 0".to_owned(),
            ([set, _, value, ..], Value::Okay) if set == "SET" => {
                let value = value.parse().unwrap_or(0);
                let over = written.replace((self.thread, value));
                let over = over.filter(|&(thread, other)| thread != self.thread && other >= value);
                let lost =
                    over.map(|(thread, other)| format!("   <- over the {other} of thread {thread}: an update is lost"));
                format!("writes {value}{}", lost.unwrap_or_default())
            }
            (_, reply) => format!("is answered {reply:?}"),
        };
        let command = words.first().map_or("?", String::as_str);
        self.stage.say(&format!("thread {}: {command} {line}", self.thread))?;
        Ok(reply)
    }

    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        self.db.req_packed_command(command)
    }

    fn req_packed_commands(&mut self, commands: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        self.db.req_packed_commands(commands, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.db.get_db()
    }

    fn check_connection(&mut self) -> bool {
        self.db.check_connection()
    }

    fn is_open(&self) -> bool {
        self.db.is_open()
    }
}

fn words(command: &Cmd) -> Vec<String> {
    let plain = |arg| match arg {
        Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    command.args_iter().map(plain).collect()
}
