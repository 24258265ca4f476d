//! What a reader must know before believing a chart: said once, numbered, with its number beside every chart it touches.

use std::collections::BTreeSet;

use super::view::{View, name};
use crate::record::WarningKind;
use crate::report::markup::{Markup, html, list};
use crate::report::words;
use crate::summary::{CellSummary, Limit};
use crate::workload::DriverKind;

/// A kind of figure that a caveat touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Touches {
    Rates,
    Losses,
    Latency,
}

use Touches::{Latency, Losses, Rates};

/// One thing to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Caveat {
    /// As HTML.
    pub(super) text: Markup,
    touches: Vec<Touches>,
}

impl Caveat {
    /// A caveat, if there is something to say.
    fn of(touches: &[Touches], text: Option<Markup>) -> Option<Self> {
        text.map(|text| Self { text, touches: touches.to_vec() })
    }
}

/// Everything there is to say about a run.
pub(super) fn caveats(view: &View) -> Vec<Caveat> {
    let all = [of_the_run(view), of_the_load(view), of_the_spread(view), of_the_counts(view)];
    warnings(view).into_iter().chain(all.into_iter().flatten().flatten()).collect()
}

/// What the run itself warned of.
fn warnings(view: &View) -> Vec<Caveat> {
    use WarningKind::{BusyMachine, DiskSync, Eviction, ProxyLimit, Replica, RoundTrip, Unoptimised};
    let warnings = view.run.machine.warnings().map(|(kind, warning)| {
        let touches: &[Touches] = match kind {
            Some(Eviction | Replica) => &[Losses],
            Some(BusyMachine | Unoptimised | DiskSync | RoundTrip | ProxyLimit) => &[Rates, Latency],
            None => &[Rates, Losses, Latency],
        };
        Caveat { text: warning.into(), touches: touches.to_vec() }
    });
    warnings.collect()
}

/// What touches all of its cells.
fn of_the_run(view: &View) -> Vec<Option<Caveat>> {
    let capped = cells(view, |c| c.capped, |c| (0.0, format!("{} acknowledged or more", words::count(c.acked))))
        .map(|which| html!("<b>Overflow:</b> sums beyond 64 bits were capped in {}.", which));
    vec![
        Caveat::of(&[Rates, Losses, Latency], ended_early(view)),
        Caveat::of(&[Rates], imprecise(view)),
        Caveat::of(&[Rates, Losses], capped),
        Caveat::of(&[Rates, Losses, Latency], several_transports(view)),
        Caveat::of(&[Rates, Losses, Latency], several_round_trips(view)),
        Caveat::of(&[Rates, Latency], shared_cpus(view)),
        Caveat::of(&[Rates, Latency], several_drivers(view)),
    ]
}

/// Cells whose load was not the one asked for.
fn of_the_load(view: &View) -> Vec<Option<Caveat>> {
    let behind = cells(view, CellSummary::fell_behind, |c| {
        let offered = c.condition.offered_per_s.unwrap_or_default() as f64;
        (offered / c.acked_per_s.median.max(1.0), words::behind(c))
    })
    .map(|which| html!("<b>Could not keep up:</b> {}. The backlog grew throughout, so these latencies depend on the length of the trial; the achieved rate is the capacity.", which));
    let alone = cells(view, CellSummary::is_hardly_a_race, |c| (-c.overlap, format!("{:.0} %", c.overlap * 100.0)))
        .map(|which| html!("<b>Low overlap:</b> all clients ran at the same time for less than half of the trial in {}. The losses there say little about that many concurrent clients.", which));
    let limited = |limit: Limit, text: &'static str| {
        let said = |c: &CellSummary| {
            (c.client_cpus + c.server_cpus, format!("clients {}, server {}", cpus(c.client_cpus), cpus(c.server_cpus)))
        };
        cells(view, |c| c.limit == Some(limit), said)
            .map(|which| html!("{} {}. With more CPUs these could be faster.", Markup::ours(text), which))
    };
    let clients = "<b>The clients were the limit,</b> not the server: their CPUs were busy in";
    let shared = "<b>The CPUs were the limit:</b> clients and server shared them, and together they were busy in";
    vec![
        Caveat::of(&[Rates, Latency], behind),
        Caveat::of(&[Rates, Losses], alone),
        Caveat::of(&[Rates, Latency], limited(Limit::Clients, clients)),
        Caveat::of(&[Rates, Latency], limited(Limit::SharedCpus, shared)),
    ]
}

