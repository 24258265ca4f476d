//! A line chart as SVG that needs no script and fits any width: vertical positions are in pixels, horizontal ones in
//! percent.
//!
//! A chart has three columns: the vertical scale, the plot, and the labels at the ends of the lines. Only the plot
//! stretches, so text has the same size at 400 pixels as at 1280. Lines and areas are drawn in a box of 1000 by the height,
//! stretched without stretching strokes; markers are placed at percentages and keep their shape.

use super::labels::apart;
use super::scale::Scale;
use crate::report::markup::{Markup, html, num};

/// One point of a line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::report) struct Dot {
    /// Its place across, 0 to 1.
    pub(in crate::report) x: f64,
    /// Its figure.
    pub(in crate::report) value: f64,
    /// The interval around it.
    pub(in crate::report) interval: Option<(f64, f64)>,
    /// The cell it tells of: an index into the summary's cells.
    pub(in crate::report) cell: Option<usize>,
}

/// One line, or the area between two.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::report) struct Line {
    /// Classes of the group it is drawn in.
    pub(in crate::report) class: String,
    /// Its points, from left to right.
    pub(in crate::report) dots: Vec<Dot>,
    /// The upper edge of an area whose lower edge is the line.
    pub(in crate::report) up_to: Vec<f64>,
    /// Which marker its points have; none without.
    pub(in crate::report) marker: Option<usize>,
    /// What stands at its end: a name, and what may be left out where there is little room.
    pub(in crate::report) label: Option<(String, String)>,
}

/// A chart.
pub(in crate::report) struct Plot<'a> {
    /// Pixels from the lowest to the highest figure.
    pub(in crate::report) height: f64,
    /// Its vertical scale.
    pub(in crate::report) scale: &'a Scale,
    /// Ticks across: place, name, and the class that marks it when selected.
    pub(in crate::report) across: &'a [(f64, String, String)],
    /// What the figures across are.
    pub(in crate::report) across_title: &'a str,
    /// What is in it.
    pub(in crate::report) lines: Vec<Line>,
    /// A text that tells the same without looking.
    pub(in crate::report) alternative: String,
}

const LABEL_GAP: f64 = 15.0;
/// Room above the highest figure and below the lowest, for markers and half a label.
const PAD: f64 = 9.0;
/// A chart lower than this has small markers.
const SMALL: f64 = 120.0;
/// Room for the ticks across.
const FOOT: f64 = 36.0;

