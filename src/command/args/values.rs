//! Values of options that clap has no parser for.

use std::time::Duration;

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    number
        .filter(|p| (0.0..100.0).contains(p))
        .ok_or_else(|| "expected a percentage below 100, such as 5% or 7.5%".to_owned())
}

pub(super) fn precision(text: &str) -> Result<f64, String> {
    let part = percent(text)? / 100.0;
    if part > 0.0 { Ok(part) } else { Err("expected a percentage above 0, such as 2% or 0.5%".to_owned()) }
}

/// A round trip to emulate; zero is none.
pub(super) fn round_trip(text: &str) -> Result<Duration, String> {
    duration(text).map_err(|e| format!("{e}, or 0 for no proxy"))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "expected a time such as 300ms, 2s or 1m".to_owned())
}
