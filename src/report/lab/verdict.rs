//! A protection in a sentence, and the question that comparing two faults answers.

use super::cells::{BASE, Cell, Matrix, Protected};
use super::names;
use crate::record::lab::LabRow;
use crate::report::words::{self, count};
use crate::stats::proportion_interval;

/// How many faults a sentence names; the matrix has them all.
const NAMED: usize = 3;

/// What this many trials without damage prove: `so under 1 in 7 of them at 95 %`.
fn bound(trials: u64) -> String {
    let (_, high) = proportion_interval(0, trials);
    // Rounded down, so that no more is claimed than was shown.
    match (1.0 / high).floor() {
        one_in if one_in >= 2.0 => format!("so under 1 in {one_in:.0} of them at 95 %"),
        _ => "too few to say more".to_owned(),
    }
}

/// `in 6 of 10 planned failovers (26 to 88 % at 95 %), at worst 6 of 4,000 updates`.
fn damage(cell: &Cell<'_>, of: impl Fn(&LabRow) -> Option<u64>) -> String {
    let hit = cell.measured().filter(|trial| of(trial) > Some(0)).count() as u64;
    let all = cell.count();
    let (low, high) = proportion_interval(hit, all);
    let sure = if hit == all || all < TELLING {
        String::new()
    } else {
        format!(" ({:.0} to {:.0} % at 95 %)", low * 100.0, high * 100.0)
    };
    let worst = cell.measured().max_by_key(|trial| of(trial));
    let (most, acked) = worst.map_or((0, 0), |trial| (of(trial).unwrap_or(0), trial.acked.unwrap_or(0)));
    let trials = names::trials(cell.fault(), all);
    let worst = if hit > 1 { "at worst " } else { "" };
    format!("in {} of {trials}{sure}, {worst}{} of {} updates", count(hit), count(most), count(acked))
}

/// From this number of trials on, the interval of the part that was hit says more than that anything is possible.
const TELLING: u64 = 5;

