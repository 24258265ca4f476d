//! A counter that starts far from zero, so that overflow and rounding show at once.

use crate::target::Session;
use redis::{Cmd, ErrorKind, RedisError, RedisResult};

/// The value such a counter starts from.
pub(crate) struct Offset(pub(crate) i128);

impl Offset {
    /// Sets the counter to this value.
    pub(crate) fn reset(&self, db: &mut Session, key: &str) -> RedisResult<()> {
        Cmd::set(key, self.0.to_string()).exec(db)
    }

    /// What the counter gained since.
    pub(crate) fn found(&self, db: &mut Session, key: &str) -> RedisResult<i64> {
        self.gained(&Cmd::get(key).query::<String>(db)?)
    }

    /// What a counter that reads `text` has gained.
    pub(crate) fn gained(&self, text: &str) -> RedisResult<i64> {
        let gained = text.parse::<i128>().ok().and_then(|value| i64::try_from(value.checked_sub(self.0)?).ok());
        let strange = || (ErrorKind::UnexpectedReturnType, "not a number near the start", text.to_owned());
        gained.ok_or_else(|| RedisError::from(strange()))
    }
}
