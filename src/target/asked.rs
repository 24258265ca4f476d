//! Sends commands directly to one private server, bypassing any proxy in front of it.

use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisResult};

use crate::condition::Transport;
use crate::error::{Error, Result};
use crate::target::Private;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Private {
    /// Sends one command over a new connection to its unix socket, so that it passes no proxy and does not wait for
    /// clients of the port.
    ///
    /// # Errors
    /// It does not answer within five seconds, or answers with an error.
    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        self.ask_with(|db| redis::cmd(words[0]).arg(&words[1..]).query(db))
    }

    /// The same for commands that must share one connection.
    ///
    /// # Errors
    /// As [`Private::ask`].
    pub(crate) fn ask_with<T>(&self, ask: impl FnOnce(&mut Connection) -> RedisResult<T>) -> Result<T> {
        let answer = self.connection(Transport::Unix).and_then(redis::Client::open).and_then(|client| {
            let mut db = client.get_connection_with_timeout(PATIENCE)?;
            db.set_read_timeout(Some(PATIENCE))?;
            ask(&mut db)
        });
        answer.map_err(|e| Error::server(format!("private server 127.0.0.1:{}: {e}", self.port())))
    }
}
