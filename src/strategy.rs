//! Ways to add one to a counter: the trait, and the list of all strategies.
//!
//! To add a strategy, add one file here and one line to the list at the end of this file: tests, benches, command line,
//! CSV, page and `docs/strategies.md` all walk that list. In another crate, implement [`Strategy`] and pass it to
//! `redis_lost_updates::run` or [`crate::trial::measure`].

mod catalogue;
mod effect;
mod info;
mod toolkit;

use std::time::Duration;

use redis::{Cmd, RedisResult};

use crate::client_machine::ClientMachine;
use crate::error::Result;
use crate::target::{Session, Target};
use crate::update::Updater;
use crate::verdict::Promise;
use crate::workload::Workload;

pub use catalogue::{DEFAULT, DEFAULT_OF_ONE_THREAD, UNSUPPORTED, driven_by_one_thread, find, find_among};
pub use effect::Effect;
pub(crate) use effect::integer;
pub use info::{AfterLoss, Info, Need, Replies};
#[cfg(feature = "cli")]
pub(crate) use mutex_two_processes::{second_process, this_program_is_report};
pub(crate) use toolkit::get_then_set;

/// A way to add one to a counter in Redis.
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
    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>>;

    /// Whether its clients use our sessions, which count the redirections of a cluster. A client library that follows
    /// redirections itself hides them.
    fn sees_redirections(&self) -> bool {
        true
    }

    /// Its clients as state machines, so that one thread can drive thousands of them; `None` if it has none.
    fn machines(&self) -> Option<&dyn ClientMachines> {
        None
    }

    /// Its clients as users of a pool of connections, if they share one.
    fn pools(&self) -> Option<&dyn Pools> {
        None
    }

    /// Why this server cannot run it at all: the first of its [needs](Info::needs) that is missing. `None` if it can.
    ///
    /// # Errors
    /// The server does not answer.
    fn unavailable(&self, server: &Target) -> Result<Option<String>> {
        for need in self.info().needs {
            if let Some(why) = (need.missing)(server)? {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }

    /// Why a race under this load cannot show the fault of a lossy strategy; `None` if it can.
    fn hidden(&self, workload: &Workload) -> Option<&str> {
        (self.info().promise == Promise::Lossy && workload.threads == 1).then_some("a single client has no competitor")
    }

    /// Resets the counter at `key` before a race. By default this removes it, and a missing counter counts as zero.
    ///
    /// # Errors
    /// The server's.
    fn reset(&self, db: &mut Session, key: &str) -> RedisResult<()> {
        Cmd::del(key).exec(db)
    }

    /// What the counter at `key` gained since [`Strategy::reset`], read over a separate connection.
    ///
    /// # Errors
    /// An error from the server. A value that is not an integer is an error too, never zero.
    fn found(&self, db: &mut Session, key: &str) -> RedisResult<i64> {
        Ok(Cmd::get(key).query::<Option<i64>>(db)?.unwrap_or(0))
    }

    /// How long the server may still work on a race after it ends. The counters are not read or reset before then.
    fn settles_in(&self) -> Duration {
        Duration::ZERO
    }

    /// What one command of a client did to `counter`, which held `before`; `None` if the command does not concern it.
    /// `words` begin with the command's name in upper case. Override it for commands that [`Effect::of`] does not know;
    /// only `report explain` needs it.
    fn effect(&self, words: &[&str], counter: &str, before: i128) -> Option<Effect> {
        Effect::of(words, counter, before)
    }

    /// Other keys that it creates for the counter at `key`, removed together with it. A `*` stands for any ending.
    fn side_keys(&self, _key: &str) -> Vec<String> {
        Vec::new()
    }
}

/// A strategy whose clients can also be driven by one thread, in an event loop or as tasks. The commands, and what
/// their replies mean, are the same.
pub trait ClientMachines: Strategy {
    /// Creates `clients` clients, and puts what they need (a script) on the server. Never timed.
    ///
    /// # Errors
    /// The server refuses what they need.
    fn clients(&self, server: &Target, clients: usize) -> Result<Vec<Box<dyn ClientMachine>>>;

    /// The parameters of its state machines, if they differ from [`Strategy::parameters`].
    fn machine_parameters(&self) -> String {
        self.parameters()
    }

    /// Whether all share one connection, on which replies arrive in the order of the requests; otherwise each has its own.
    fn share_a_connection(&self) -> bool {
        false
    }
}

/// A strategy whose clients share a pool of connections. There may be fewer connections than clients.
pub trait Pools: Strategy {
    /// As [`Strategy::open`], with this number of connections in the pool. The updaters report how long they
    /// [waited](Updater::take_waits) for one.
    ///
    /// # Errors
    /// As [`Strategy::open`].
    fn open_pool(&self, server: &Target, workers: usize, connections: usize) -> Result<Vec<Box<dyn Updater>>>;
}

/// Declares each strategy's file as a module and lists its strategies.
macro_rules! strategies {
    ($($file:ident: $($(#[$only:meta])? $strategy:ident),+;)*) => {
        $(mod $file;)*

        /// Every strategy of this crate, in the order they are listed: exact ones by family, then the lossy ones.
        pub static ALL: &[&dyn Strategy] = &[$($($(#[$only])? &$file::$strategy,)+)*];
    };
}

// To add a strategy, add a file in this module's folder and a line here.
strategies! {
    // The server adds.
    pooled: WithoutPing, WithPing;
    incr: Incr;
    connect_per_update: ConnectPerUpdate;
    incr_retry: IncrRetry;
    multiplexed: Multiplexed, Manager;
    pipelined: Pipelined;
    local_sum: LocalSum;
    sharded: Sharded;
    cluster_incr: #[cfg(feature = "topologies")] RETRYING, #[cfg(feature = "topologies")] ONCE;
    // The server adds; the client then waits for a replica or the disk.
    incr_wait: IncrWait;
    incr_wait_ignored: IncrWaitIgnored;
    incr_waitaof: IncrWaitaof;
    // The server runs our code.
    lua: Incr, GetSet;
    function: Function;
    idempotent_lua: Idempotent;
    // The client adds, and the server refuses stale writes.
    cas: Cas;
    watch: WATCH, PIPELINED;
    // The client adds while the others wait.
    mutex: PerUpdate, PerBatch;
    lock: Lock;
    fenced_lock: Fenced;
    // The client adds, and nothing effectively keeps the others out.
    get_set: GetSet;
    get_set_multiplexed: GetSetMultiplexed;
    get_replica_set_primary: GetReplicaSetPrimary;
    get_prefer_replica: GetPreferReplica;
    mutex_two_processes: TwoProcesses;
    lock_expired: Expired, PlainDel;
    watch_after_get: WatchAfterGet;
    watch_shared: WatchShared;
    watch_ignore_nil: WatchIgnoreNil;
    pool_leaks_watch: PoolLeaksWatch;
    // The client ignores the reply.
    local_sum_early_ack: EarlyAck;
    pipeline_unread: PipelineUnread;
    errors_ignored: ErrorsIgnored;
    // The number does not fit.
    incrbyfloat_large: IncrbyfloatLarge;
    lua_tonumber_large: LuaTonumberLarge;
    bitfield_saturate: BitfieldSaturate;
}
