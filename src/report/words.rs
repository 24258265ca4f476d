//! Figures formatted for people, in the same way on the page, in the terminal and in markdown.

use std::borrow::Cow;

use textwrap::{Options, WordSplitter};

use crate::record::Machine;
use crate::summary::{CellSummary, Summary};

/// A rate with thousands grouped by commas and at most three significant digits below that: `92,100`, `1,230,000`.
///
/// ```
/// # use redis_lost_updates::report::words::rate;
/// assert_eq!(rate(92_137.4), "92,100");
/// assert_eq!(rate(7.25), "7.25");
/// ```
pub fn rate(value: f64) -> String {
    if value < 10.0 {
        return format!("{}", (value * 100.0).round() / 100.0);
    }
    if !value.is_finite() {
        return "beyond measure".to_owned();
    }
    let digits = value.log10().floor() as i32 + 1;
    let unit = 10_f64.powi((digits - 3).max(0));
    count(((value / unit).round() * unit) as u64)
}

/// A whole number with thousands grouped by commas: `2,000,000`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// So many of something: `1 key`, `16 keys`, `2,000 trials`.
///
/// ```
/// # use redis_lost_updates::report::words::counted;
/// assert_eq!((counted(1, "key"), counted(0, "key"), counted(2_000, "trial")), ("1 key".into(), "0 keys".into(), "2,000 trials".into()));
/// ```
pub fn counted(n: usize, what: &str) -> String {
    let number = count(n as u64);
    if n == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A part of one in percent, with as many digits as it takes to tell little from nothing and nearly all from all:
/// `88.2 %`, `3.1e-5 %`, `99.994 %`.
///
/// ```
/// # use redis_lost_updates::report::words::percent;
/// assert_eq!(["0 %", "3.1e-5 %", "0.03 %", "88.2 %"], [0.0, 3.1e-7, 3.1e-4, 0.8823].map(percent).each_ref().map(String::as_str));
/// assert_eq!(["99.994 %", "99.9999997 %", "100 %"], [0.999_94, 1.0 - 3e-9, 1.0].map(percent).each_ref().map(String::as_str));
/// ```
pub fn percent(part: f64) -> String {
    let percent = part * 100.0;
    // What is left to a hundred, with two digits of its own where one would round it away.
    let left = (1.0 - part) * 100.0;
    if part == 0.0 || part == 1.0 {
        format!("{percent:.0} %")
    } else if percent < 0.0095 {
        format!("{percent:.1e} %")
    } else if percent < 0.0995 {
        format!("{percent:.2} %")
    } else if 0.0 < left && left < 0.1 {
        let digits = (-left.log10()).ceil().min(12.0) as usize;
        format!("{percent:.digits$} %")
    } else {
        format!("{percent:.1} %")
    }
}

/// A time in nanoseconds in the unit people would say it in: `56 µs`, `1.2 ms`.
pub fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => (ns as f64, "ns"),
        1_000..1_000_000 => (ns as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// The lost part of a cell in percent; for no loss `0 %`: its bound is [`bound`]'s to say.
pub fn lost(cell: &CellSummary) -> String {
    percent(cell.lost_part())
}

/// The round trips that were emulated, and what the proxy costs that does it, as measured before the run; `None` if none
/// was.
pub fn distance(machine: &Machine) -> Option<String> {
    let asked = numbers(machine, "rtt_us");
    let seen = numbers(machine, "rtt_seen_us");
    let measured =
        |at: usize| seen.get(at).map_or_else(String::new, |&us| format!(" (measured median {})", micros(us)));
    let emulated = asked.iter().enumerate().filter(|&(_, &us)| us > 0.0);
    let emulated: Vec<String> = emulated.map(|(at, &us)| format!("{}{}", micros(us), measured(at))).collect();
    if emulated.is_empty() {
        return None;
    }
    let direct = if asked.contains(&0.0) { "s: none, and emulated" } else { ", emulated" };
    let one = |fact: &str| numbers(machine, fact).first().copied();
    let costs = one("proxy_added_p50_us").zip(one("proxy_added_p99_us")).map_or_else(String::new, |(p50, p99)| {
        let rate = |fact: &str| one(fact).map_or_else(|| "?".to_owned(), |rate| count(rate as u64));
        format!(
            " Without a delay the proxy adds {} to the median and {} to the p99. Over 16 connections it carries {} \
             commands/s; without it the server answers {}/s.",
            micros(p50),
            micros(p99),
            rate("proxy_commands_per_s"),
            rate("proxy_commands_per_s_without")
        )
    });
    Some(format!("Round trip{direct} {}.{costs}", emulated.join(", ")))
}

/// The numbers of a fact, joined by commas; none if it is not there or is something else.
fn numbers(machine: &Machine, fact: &str) -> Vec<f64> {
    let read: Option<Vec<f64>> = machine
        .get(fact)
        .and_then(|text| text.split(',').map(|n| n.parse().ok().filter(|n: &f64| n.is_finite())).collect());
    read.unwrap_or_default()
}

fn micros(us: f64) -> String {
    time((us * 1e3) as u64)
}

/// The round trips of a run in words: `over an emulated round trip of 500 µs`; `None` if none was emulated.
pub fn round_trips(machine: &Machine) -> Option<String> {
    let asked = numbers(machine, "rtt_us");
    let emulated: Vec<String> = asked.iter().filter(|&&us| us > 0.0).map(|&us| micros(us)).collect();
    let direct = if emulated.len() < asked.len() { "directly and " } else { "" };
    match &emulated[..] {
        [] => None,
        [one] => Some(format!("{direct}over an emulated round trip of {one}")),
        several => Some(format!("{direct}over emulated round trips of {}", several.join(", "))),
    }
}

/// The rate that was offered, if the run was an open loop.
pub fn offered(summary: &Summary) -> Option<u64> {
    summary.cells.iter().find_map(|cell| cell.condition.offered_per_s)
}

/// How far a cell stayed behind the rate that was offered: `offered 50,000/s, achieved 31,000/s, 9,120 behind at the
/// end, 12 never sent`: when the schedule was over, and when the clients stopped.
pub fn behind(cell: &CellSummary) -> String {
    let offered =
        cell.condition.offered_per_s.map_or_else(|| "nothing".to_owned(), |per_s| format!("{}/s", count(per_s)));
    let mut text = format!("offered {offered}, achieved {}/s", rate(cell.acked_per_s.median));
    if cell.trials_behind < cell.trials {
        text += &format!(", could not keep up in {} of {}", cell.trials_behind, counted(cell.trials, "trial"));
    }
    if let Some(backlog) = cell.backlog.filter(|&backlog| backlog > 0) {
        text += &format!(", backlog of {} at the end", count(backlog));
    }
    if let Some(unsent) = cell.unsent.filter(|&unsent| unsent > 0) {
        text += &format!(", {} never sent", count(unsent));
    }
    text
}

/// The part of its updates that were refused: `53 %`, `0.2 %`.
pub fn refused(cell: &CellSummary) -> String {
    match cell.refused_part() * 100.0 {
        percent if percent < 1.0 => format!("{percent:.1} %"),
        percent => format!("{percent:.0} %"),
    }
}

/// What no observed loss proves: `0 of 2,000,000, so fewer than 1 in 666,000 at 95 %`; and the interval where there was
/// one.
pub fn bound(cell: &CellSummary) -> String {
    let (low, high) = cell.lost_interval;
    let (lost, acked) = (count(cell.lost), count(cell.acked));
    if cell.lost == 0 {
        format!("0 of {acked}: {} at 95 %", at_most(high))
    } else {
        format!("{lost} of {acked}: {} to {} at 95 %", percent(low), percent(high))
    }
}

/// A small part of one as people say it: `fewer than 1 in 666,000`.
///
/// ```
/// # use redis_lost_updates::report::words::at_most;
/// assert_eq!(at_most(1.5e-6), "fewer than 1 in 666,000");
/// assert_eq!(at_most(0.4), "fewer than 40 %");
/// ```
pub fn at_most(part: f64) -> String {
    if part > 0.1 {
        return format!("fewer than {:.0} %", (part * 100.0).ceil());
    }
    // Rounded down, so that no more is claimed than was shown.
    let one_in = (1.0 / part.max(1e-15)).floor();
    let unit = 10_f64.powi((one_in.log10().floor() as i32 - 2).max(0));
    format!("fewer than 1 in {}", count(((one_in / unit).floor() * unit) as u64))
}

/// How many times as large: `18×`, `1.3×`, `0.05×`.
///
/// ```
/// # use redis_lost_updates::report::words::times;
/// assert_eq!((times(17.7), times(1.34), times(0.0512)), ("18×".into(), "1.3×".into(), "0.05×".into()));
/// ```
pub fn times(ratio: f64) -> String {
    match ratio {
        r if r >= 1000.0 => format!("{}×", rate(r)),
        r if r >= 10.0 => format!("{r:.0}×"),
        r if r >= 1.0 => format!("{r:.1}×"),
        r if r >= 0.01 => format!("{r:.2}×"),
        r if r >= 0.001 => format!("{r:.3}×"),
        _ => "under 0.001×".to_owned(),
    }
}

/// `median 40 µs, 99 % within 95 µs`, or as much of it as there are enough updates for.
pub(crate) fn within(p50: Option<u64>, p99: Option<u64>) -> String {
    match (p50, p99) {
        (Some(p50), Some(p99)) => format!("median {}, 99 % within {}", time(p50), time(p99)),
        (Some(p50), None) => format!("median {}, too few updates for p99", time(p50)),
        (None, _) => "too few updates".to_owned(),
    }
}

/// The width of everything in a terminal.
pub(crate) const WIDTH: usize = 80;

/// Lines of at most `width` columns, cut between words alone: a name with a hyphen stays whole.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = Options::new(width).break_words(false).word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(text.trim(), options).into_iter().map(Cow::into_owned).collect()
}