/// The cells in which something was counted, the worst first, each with its damage in words.
fn damaged(cells: &[&Cell<'_>], of: impl Fn(&LabRow) -> Option<u64> + Copy) -> Vec<String> {
    let most = |cell: &Cell<'_>| cell.spread(of).map_or(0, |spread| spread.high);
    let mut hurt: Vec<&Cell<'_>> = cells.iter().copied().filter(|cell| most(cell) > 0).collect();
    hurt.sort_by_key(|cell| std::cmp::Reverse(most(cell)));
    hurt.into_iter().map(|cell| damage(cell, of)).collect()
}

fn listed(mut parts: Vec<String>) -> String {
    let more = parts.len().saturating_sub(NAMED);
    parts.truncate(NAMED);
    if more > 0 {
        parts.push(format!("and under {more} more"));
    }
    parts.join("; ")
}

/// The row in words: what was lost and doubled and how certainly, the longest standstill, the price.
pub(super) fn sentence(matrix: &Matrix<'_>, row: &Protected<'_>) -> String {
    let cells: Vec<&Cell<'_>> = row.faulted().collect();
    let mut said = Vec::new();
    if row.healthy().any(|cell| cell.losing() > 0) {
        said.push("Loses updates without a fault too.".to_owned());
    }
    let losing = damaged(&cells, |trial| trial.lost);
    let doubling = damaged(&cells, |trial| trial.doubled);
    let is_hurt = !losing.is_empty() || !doubling.is_empty();
    if !losing.is_empty() {
        said.push(format!("Lost updates {}.", listed(losing)));
    }
    if !doubling.is_empty() {
        said.push(format!("Counted updates twice {}.", listed(doubling)));
    }
    said.extend(clean(&cells, is_hurt));
    said.extend(standstill(&cells));
    said.extend(price(matrix, row));
    said.join(" ")
}

/// What was not lost, and how certainly.
fn clean(cells: &[&Cell<'_>], is_hurt: bool) -> Option<String> {
    let clean: Vec<&&Cell<'_>> = cells.iter().filter(|cell| cell.is_clean()).collect();
    let begin = if is_hurt { "Lost nothing and doubled nothing" } else { "Lost nothing" };
    match clean.as_slice() {
        [] => None,
        [one] => Some(format!("{begin} in {}, {}.", names::trials(one.fault(), one.count()), bound(one.count()))),
        several => {
            let (fewest, most) =
                (several.iter().map(|cell| cell.count()).min()?, several.iter().map(|cell| cell.count()).max()?);
            let trials = if fewest == most { count(fewest) } else { format!("{fewest} to {most}") };
            let faults =
                if is_hurt { format!("{} other faults", several.len()) } else { format!("{} faults", several.len()) };
            let word = if most == 1 { "trial" } else { "trials" };
            Some(format!("{begin} under {faults}, in {trials} {word} of each, {}.", bound(fewest)))
        }
    }
}

/// The longest time without any acknowledgement.
fn standstill(cells: &[&Cell<'_>]) -> Option<String> {
    let downtime = |cell: &&&Cell<'_>| cell.spread(|trial| trial.downtime_ns).map_or(0, |spread| spread.middle);
    let worst = cells.iter().max_by_key(downtime)?;
    let longest = downtime(&worst);
    let title = names::title(names::base(worst.fault())).to_lowercase();
    (longest >= NOTABLE_NS)
        .then(|| format!("Longest time without an acknowledgement: {} ({title}).", words::time(longest)))
}

/// A shorter standstill is not worth a sentence.
const NOTABLE_NS: u64 = 50_000_000;

fn price(matrix: &Matrix<'_>, row: &Protected<'_>) -> Option<String> {
    let part = matrix.price(row).filter(|_| row.name != BASE)?;
    Some(format!("Without a fault it runs at {} the speed of {BASE}.", share(part)))
}

/// A ratio with two decimals, or one from 1 on: `0.42×`, `0.05×`, `1.1×`.
pub(super) fn share(part: f64) -> String {
    match part {
        p if p < 0.01 => "under 0.01×".to_owned(),
        p if p < 0.995 => format!("{p:.2}×"),
        p => format!("{p:.1}×"),
    }
}

/// The answer to the usual question about a hook that runs before a server is stopped: a planned failover beside a
/// kill, for the unprotected strategy on the same servers. Empty unless both were measured.
pub(super) fn prestop(matrix: &Matrix<'_>) -> Vec<String> {
    let rows = matrix.rows.iter().filter(|row| row.name == BASE);
    rows.flat_map(|row| row.faulted().map(move |planned| (row, planned)))
        .filter(|(_, planned)| names::base(planned.fault()) == "failover-planned")
        .filter_map(|(row, planned)| {
            let kills: Vec<&Cell<'_>> = row.faulted().filter(|cell| is_kill_beside(cell, planned)).collect();
            (!kills.is_empty()).then(|| side_by_side(&matrix.title(row), planned, &kills))
        })
        .collect()
}

/// Whether the primary was killed in the cell, on servers like those of the other.
fn is_kill_beside(cell: &Cell<'_>, planned: &Cell<'_>) -> bool {
    let (one, two) = (cell.first(), planned.first());
    let is_kill = ["failover-crash", "failover-lagging"].contains(&names::base(cell.fault()));
    is_kill && (one.topology, one.shards, one.replicas) == (two.topology, two.shards, two.replicas)
}

fn side_by_side(title: &str, planned: &Cell<'_>, kills: &[&Cell<'_>]) -> String {
    let first = planned.first();
    let servers = names::servers(first.topology, first.shards, first.replicas);
    let fate = |cell: &Cell<'_>| {
        let trials = names::trials(cell.fault(), cell.count());
        match cell.losing() {
            0 => format!("nothing was lost in {trials}, {}", bound(cell.count())),
            losing => {
                let lost = cell.spread(|trial| trial.lost.filter(|&lost| lost > 0)).map_or(0, |spread| spread.middle);
                format!("acknowledged updates were lost in {losing} of {trials}, {} at the median", count(lost))
            }
        }
    };
    let fates: Vec<String> = std::iter::once(planned).chain(kills.iter().copied()).map(fate).collect();
    let answer = match planned.losing() {
        0 => {
            "Yes, if the hook asks for a failover and waits until it is over. A hook that only stops the server is a kill, and \
             loses what the replica has not received."
        }
        _ => {
            "No, asking for a failover is not enough: stop the writers first, or wait for the replica after each update (WAIT)."
        }
    };
    format!("{answer} Measured with {title} ({servers}): {}.", fates.join("; "))
}
