//! The parts that strategies are made of: commands and their replies, connections, waits, scripts, state machines.
//!
//! Strategies import from here; nothing here knows a strategy.

mod asking;
mod backoff;
mod bridge;
mod connections;
mod get_then_set;
mod offset;
mod one_command;
mod placed;
mod pool;
mod reconnecting;
mod scripts;
mod waiting;
mod watching;

pub(crate) use asking::{
    END, ask, get_then_set, incr, read_successor, refused_or_unknown, successor, told_or_refused, written,
};
pub(crate) use backoff::Backoff;
pub(crate) use bridge::Bridge;
pub(crate) use connections::{boxed, own_connections};
pub(crate) use get_then_set::GetThenSet;
pub(crate) use offset::Offset;
pub(crate) use one_command::{OneCommand, ask_incr};
#[cfg(feature = "topologies")]
pub(crate) use placed::CLUSTER;
pub(crate) use placed::{ONE_PLAIN_SERVER, ONE_SERVER, READABLE_REPLICA, REPLICA};
pub(crate) use pool::{Connections, no_connection, pool};
pub(crate) use reconnecting::{Reconnecting, TRIES};
pub(crate) use scripts::{Scripted, load};
pub(crate) use waiting::{Await, incr_then_wait};
pub(crate) use watching::{BACKOFF as WATCH_BACKOFF, WatchMachine, is_done, set_if_untouched};
