//! `report --watch`: a line for every strategy, drawn anew as its trials end: throughput over the loads as a sparkline,
//! loss as another, and the last figures. Nothing is drawn unless stderr is a terminal.

use std::collections::BTreeMap;

use crate::record::Record;
use crate::report::words;
use crate::workload::Plan;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A strategy's line.
struct Lane {
    bar: ProgressBar,
    /// The last trial of every load: (surviving/s, the lost part).
    loads: BTreeMap<(usize, usize), (f64, f64)>,
}

pub(super) struct Live {
    lanes: BTreeMap<String, Lane>,
    loads: Vec<(usize, usize)>,
    width: usize,
}

impl Live {
    pub(super) fn new(screen: &MultiProgress, plan: &Plan, strategies: &[&str]) -> Self {
        let mut loads: Vec<(usize, usize)> =
            plan.keys.iter().flat_map(|&keys| plan.threads.iter().map(move |&threads| (keys, threads))).collect();
        loads.sort_unstable();
        let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let lane = |name: &&str| {
            let bar = screen.add(ProgressBar::new_spinner()).with_style(style.clone());
            bar.set_message((*name).to_owned());
            ((*name).to_owned(), Lane { bar, loads: BTreeMap::new() })
        };
        let width = strategies.iter().map(|name| name.len()).max().unwrap_or(0);
        Self { lanes: strategies.iter().map(lane).collect(), loads, width }
    }

    /// Takes a trial in and draws its strategy's line.
    pub(super) fn sees(&mut self, record: &Record) {
        let Some(lane) = self.lanes.get_mut(&record.condition.strategy) else { return };
        let (Some(rate), Some(acked), Some(lost)) = (record.surviving_per_s(), record.acked, record.lost) else {
            let why = record.error.as_ref().or(record.note.as_ref()).map_or("no verdict", String::as_str);
            lane.bar.set_message(format!("{:<1$}  {why}", record.condition.strategy, self.width));
            return;
        };
        let part = if acked == 0 { 0.0 } else { lost as f64 / acked as f64 };
        lane.loads.insert((record.condition.keys, record.condition.threads), (rate, part));
        let most = lane.loads.values().map(|(rate, _)| *rate).fold(0.0, f64::max);
        let draw = |height: &dyn Fn(&(f64, f64)) -> f64| {
            self.loads
                .iter()
                .map(|load| lane.loads.get(load).map_or(' ', |seen| spark(height(seen))))
                .collect::<String>()
        };
        let rates = draw(&|(rate, _)| if most > 0.0 { rate / most } else { 0.0 });
        lane.bar.set_message(format!(
            "{:<width$}  {rates}  {:>9}/s x{:<4} lost {}  {:>7}",
            record.condition.strategy,
            words::rate(rate),
            record.condition.threads,
            draw(&|(_, part)| *part),
            words::percent(part),
            width = self.width,
        ));
    }

    pub(super) fn finish(&self) {
        self.lanes.values().for_each(|lane| lane.bar.finish_and_clear());
    }
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
}
