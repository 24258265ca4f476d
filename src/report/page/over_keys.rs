//! The line charts over the number of keys, where several were measured: one for each thread count.

use super::lines::{both, dot, highest, kept, predicted, rate_scales};
use super::plot::{Dot, Plot};
use super::scale::{Scale, across};
use super::view::{View, fate, keys};
use crate::law::predict_keys;
use crate::report::markup::{Markup, html};
use crate::report::words;
use crate::summary::CellSummary;

const TITLE: &str = "number of keys";

/// `chart` for each thread count; nothing where there is only one number of keys.
fn by_threads(view: &View, chart: impl Fn(usize) -> Markup) -> Markup {
    if view.keys.len() < 2 {
        return Markup::default();
    }
    view.threads.iter().map(|&t| html!("<div class=\"by-t t{}\">{}</div>", t, chart(t))).collect()
}

fn ticks(view: &View) -> Vec<(f64, String, String)> {
    view.keys.iter().map(|&k| (across(&view.keys, k), k.to_string(), format!("k{k}"))).collect()
}

/// The cells of a strategy at a thread count, by their number of keys.
fn cells<'a>(view: &'a View<'_>, strategy: &str, at_threads: usize) -> Vec<(usize, &'a CellSummary)> {
    let is_of = |c: &CellSummary| c.label == strategy && c.condition.threads == at_threads && c.trials > 0;
    view.summary.cells.iter().enumerate().filter(|(_, cell)| is_of(cell)).collect()
}

/// Surviving updates per second.
pub(super) fn rates(view: &View) -> Markup {
    let ticks = ticks(view);
    by_threads(view, |at_threads| {
        let mut alternative = format!(
            "Line chart of surviving updates per second over the number of keys at {}.",
            view.racers(at_threads)
        );
        let mut lines = Vec::new();
        for member in &view.cast {
            let cells = cells(view, &member.name, at_threads);
            let Some((_, last)) = cells.last() else { continue };
            let rate = words::rate(last.surviving_per_s.median);
            alternative += &format!(" {}: {rate} at the right end.", member.name);
            let label = (member.name.clone(), format!("{rate}/s, {}", fate(last)));
            let dots = cells.iter().map(|(i, c)| dot(across(&view.keys, c.condition.keys), &c.surviving_per_s, *i));
            lines.push(kept(member, dots.collect(), Some(label)));
        }
        let [lin, log] = rate_scales(view).map(|scale| {
            let (lines, alternative) = (lines.clone(), alternative.clone());
            Plot { height: 260.0, scale: &scale, across: &ticks, across_title: TITLE, lines, alternative }.html()
        });
        both(lin, log)
    })
}

/// The lost share, with what the law of the race predicts.
pub(super) fn losses(view: &View) -> Markup {
    let ticks = ticks(view);
    by_threads(view, |at_threads| {
        let mut lines = Vec::new();
        let mut alternative =
            format!("Line chart of the lost share over the number of keys at {}.", view.racers(at_threads));
        if let (true, Some(&last)) = (view.is_predictable() && at_threads > 1, view.keys.last()) {
            let at = |k: usize| predict_keys(at_threads, k);
            let dots =
                view.keys.iter().map(|&k| Dot { x: across(&view.keys, k), value: at(k), interval: None, cell: None });
            lines.push(predicted(dots.collect(), at(last)));
        }
        for member in &view.cast {
            let cells = cells(view, &member.name, at_threads);
            if cells.iter().all(|(_, cell)| cell.lost == 0) {
                continue;
            }
            for (_, cell) in &cells {
                alternative += &format!(" {}, {}: {}.", member.name, keys(cell.condition.keys), words::lost(cell));
            }
            let at_last = cells.last().map(|(_, cell)| words::lost(cell)).unwrap_or_default();
            let dots = cells.iter().map(|(i, c)| Dot {
                value: c.lost_part(),
                ..dot(across(&view.keys, c.condition.keys), &c.lost_spread, *i)
            });
            lines.push(kept(member, dots.collect(), Some((member.name.clone(), at_last))));
        }
        if lines.iter().all(|line| line.class == "predicted") {
            return Markup::ours("<p>No strategy lost anything here.</p>");
        }
        let scale = Scale::percent(highest(&lines));
        Plot { height: 200.0, scale: &scale, across: &ticks, across_title: TITLE, lines, alternative }.html()
    })
}
