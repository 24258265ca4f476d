//! One command and its reply: how it is sent, and what its reply or error means for the update.

use redis::{Cmd, ConnectionLike, ErrorKind, FromRedisValue, RedisError, RedisResult, Value};

use crate::error::{BoxError, Result};
use crate::resp::{Reply, pack};
use crate::update::Update;

/// What an error means for the update: refused if the server itself said no, otherwise unknown.
///
/// Only right for an update that is one command: an error reply proves that this command changed nothing.
pub(crate) fn refused_or_unknown(error: RedisError, tries: u32) -> Result<Update, BoxError> {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => Ok(Update::Refused { tries, reason: error.to_string() }),
        _ => Err(error.into()),
    }
}

/// Sends one command, packed into a reused buffer, and reads its reply. An error reply is an error.
pub(crate) fn ask<T: FromRedisValue>(
    connection: &mut impl ConnectionLike,
    packed: &mut Vec<u8>,
    words: &[&[u8]],
) -> RedisResult<T> {
    packed.clear();
    pack(packed, words);
    let reply = connection.req_packed_command(packed)?.extract_error()?;
    Ok(redis::from_redis_value(reply)?)
}

/// Checks the reply to an unconditional SET: anything but OK is an error.
pub(crate) fn written(reply: Value) -> RedisResult<()> {
    match reply {
        Value::Okay => Ok(()),
        _ => Err(RedisError::from((ErrorKind::UnexpectedReturnType, "SET did not answer OK"))),
    }
}

/// The outcome of an update, from the value returned or from its error.
pub(crate) fn told_or_refused(told: RedisResult<i64>) -> Result<Update, BoxError> {
    told.map(Update::told).or_else(|error| refused_or_unknown(error, 1))
}

/// `INCR key` on `connection`: the whole of several strategies.
///
/// Spelt out, because the redis crate's own `incr` sends INCRBY.
pub(crate) fn incr(connection: &mut impl ConnectionLike, key: &str) -> Result<Update, BoxError> {
    told_or_refused(ask(connection, &mut Vec::with_capacity(96), &[b"INCR", key.as_bytes()]))
}

/// The successor of a value just read; a missing value counts as zero. At the end of the range, an error that counts as
/// a refusal.
pub(crate) fn successor(value: Option<i64>) -> RedisResult<i64> {
    let end = || RedisError::from((ErrorKind::Extension, END));
    value.unwrap_or(0).checked_add(1).ok_or_else(end)
}

/// GET, add one, SET on `connection`, with no protection of its own: the whole of several strategies.
pub(crate) fn get_then_set(connection: &mut impl ConnectionLike, key: &str) -> Result<Update, BoxError> {
    let told = Cmd::get(key).query::<Option<i64>>(connection).and_then(successor).and_then(|value| {
        written(Cmd::set(key, value).query(connection)?)?;
        Ok(value)
    });
    told_or_refused(told)
}

/// Why one cannot be added to a counter.
pub(crate) const END: &str = "the counter is at the end of i64";

/// The successor of the value in a GET's reply; a missing value counts as zero. `None` at the end of the range.
pub(crate) fn read_successor(reply: Reply<'_>) -> Result<Option<i64>, BoxError> {
    let value = match reply {
        Reply::Nil => Some(0),
        Reply::Text(digits) => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok()),
        _ => None,
    };
    let value = value.ok_or_else(|| format!("expected a number, got {reply:?}"))?;
    Ok(value.checked_add(1))
}
