//! An r2d2 pool of connections that the clients of a strategy share.

use std::time::Duration;

use r2d2::{ManageConnection, Pool};
use redis::ConnectionLike;

use crate::error::{Error, Result};
use crate::target::{Session, Target};
use crate::update::Update;

/// How long a client waits for a connection.
const PATIENCE: Duration = Duration::from_secs(5);

/// How the pool makes connections and looks after them, as the redis crate's own manager does.
pub(crate) struct Connections(Target);

impl ManageConnection for Connections {
    type Connection = Session;
    type Error = Error;

    fn connect(&self) -> Result<Session> {
        self.0.connect()
    }

    fn is_valid(&self, session: &mut Session) -> Result<()> {
        redis::cmd("PING").exec(session).map_err(|e| self.0.refuses(&e))
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        !session.is_open()
    }
}

/// A pool of `connections` connections, all opened now; `ping` says whether each is tested on checkout.
///
/// # Errors
/// The pool cannot be filled.
pub(crate) fn pool(server: &Target, connections: usize, ping: bool) -> Result<Pool<Connections>> {
    // A pool that cannot be filled says only that it waited too long.
    server.has_room_for(connections)?;
    let size = u32::try_from(connections).unwrap_or(u32::MAX);
    Pool::builder()
        .max_size(size)
        .min_idle(Some(size))
        .test_on_check_out(ping)
        .max_lifetime(None)
        .idle_timeout(None)
        .connection_timeout(PATIENCE)
        .build(Connections(server.clone()))
        .map_err(|e| Error::server(format!("server {}: the pool cannot be filled: {e}", server.address())))
}

/// The outcome if the pool had no connection: nothing was sent, so nothing can have changed.
pub(crate) fn no_connection(error: &r2d2::Error) -> Update {
    Update::Refused { tries: 1, reason: format!("no connection from the pool: {error}") }
}
