//! Client libraries of any language: worker processes that update counters with the library they are of, told by us what
//! to do and when, and judged by the history they send back.
//!
//! A library is a folder with a [`Manifest`]. It is [installed](install) into our cache folder on first use. [`Workers`]
//! starts its processes, ties their clocks to ours, starts all clients at one instant, and reads their rows as they come.
//! Whatever a worker does wrong (it dies, hangs, prints what is no row, contradicts itself) is a [`Fault`], never a panic or
//! a wait without end. That it *says* it updated what it did not is nothing this room can see: the counter tells.
//!
//! `docs/libraries.md` is the protocol in words, with an adapter whole.

mod builtin;
mod fault;
mod group;
mod install;
mod manifest;
mod message;
mod process;
mod rows;

pub use builtin::work;
pub use fault::Fault;
pub use group::{ClientRows, Patience, Race, WorkerPace, Workers};
pub use install::{Installed, Unavailable, install};
pub use manifest::{Cell, Manifest, Settings, Tool};
pub use message::{Flush, Go, Job, Rate, Ready};
