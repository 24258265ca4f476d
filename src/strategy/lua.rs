//! A script on the server: whatever it does, nobody comes in between.
//!
//! `lua-incr` calls INCR inside, `lua-get-set` reads, adds and writes inside: the same three steps that lose updates in a
//! client are safe here, because the server runs a script whole. One round trip; each costs the server a Lua call more
//! than the plain command. A script is loaded once and called by its hash (EVALSHA); a server that restarted or flushed
//! its scripts answers NOSCRIPT, and the update is refused. Rate limiters, job queues and locks are built so.
//!
//! Lua's only number is a double, which counts exactly up to 2^53. So `lua-get-set` adds to the decimal text and stays
//! exact up to the end of i64; `lua-incr` adds exactly as well, since INCR does it, but above 2^53 the reply that passes
//! through Lua is rounded, and two updates are told the same value
//! (<https://github.com/redis/redis/issues/3224>). `lua-tonumber-large` shows what comes of plain arithmetic.

use std::sync::Arc;

use redis::Connection;

use crate::conversation::Conversation;
use crate::error::{BoxError, Result};
use crate::resp::Requests;
use crate::server::Server;
use crate::strategy::one_command::OneCommand;
use crate::strategy::{Conversing, Info, Strategy, ask, boxed, load, own_connections, told_or_refused};
use crate::update::{Update, Updater};

const INCR: &str = "return redis.call('INCR', KEYS[1])";

/// Adds one to decimal text: the last digit that is not a nine grows by one, the nines after it become zeros.
const GET_SET: &str = r"
local value = redis.call('GET', KEYS[1]) or '0'
local head, nines = string.match(value, '^(%d-)(9*)$')
if not head then return redis.error_reply('ERR value is not an integer of zero or more') end
local sum
if head == '' then sum = '1' else sum = string.sub(head, 1, -2) .. (string.byte(head, -1) - 47) end
sum = sum .. string.rep('0', #nines)
if #sum > 19 or (#sum == 19 and sum > '9223372036854775807') then
    return redis.error_reply('ERR the counter is at the end of i64')
end
redis.call('SET', KEYS[1], sum)
return sum";

const INCR_INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["script", "evalsha", "incr"],
    ..Info::exact("lua-incr", "INCR inside a script, called by its hash: what scripts cost.")
};

const GET_SET_INFO: Info = Info {
    counted_by: &["set"],
    commands: &["script", "evalsha", "get", "set"],
    ..Info::exact(
        "lua-get-set",
        "GET, add one, SET inside a script, exact to the end of i64: safe because nobody comes in between.",
    )
};

pub(super) struct Incr;
pub(super) struct GetSet;

/// Calls a loaded script that adds one to KEYS[1] and answers with the value it made.
pub(super) struct Scripted {
    connection: Connection,
    packed: Vec<u8>,
    hash: String,
}

impl Scripted {
    pub(super) fn crew(server: &Server, workers: usize, code: &str) -> Result<Vec<Box<dyn Updater>>> {
        let hash = load(server, code)?;
        own_connections(server, workers, |connection| Self { connection, packed: Vec::new(), hash: hash.clone() })
    }
}

impl Updater for Scripted {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let call: [&[u8]; 4] = [b"EVALSHA", self.hash.as_bytes(), b"1", key.as_bytes()];
        told_or_refused(ask(&mut self.connection, &mut self.packed, &call))
    }
}

/// The same for the event loop.
fn conversations(server: &Server, clients: usize, code: &str) -> Result<Vec<Box<dyn Conversation>>> {
    let hash: Arc<str> = load(server, code)?.into();
    Ok(boxed(clients, || {
        let hash = hash.clone();
        OneCommand::new(1, move |key: &str, requests: &mut Requests| {
            requests.ask(&[b"EVALSHA", hash.as_bytes(), b"1", key.as_bytes()]);
        })
    }))
}

impl Strategy for Incr {
    fn info(&self) -> &'static Info {
        &INCR_INFO
    }

    fn conversing(&self) -> Option<&dyn Conversing> {
        Some(self)
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Scripted::crew(server, workers, INCR)
    }
}

impl Strategy for GetSet {
    fn info(&self) -> &'static Info {
        &GET_SET_INFO
    }

    fn conversing(&self) -> Option<&dyn Conversing> {
        Some(self)
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Scripted::crew(server, workers, GET_SET)
    }
}

impl Conversing for Incr {
    fn conversations(&self, server: &Server, clients: usize) -> Result<Vec<Box<dyn Conversation>>> {
        conversations(server, clients, INCR)
    }
}

impl Conversing for GetSet {
    fn conversations(&self, server: &Server, clients: usize) -> Result<Vec<Box<dyn Conversation>>> {
        conversations(server, clients, GET_SET)
    }
}
