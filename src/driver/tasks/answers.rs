//! Converts the redis crate's values to the client's replies.

use redis::Value;

use crate::error::BoxError;
use crate::resp::Reply;

/// The value as the reply that the client expects; `error` is the buffer for an error's text.
pub(super) fn reply<'a>(value: &'a Value, error: &'a mut String) -> Result<Reply<'a>, BoxError> {
    Ok(match value {
        Value::Int(value) => Reply::Integer(*value),
        Value::BulkString(bytes) => Reply::Text(bytes),
        Value::SimpleString(status) => Reply::Status(status),
        Value::Okay => Reply::Status("OK"),
        Value::Nil => Reply::Nil,
        Value::ServerError(_) => Reply::Error(words(value, error).unwrap_or_default()),
        Value::Array(values) => match values.iter().find(|value| matches!(value, Value::ServerError(_))) {
            None => Reply::List(None),
            Some(first) => Reply::List(words(first, error)),
        },
        other => return Err(format!("invalid reply: {other:?}").into()),
    })
}

/// An error's text, as the server sent it.
fn words<'a>(value: &Value, error: &'a mut String) -> Option<&'a str> {
    let Value::ServerError(said) = value else { return None };
    *error = [said.code(), said.details().unwrap_or_default()].join(" ").trim_end().to_owned();
    Some(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_heard_as_the_reply_that_it_was() {
        let wire = [":-12\r\n", "+OK\r\n", "+QUEUED\r\n", "$2\r\n41\r\n", "$-1\r\n", "*-1\r\n", "*1\r\n+OK\r\n"];
        let errors = ["-ERR no\r\n", "-OOM no room\r\n", "-WHAT\r\n", "*2\r\n+OK\r\n-OOM no\r\n"];
        for text in wire.into_iter().chain(errors) {
            let (expected, length) = Reply::read(text.as_bytes()).unwrap().unwrap();
            assert_eq!(length, text.len());
            let value = redis::parse_redis_value(text.as_bytes()).unwrap();
            assert_eq!(reply(&value, &mut String::new()).unwrap(), expected, "{text}");
        }
        assert!(reply(&Value::Double(0.5), &mut String::new()).is_err());
    }
}
