//! GET, add one in the client, SET: the classic lost update.
//!
//! Two clients that read the same value both write its successor, and one update is gone; a slow SET of an old value
//! takes back everything written since. Costs two round trips. Many threads lose nearly everything: see [`crate::law`].

use redis::Connection;

use crate::error::{BoxError, Result};
use crate::server::Server;
use crate::strategy::{Strategy, get_then_set, own_connections};
use crate::update::{Update, Updater};
use crate::verdict::Promise;

pub(super) struct GetSet;

struct Racy(Connection);

impl Updater for Racy {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        get_then_set(&mut self.0, key)
    }
}

impl Strategy for GetSet {
    fn name(&self) -> &str {
        "get-set"
    }

    fn about(&self) -> &str {
        "GET, add one in the client, SET, on a connection per thread: the race itself."
    }

    fn promise(&self) -> Promise {
        Promise::Lossy
    }

    fn round_trips(&self) -> &str {
        "2"
    }

    fn counted_by(&self) -> &[&str] {
        &["set"]
    }

    fn open(&self, server: &Server, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        own_connections(server, workers, Racy)
    }
}
