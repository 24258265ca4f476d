//! A run as one JSON document: its facts, the answer at every load, and all figures by name. `docs/run.schema.json`
//! describes it. Within a version, members may be added but never changed or removed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::record::{Clock, Machine};
use crate::report::headline::load;
use crate::stats::Spread;
use crate::summary::{CellSummary, Summary};

/// The version of the document; the schema's own.
pub const SCHEMA: &str = "redis-lost-updates/run/1";

/// What `report --json` prints.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    schema: &'static str,
    /// The facts of the run, as machine.csv has them.
    facts: BTreeMap<&'a str, &'a str>,
    answers: Vec<Answer<'a>>,
    /// The same over every other round trip that was measured.
    answers_over_longer_round_trips: Vec<Answer<'a>>,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// The answer at a load, by names: the figures are in `cells`.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    threads: usize,
    keys: usize,
    /// The round trip that a proxy emulated; none without one.
    rtt_us: Option<u64>,
    /// Whether the terminal's headline is of this load.
    headline: bool,
    winner: Option<Figure<'a>>,
    within_noise: Vec<Figure<'a>>,
    slower: Vec<Figure<'a>>,
    faster_in_batches: Vec<Figure<'a>>,
    race: Option<Figure<'a>>,
    /// By p99, where a rate was offered.
    kept_up: Vec<Figure<'a>>,
    kept_up_too_few_for_p99: Vec<Figure<'a>>,
    did_not_keep_up: Vec<Figure<'a>>,
}

/// A strategy in an answer.
#[derive(Debug, Serialize)]
struct Figure<'a> {
    label: &'a str,
    surviving_per_s: &'a Spread,
    /// The winner's rate over this one's; none over nothing.
    winner_is_times: Option<f64>,
    lost_part: f64,
    p99_ns: Option<u64>,
    latency_clock: Clock,
}

/// The facts of a run by their names.
pub(super) fn facts(machine: &Machine) -> BTreeMap<&str, &str> {
    machine.0.iter().map(|fact| (fact.fact.as_str(), fact.value.as_str())).collect()
}

impl<'a> Document<'a> {
    /// The document of a run with these facts.
    pub fn of(summary: &'a Summary, machine: &'a Machine) -> Self {
        let keys = summary.keys();
        let (loads, round_trips) = (summary.threads().into_iter(), summary.round_trips());
        let loads = loads.flat_map(|threads| keys.iter().map(move |&keys| (threads, keys)));
        let places = loads.flat_map(|load| round_trips.iter().map(move |&rtt_us| (load, rtt_us)));
        let (shortest, longer): (Vec<_>, Vec<_>) =
            places.partition(|((threads, keys), rtt_us)| *rtt_us == summary.shortest(*threads, *keys));
        let answers = |places: Vec<_>| {
            places.into_iter().filter_map(|(load, rtt_us)| answer(summary, machine, load, rtt_us)).collect()
        };
        Self {
            schema: SCHEMA,
            facts: facts(machine),
            answers: answers(shortest),
            answers_over_longer_round_trips: answers(longer),
            summary,
        }
    }
}

fn answer<'a>(
    summary: &'a Summary,
    machine: &Machine,
    (threads, keys): (usize, usize),
    rtt_us: Option<u64>,
) -> Option<Answer<'a>> {
    let answer = summary.answer_over(machine, threads, keys, rtt_us)?;
    let best = answer.best.map(|best| best.surviving_per_s.median);
    let figure = |cell: &'a CellSummary| Figure {
        label: &cell.label,
        surviving_per_s: &cell.surviving_per_s,
        winner_is_times: best.map(|best| best / cell.surviving_per_s.median).filter(|times| times.is_finite()),
        lost_part: cell.lost_part(),
        p99_ns: cell.p99_ns(),
        latency_clock: cell.latency_clock,
    };
    let figures = |cells: Vec<&'a CellSummary>| cells.into_iter().map(figure).collect();
    Some(Answer {
        threads,
        keys,
        rtt_us,
        headline: load(summary) == Some((threads, keys)) && rtt_us == summary.shortest(threads, keys),
        winner: answer.best.map(figure),
        within_noise: figures(answer.rivals),
        slower: figures(answer.slower),
        faster_in_batches: figures(answer.batchers),
        race: answer.lossy.map(figure),
        kept_up: figures(answer.prompt),
        kept_up_too_few_for_p99: figures(answer.unranked),
        did_not_keep_up: figures(answer.behind),
    })
}
