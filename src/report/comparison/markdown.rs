//! A comparison for a pull request: what matters in sight, every cell one click away.

use crate::compare::{Comparison, Outcome, Side};
use crate::report::comparison::{answer, interval, legend, load, maybe, several_keys, verdict, warnings};
use crate::report::words;
use crate::verdict::Promise;

/// The comparison as GitHub's markdown.
pub fn markdown(comparison: &Comparison) -> String {
    let mut out = format!("### {} → {}\n\n", escaped(&comparison.before), escaped(&comparison.after));
    for alarm in &comparison.alarms {
        let mark = if alarm.is_failure() { "**WRONG:** " } else { "Changed: " };
        out += &format!("- {mark}{}\n", escaped(&alarm.sentence()));
    }
    for warning in warnings(comparison) {
        out += &format!("- Warning: {}\n", escaped(&warning));
    }
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
    answer(comparison).iter().for_each(|line| out += &format!("{}\n", escaped(line)));
    out += &strategies(comparison);
    out += &cells(comparison);
    legend(comparison).iter().for_each(|line| out += &format!("\n<sub>{}</sub>\n", escaped(line)));
    out
}

fn strategies(comparison: &Comparison) -> String {
    if comparison.strategies.is_empty() {
        return String::new();
    }
    let mut out = "\n| strategy | surviving/s, whole | verdict |\n|---|--:|---|\n".to_owned();
    for whole in &comparison.strategies {
        let word = strong(whole.surviving.outcome, whole.surviving.outcome.words());
        out += &format!("| `{}` | {} | {word} |\n", escaped(&whole.strategy), interval(&whole.surviving));
    }
    out
}

fn cells(comparison: &Comparison) -> String {
    let keys = several_keys(comparison);
    let mut out = format!(
        "\n<details><summary>All {}</summary>\n\n| strategy | load | before/s | after/s | surviving/s | p99 | verdict |\n\
         |---|---|--:|--:|--:|--:|---|\n",
        words::counted(comparison.cells.len(), "cell")
    );
    for cell in &comparison.cells {
        let word = match &cell.why {
            Some(why) => format!("not comparable: {why}"),
            None => verdict(cell),
        };
        out += &format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |\n",
            escaped(&cell.label),
            load(cell, keys),
            rate(cell.before.as_ref(), cell.promise),
            rate(cell.after.as_ref(), cell.promise),
            maybe(cell.surviving.as_ref()),
            maybe(cell.p99.as_ref()),
            strong(cell.outcome, &escaped(&word)),
        );
    }
    out + "\n</details>\n"
}

fn strong(outcome: Outcome, word: &str) -> String {
    if matches!(outcome, Outcome::Faster | Outcome::Slower) { format!("**{word}**") } else { word.to_owned() }
}

/// A throughput never without its verdict.
fn rate(side: Option<&Side>, promise: Promise) -> String {
    let rate = side.and_then(|side| Some((side.surviving_per_s?, side.verdict?)));
    rate.map_or_else(|| "-".to_owned(), |(rate, verdict)| format!("{} {}", words::rate(rate), verdict.shown(promise)))
}

/// Text that stays text in a table.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;").replace(['\n', '\r'], " ")
}