/// Cells whose trials differ so much that a median says little.
fn of_the_spread(view: &View) -> Vec<Option<Caveat>> {
    let modes = cells(
        view,
        |c| c.modes.is_some(),
        |c| {
            let (low, high) = c.modes.unwrap_or_default();
            (high / low, format!("near {} and near {}/s", words::rate(low), words::rate(high)))
        },
    )
    .map(|which| {
        html!(
            "<b>Two modes:</b> the trials fall into two groups in {}. Which group the median falls into is chance.",
            which
        )
    });
    let wide = |c: &CellSummary| (c.acked_per_s.relative(), format!("±{:.0} %", c.acked_per_s.relative() * 100.0));
    let scattered = cells(view, CellSummary::is_scattered, wide).map(|which| {
        html!("<b>Wide intervals:</b> the trials of {} vary too much for small differences to mean anything.", which)
    });
    vec![Caveat::of(&[Rates, Latency], modes), Caveat::of(&[Rates], scattered)]
}

/// Cells with updates that were refused, are unknown, or are counted otherwise by the server.
fn of_the_counts(view: &View) -> Vec<Option<Caveat>> {
    let disagreeing = cells(
        view,
        |c| c.disagreements > 0,
        |c| (c.disagreements as f64, format!("{} of {}", c.disagreements, words::counted(c.trials, "trial"))),
    )
    .map(|which| {
        html!("<b>Counts disagree:</b> the server counted a different number of updates than the clients in {}.", which)
    });
    let refused = cells(view, CellSummary::is_refusing, |c| (c.refused_part(), words::refused(c)))
        .map(|which| html!("<b>Refused:</b> some updates failed with nothing changed, and the client knew: {}. Rates exclude them; latencies include them.", which));
    let updates = |c: &CellSummary| (c.unknown as f64, words::counted(c.unknown as usize, "update"));
    let unknown = cells(view, |c| c.unknown > 0, updates).map(|which| {
        html!("<b>Unknown outcomes:</b> some updates ended in an error and may or may not have happened: {}.", which)
    });
    vec![Caveat::of(&[Losses], disagreeing), Caveat::of(&[Rates, Latency], refused), Caveat::of(&[Losses], unknown)]
}

/// The numbers of what touches one kind of figure, from 1 in the order of the list.
pub(super) fn touching(all: &[Caveat], what: Touches) -> Vec<usize> {
    (1..).zip(all).filter(|(_, caveat)| caveat.touches.contains(&what)).map(|(number, _)| number).collect()
}

/// How many strategies a caveat names before it only counts.
const NAMED: usize = 3;

