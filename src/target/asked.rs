//! One question to one private server, past whatever stands before it.

use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisResult};

use crate::condition::Transport;
use crate::error::{Error, Result};
use crate::target::Private;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Private {
    /// Asks over a new connection to its unix socket: no proxy sees it, and no client of its port is in its way.
    ///
    /// # Errors
    /// It does not answer within five seconds, or answers with an error.
    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        self.ask_with(|db| redis::cmd(words[0]).arg(&words[1..]).query(db))
    }

    /// The same for what has to go over one connection.
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
