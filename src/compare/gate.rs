//! Whether the second side may pass: no if something is certainly slower or wrong, yes only if the comparison would
//! have found a slowdown that matters, and otherwise "cannot tell".

use crate::compare::{Alarm, Change, Comparison, Outcome, StrategyComparison, place};
use crate::stats::Contrast;

/// A gate's verdict.
#[derive(Debug, Clone, PartialEq)]
pub enum Gate {
    /// Nothing is slower by more than the bound, and a slowdown of that size would have been found with 80 % power.
    Passes,
    /// It may not pass; the reasons, one line each.
    Fails(Vec<String>),
    /// It could be slower by more than the bound without this comparison finding it; the reason.
    CannotTell(String),
    /// Nothing was compared; the reason.
    Nothing(String),
    /// All strategies together became so much slower that no gate should pass it, whatever the cause; the reason.
    AllSlower(String),
}

/// A comparison that finds no smaller slowdown than this finds none.
const HOPELESS: f64 = 0.95;

/// At this ratio or below, a slowdown common to all strategies does not pass: machines usually differ by less.
const LANDSLIDE: f64 = 0.75;

impl Comparison {
    /// The gate's verdict for [`Comparison::bound`]. Every strategy as a whole must be shown to stay within the bound.
    /// Single cells are many and scatter more, so only those that are certainly slower count.
    pub fn gate(&self) -> Gate {
        let failures = self.failures(self.bound);
        if !failures.is_empty() {
            return Gate::Fails(failures);
        }
        if let Some(ratio) = self.landslide() {
            return Gate::AllSlower(format!(
                "all strategies together run at {ratio:.2} of what they did: whether that is the machine or the code cannot \
                 be told from one run a side; measure both in turns (--live), or take it for real with --trust-shift"
            ));
        }
        if self.compared() == 0 {
            return Gate::Nothing("nothing could be compared, so nothing was checked".to_owned());
        }
        let untold = self.untold();
        if untold.is_empty() && !self.strategies.is_empty() {
            return Gate::Passes;
        }
        Gate::CannotTell(self.why_untold(&untold))
    }

    /// Why the second side must not pass: a strategy or cell that is slower by more than `bound` (0.05 for 5 %) with
    /// its whole interval, or an exact strategy that broke its promise there. Empty if neither is certain.
    pub fn failures(&self, bound: f64) -> Vec<String> {
        let broken = self.alarms.iter().filter(|alarm| alarm.is_failure()).map(Alarm::sentence);
        let beyond = |change: &Change| change.outcome == Outcome::Slower && change.contrast.high < 1.0 - bound;
        let say = |what: String, change: &Change| {
            format!("{what} is slower by {}, more than {}", by_how_much(&change.contrast), percent(bound))
        };
        let whole = self.strategies.iter().filter(|strategy| beyond(&strategy.surviving));
        let whole = whole.map(|strategy| say(strategy.strategy.clone(), &strategy.surviving));
        let cells = self.cells.iter().filter_map(|cell| {
            let change = cell.surviving.as_ref().filter(|change| beyond(change))?;
            Some(say(place(&cell.condition), change))
        });
        broken.chain(whole).chain(cells).collect()
    }

    /// What ratio all strategies together fell to, if it is too low for a gate to pass (three quarters or less) and is
    /// not taken for real. Machines usually differ by less, and a change in something that all strategies use, such as
    /// the client library, looks the same.
    pub fn landslide(&self) -> Option<f64> {
        self.shift.filter(|shift| !shift.trusted && shift.ratio <= LANDSLIDE).map(|shift| shift.ratio)
    }

    /// Strategies that may be slower by more than the bound: their interval reaches beyond it, or a slowdown of that
    /// size would be missed more than one time in five. The least certain come first.
    pub fn untold(&self) -> Vec<&StrategyComparison> {
        let is_told = |change: &Change| match change.outcome {
            Outcome::Faster => true,
            _ => change.contrast.low > 1.0 - self.bound && change.finds.is_some_and(|finds| finds <= self.bound),
        };
        let mut untold: Vec<_> = self.strategies.iter().filter(|strategy| !is_told(&strategy.surviving)).collect();
        let finds = |strategy: &StrategyComparison| strategy.surviving.finds.unwrap_or(1.0);
        untold.sort_by(|a, b| finds(b).total_cmp(&finds(a)));
        untold
    }

    /// The smallest slowdown that would be found with 80 % power: for the strategy where it is smallest, and for the
    /// one where it is largest. `None` if it is not known for any strategy.
    pub fn power(&self) -> Option<[(f64, &str); 2]> {
        let known = |strategy: &'_ StrategyComparison| strategy.surviving.finds;
        let mut all: Vec<(f64, &str)> =
            self.strategies.iter().filter_map(|s| Some((known(s)?, s.strategy.as_str()))).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some([*all.first()?, *all.last()?])
    }

    /// The same, in words.
    pub fn power_in_words(&self) -> Option<String> {
        let [(least, finest), (most, coarsest)] = self.power()?;
        let finds = "with 80 % power this comparison would find a slowdown of at least";
        Some(if least >= HOPELESS {
            "these runs scatter so much that no slowdown would be found with 80 % power".to_owned()
        } else if finest == coarsest {
            format!("{finds} {} ({finest})", percent_up(least))
        } else if most >= HOPELESS {
            format!("{finds} {} ({finest}); for {coarsest} none is large enough", percent_up(least))
        } else {
            format!("{finds} {} ({finest}) to {} ({coarsest})", percent_up(least), percent_up(most))
        })
    }

    fn why_untold(&self, untold: &[&StrategyComparison]) -> String {
        let bound = percent(self.bound);
        let Some(power) = self.power_in_words() else {
            return format!(
                "cannot tell whether anything is slower by more than {bound}: criterion's intervals are of one process each, \
                 and two processes of one build differ by more; give several bench folders a side, as A1,A2,A3 B1,B2,B3"
            );
        };
        let most = 3;
        let named: Vec<&str> = untold.iter().take(most).map(|strategy| strategy.strategy.as_str()).collect();
        let more = if untold.len() > most { format!(" and {} more", untold.len() - most) } else { String::new() };
        let remedy = if self.design.knows_runs() {
            "more runs"
        } else {
            "more rounds, and several runs a side (A1,A2,A3 B1,B2,B3)"
        };
        format!(
            "cannot tell whether {}{more} became slower by more than {bound}: {power}; {remedy} would find smaller ones",
            named.join(", ")
        )
    }
}

/// A fall in percent with its interval: `18 % (12 to 23)`.
fn by_how_much(contrast: &Contrast) -> String {
    let fall = |ratio: f64| (1.0 - ratio) * 100.0;
    format!("{:.0} % ({:.0} to {:.0})", fall(contrast.ratio), fall(contrast.high), fall(contrast.low))
}

/// `12.5 %`.
fn percent(part: f64) -> String {
    format!("{} %", (part * 1e5).round() / 1e3)
}

/// Rounded up to a tenth of a percent, so as not to claim too much.
fn percent_up(part: f64) -> String {
    format!("{:.1} %", (part * 1e3 - 1e-9).ceil() / 10.0)
}
