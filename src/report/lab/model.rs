//! What a model predicts to be lost, beside what was.

use super::cells::{Cell, Matrix};
use super::names;
use crate::report::markup::{Markup, html, num};
use crate::report::words::count;

/// A cell whose loss can be predicted.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) svg: Markup,
    pub(super) said: String,
}

const HEIGHT: f64 = 18.0;

/// A bar for each of them, all on one scale.
pub(super) fn bars(matrix: &Matrix<'_>) -> Vec<Bar> {
    let predicted: Vec<_> = matrix
        .faulted()
        .filter_map(|(row, cell)| {
            let (lost, predicted) = (cell.spread(|trial| trial.lost)?, cell.spread(|trial| trial.predicted_lost)?);
            // For a protection that held, the model predicts what it averted: there is nothing to compare.
            (lost.high > 0).then_some((row, cell, lost, predicted))
        })
        .collect();
    let most = predicted.iter().map(|(.., lost, predicted)| lost.high.max(predicted.high)).max().unwrap_or(0).max(1);
    let place = |value: u64| format!("{}%", num(value as f64 * 98.0 / most as f64));
    predicted
        .iter()
        .map(|(row, cell, lost, predicted)| {
            let middle = num(HEIGHT / 2.0);
            let svg = html!(
                "<svg width=\"100%\" height=\"{}\" aria-hidden=\"true\"><rect class=\"lost\" width=\"{}\" y=\"3\" height=\"{}\"/>\
                 <line class=\"ci\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/><line class=\"model\" x1=\"{}\" x2=\"{}\" y2=\"{}\"/></svg>",
                num(HEIGHT),
                place(lost.middle),
                num(HEIGHT - 6.0),
                place(lost.low),
                place(lost.high),
                middle,
                middle,
                place(predicted.middle),
                place(predicted.middle),
                num(HEIGHT)
            );
            Bar { name: format!("{}, {}", matrix.title(row), names::title(cell.fault())), svg, said: said(cell) }
        })
        .collect()
}

/// `48 lost, 96 % of the 50 predicted`, both from the trial in the middle.
fn said(cell: &Cell<'_>) -> String {
    let Some(trial) = cell.typical(|trial| trial.predicted_lost.is_some()) else { return String::new() };
    let (lost, predicted) = (trial.lost.unwrap_or(0), trial.predicted_lost.unwrap_or(0));
    if predicted == 0 {
        return format!("{} lost, 0 predicted", count(lost));
    }
    let part = lost as f64 / predicted as f64 * 100.0;
    format!("{} lost in trial {}, {part:.0} % of the {} predicted", count(lost), trial.trial, count(predicted))
}
