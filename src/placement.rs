//! Which CPUs the server and the clients run on: the largest single effect on any figure.
//!
//! A round trip takes a tenth as long if server and client share a CPU (no wake-up across CPUs), and an unpinned run
//! switches between the two. So the placement is chosen, recorded, and the same for every cell.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A set of CPU numbers, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CpuSet(Vec<usize>);

/// Where the server and the clients run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Placement {
    /// The server on one CPU, the clients on all the others, where that can be arranged.
    #[default]
    Auto,
    /// Wherever the system puts them.
    Free,
    /// As told.
    Fixed {
        /// The private server's CPUs.
        server: CpuSet,
        /// The clients' CPUs.
        client: CpuSet,
    },
}

impl CpuSet {
    /// The CPUs this thread may use, empty where the system does not say.
    pub fn allowed() -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(set) = rustix::thread::sched_getaffinity(None) {
            return Self((0..rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect());
        }
        Self(Vec::new())
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps this thread, and every thread it starts from now on, on these CPUs.
    ///
    /// # Errors
    /// The system does not have them or cannot do this.
    pub fn keep_this_thread(&self) -> Result<()> {
        #[cfg(target_os = "linux")]
        {
            let mut set = rustix::thread::CpuSet::new();
            self.0.iter().for_each(|&cpu| set.set(cpu));
            rustix::thread::sched_setaffinity(None, &set)
                .map_err(|e| Error::usage(format!("cannot run on CPU {self}: {e}; choose among {}", Self::allowed())))
        }
        #[cfg(not(target_os = "linux"))]
        Err(Error::usage(format!("this system cannot pin a thread to CPU {self}: use --pin none")))
    }

    /// Runs `act` with this thread on `cpus`, so that a process it starts inherits them.
    pub(crate) fn around<T>(cpus: Option<&Self>, act: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        let Some(cpus) = cpus else { return act() };
        let before = Self::allowed();
        cpus.keep_this_thread().map_err(std::io::Error::other)?;
        let result = act();
        before.keep_this_thread().map_err(std::io::Error::other)?;
        result
    }
}

impl Placement {
    /// The CPUs for a private server and for the clients; `None` means wherever the system puts them.
    pub fn choose(&self, server_is_ours: bool) -> (Option<CpuSet>, Option<CpuSet>) {
        match self {
            Self::Free => (None, None),
            Self::Fixed { server, client } => (server_is_ours.then(|| server.clone()), Some(client.clone())),
            Self::Auto => match CpuSet::allowed().0.as_slice() {
                [clients @ .., last] if server_is_ours && !clients.is_empty() => {
                    (Some(CpuSet(vec![*last])), Some(CpuSet(clients.to_vec())))
                }
                _ => (None, None),
            },
        }
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&text.join("+"))
    }
}

impl FromStr for CpuSet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let cpus: Option<Vec<usize>> = text.split('+').map(|cpu| cpu.parse().ok().filter(|&cpu| cpu < 1024)).collect();
        cpus.map(Self).ok_or_else(|| Error::usage(format!("CPUs '{text}': expected 0, or 0+1+2 for several")))
    }
}

impl FromStr for Placement {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let usage =
            || Error::usage(format!("pin '{text}': expected auto, none, or server=0,client=1 (several: 1+2+3)"));
        match text {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::Free),
            _ => {
                let (server, client) = text.split_once(',').ok_or_else(usage)?;
                Ok(Self::Fixed {
                    server: server.strip_prefix("server=").ok_or_else(usage)?.parse()?,
                    client: client.strip_prefix("client=").ok_or_else(usage)?.parse()?,
                })
            }
        }
    }
}
