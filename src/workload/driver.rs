//! What runs the clients: the kinds of drivers, and what is known of each without opening it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The highest number of threads in one race: beyond it the threads driver measures the scheduler.
pub const MAX_THREADS: usize = 1024;

/// The highest number of clients that one thread may drive: TCP has about 28,000 ports for them by default.
pub const MAX_CLIENTS: usize = 20_000;

/// What runs the clients. Figures of different drivers are not comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverKind {
    /// A thread per client, which blocks until its update is done.
    #[default]
    Threads,
    /// One thread for all clients, which are state machines over one event loop.
    Events,
    /// One thread for all clients, which are tasks of one async runtime.
    Tasks,
    /// Worker processes of a client library in any language.
    External,
}

/// What is known of a driver without opening it.
#[derive(Debug)]
pub struct DriverInfo {
    kind: DriverKind,
    /// Its name on the command line and in rows.
    pub name: &'static str,
    /// What it is, in words: `one event loop for all clients`.
    pub about: &'static str,
    /// What one client is called: a thread, where each has its own.
    pub racer: &'static str,
    /// The highest number of clients it may have at once.
    pub most_clients: usize,
    /// Whether one thread of this process drives all clients.
    pub is_one_thread: bool,
    /// Why it cannot keep a schedule, if it cannot.
    pub refuses_rate: Option<&'static str>,
}

/// Every driver, the default first.
pub static DRIVERS: [DriverInfo; 4] = [
    DriverInfo {
        kind: DriverKind::Threads,
        name: "threads",
        about: "a thread for each client",
        racer: "thread",
        most_clients: MAX_THREADS,
        is_one_thread: false,
        refuses_rate: None,
    },
    DriverInfo {
        kind: DriverKind::Events,
        name: "events",
        about: "one event loop for all clients",
        racer: "client",
        most_clients: MAX_CLIENTS,
        is_one_thread: true,
        refuses_rate: None,
    },
    DriverInfo {
        kind: DriverKind::Tasks,
        name: "tasks",
        about: "one async runtime with a task for each client",
        racer: "client",
        most_clients: MAX_CLIENTS,
        is_one_thread: true,
        // With tokio's timer, all updates of a millisecond would be sent together at its end.
        refuses_rate: Some(
            "its timer only has a resolution of 1 ms; leave out --rate, or use --driver threads or events",
        ),
    },
    DriverInfo {
        kind: DriverKind::External,
        name: "external",
        about: "worker processes of client libraries, told what to do over pipes",
        racer: "client",
        most_clients: MAX_THREADS,
        is_one_thread: false,
        refuses_rate: None,
    },
];

impl DriverKind {
    /// What is known of it without opening it.
    pub fn info(self) -> &'static DriverInfo {
        // Every kind is in the list; a test checks it.
        DRIVERS.iter().find(|info| info.kind == self).unwrap_or(&DRIVERS[0])
    }

    /// A number of clients in words: `16 threads`, `1 thread`, `10000 clients`.
    pub fn racers(self, count: usize) -> String {
        let one = self.info().racer;
        if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
    }

    /// How many threads of this process this many clients keep busy.
    pub fn threads_of(self, clients: usize) -> usize {
        if self.info().is_one_thread { 1 } else { clients }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.info().name)
    }
}

impl FromStr for DriverKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = DRIVERS.iter().find(|info| info.name == text).map(|info| info.kind);
        known.ok_or_else(|| {
            let names: Vec<&str> = DRIVERS.iter().map(|info| info.name).collect();
            Error::usage(format!("driver '{text}': expected {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_is_found_by_its_name_and_has_its_own_info() {
        for kind in [DriverKind::Threads, DriverKind::Events, DriverKind::Tasks, DriverKind::External] {
            assert_eq!(kind.info().kind, kind);
            assert_eq!(kind.to_string().parse::<DriverKind>().unwrap(), kind);
        }
        assert!("thread".parse::<DriverKind>().unwrap_err().to_string().contains("expected threads, events, tasks"));
    }
}