impl Plot<'_> {
    /// The chart.
    pub(in crate::report) fn html(&self) -> Markup {
        let labels = self.labels();
        let (wide, tall) = (if labels.is_empty() { " bare" } else { "" }, num(self.height + 2.0 * PAD + FOOT));
        html!(
            "<div class=\"chart{}\"><svg class=\"up\" height=\"{}\" aria-hidden=\"true\">{}</svg>\
             <div class=\"plot\" role=\"img\" aria-label=\"{}\"><svg width=\"100%\" height=\"{}\" aria-hidden=\"true\">{}</svg></div>{}</div>",
            wide,
            tall,
            self.up(),
            &self.alternative,
            tall,
            self.inside(),
            labels
        )
    }

    fn y(&self, value: f64) -> f64 {
        PAD + self.height * (1.0 - self.scale.part(value))
    }

    fn up(&self) -> Markup {
        let tick =
            |(at, name): &(f64, String)| html!("<text x=\"100%\" y=\"{}\">{}</text>", num(self.y(*at) + 4.0), name);
        self.scale.ticks.iter().map(tick).collect()
    }

    fn inside(&self) -> Markup {
        let mut out = Markup::default();
        for (at, _) in &self.scale.ticks {
            let y = num(self.y(*at));
            let base = if *at == 0.0 { " base" } else { "" };
            out += html!("<line class=\"grid{}\" x2=\"100%\" y1=\"{}\" y2=\"{}\"/>", base, y, y);
        }
        let bottom = PAD + self.height;
        for (x, name, class) in self.across {
            let x = percent(*x);
            out += html!(
                "<g class=\"tick {}\"><line x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
                class,
                x,
                x,
                PAD,
                num(bottom + 4.0),
                x,
                num(bottom + 17.0),
                name
            );
        }
        if !self.across_title.is_empty() {
            out += html!("<text class=\"title\" x=\"50%\" y=\"{}\">{}</text>", num(bottom + 33.0), self.across_title);
        }
        let tall = num(self.height + 2.0 * PAD);
        out += html!(
            "<svg viewBox=\"0 0 1000 {}\" preserveAspectRatio=\"none\" width=\"100%\" height=\"{}\">",
            tall,
            tall
        );
        out += self.lines.iter().map(|line| self.stretched(line)).collect::<Markup>();
        out += Markup::ours("</svg>");
        out + self.lines.iter().map(|line| self.markers(line)).collect::<Markup>()
    }

    /// The line, the area or the intervals: what may be stretched with the box it is in.
    fn stretched(&self, line: &Line) -> Markup {
        let at = |dot: &Dot, value: f64| format!("{:.0} {:.0}", place(dot.x) * 10.0, self.y(value));
        let mut paths = Markup::default();
        let points: Vec<String> = line.dots.iter().map(|dot| at(dot, dot.value)).collect();
        if points.len() > 1 {
            let edge = line.dots.iter().zip(&line.up_to).rev().map(|(dot, &upper)| format!("L{}", at(dot, upper)));
            let edge: String = edge.collect();
            let close = if edge.is_empty() { "" } else { "Z" };
            paths += html!("<path d=\"M{}{}{}\"/>", points.join("L"), edge, close);
        }
        let intervals = line.dots.iter().filter_map(|dot| {
            let (low, high) = dot.interval.filter(|(low, high)| self.y(*low) - self.y(*high) >= 1.0)?;
            Some(format!("M{:.0} {:.0}V{:.0}", place(dot.x) * 10.0, self.y(low), self.y(high)))
        });
        let intervals: String = intervals.collect();
        if !intervals.is_empty() {
            paths += html!("<path class=\"ci\" d=\"{}\"/>", intervals);
        }
        // A line that ends early is led on to its label.
        if let (Some(_), Some(last)) = (&line.label, line.dots.last().filter(|dot| dot.x < 0.99)) {
            paths += html!("<path class=\"reach\" d=\"M{}H1000\"/>", at(last, last.value));
        }
        if paths.is_empty() { paths } else { html!("<g class=\"{}\">{}</g>", line.class, paths) }
    }

    /// The markers, which keep their shape.
    fn markers(&self, line: &Line) -> Markup {
        let Some(marker) = line.marker else { return Markup::default() };
        let small = self.height < SMALL || line.class.contains("quiet");
        let symbol = if small { 'n' } else { 'm' };
        let uses = line.dots.iter().map(|dot| {
            let cell = dot.cell.map_or_else(Markup::default, |cell| html!(" data-c=\"{}\"", cell));
            html!(
                "<use x=\"{}\" y=\"{}\" href=\"#{}{}\"{}/>",
                percent(dot.x),
                format!("{:.0}", self.y(dot.value)),
                symbol,
                marker,
                cell
            )
        });
        html!("<g class=\"{}\">{}</g>", line.class, uses.collect::<Markup>())
    }

    /// The labels at the ends of the lines, each led to from its line's last point.
    fn labels(&self) -> Markup {
        let labelled = self.lines.iter().filter_map(|line| Some((line, line.label.as_ref()?, line.dots.last()?)));
        let labelled: Vec<_> = labelled.collect();
        if labelled.is_empty() {
            return Markup::default();
        }
        let wanted: Vec<f64> = labelled.iter().map(|(_, _, dot)| self.y(dot.value)).collect();
        let placed = apart(&wanted, LABEL_GAP, self.height + 2.0 * PAD);
        let mut out =
            html!("<svg class=\"ends\" height=\"{}\" aria-hidden=\"true\">", num(self.height + 2.0 * PAD + FOOT));
        for (((line, (name, more), _), from), to) in labelled.iter().zip(&wanted).zip(&placed) {
            out += html!(
                "<g class=\"{}\"><path d=\"M0 {}L10 {}\"/><text x=\"14\" y=\"{}\"><tspan>{}</tspan><tspan class=\"more\"> {}</tspan></text></g>",
                line.class,
                num(*from),
                num(*to),
                num(to + 4.0),
                name,
                more
            );
        }
        out + Markup::ours("</svg>")
    }
}

/// Points keep off the edges, or half a marker would be lost there.
fn place(x: f64) -> f64 {
    2.0 + x * 96.0
}

fn percent(x: f64) -> String {
    format!("{}%", num(place(x)))
}
