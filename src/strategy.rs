//! One way to add one to a counter: the trait, the list of all of them, and how to find one by name.
//!
//! Adding a strategy is one file below this one plus its `mod` line and its entry in [`ALL`]: tests, benches, command
//! line, CSV, page and the README's table all walk that list. An outsider implements [`Strategy`] in a crate of his own
//! and hands it to [`crate::trial::measure`].

mod backoff;
mod bitfield_saturate;
mod bridge;
mod cas;
mod errors_ignored;
mod fenced_lock;
mod function;
mod get_replica_set_primary;
mod get_set;
mod get_set_multiplexed;
mod idempotent_lua;
mod incr;
mod incrbyfloat_large;
mod info;
mod local_sum;
mod lock;
mod lock_expired;
mod lua;
mod lua_tonumber_large;
mod multiplexed;
mod mutex;
mod mutex_two_processes;
mod one_command;
mod pipeline_unread;
mod pipelined;
mod pooled;
mod sharded;
mod watch;
mod watch_after_get;
mod watch_conversation;
mod watch_ignore_nil;
mod watch_shared;

use redis::{Cmd, Connection, ConnectionLike, ErrorKind, FromRedisValue, RedisError, RedisResult};

use crate::conversation::Conversation;
use crate::error::{BoxError, Error, Result};
use crate::resp::pack;
use crate::server::Server;
use crate::update::{Update, Updater};
use crate::verdict::Promise;
use crate::workload::Workload;

pub use info::{Info, Need};
pub use mutex_two_processes::second_process;

/// One way to add one to a counter in Redis.
pub trait Strategy: Sync {
    /// Its facts: name, promise, cost, needs.
    fn info(&self) -> &'static Info;

    /// Its parameters and their values, as recorded with every run: `depth=16`. Empty if it has none.
    fn parameters(&self) -> String {
        String::new()
    }

    /// Opens one updater for each of `workers` workers. What they share (a mutex, a pool, one multiplexed connection) is
    /// made here, for this crew alone. Never timed.
    ///
    /// # Errors
    /// A connection cannot be made, or the server refuses what the strategy needs to set up.
    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>>;

    /// Its clients in the form that one thread can hold thousands of, if it has one.
    fn conversing(&self) -> Option<&dyn Conversing> {
        None
    }

