//! A lost update for a terminal: one lane per client, one line per command, 80 columns.

use crate::record::Step;
use crate::report::words::{WIDTH, wrap};

/// The width of all lanes together at most: with many clients, commands are cut.
const LANES: usize = 44;
/// The room for words, however many lanes there are.
const LEAST: usize = 16;

/// The steps of one witness as text. Plain, at most 80 columns wide.
///
/// ```
/// # use redis_lost_updates::{record::Step, report::witness};
/// # let step = |step, client: &str, command: &str, note: &str| Step { strategy: "get-set".into(), library: "redis-rs".into(), threads: 2, step,
/// #     at_us: 30 * u64::from(step), client: client.into(), command: command.into(), value: None,
/// #     mark: "read".into(), note: note.into() };
/// let text = witness(&[step(1, "A", "GET", "A reads 41"), step(2, "B", "GET", "B reads 41 too")]);
/// assert!(text.contains("B reads 41 too"));
/// ```
pub fn witness(steps: &[Step]) -> String {
    let mut clients: Vec<&str> = Vec::new();
    for step in steps.iter().filter(|step| step.client != "all") {
        if !clients.contains(&step.client.as_str()) {
            clients.push(&step.client);
        }
    }
    let widest = steps.iter().map(|step| step.command.chars().count()).max().unwrap_or(0).max(6);
    let lane = widest.min(LANES / clients.len().max(1)) + 2;
    let mut text = line(&format!("{:>8}  ", "us"), clients.iter().map(|client| format!("{client:lane$}")), "");
    for step in steps {
        let is_wide = step.client == "all";
        let cells = clients.iter().map(|client| {
            let command = if is_wide || *client != step.client { "|" } else { &step.command };
            format!("{:lane$}", cut(command, lane - 1))
        });
        // Of more clients than lanes fit, the lines are wider than they should be.
        let notes = wrap(&step.note, (WIDTH - 10).saturating_sub(lane * clients.len()).max(LEAST));
        let first = notes.first().map_or("", String::as_str);
        text += &line(&format!("{:>8}  ", step.at_us), cells, first);
        for note in notes.iter().skip(1) {
            text += &line(&" ".repeat(10), clients.iter().map(|_| format!("{:lane$}", "|")), note);
        }
    }
    text
}

fn line(head: &str, cells: impl Iterator<Item = String>, note: &str) -> String {
    format!("{}\n", format!("{head}{}{note}", cells.collect::<String>()).trim_end())
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['~']).collect()
}
