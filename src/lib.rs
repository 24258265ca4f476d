//! How fast is a way of updating a counter in Redis from many threads, and how many updates does it lose?
//!
//! The command `report` answers this for the [strategies](strategy::ALL) of this crate; the library answers it for any
//! other. Implement [`strategy::Strategy`] and race it:
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use std::time::Duration;
//! use redis_lost_updates::{target::ServerSpec, strategy, trial::Crew, workload::{Size, Workload}};
//!
//! # fn main() -> redis_lost_updates::error::Result<()> {
//! let stop = AtomicBool::new(false);
//! let server = ServerSpec::from_env()?.resolve(&stop, &mut |line| eprintln!("{line}"))?;
//! let incr = strategy::find(&["incr"])?[0];
//! let mut crew = Crew::open(&server, incr, Workload::one_key(8), 1, &stop)?;
//! let trial = crew.sized_trial(Size::Duration(Duration::from_millis(200)))?;
//! crew.close()?;
//! println!("{}: {:?}", trial.verdict, trial.judgement.ledger);
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! Two halves, measuring and reading, share only [`record`]. A module imports only from those above it in this table; a
//! test derives the order from here. ARCHITECTURE.md follows one figure through the files.
//!
//! | module | what it is |
//! |---|---|
//! | [`plain`] | makes untrusted text safe to print |
//! | [`secret`] | hides URLs that may hold a password |
//! | [`error`] | the error type: one line that says what failed, on what, and what to do |
//! | `resp` | the wire format: requests out, replies in |
//! | [`placement`] | which CPUs the server and the clients run on |
//! | `timer` | waits below a millisecond |
//! | [`proxy`] | a proxy that injects network faults: delays, cuts, lost replies |
//! | [`stats`] | medians, intervals, quantiles |
//! | [`update`] | what a strategy reports of an update, and the 24 bytes recorded per update |
//! | [`pace`] | when updates are sent: closed loop, or a schedule |
//! | [`client_machine`] | a client as a state machine: replies in, requests out |
//! | [`workload`] | the plan: what is measured, and in which order |
//! | [`condition`] | everything a figure was measured under; the only key by which rows are grouped |
//! | [`verdict`] | the accounts of a trial, and the verdict on them |
//! | [`history`] | the exact check: is this the history of a counter? With a proof |
//! | [`interchange`] | histories of other programs, as files |
//! | [`law`] | predicts what GET and SET lose |
//! | [`record`] | the result files: rows, writing, reading, checking |
//! | [`until`] | rows -> whether more rounds are needed (feature `cli`) |
//! | `race` | the timed section's types: what each client does, and the log of it |
//! | [`worker`] | client libraries of any language, as worker processes (feature `cli`) |
//! | [`target`] | the only access to a server: find, fetch, start, describe, clean up |
//! | [`strategy`] | the ways to add one to a counter, one file each |
//! | `driver` | what runs the clients: threads, an event loop, tasks, worker processes; one trait |
//! | `machine` | the facts of a run: server, machine, build, plan |
//! | `demo` | the original demonstration |
//! | [`trial`] | plan x server x strategy -> race -> verdict -> row |
//! | `lost_reply` | what a client library does when a reply is lost (feature `cli`) |
//! | [`fault`] | the failure lab: what faults do to updates that were acknowledged (feature `cli`) |
//! | [`explain`] | one lost update, step by step |
//! | [`summary`] | rows -> figures: medians, intervals, verdicts (feature `cli`) |
//! | [`compare`] | two runs against each other (feature `cli`) |
//! | [`report`] | figures -> page, table, words (feature `cli`) |
//! | `command` | the command line: argv -> one of the above, by [`run`] (feature `cli`) |

pub mod client_machine;
#[cfg(feature = "cli")]
mod command;
#[cfg(feature = "cli")]
pub mod compare;
pub mod condition;
mod demo;
/// Hidden because it is not meant for users of this crate: a [`trial::Crew`] opens the driver that its workload names.
/// Public because the tests, benches and examples of this crate race single drivers.
#[doc(hidden)]
pub mod driver;
pub mod error;
pub mod explain;
#[cfg(feature = "cli")]
pub mod fault;
pub mod history;
pub mod interchange;
pub mod law;
#[cfg(feature = "cli")]
pub mod lost_reply;
mod machine;
pub mod pace;
pub mod placement;
pub mod plain;
pub mod proxy;
mod race;
pub mod record;
#[cfg(feature = "cli")]
pub mod report;
mod resp;
pub mod secret;
#[cfg(feature = "cli")]
pub mod stats;
pub mod strategy;
#[cfg(feature = "cli")]
pub mod summary;
pub mod target;
mod timer;
pub mod trial;
#[cfg(feature = "cli")]
pub mod until;
pub mod update;
pub mod verdict;
#[cfg(feature = "cli")]
pub mod worker;
pub mod workload;

#[cfg(feature = "cli")]
pub use command::run;
pub use demo::{Demo, Phase, demo};
/// The client library that strategies are written with, in the version this crate speaks.
pub use redis;