    /// Why this server cannot run it at all, if it cannot: the first of its [needs](Info::needs) that is missing.
    ///
    /// # Errors
    /// The server does not answer.
    fn unavailable(&self, server: &Server) -> Result<Option<String>> {
        for need in self.info().needs {
            if let Some(why) = (need.missing)(server)? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// Why a race under this load cannot show the fault of a lossy strategy, if it cannot.
    fn hidden(&self, workload: &Workload) -> Option<&str> {
        (self.info().promise == Promise::Lossy && workload.threads == 1)
            .then_some("one client alone has nobody to race")
    }

    /// Puts the counter at `key` to its start before a race: by default it is removed, and missing means zero.
    ///
    /// # Errors
    /// The server's.
    fn reset(&self, db: &mut Connection, key: &str) -> RedisResult<()> {
        Cmd::del(key).exec(db)
    }

    /// What the counter at `key` gained since [`Strategy::reset`], read by a separate connection.
    ///
    /// # Errors
    /// The server's; a value that is not an integer is an error, never a zero.
    fn found(&self, db: &mut Connection, key: &str) -> RedisResult<i64> {
        Ok(Cmd::get(key).query::<Option<i64>>(db)?.unwrap_or(0))
    }

    /// Other keys it makes for the counter at `key`, removed with it; a `*` stands for any ending.
    fn side_keys(&self, _key: &str) -> Vec<String> {
        Vec::new()
    }
}

/// A strategy whose clients one thread can drive too, by an event loop or as tasks: the same commands, and the same word
/// for what they meant.
pub trait Conversing: Strategy {
    /// One client for each of `clients` clients. What they need on the server (a script) is put there here. Never timed.
    ///
    /// # Errors
    /// The server refuses what they need.
    fn conversations(&self, server: &Server, clients: usize) -> Result<Vec<Box<dyn Conversation>>>;

    /// Its parameters in this form, where they are others than [`Strategy::parameters`].
    fn conversing_parameters(&self) -> String {
        self.parameters()
    }

    /// Whether they all share one connection, on which replies come in the order of the requests; else each has its own.
    fn share_a_connection(&self) -> bool {
        false
    }
}

/// What keeps another strategy from being driven so.
pub const NO_FORM: &str = "has no form for many clients on one thread";

/// The names of those one thread can drive.
pub fn conversing() -> Vec<&'static str> {
    ALL.iter().filter(|strategy| strategy.conversing().is_some()).map(|strategy| strategy.info().name).collect()
}

/// Every strategy of this crate, in the order they are listed: exact ones by family, then the lossy ones.
pub static ALL: &[&dyn Strategy] = &[
    // The server adds.
    &pooled::WithoutPing,
    &pooled::WithPing,
    &incr::Incr,
    &multiplexed::Multiplexed,
    &multiplexed::Manager,
    &pipelined::Pipelined,
    &local_sum::LocalSum,
    &sharded::Sharded,
    // The server runs our code.
    &lua::Incr,
    &lua::GetSet,
    &function::Function,
    &idempotent_lua::Idempotent,
    // The client adds, and the server refuses what came too late.
    &cas::Cas,
    &watch::Watch,
    &watch::Pipelined,
    // The client adds, and others wait.
    &mutex::PerUpdate,
    &mutex::PerBatch,
    &lock::Lock,
    &fenced_lock::Fenced,
    // Nobody waits.
    &get_set::GetSet,
    &get_set_multiplexed::GetSetMultiplexed,
    &get_replica_set_primary::GetReplicaSetPrimary,
    &mutex_two_processes::TwoProcesses,
    &lock_expired::Expired,
    &lock_expired::PlainDel,
    &watch_after_get::WatchAfterGet,
    &watch_shared::WatchShared,
    &watch_ignore_nil::WatchIgnoreNil,
    // Nobody looks at the answer.
    &pipeline_unread::PipelineUnread,
    &errors_ignored::ErrorsIgnored,
    // The number does not fit.
    &incrbyfloat_large::IncrbyfloatLarge,
    &lua_tonumber_large::LuaTonumberLarge,
    &bitfield_saturate::BitfieldSaturate,
];

/// The default plan's strategies: the race, the ways around it that people choose among, and one that looks right.
pub static DEFAULT: &[&str] = &[
    "pooled-incr",
    "pooled-incr-ping",
    "incr",
    "multiplexed-incr",
    "pipelined-incr",
    "lua-incr",
    "watch",
    "mutex",
    "mutex-batch",
    "lock",
    "get-set",
    "watch-after-get",
];

/// The default plan's strategies where one thread drives all clients: those of [`DEFAULT`] that have the form, and the two
/// that go wrong because clients share a connection.
pub static DEFAULT_OF_ONE_THREAD: &[&str] = &[
    "incr",
    "multiplexed-incr",
    "pipelined-incr",
    "lua-incr",
    "watch",
    "get-set",
    "get-set-multiplexed",
    "watch-shared",
];

/// The strategies of these names, in the order given; `all`, `exact` and `lossy` stand for whole groups.
///
/// # Errors
/// A name that is none: the message lists those there are.
pub fn find(names: &[impl AsRef<str>]) -> Result<Vec<&'static dyn Strategy>> {
    let mut found: Vec<&'static dyn Strategy> = Vec::new();
    for name in names {
        let before = found.len();
        let wanted = name.as_ref();
        for &strategy in ALL {
            let fits = match wanted {
                "all" => true,
                "exact" => strategy.info().promise == Promise::Exact,
                "lossy" => strategy.info().promise == Promise::Lossy,
                name => strategy.info().name == name,
            };
            if fits && !found.iter().any(|known| known.info().name == strategy.info().name) {
                found.push(strategy);
            } else if fits {
                return Err(Error::usage(format!("strategy '{}' is named twice", strategy.info().name)));
            }
        }
        if found.len() == before {
            return Err(Error::usage(unknown(wanted)));
        }
    }
    Ok(found)
}

