//! Sends commands directly to one private server, bypassing any proxy in front of it.

use std::time::Duration;

#[cfg(feature = "cli")]
use redis::FromRedisValue;
use redis::{Connection, RedisResult};

use crate::condition::Transport;
use crate::error::{Error, Result};
use crate::target::Private;

/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Private {
    #[cfg(feature = "cli")]
    /// Like [`Private::ask_with`], for one command.
    ///
    /// # Errors
    /// As [`Private::ask_with`].
    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> Result<T> {
        self.ask_with(|db| redis::cmd(words[0]).arg(&words[1..]).query(db))
    }

    /// Sends commands that must share one connection to its unix socket, so that they pass no proxy and do not wait for
    /// clients of the port.
    ///
    /// # Errors
    /// It does not answer within five seconds, or answers with an error.
    pub(crate) fn ask_with<T>(&self, ask: impl FnOnce(&mut Connection) -> RedisResult<T>) -> Result<T> {
        let answer = self.connection(Transport::Unix).and_then(redis::Client::open).and_then(|client| {
            let mut db = client.get_connection_with_timeout(PATIENCE)?;
            db.set_read_timeout(Some(PATIENCE))?;
            ask(&mut db)
        });
        answer.map_err(|e| Error::server(format!("private server 127.0.0.1:{}: {e}", self.port())))
    }
}
