//! Judges each cell and each strategy from the rows of the two sides.

use std::collections::BTreeMap;

use crate::compare::series::{self, Cell, Figure};
use crate::compare::{
    Alarm, AlarmKind, CellComparison, Change, Comparison, Design, FLOOR, Options, Outcome, Pair, Shift, Side,
    StrategyComparison, facts,
};
use crate::record::Run;
use crate::stats::{MeanLog, contrast, holm, median, smallest_found};
use crate::verdict::{Promise, Verdict};

/// The fewest strategies that can tell a change common to all from a change of one.
const ENOUGH: usize = 4;

/// What every judgement of a comparison needs.
#[derive(Clone, Copy)]
struct Rules {
    design: Design,
    /// The autocorrelation that errors are widened by.
    rho: f64,
    options: Options,
}

/// Both sides' means of one figure.
struct Sides {
    before: MeanLog,
    after: MeanLog,
    /// Whether their errors are Criterion's: of one process, without any difference between runs.
    is_one_process: bool,
}

pub(super) fn compared(
    design: Design,
    before: (&str, &[&Run]),
    after: (&str, &[&Run]),
    options: Options,
) -> Comparison {
    let pairs = series::paired(before.1, after.1);
    let options = Options { trust_shift: options.trust_shift || design.knows_runs(), ..options };
    let rules = Rules { design, rho: design.autocorrelation(&pairs), options };
    let (strategies, shift) = rules.whole_strategies(&pairs);
    let reach = shift.filter(|shift| !shift.trusted).map_or(0.0, |shift| shift.ratio.ln());
    let surviving = rules.changes(&pairs, |cell| &cell.surviving, reach, false);
    let common = if options.trust_shift { 0.0 } else { rules.common_p99(&pairs) };
    let p99 = rules.changes(&pairs, |cell| &cell.p99, common, true);
    let mut cells: Vec<CellComparison> = pairs
        .iter()
        .zip(surviving.into_iter().zip(p99))
        .map(|((before, after), (surviving, p99))| cell(design, before.as_ref(), after.as_ref(), surviving, p99))
        .collect();
    let mut alarms: Vec<Alarm> = cells.iter().filter_map(alarm).collect();
    alarms.sort_by_key(|alarm| alarm.kind);
    // A cell that both sides have but that cannot be compared is one cell with one reason, not two without a partner.
    let mut moved = Vec::new();
    for (one, other, why) in series::estranged(&pairs) {
        (cells[one].why, cells[one].after) = (Some(why), cells[other].after.clone());
        moved.push(other);
    }
    moved.sort_unstable();
    moved.iter().rev().for_each(|&at| drop(cells.remove(at)));
    Comparison {
        before: before.0.to_owned(),
        after: after.0.to_owned(),
        design,
        bound: options.bound,
        alarms,
        differences: facts::differences(before.1, after.1),
        facts: facts::asked(before.1, after.1),
        shift,
        in_sequence: facts::in_sequence(before.1, after.1),
        autocorrelation: rules.rho,
        strategies,
        cells,
    }
}

impl Rules {
    /// Every strategy as a whole, and the shift that they have in common.
    fn whole_strategies(self, pairs: &[Pair]) -> (Vec<StrategyComparison>, Option<Shift>) {
        let mut names: Vec<&str> = Vec::new();
        for (before, after) in pairs {
            if let (Some(cell), Some(_)) = (before, after)
                && !names.contains(&cell.label.as_str())
            {
                names.push(&cell.label);
            }
        }
        let whole = |name: &&str| {
            let cells = pairs.iter().filter_map(|(before, after)| Some((before.as_ref()?, after.as_ref()?)));
            let is_told = |before: &Cell, after: &Cell| self.sides(before, after, |cell| &cell.surviving).is_some();
            let cells = cells.filter(|(before, after)| before.label == *name && is_told(before, after));
            let (before, after): (Vec<&Cell>, Vec<&Cell>) = cells.unzip();
            let means = self.design.means(&series::whole(&before), &series::whole(&after), self.rho)?;
            let is_one_process = self.is_one_process(before.first()?);
            Some(((*name).to_owned(), before.len(), Sides { before: means.0, after: means.1, is_one_process }))
        };
        let wholes: Vec<(String, usize, Sides)> = names.iter().filter_map(whole).collect();
        let ratios: Vec<f64> = wholes.iter().map(|(_, _, sides)| sides.after.mean - sides.before.mean).collect();
        let shift = median(&ratios).filter(|_| ratios.len() >= ENOUGH);
        let shift = shift.map(|shift| Shift { ratio: shift.exp(), trusted: self.options.trust_shift });
        let reach = shift.filter(|shift| !shift.trusted).map_or(0.0, |shift| shift.ratio.ln());
        let changes = self.judged(&wholes.iter().map(|(_, _, sides)| sides).collect::<Vec<_>>(), reach, false);
        let rows = wholes.iter().zip(changes).map(|((strategy, cells, _), surviving)| StrategyComparison {
            strategy: strategy.clone(),
            cells: *cells,
            surviving,
        });
        (rows.collect(), shift)
    }

