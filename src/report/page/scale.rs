//! Scales and their ticks: from a figure to a height, linear or logarithmic.

use crate::report::words;

/// A vertical scale.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::report) struct Scale {
    log: bool,
    low: f64,
    high: f64,
    /// Where lines are drawn across, and what is written there.
    pub(in crate::report) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// From zero to a little above `highest`.
    pub(in crate::report) fn linear(highest: f64, name: &dyn Fn(f64) -> String) -> Self {
        let highest = if highest.is_finite() { highest.clamp(0.0, 1e300) } else { 1.0 };
        let high = highest.max(1e-300) * MARGIN;
        let step = round_step(high / 5.0);
        let steps = (high / step).floor().max(1.0) as u32;
        let ticks = (0..=steps).map(|i| f64::from(i) * step).map(|at| (at, name(at))).collect();
        Self { log: false, low: 0.0, high: high.max(f64::from(steps) * step), ticks }
    }

    /// From a little below `lowest` to a little above `highest`, over so many decades at most.
    pub(in crate::report) fn log(lowest: f64, highest: f64, name: &dyn Fn(f64) -> String) -> Self {
        let power =
            |value: f64| if value > 0.0 && value.is_finite() { value.log10().clamp(-300.0, 300.0) } else { 0.0 };
        let to = power(highest);
        // A file may say that something took no time at all: a scale without a lowest figure has no end of ticks.
        let from = power(lowest).clamp(to - DECADES, to).min(to - LEAST_DECADES);
        let (low, high) = (10_f64.powf(from) / MARGIN, 10_f64.powf(to) * MARGIN);
        let ticks = |parts: &[f64]| -> Vec<(f64, String)> {
            let powers = from.floor() as i32..=to.ceil() as i32;
            let all = powers.flat_map(|power| parts.iter().map(move |part| part * 10_f64.powi(power)));
            all.filter(|at| (low..=high).contains(at)).map(|at| (at, name(at))).collect()
        };
        // Within two decades the powers of ten alone would leave the reader guessing.
        let few: &[f64] = if to - from <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let ticks = Some(ticks(few))
            .filter(|ticks| ticks.len() > 1)
            .unwrap_or_else(|| ticks(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]));
        Self { log: true, low, high, ticks }
    }

    /// For parts of one, in percent: to 100, or where all are much lower to a little above `highest`.
    pub(in crate::report) fn percent(highest: f64) -> Self {
        if highest > 0.6 || highest <= 0.0 {
            let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|at| (at, format!("{:.0} %", at * 100.0))).to_vec();
            return Self { log: false, low: 0.0, high: 1.0, ticks };
        }
        let name = |at: f64| format!("{} %", (at * 1e12).round() / 1e10);
        Self::linear(highest.max(1e-9), &name)
    }

    /// The figure at its upper end.
    pub(in crate::report) fn highest(&self) -> f64 {
        self.high
    }

    /// The part of the height, from the bottom, at which `value` lies; what is off the scale lies at its end.
    pub(in crate::report) fn part(&self, value: f64) -> f64 {
        let part = if self.log {
            (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        part.clamp(0.0, 1.0)
    }
}

/// The most that a logarithmic scale spans: a nanosecond beside a century.
const DECADES: f64 = 20.0;

/// The least: where all figures are the same, their differences are not to fill the chart.
const LEAST_DECADES: f64 = 0.3;

/// How far a scale goes beyond its data.
const MARGIN: f64 = 1.04;

/// 1, 2 or 5 times a power of ten, at or above `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|part| part * power).into_iter().find(|&step| step >= least * 0.999).unwrap_or(power)
}

/// A rate as a tick says it: `0`, `500`, `20k`, `1.5M`.
pub(in crate::report) fn rate_tick(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", (v / 1e5).round() / 10.0),
        v if v >= 1e3 => format!("{}k", (v / 1e2).round() / 10.0),
        v => words::rate(v),
    }
}

/// Thread and key counts stand at equal steps where each is the double of the last; 0 to 1.
pub(in crate::report) fn across(counts: &[usize], count: usize) -> f64 {
    let log = |n: usize| (n.max(1) as f64).log2();
    let (first, last) = (counts.first().copied().unwrap_or(1), counts.last().copied().unwrap_or(1));
    if first == last { 0.5 } else { (log(count) - log(first)) / (log(last) - log(first)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_scale_ends_near_its_data() {
        let scale = Scale::linear(92_000.0, &rate_tick);
        let ticks: Vec<&str> = scale.ticks.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(ticks, ["0", "20k", "40k", "60k", "80k"]);
        assert!((0.95..0.97).contains(&scale.part(92_000.0)), "{}", scale.part(92_000.0));
        assert_eq!((scale.part(2e9), scale.part(-1.0)), (1.0, 0.0));
        assert_eq!(Scale::linear(0.0, &rate_tick).part(0.0), 0.0);
    }

    #[test]
    fn a_log_scale_ends_near_its_data() {
        let scale = Scale::log(890.0, 92_000.0, &rate_tick);
        let ticks: Vec<&str> = scale.ticks.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(ticks, ["1k", "10k"]);
        assert!(scale.part(890.0) < 0.02 && scale.part(92_000.0) > 0.98);
        assert_eq!(scale.part(0.0), 0.0, "what was never seen lies at the bottom");
        let near: Vec<String> = Scale::log(60.0, 100.0, &rate_tick).ticks.into_iter().map(|(_, name)| name).collect();
        assert_eq!(near, ["50", "100"]);
    }

    #[test]
    fn small_parts_do_not_lie_on_the_bottom() {
        assert_eq!(Scale::percent(0.9).ticks.last().map(|tick| tick.1.clone()), Some("100 %".to_owned()));
        let scale = Scale::percent(0.003);
        assert!(scale.part(0.003) > 0.9);
        assert_eq!(scale.ticks[1].1, "0.1 %");
    }

    #[test]
    fn no_figure_makes_a_scale_without_end() {
        for (low, high) in [(0.0, 1e9), (f64::MIN_POSITIVE, f64::MAX), (-1.0, f64::INFINITY), (f64::NAN, 0.0)] {
            let log = Scale::log(low, high, &rate_tick);
            assert!((2..=64).contains(&log.ticks.len()), "{low} to {high}: {} ticks", log.ticks.len());
            assert!((0.0..=1.0).contains(&log.part(1.0)));
            assert!(Scale::linear(high, &rate_tick).ticks.len() < 64);
        }
    }

    #[test]
    fn doublings_are_equal_steps() {
        let counts = [1, 2, 4, 16];
        assert_eq!(counts.map(|n| across(&counts, n)), [0.0, 0.25, 0.5, 1.0]);
        assert_eq!(across(&[8], 8), 0.5);
    }
}
