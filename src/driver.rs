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
use crate::pace::Timetable;
use crate::strategy::{Strategy, UNSUPPORTED};
use crate::target::Target;
use crate::workload::{DriverKind, Workload};

pub use crate::race::{Limits, RaceLog, Work};

/// One way to drive clients.
pub trait Driver: Sync {
    /// What rows call it.
    fn kind(&self) -> DriverKind;

    /// The client library that its clients use; by default the built-in one.
    fn library(&self) -> Library {
        Library::built_in()
    }

    /// Why it cannot drive this strategy's clients on this server, if it cannot.
    fn refuses(&self, server: &Target, strategy: &dyn Strategy) -> Option<String>;

    /// The strategy's parameters as this driver runs it.
    fn parameters(&self, strategy: &dyn Strategy) -> String;

    /// The commands whose every successful call adds one, as this driver runs the strategy: see
    /// [`Info::counted_by`](crate::strategy::Info::counted_by).
    fn counted_by(&self, strategy: &dyn Strategy) -> &'static [&'static str] {
        strategy.info().counted_by
    }

    /// Checks that this system and the server permit so many clients of these strategies.
    ///
    /// # Errors
    /// They do not: one line that says which limit is too low, and what to do.
    fn check_room(&self, server: &Target, strategies: &[&dyn Strategy], clients: usize) -> Result<()>;

    /// Opens as many clients as the workload has. Never timed.
    ///
    /// # Errors
    /// A connection or a thread cannot be had, or the strategy is [refused](Driver::refuses).
    fn open(&self, server: &Target, strategy: &dyn Strategy, workload: &Workload) -> Result<Box<dyn Clients>>;
}

/// Opened clients, ready to race.
pub trait Clients {
    /// Races in a closed loop, or by a timetable: every client sends its updates when that says, or at once when it is late.
    ///
    /// # Errors
    /// A client panicked: the message names it and what it said. The others finish first.
    fn race(&mut self, work: &[Work], timetable: Option<&Timetable>, limits: Limits<'_>) -> Result<RaceLog>;

    /// How many updates a client likes to be handed at once.
    fn batch(&self) -> usize;

    /// What the clients' processes report about themselves; `None` if the clients are in this process.
    fn process(&self) -> Option<Process> {
        None
    }
}

/// The client library that sends the commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Library {
    /// Its name, as rows have it.
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
    /// How far their clocks may be apart; zero if there is one process.
    pub apart_ns: u64,
    /// How far their clocks may be off from ours.
    pub clock_error_ns: u64,
    /// Updates per second that the same number of clients of the same worker acknowledge when they send nothing.
    pub no_op_per_s: Option<u64>,
}

/// Every driver.
pub static ALL: &[&dyn Driver] = &[&threads::Threads, &events::Events, &tasks::Tasks];

/// The driver that rows call so.
///
/// # Errors
/// There is none in this build.
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

/// Why one thread cannot drive this strategy, if it cannot.
fn refused_by_one_thread(strategy: &dyn Strategy) -> Option<String> {
    strategy.machines().is_none().then(|| UNSUPPORTED.to_owned())
}

/// Checks that sockets for all clients can be had, if any of the strategies opens one for each.
fn check_sockets(server: &Target, strategies: &[&dyn Strategy], clients: usize) -> Result<()> {
    let mut forms = strategies.iter().filter_map(|strategy| strategy.machines());
    if forms.any(|form| !form.share_a_connection()) { server.has_room_for(clients) } else { Ok(()) }
}

/// The strategy's parameters where one thread drives all of its clients.
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