/// `mutex-batch at 8 and 16 threads (worst: 6 %)` for the judged cells that `is` holds for, the worst strategies first;
/// `figure` says how bad a cell is, and how that reads.
fn cells(
    view: &View,
    is: impl Fn(&CellSummary) -> bool,
    figure: impl Fn(&CellSummary) -> (f64, String),
) -> Option<Markup> {
    let mut found: Vec<(f64, usize, Markup)> = Vec::new();
    for member in &view.cast {
        let cells = view.summary.cells.iter().filter(|c| c.label == member.name && c.trials > 0 && is(c));
        let cells: Vec<&CellSummary> = cells.collect();
        let worst = cells.iter().map(|cell| figure(cell)).max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((how_bad, said)) = worst else { continue };
        let loads: Vec<String> = cells
            .iter()
            .map(|c| {
                if view.keys.len() > 1 {
                    format!("{}×{}", c.condition.threads, c.condition.keys)
                } else {
                    c.condition.threads.to_string()
                }
            })
            .collect();
        let unit = match (view.keys.len() > 1, loads.as_slice()) {
            (true, _) => format!("{}s×keys", view.racer()),
            (false, [one]) if one == "1" => view.racer().to_owned(),
            (false, _) => format!("{}s", view.racer()),
        };
        let worst = if loads.len() > 1 { "worst: " } else { "" };
        let at: Vec<Markup> = loads.iter().map(|load| Markup::from(load.as_str())).collect();
        let text = html!("{} at {} {} ({}{})", name(&member.name), list(&at), unit, worst, said);
        found.push((how_bad, loads.len(), text));
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let more: usize = found.iter().skip(NAMED).map(|(_, loads, _)| loads).sum();
    let mut texts: Vec<Markup> = found.into_iter().take(NAMED).map(|(_, _, text)| text).collect();
    match more {
        0 => {}
        1 => texts.push(Markup::ours("one more load")),
        more => texts.push(html!("{} more loads", more)),
    }
    (!texts.is_empty()).then(|| list(&texts))
}

/// `0.95 CPUs`.
fn cpus(worth: f64) -> String {
    format!("{worth:.2} CPUs")
}

fn ended_early(view: &View) -> Option<Markup> {
    let machine = &view.run.machine;
    // With --until the number of rounds was the most there could be; in a bench criterion decides which ids are
    // measured, and how often.
    if machine.get("until_outcome").is_some() || machine.get("measured_by") == Some("criterion") {
        return None;
    }
    let rounds: usize = machine.get("rounds")?.parse().ok()?;
    let count = |fact: &str| machine.get(fact).map_or(0, |list| list.split(',').count());
    let strategies = machine.0.iter().filter(|fact| fact.fact.starts_with("strategy.")).count();
    // Older folders do not say how many were planned.
    let least = || [count("threads"), count("keys"), strategies].into_iter().fold(rounds, usize::saturating_mul);
    let wanted = machine.get("planned_trials").and_then(|planned| planned.parse().ok()).unwrap_or_else(least);
    let got = view.run.records.iter().filter(|r| r.round > 0).count();
    (got < wanted).then(|| {
        html!(
            "<b>The run ended early:</b> {} of {} made, so some figures rest on fewer trials and some are missing.",
            got,
            if wanted == 1 { "1 trial was".to_owned() } else { format!("{wanted} trials were") }
        )
    })
}

fn imprecise(view: &View) -> Option<Markup> {
    let outcome = view.run.machine.get("until_outcome").filter(|outcome| outcome.starts_with("not reached"))?;
    let until = view.run.machine.get("until").unwrap_or_default();
    Some(html!("<b>Not as precise as asked for</b> ({}): {}.", until, outcome))
}

fn several_transports(view: &View) -> Option<Markup> {
    let all: Vec<Markup> = view.transports().iter().map(|transport| Markup::from(transport.as_str())).collect();
    (all.len() > 1).then(|| html!("<b>Mixed transports:</b> rows reached the server over {}. Ratios between them compare the transport as much as the strategy.", list(&all)))
}

fn several_round_trips(view: &View) -> Option<Markup> {
    let first = view.summary.cells.first()?.condition.rtt_us;
    let is_mixed = view.summary.cells.iter().any(|cell| cell.condition.rtt_us != first);
    is_mixed.then(|| html!("<b>Mixed round trips:</b> rows were measured over different emulated round trips. Ratios between them compare the round trip as much as the strategy."))
}

fn several_drivers(view: &View) -> Option<Markup> {
    if !view.has_mixed_drivers() {
        return None;
    }
    let drivers: BTreeSet<DriverKind> = view.cast.iter().map(|member| member.driver).collect();
    let mut drivers: Vec<DriverKind> = drivers.into_iter().collect();
    // The largest group need not be named strategy by strategy.
    let size = |driver: DriverKind| view.cast.iter().filter(|m| m.driver == driver).count();
    drivers.sort_by_key(|&driver| size(driver));
    let largest = drivers.last().copied().unwrap_or_default();
    let groups = drivers.iter().map(|driver| {
        let names: Vec<Markup> = view.cast.iter().filter(|m| m.driver == *driver).map(|m| name(&m.name)).collect();
        let names = if *driver == largest && names.len() > NAMED { Markup::ours("all others") } else { list(&names) };
        html!("{} by {}", names, driver)
    });
    let groups: Markup =
        groups.enumerate().map(|(i, group)| if i == 0 { group } else { html!("; {}", group) }).collect();
    Some(html!(
        "<b>Mixed drivers:</b> {}. Part of any difference between these groups comes from the driver, not the strategy.",
        groups
    ))
}

fn shared_cpus(view: &View) -> Option<Markup> {
    (view.run.machine.get("placement") == Some("none")).then(|| {
        let most = view.threads.last().map_or_else(String::new, |&t| view.racers(t));
        let is_ours = ["server_is_private", "server_is_composed"].iter().any(|fact| view.run.machine.get(fact) != Some("no"));
        match is_ours {
            true => html!("<b>CPUs were not assigned:</b> the server and up to {} shared all CPUs. Speed can change severalfold with where the system places them.", most),
            false => html!("<b>CPUs were not assigned:</b> up to {} shared all CPUs here, and on which CPUs the server ran is not known. Speed can change severalfold with where the system places them.", most),
        }
    })
}