/// What to say of a name that is none.
fn unknown(wanted: &str) -> String {
    let names: Vec<&str> = ALL.iter().map(|strategy| strategy.info().name).collect();
    let likeness = |name: &&&str| (strsim::jaro_winkler(wanted, name) * 1_000.0) as u32;
    let meant = names.iter().max_by_key(likeness).filter(|name| likeness(name) > 800);
    match meant {
        Some(name) => format!("no strategy '{wanted}': did you mean {name}? `report list` prints all"),
        None => format!("no strategy '{wanted}': all, exact, lossy, or {}", names.join(", ")),
    }
}

/// What an error means for the update: a refusal where the server itself said no, and otherwise unknown.
///
/// Only right for an update that is one command: an error reply proves that this command changed nothing.
fn refused_or_unknown(error: RedisError, tries: u32) -> Result<Update, BoxError> {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => Ok(Update::Refused { tries, reason: error.to_string() }),
        _ => Err(error.into()),
    }
}

/// Sends one command, packed into a buffer that is used again and again, and reads its reply; an error reply is an error.
fn ask<T: FromRedisValue>(
    connection: &mut impl ConnectionLike,
    packed: &mut Vec<u8>,
    words: &[&[u8]],
) -> RedisResult<T> {
    packed.clear();
    pack(packed, words);
    let reply = connection.req_packed_command(packed)?.extract_error()?;
    Ok(redis::from_redis_value(reply)?)
}

/// What an update told its value means for the history, or what its error means.
fn told_or_refused(told: RedisResult<i64>) -> Result<Update, BoxError> {
    told.map(Update::told).or_else(|error| refused_or_unknown(error, 1))
}

/// `INCR key` on `connection`: the whole of several strategies.
///
/// Spelt out, because the redis crate's own `incr` sends INCRBY.
fn incr(connection: &mut impl ConnectionLike, key: &str) -> Result<Update, BoxError> {
    told_or_refused(ask(connection, &mut Vec::with_capacity(96), &[b"INCR", key.as_bytes()]))
}

/// The successor of a value just read, where missing is zero; an error that proves that nothing changed at the end of
/// the range.
fn successor(value: Option<i64>) -> RedisResult<i64> {
    let end = || RedisError::from((ErrorKind::Extension, "the counter is at the end of i64"));
    value.unwrap_or(0).checked_add(1).ok_or_else(end)
}

/// GET, add one, SET on `connection`, with whatever may come in between: the whole of several strategies.
pub(crate) fn get_then_set(connection: &mut impl ConnectionLike, key: &str) -> Result<Update, BoxError> {
    let told = Cmd::get(key).query::<Option<i64>>(connection).and_then(successor).and_then(|value| {
        Cmd::set(key, value).exec(connection)?;
        Ok(value)
    });
    told_or_refused(told)
}

/// Loads a script and gives the hash it is called by.
fn load(server: &Server, code: &str) -> Result<String> {
    let hash = redis::Script::new(code).load(&mut server.connect()?);
    hash.map_err(|e| server.refuses(&e))
}

/// The same conversation for each client.
fn boxed<C: Conversation + 'static>(clients: usize, one: impl Fn() -> C) -> Vec<Box<dyn Conversation>> {
    (0..clients).map(|_| Box::new(one()) as Box<dyn Conversation>).collect()
}

/// One connection of its own for each worker, wrapped into an updater each.
fn own_connections<U: Updater + 'static>(
    server: &Server,
    workers: usize,
    updater: impl Fn(Connection) -> U,
) -> Result<Vec<Box<dyn Updater>>> {
    (0..workers).map(|_| Ok(Box::new(updater(server.connect()?)) as Box<dyn Updater>)).collect()
}
