//! `report --watch`: one line per strategy, redrawn as its trials end. It shows what the strategy lost and kept at the
//! highest load, and both over all loads as sparklines; during a trial, how long it has been running. Nothing is drawn
//! unless stderr is a terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::record::Record;
use crate::report::words;
use crate::workload::Plan;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Four times a second is enough to see that something moves, and little enough to leave the clients their CPU.
const TICK: Duration = Duration::from_millis(250);

/// What follows a name and must be there however narrow the terminal is: what is lost, and what survives.
const FIGURES: usize = 23;

/// A load: key count, thread count.
type Load = (usize, usize);

/// A strategy's line.
struct Lane {
    bar: ProgressBar,
    /// The last trial of every load: (surviving/s, the lost part).
    loads: BTreeMap<Load, (f64, f64)>,
}

pub(super) struct Live {
    lanes: BTreeMap<String, Lane>,
    loads: Vec<Load>,
    /// The load that the figures are of, on every line and all the time.
    shown: Load,
    heading: ProgressBar,
    width: usize,
    /// Whether there is no room for the load of the trial that runs.
    is_narrow: bool,
    running: Option<String>,
}

impl Live {
    pub(super) fn new(screen: &MultiProgress, plan: &Plan, strategies: &[String]) -> Self {
        let mut loads: Vec<Load> =
            plan.keys.iter().flat_map(|&keys| plan.threads.iter().map(move |&threads| (keys, threads))).collect();
        loads.sort_unstable();
        let shown = (plan.keys.iter().copied().min().unwrap_or(1), plan.threads.iter().copied().max().unwrap_or(1));
        let columns = comfy_table::Table::new().use_stderr().width().map_or(80, usize::from);
        let longest = strategies.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        // The mark of a running line takes two columns.
        let width = longest.min(columns.saturating_sub(FIGURES + 2).max(8));
        let heading = screen.add(ProgressBar::new_spinner()).with_style(style("  {wide_msg}"));
        let keys = if plan.keys.len() > 1 { format!(" k{}", shown.0) } else { String::new() };
        let title = format!("at x{}{keys}", shown.1);
        heading.set_message(format!("{}  {:>7} {:>13}  over all loads", cut(&title, width), "lost", "surviving"));
        let lane = |name: &String| {
            let bar = screen.add(ProgressBar::new_spinner()).with_style(style("  {wide_msg}"));
            bar.set_message(cut(name, width));
            (name.clone(), Lane { bar, loads: BTreeMap::new() })
        };
        Self {
            lanes: strategies.iter().map(lane).collect(),
            loads,
            shown,
            heading,
            width,
            is_narrow: columns < 60,
            running: None,
        }
    }

    /// A trial begins: its line moves from here on, and no other.
    pub(super) fn begins(&mut self, strategy: &str, keys: usize, threads: usize) {
        self.rest();
        let Some(lane) = self.lanes.get(strategy) else { return };
        let keys = if keys > 1 { format!(" k{keys}") } else { String::new() };
        let load = if self.is_narrow { String::new() } else { format!(" x{threads}{keys}") };
        lane.bar.set_style(style(&format!("{{spinner}} {{wide_msg}}{load}")));
        lane.bar.enable_steady_tick(TICK);
        self.running = Some(strategy.to_owned());
    }

    /// Ends the movement of the line that moves.
    fn rest(&mut self) {
        if let Some(lane) = self.running.take().and_then(|name| self.lanes.get(&name)) {
            lane.bar.disable_steady_tick();
            lane.bar.set_style(style("  {wide_msg}"));
        }
    }

    /// Takes a trial in and draws its strategy's line.
    pub(super) fn sees(&mut self, label: &str, record: &Record) {
        self.rest();
        let Some(lane) = self.lanes.get_mut(label) else { return };
        let name = cut(label, self.width);
        let (Some(rate), Some(acked), Some(lost)) = (record.surviving_per_s(), record.acked, record.lost) else {
            let why = record.error.as_ref().or(record.note.as_ref()).map_or("no verdict", String::as_str);
            lane.bar.set_message(format!("{name}  {why}"));
            return;
        };
        let part = if acked == 0 { 0.0 } else { lost as f64 / acked as f64 };
        lane.loads.insert((record.condition.keys, record.condition.threads), (rate, part));
        lane.bar.set_message(line(&name, &lane.loads, &self.loads, self.shown));
    }

    pub(super) fn finish(&mut self) {
        self.rest();
        self.heading.finish_and_clear();
        self.lanes.values().for_each(|lane| lane.bar.finish_and_clear());
    }
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
    style.tick_strings(&["◐", "◓", "◑", "◒", " "])
}

/// A strategy's line: its figures at the load that is shown, and then all loads.
fn line(name: &str, seen: &BTreeMap<Load, (f64, f64)>, loads: &[Load], shown: Load) -> String {
    let most = seen.values().map(|(rate, _)| *rate).fold(0.0, f64::max);
    let draw = |height: &dyn Fn(&(f64, f64)) -> f64| {
        loads.iter().map(|load| seen.get(load).map_or(' ', |seen| spark(height(seen)))).collect::<String>()
    };
    let rates = draw(&|(rate, _)| if most > 0.0 { rate / most } else { 0.0 });
    let (lost, rate) = match seen.get(&shown) {
        Some((rate, part)) => (words::percent(*part), format!("{}/s", words::rate(*rate))),
        None => ("-".to_owned(), "-".to_owned()),
    };
    format!("{name}  {lost:>7} {rate:>13}  kept {rates}  lost {}", draw(&|(_, part)| *part))
}

/// A name in so many columns, whatever its length.
fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return format!("{name:<width$}");
    }
    name.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// A column for a part of one; nothing at all is a line at the bottom.
fn spark(part: f64) -> char {
    const COLUMNS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if part <= 0.0 { '_' } else { COLUMNS[((part * 8.0) as usize).min(7)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_tells_nothing_from_little() {
        assert_eq!([0.0, 0.01, 0.5, 1.0].map(spark), ['_', '▁', '▅', '█']);
    }

    #[test]
    fn a_line_stays_at_its_load_and_what_is_lost_is_seen_in_40_columns() {
        let loads = [(1, 1), (1, 16)];
        let mut seen = BTreeMap::from([((1, 16), (5_730.0, 0.882))]);
        let name = cut("a-name-longer-than-there-is-room", 40 - 2 - FIGURES);
        let before = line(&name, &seen, &loads, (1, 16));
        let visible: String = before.chars().take(38).collect();
        assert!(visible.contains("88.2 %") && visible.ends_with("5,730/s"), "{visible}");
        seen.insert((1, 1), (8_400.0, 0.0));
        let after = line(&name, &seen, &loads, (1, 16));
        assert!(after.starts_with(&visible) && after != before, "{after}");
        assert!(line(&name, &BTreeMap::new(), &loads, (1, 16)).contains(" - "));
    }
}
