//! Names for figures that are arrays here, so that readers of the JSON need not know their order.

use serde::ser::{SerializeStruct, Serializer};

use crate::stats::Spread;

const NAMES: [&str; 5] = ["p50", "p90", "p99", "p999", "p9999"];

fn named<S: Serializer, T: serde::Serialize>(values: &[T; 5], to: S) -> Result<S::Ok, S::Error> {
    let mut object = to.serialize_struct("percentiles", NAMES.len())?;
    for (name, value) in NAMES.into_iter().zip(values) {
        object.serialize_field(name, value)?;
    }
    object.end()
}

/// `{"p50": 56000, ...}`; null where too few updates lie beyond.
pub(super) fn percentiles<S: Serializer>(values: &[Option<u64>; 5], to: S) -> Result<S::Ok, S::Error> {
    named(values, to)
}

/// The same, or null.
pub(super) fn percentiles_if_any<S: Serializer>(values: &Option<[Option<u64>; 5]>, to: S) -> Result<S::Ok, S::Error> {
    match values {
        Some(values) => named(values, to),
        None => to.serialize_none(),
    }
}

/// A percentile's median and interval over trials, for each of them.
pub(super) fn spreads<S: Serializer>(values: &[Spread; 5], to: S) -> Result<S::Ok, S::Error> {
    named(values, to)
}

/// `{"low": 0.1, "high": 0.2}`
pub(super) fn interval<S: Serializer>(&(low, high): &(f64, f64), to: S) -> Result<S::Ok, S::Error> {
    pair(("low", low), ("high", high), to)
}

/// The same, or null.
pub(super) fn interval_if_any<S: Serializer>(values: &Option<(f64, f64)>, to: S) -> Result<S::Ok, S::Error> {
    match values {
        Some(values) => interval(values, to),
        None => to.serialize_none(),
    }
}

/// `{"received": 45, "sent": 9}`
pub(super) fn traffic<S: Serializer>(&(received, sent): &(f64, f64), to: S) -> Result<S::Ok, S::Error> {
    pair(("received", received), ("sent", sent), to)
}

fn pair<S: Serializer>(one: (&'static str, f64), two: (&'static str, f64), to: S) -> Result<S::Ok, S::Error> {
    let mut object = to.serialize_struct("pair", 2)?;
    object.serialize_field(one.0, &one.1)?;
    object.serialize_field(two.0, &two.1)?;
    object.end()
}
