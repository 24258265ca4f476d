//! A history as JSON, one object per line, with the names of the CSV columns; and for counters, `{"final": 5, "key": "x"}`.

use serde_json::{Map, Value};

use super::build::Builder;
use super::decimal::Decimal;
use super::words::{COLUMNS, Op, Outcome, Row, looks_like};

/// Reads one line into `builder`.
pub(super) fn line(line: &[u8], builder: &mut Builder) -> Result<(), String> {
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(());
    }
    let object: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("it is not an object of JSON: {error}"))?;
    for name in object.keys().filter(|name| !COLUMNS.contains(&name.as_str())) {
        if let Some(meant) = looks_like(name) {
            return Err(format!("{name:?} is not known, and would change the verdict if it means {meant}"));
        }
    }
    if object.contains_key("outcome") { row(&object, builder) } else { said(&object, builder) }
}

fn row(object: &Map<String, Value>, builder: &mut Builder) -> Result<(), String> {
    let text = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        Some(other) => Err(format!("{name} {other} is neither text nor a number")),
    };
    let number = |name: &str| match text(name)? {
        text if text.is_empty() => Ok(None),
        text => text.parse::<Decimal>().map(Some).map_err(|why| format!("{name}: {why}")),
    };
    let time = |name: &str| match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().map(Some).ok_or(format!("{name} {value} is not a whole number of nanoseconds")),
    };
    let word = text("outcome")?;
    let outcome = Outcome::of(word.as_bytes())
        .ok_or_else(|| format!("outcome {word:?} is not one of ok, fail, unknown, denied"))?;
    let begin = time("begin_ns")?.ok_or("there is no begin_ns")?;
    let end = match time("end_ns")? {
        Some(end) if end < begin => return Err(format!("it ends ({end}) before it begins ({begin})")),
        Some(end) => end,
        None if outcome == Outcome::Unknown => begin,
        None => return Err("end_ns is missing, which only an unknown outcome allows".to_owned()),
    };
    let (worker, key, op) = (text("worker")?, text("key")?, text("op")?);
    let op = Op::of(op.as_bytes()).ok_or_else(|| format!("op {op:?} is not one of add, read, take, set"))?;
    let (amount, value) = (number("amount")?, number("value")?);
    builder.row(&Row { worker: worker.as_bytes(), key: key.as_bytes(), begin, end, op, amount, outcome, value })
}

/// `{"initial": 0, "final": 5, "key": "x"}`.
fn said(object: &Map<String, Value>, builder: &mut Builder) -> Result<(), String> {
    let key = object.get("key").and_then(Value::as_str).unwrap_or_default();
    let mut any = false;
    for (name, value) in object {
        let Some(what) = builder.said_of(name) else { continue };
        let number = match value {
            Value::String(text) => text.parse::<Decimal>()?,
            other => other.to_string().parse::<Decimal>()?,
        };
        builder.say(what, number, key)?;
        any = true;
    }
    if any { Ok(()) } else { Err("it has neither an outcome nor the value of a counter".to_owned()) }
}
