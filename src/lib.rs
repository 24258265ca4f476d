//! How fast is a way of updating a counter in Redis from many threads, and how many updates does it lose?
//!
//! The command `report` answers for the [strategies](strategy::ALL) of this crate, on a page; this library answers for
//! any other. Implement [`strategy::Strategy`] and race it:
//!
//! ```no_run
//! use std::sync::atomic::AtomicBool;
//! use std::time::Duration;
//! use redis_lost_updates::{server::Wanted, strategy, trial::Crew, workload::{Size, Workload}};
//!
//! # fn main() -> redis_lost_updates::error::Result<()> {
//! let stop = AtomicBool::new(false);
//! let server = Wanted::from_env()?.resolve(&stop, &mut |line| eprintln!("{line}"))?;
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
//! Two halves, measuring and reading, that meet only in [`record`]. Imports point one way, in the order of this table; a
//! test derives it from here.
//!
//! | module | what it is |
//! |---|---|
//! | [`plain`] | the text of others, before a terminal sees it |
//! | [`secret`] | what stands in place of a URL that may hold a password |
//! | [`error`] | the one error: a line that says what failed, on what, and what to do |
//! | [`resp`] | the wire format: requests out, replies in |
//! | [`placement`] | which CPUs the server and the clients run on |
//! | `timer` | waits below a millisecond |
//! | [`proxy`] | a network that misbehaves on purpose: delays, cuts, lost replies |
//! | [`stats`] | medians, intervals, quantiles: numbers in, numbers out |
//! | [`update`] | the vocabulary every strategy speaks, and the 24 bytes kept of each update |
//! | [`pace`] | when updates are sent: closed loop, or a timetable |
//! | [`client_machine`] | a client as a state machine: replies in, requests out |
//! | [`workload`] | what is to be measured, and in which order |
//! | [`condition`] | what a figure was measured under; the one key by which rows are grouped |
//! | [`verdict`] | accounts, and the word for them |
//! | [`history`] | exact: is this the history of a counter? With the proof |
//! | [`interchange`] | anyone's history as a file |
//! | [`law`] | what GET and SET lose, worked out |
//! | [`record`] | **the waist**: the rows and files that measuring writes and reading reads |
//! | [`until`] | rows -> whether more rounds are needed (feature `cli`) |
//! | [`race`] | what each client is to do and what is logged of it: the words of the timed section |
//! | [`worker`] | client libraries of any language: worker processes, told what to do and judged by their history (feature `cli`) |
//! | [`server`] | the one door to Redis: found, fetched, started, described, cleaned |
//! | [`strategy`] | the ways to add one, a file for each idea |
//! | [`driver`] | what drives the clients: threads, an event loop, tasks; one trait |
//! | `machine` | the facts of a run: server, machine, build, plan |
//! | `demo` | the original demonstration, for a terminal |
//! | [`trial`] | plan x server x strategy -> race -> verdict -> row |
//! | `lost_reply` | what a client library does when a reply is lost (feature `cli`) |
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
pub mod driver;
pub mod error;
pub mod explain;
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
pub mod race;
pub mod record;
#[cfg(feature = "cli")]
pub mod report;
pub mod resp;
pub mod secret;
pub mod server;
#[cfg(feature = "cli")]
pub mod stats;
pub mod strategy;
#[cfg(feature = "cli")]
pub mod summary;
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
pub use demo::{Phase, demo};
/// The client library that strategies are written with, in the version this crate speaks.
pub use redis;
