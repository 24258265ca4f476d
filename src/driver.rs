//! What runs the clients: one trait, one file per driver, and the list of drivers.
//!
//! A `Driver` opens a strategy's clients; the opened `Clients` can race repeatedly. To add a driver, add a file here,
//! an entry in `ALL`, and a `DriverKind`, which is its name in rows.

pub mod events;
#[cfg(feature = "cli")]
pub mod external;
pub mod tasks;
pub mod threads;

use crate::client_machine::ClientMachine;
use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::pace::Schedule;
use crate::strategy::{Strategy, UNSUPPORTED};
use crate::target::Target;
use crate::workload::{DriverKind, Workload};

pub use crate::race::{Limits, RaceLog, Work};

/// One way to drive clients.
pub trait Driver: Sync {
    /// Its name in the rows.
    fn kind(&self) -> DriverKind;

    /// The client library that its clients use; by default the built-in one.
    fn library(&self) -> Library {
        Library::built_in()
    }

    /// Why it cannot drive this strategy's clients on this server; `None` if it can.
    fn refuses(&self, server: &Target, strategy: &dyn Strategy) -> Option<String>;

    /// The strategy's parameters as this driver runs it.
    fn parameters(&self, strategy: &dyn Strategy) -> String;

    /// The commands that add one per successful call, as this driver runs the strategy: see
    /// [`Info::counted_by`](crate::strategy::Info::counted_by).
    fn counted_by(&self, strategy: &dyn Strategy) -> &'static [&'static str] {
        strategy.info().counted_by
    }

    /// Checks that this system and the server permit `clients` clients of these strategies.
    ///
    /// # Errors
    /// A limit is too low: the message says which, and what to do.
    fn check_room(&self, server: &Target, strategies: &[&dyn Strategy], clients: usize) -> Result<()>;

    /// Opens all clients of the workload. Never timed.
    ///
    /// # Errors
    /// A connection or a thread cannot be created, or the strategy is [refused](Driver::refuses).
    fn open(&self, server: &Target, strategy: &dyn Strategy, workload: &Workload) -> Result<Box<dyn Clients>>;
}

/// Opened clients, ready to race.
pub trait Clients {
    /// Races in a closed loop or, with a schedule, in an open loop: every client sends its updates when they are due,
    /// or at once if it is late.
    ///
    /// # Errors
    /// A client panicked: the message names the client and quotes the panic. The others finish first.
    fn race(&mut self, work: &[Work], schedule: Option<&Schedule>, limits: Limits<'_>) -> Result<RaceLog>;

    /// How many updates a client takes per batch.
    fn batch(&self) -> usize;

    /// What the clients' processes report about themselves; `None` if the clients are in this process.
    fn process(&self) -> Option<Process> {
        None
    }
}

/// The client library that sends the commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Its name, as in the rows.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its settings, by name.
    pub settings: String,
}

impl Library {
    /// The redis crate in the version of this build, with its default settings.
    pub fn built_in() -> Self {
        let Condition { library, settings, .. } = Condition::default();
        Self { name: library, version: env!("BUILD_REDIS").to_owned(), settings }
    }
}

/// What worker processes report about themselves, and what they cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// The language's runtime and its version.
    pub runtime: String,
    /// The retry and timeout settings in effect: `retries=3; timeout=none`.
    pub effective: String,
    /// How far apart their clocks may be; zero for a single process.
    pub apart_ns: u64,
    /// How far their clocks may differ from ours.
    pub clock_error_ns: u64,
    /// Updates per second of the same worker with the same number of clients that send nothing.
    pub no_op_per_s: Option<u64>,
}

/// Every driver.
pub static ALL: &[&dyn Driver] = &[&threads::Threads, &events::Events, &tasks::Tasks];

/// The driver of this kind.
///
/// # Errors
/// This build has no such driver.
pub fn of(kind: DriverKind) -> Result<&'static dyn Driver> {
    let found = ALL.iter().copied().find(|driver| driver.kind() == kind);
    found.ok_or_else(|| match kind {
        DriverKind::External => Error::usage("driver external: name client libraries with --libraries"),
        kind => Error::usage(format!("driver '{kind}' is not part of this build")),
    })
}

/// Checks that a strategy opened as many clients as it was asked for.
fn complete(strategy: &dyn Strategy, opened: usize, wanted: usize) -> Result<()> {
    let name = strategy.info().name;
    match opened == wanted {
        true => Ok(()),
        false => Err(Error::broken(format!("strategy {name} opened {opened} clients, not {wanted}"))),
    }
}

/// Checks that there is work for each client.
fn enough_work(work: &[Work], clients: usize) -> Result<()> {
    match work.len() == clients {
        true => Ok(()),
        false => Err(Error::broken(format!("a race of {clients} clients was given work for {}", work.len()))),
    }
}

/// Why one thread cannot drive this strategy's clients; `None` if it can.
fn refused_by_one_thread(strategy: &dyn Strategy) -> Option<String> {
    strategy.machines().is_none().then(|| UNSUPPORTED.to_owned())
}

/// Checks that every client can have a socket, if any of the strategies opens one per client.
fn check_sockets(server: &Target, strategies: &[&dyn Strategy], clients: usize) -> Result<()> {
    let mut forms = strategies.iter().filter_map(|strategy| strategy.machines());
    if forms.any(|form| !form.share_a_connection()) { server.has_room_for(clients) } else { Ok(()) }
}

/// The strategy's parameters when one thread drives all of its clients.
fn machine_parameters(strategy: &dyn Strategy) -> String {
    strategy.machines().map_or_else(|| strategy.parameters(), |form| form.machine_parameters())
}

/// The strategy's clients as state machines, and whether they share a connection.
fn machines(server: &Target, strategy: &dyn Strategy, clients: usize) -> Result<(Vec<Box<dyn ClientMachine>>, bool)> {
    let refused = || Error::usage(format!("strategy {}: {UNSUPPORTED}", strategy.info().name));
    let form = strategy.machines().ok_or_else(refused)?;
    let machines = form.clients(server, clients)?;
    complete(strategy, machines.len(), clients)?;
    Ok((machines, form.share_a_connection()))
}
