//! A script on the server, which no other command can interrupt.
//!
//! `lua-incr` calls INCR inside; `lua-get-set` reads, adds and writes inside. The three steps that lose updates in a client
//! are safe here, because the server runs a script as a whole. One round trip; each call costs the server more than the
//! plain command does. A script is loaded once and called by its hash (EVALSHA). A server that restarted or flushed its
//! scripts answers NOSCRIPT, and the update is refused. Rate limiters, job queues and locks are built in this way.
//!
//! Lua's only number type is a double, which is exact up to 2^53. `lua-get-set` therefore adds to the decimal text and is
//! exact to the end of i64. `lua-incr` is exact too, because INCR does the adding, but above 2^53 the reply is rounded on
//! its way through Lua, and two updates get the same value (<https://github.com/redis/redis/issues/3224>).
//! `lua-tonumber-large` shows what plain arithmetic does.

use crate::client_machine::ClientMachine;
use crate::error::Result;
use crate::strategy::toolkit::Scripted;
use crate::strategy::{ClientMachines, Info, Strategy};
use crate::target::Target;
use crate::update::Updater;

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
        "GET, add one, SET inside a script, exact to the end of i64: no other command runs in between.",
    )
};

pub(super) struct Incr;
pub(super) struct GetSet;

impl Strategy for Incr {
    fn info(&self) -> &'static Info {
        &INCR_INFO
    }

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Scripted::crew(server, workers, INCR)
    }
}

impl Strategy for GetSet {
    fn info(&self) -> &'static Info {
        &GET_SET_INFO
    }

    fn machines(&self) -> Option<&dyn ClientMachines> {
        Some(self)
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        Scripted::crew(server, workers, GET_SET)
    }
}

impl ClientMachines for Incr {
    fn clients(&self, server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Scripted::machines(server, clients, INCR)
    }
}

impl ClientMachines for GetSet {
    fn clients(&self, server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>> {
        Scripted::machines(server, clients, GET_SET)
    }
}