    /// The change of p99 common to all strategies, as a logarithm: the median of the strategies' own medians.
    fn common_p99(self, pairs: &[Pair]) -> f64 {
        let mut by_strategy: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (before, after) in pairs {
            if let (Some(before), Some(after)) = (before, after)
                && let Some(sides) = self.sides(before, after, |cell| &cell.p99)
            {
                by_strategy.entry(&before.label).or_default().push(sides.after.mean - sides.before.mean);
            }
        }
        let middles: Vec<f64> = by_strategy.values().filter_map(|differences| median(differences)).collect();
        median(&middles).filter(|_| middles.len() >= ENOUGH).unwrap_or(0.0)
    }

    /// How one figure changed in every pair, corrected for the number of pairs.
    fn changes(
        self,
        pairs: &[Pair],
        figure: impl Fn(&Cell) -> &Vec<Figure>,
        reach: f64,
        more_is_slower: bool,
    ) -> Vec<Option<Change>> {
        let sides: Vec<Option<Sides>> =
            pairs.iter().map(|(before, after)| self.sides(before.as_ref()?, after.as_ref()?, &figure)).collect();
        let told: Vec<&Sides> = sides.iter().flatten().collect();
        let mut judged = self.judged(&told, reach, more_is_slower).into_iter();
        sides.iter().map(|sides| sides.as_ref().and_then(|_| judged.next())).collect()
    }

    fn sides(self, before: &Cell, after: &Cell, figure: impl Fn(&Cell) -> &Vec<Figure>) -> Option<Sides> {
        let (first, second) = self.design.means(figure(before), figure(after), self.rho)?;
        Some(Sides { before: first, after: second, is_one_process: self.is_one_process(before) })
    }

    fn is_one_process(self, cell: &Cell) -> bool {
        cell.is_estimate && !self.design.knows_runs()
    }

    /// The verdict on each of several differences, corrected for their number.
    fn judged(self, all: &[&Sides], reach: f64, more_is_slower: bool) -> Vec<Change> {
        let contrasts: Vec<_> = all.iter().map(|sides| contrast(&sides.before, &sides.after, reach)).collect();
        let adjusted = holm(&contrasts.iter().map(|contrast| contrast.p).collect::<Vec<_>>());
        let bound = self.options.bound;
        let judged = contrasts.into_iter().zip(adjusted).zip(all).map(|((contrast, p), sides)| {
            let is_different = p < 0.05 && contrast.ratio.ln().abs() > FLOOR.ln_1p();
            let is_within = contrast.low > 1.0 - bound && contrast.high < 1.0 / (1.0 - bound);
            let outcome = match (sides.is_one_process, is_different, is_within) {
                (true, ..) | (false, false, false) => Outcome::CannotTell,
                (false, false, true) => Outcome::Same,
                (false, true, _) if (contrast.ratio > 1.0) == more_is_slower => Outcome::Slower,
                (false, true, _) => Outcome::Faster,
            };
            let finds = || {
                // A speed-up common to all strategies hides a slowdown of the same size in one of them.
                let found = smallest_found(&sides.before, &sides.after, all.len(), FLOOR);
                1.0 - (1.0 - found) * (-reach.max(0.0)).exp()
            };
            Change { contrast, outcome, finds: (!sides.is_one_process).then(finds) }
        });
        judged.collect()
    }
}

fn cell(
    design: Design,
    before: Option<&Cell>,
    after: Option<&Cell>,
    surviving: Option<Change>,
    p99: Option<Change>,
) -> CellComparison {
    let any = after.or(before).expect("a pair is of at least one cell");
    let side = if design.knows_runs() { "side" } else { "run" };
    let why = match (before, after) {
        (None, _) => Some(format!("not in the first {side}")),
        (_, None) => Some(format!("not in the second {side}")),
        (Some(before), Some(after)) if surviving.is_none() => {
            let first = before.why_not().map(|why| format!("{why} in the first {side}"));
            let second = || after.why_not().map(|why| format!("{why} in the second {side}"));
            let few = match design {
                Design::Pairs { .. } => "in fewer than two pairs",
                _ => "in one run of each side, which have no spread",
            };
            first.or_else(second).or_else(|| Some(few.to_owned()))
        }
        _ => None,
    };
    CellComparison {
        condition: any.condition.clone(),
        label: before.unwrap_or(any).label.clone(),
        promise: any.promise,
        before: before.map(Cell::side),
        after: after.map(Cell::side),
        outcome: surviving.map_or(Outcome::NotComparable, |change| change.outcome),
        surviving,
        p99,
        across: before.zip(after).and_then(|(before, after)| series::across(before, after)),
        why,
    }
}

/// The alarm that a cell's verdicts raise, if any.
fn alarm(cell: &CellComparison) -> Option<Alarm> {
    let verdict = |side: &Option<Side>| side.as_ref().and_then(|side| side.verdict);
    let (before, after) = (verdict(&cell.before), verdict(&cell.after));
    let broke = |v: Option<Verdict>| cell.promise == Promise::Exact && v.is_some_and(Verdict::breaks_exactness);
    let kind = match (broke(before), broke(after)) {
        (true, true) => AlarmKind::StillBroken,
        (false, true) => AlarmKind::Broken,
        (true, false) if after.is_some() => AlarmKind::Mended,
        // A cell that one run was not asked to measure is not a change.
        _ if cell.before.is_none() || cell.after.is_none() => return None,
        _ if before.is_some() && after.is_none() => AlarmKind::Vanished,
        _ if before.is_some() && before != after => AlarmKind::Changed,
        _ => return None,
    };
    Some(Alarm { condition: cell.condition.clone(), before, after, kind })
}
