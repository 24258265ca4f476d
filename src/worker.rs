//! Client libraries in any language: worker processes that update counters with their library, told by us what to do and
//! when, and judged by the history that they send back.
//!
//! A library is a folder with a [`Manifest`]. It is [installed](install) into our cache folder on first use. [`Workers`]
//! starts its processes, measures the offsets of their clocks, starts all clients at one instant, and reads their rows as
//! they arrive. Whatever a worker does wrong (it dies, hangs, prints something that is not a row, contradicts itself) is a
//! [`Fault`], never a panic or an endless wait. If it *claims* updates that it did not make, this module cannot know; the
//! counter reveals it.
//!
//! `docs/libraries.md` describes the protocol, with a complete adapter.

mod builtin;
mod fault;
mod group;
mod install;
mod manifest;
mod message;
mod process;
mod rows;

pub use builtin::work;
pub(crate) use builtin::worker_loop;
pub use fault::Fault;
pub use group::{ClientRows, Patience, Race, WorkerPace, Workers};
pub use install::{Installed, Unavailable, install};
pub use manifest::{Cell, Manifest, Settings, Tool};
pub use message::{Flush, Go, Job, Rate, Ready};
pub use process::Killer;
