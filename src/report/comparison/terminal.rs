//! A comparison for a terminal: 80 columns, colours only where they are wanted.

use crate::compare::{Comparison, Outcome};
use crate::report::comparison::{answer, interval, legend, load, maybe, several_keys, verdict, warnings};
use crate::report::words::{WIDTH, wrap};

/// The comparison as text. Colours are the terminal's own, so that they hold on any background, and say nothing that the
/// words do not.
pub fn terminal(comparison: &Comparison, coloured: bool) -> String {
    let paint =
        |text: &str, code: &str| if coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() };
    let mut out = String::new();
    for alarm in &comparison.alarms {
        let mark = if alarm.is_failure() { "WRONG: " } else { "changed: " };
        let code = if alarm.is_failure() { "1;31" } else { "1" };
        wrap(&format!("{mark}{}.", alarm.sentence()), WIDTH)
            .iter()
            .for_each(|line| out += &format!("{}\n", paint(line, code)));
    }
    for warning in warnings(comparison) {
        wrap(&format!("warning: {warning}."), WIDTH).iter().for_each(|line| out += &format!("{}\n", paint(line, "33")));
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let prose = |out: &mut String, lines: Vec<String>| {
        lines.iter().flat_map(|line| wrap(line, WIDTH)).for_each(|line| *out += &format!("{line}\n"));
    };
    prose(&mut out, answer(comparison));
    out += &table(comparison, &|outcome: Outcome, text: &str| match outcome {
        Outcome::Slower => paint(text, "31"),
        Outcome::Faster => paint(text, "32"),
        _ => text.to_owned(),
    });
    prose(&mut out, legend(comparison));
    out
}

/// A heading for each strategy with its whole, and a line for each of its cells.
fn table(comparison: &Comparison, paint: &dyn Fn(Outcome, &str) -> String) -> String {
    let keys = several_keys(comparison);
    let mut out = format!("\n{:<24}{:<17}{:<17}{}\n", "strategy", "surviving/s", "p99", "verdict");
    let mut last = "";
    for cell in &comparison.cells {
        let is_first = cell.label != last;
        last = &cell.label;
        if let Some(why) = nowhere(comparison, &cell.label) {
            if is_first {
                out += &reason(&format!("{last:<24}"), &format!("not comparable at any load: {why}"));
            }
            continue;
        }
        if is_first {
            out += &match comparison.strategies.iter().find(|whole| whole.strategy == last) {
                Some(whole) => {
                    let word = paint(whole.surviving.outcome, whole.surviving.outcome.words());
                    format!("{last:<24}{:<34}{word}\n", interval(&whole.surviving))
                }
                None => format!("{last}\n"),
            };
        }
        let head = format!("  {:<22}", load(cell, keys));
        if let Some(why) = &cell.why {
            out += &reason(&head, &format!("not comparable: {why}"));
            continue;
        }
        let word = verdict(cell);
        let (word, more) = word.split_once(", ").map_or((word.as_str(), None), |(word, more)| (word, Some(more)));
        let word = paint(cell.outcome, if word == Outcome::Same.words() && more.is_some() { "same" } else { word });
        let figures = format!("{:<17}{:<17}", maybe(cell.surviving.as_ref()), maybe(cell.p99.as_ref()));
        out += &format!("{head}{figures}{word}{}\n", more.map_or_else(String::new, |more| format!(", {more}")));
    }
    out.push('\n');
    out
}

/// Why no cell of a strategy can be compared, where it is the same for each of several.
fn nowhere<'a>(comparison: &'a Comparison, strategy: &str) -> Option<&'a str> {
    let mut reasons = comparison.cells.iter().filter(|cell| cell.label == strategy).map(|cell| cell.why.as_deref());
    let first = reasons.next()??;
    let others: Vec<Option<&str>> = reasons.collect();
    (!others.is_empty() && others.iter().all(|&other| other == Some(first))).then_some(first)
}

/// A reason behind its head, with the whole line to itself, and more if it needs them.
fn reason(head: &str, why: &str) -> String {
    let mut lines = wrap(why, WIDTH - 24).into_iter();
    let first = format!("{head}{}\n", lines.next().unwrap_or_default());
    lines.fold(first, |out, line| out + &format!("{:24}{line}\n", ""))
}
