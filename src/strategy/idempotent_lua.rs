//! An update with an id that the server remembers: the only strategy here that can safely retry after a lost reply.
//!
//! If the script has already seen the id, it returns the same answer as before. Otherwise it adds and remembers the id, in
//! one step. So after a broken connection or a timeout, where others must report an unknown outcome, this strategy asks
//! again: up to 3 tries, each on a new connection. One round trip; the script runs three commands instead of one. An id is
//! forgotten after its TTL, which must be longer than the last try, and a server that loses its data loses the ids as well.
//!
//! Keeping every id would cost one key per update. A client has one update in progress at a time, so only its newest id can
//! ever be asked for again. Hence there is one key per client, with that id and its answer. Payment and order services use
//! idempotency keys in this way, usually one per request.

use crate::error::{BoxError, Result};
use crate::strategy::toolkit::{Reconnecting, TRIES, load, own_connections};
use crate::strategy::{AfterLoss, Info, Strategy};
use crate::target::Target;
use crate::update::{Update, Updater};

/// How long an id is remembered: longer than all tries with all their timeouts take.
const TTL_MS: &str = "60000";

/// KEYS: the counter, this client's newest id. ARGV: this id, the TTL. An id older than the newest belongs to a delayed
/// try of an update that has already been answered: it must not add again. The value is read as text, since a number
/// that passes through Lua is rounded above 2^53.
const SCRIPT: &str = r"
local newest = redis.call('GET', KEYS[2])
if newest then
    local id, value = string.match(newest, '^(%d+) (.+)$')
    if id == ARGV[1] then return value end
    if tonumber(id) > tonumber(ARGV[1]) then return redis.error_reply('ERR a later update of this client is done') end
end
redis.call('INCR', KEYS[1])
local value = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1] .. ' ' .. value, 'PX', ARGV[2])
return value";

const INFO: Info = Info {
    counted_by: &["incr"],
    commands: &["script", "evalsha", "get", "incr", "set"],
    after_loss: AfterLoss::RetriesById,
    ..Info::exact(
        "idempotent-lua",
        "INCR in a script that remembers the update by its id: safe to retry after a lost reply.",
    )
};

pub(super) struct Idempotent;

struct Remembered {
    connection: Reconnecting,
    hash: String,
    /// What follows the counter's name in the name of this client's key.
    suffix: String,
    name: String,
    id: u64,
}

impl Updater for Remembered {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        self.id += 1;
        let id = self.id.to_string();
        self.name.clear();
        self.name.push_str(key);
        self.name.push_str(&self.suffix);
        self.connection.update(&[
            b"EVALSHA",
            self.hash.as_bytes(),
            b"2",
            key.as_bytes(),
            self.name.as_bytes(),
            id.as_bytes(),
            TTL_MS.as_bytes(),
        ])
    }
}

impl Strategy for Idempotent {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parameters(&self) -> String {
        format!("tries={TRIES},ttl={TTL_MS}ms")
    }

    fn side_keys(&self, key: &str) -> Vec<String> {
        vec![format!("{key}:id:*")]
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let hash = load(server, SCRIPT)?;
        own_connections(server, workers, |connection| Remembered {
            connection: Reconnecting::new(connection, server),
            hash: hash.clone(),
            suffix: format!(":id:{:016x}", fastrand::u64(..)),
            name: String::new(),
            id: 0,
        })
    }
}
