//! The page of the failure lab: one self-contained HTML file without a script.

use std::collections::HashMap;

use askama::Template;

use super::cells::{BASE, Cell, Matrix, NO_FAULT, Protected};
use super::glance::{Glance, glance};
use super::model::{self, Bar};
use super::table::{FEW, fate, figure};
use super::timeline::{Timeline, timelines};
use super::{names, verdict};
use crate::record::Machine;
use crate::record::lab::{Evidence, EvidenceKind, LabRow, LabRun};
use crate::report::markup::{Markup, html};
use crate::report::page::CHART_CSS;
use crate::report::policy;
use crate::report::words::{self, count};
use crate::verdict::Verdict;

#[derive(Template)]
#[template(path = "lab.html")]
struct Page<'a> {
    policy: Markup,
    css: Markup,
    server: &'a str,
    answer: String,
    answers: Vec<(String, String)>,
    prestop: Vec<String>,
    glance: Option<Glance>,
    heads: Vec<Head>,
    rows: Vec<Row>,
    surprises: Vec<String>,
    has_expected: bool,
    timelines: Vec<Timeline>,
    bars: Vec<Bar>,
    witnesses: Vec<Told>,
    columns: [(&'static str, &'static str); 13],
    figures: Vec<Figures>,
    missing: Vec<String>,
    faults: Vec<(String, String)>,
    protections: Vec<(String, String)>,
    command: &'a str,
    environment: Vec<(&'a str, &'a str)>,
}

/// A column heading.
struct Head {
    title: String,
    servers: String,
}

/// A row of the matrix.
struct Row {
    name: String,
    family: String,
    price: String,
    cells: Vec<Vec<Shown>>,
    sentence: String,
}

/// A cell of the matrix.
struct Shown {
    class: &'static str,
    fate: String,
    more: Vec<String>,
}

/// A witness.
struct Told {
    title: String,
    steps: Vec<(&'static str, String, String)>,
    more: usize,
}

/// A row of the table of all figures.
struct Figures {
    name: String,
    fault: String,
    class: &'static str,
    fields: [String; 13],
    verdict: Markup,
}

/// The columns of the table of all figures, after protection and fault.
const FIGURES: [(&str, &str); 13] = [
    ("servers", "how they are arranged"),
    ("clients", "at once"),
    ("trials", "with a verdict"),
    ("acknowledged", "updates: both of two trials, the median and range of more, as all that follow"),
    ("lost", "acknowledged and not in the counter at the end"),
    (
        "before, during, after",
        "when the lost ones were acknowledged: before, during, after the fault; all trials together",
    ),
    ("doubled", "increments beyond what the updates explain"),
    ("unknown", "updates that ended in an error after which they may have happened"),
    ("refused", "updates that certainly did not happen"),
    ("longest gap", "the longest time in which no client got an acknowledgement"),
    ("recovered", "from the beginning of the fault to the end of the gap that it made"),
    ("stable", "from the clients' end until the counter could be read"),
    ("surviving/s", "acknowledged updates that are in the counter, per second; median"),
];

/// How many steps of a witness are shown.
const STEPS: usize = 12;
/// How many witnesses are shown.
const WITNESSES: usize = 24;

/// The page: a pure function of the run.
pub fn page(run: &LabRun) -> String {
    let matrix = Matrix::of(&run.rows);
    let css = Markup::ours(CHART_CSS)
        + Markup::ours(include_str!("../page/page.css"))
        + Markup::ours(include_str!("lab.css"));
    let surprises = matrix.faulted().filter_map(|(row, cell)| {
        let why = &cell.first().expected_why;
        let why = if why.is_empty() { String::new() } else { format!(" (expected because: {why})") };
        Some(format!("{}, {}: {}{why}", matrix.title(row), names::title(cell.fault()), cell.surprise()?))
    });
    let page = Page {
        policy: policy::of(&css, None),
        css,
        server: run.machine.get("server").unwrap_or_default(),
        answer: answer(&matrix),
        answers: answers(&matrix),
        prestop: verdict::prestop(&matrix),
        glance: glance(&matrix),
        heads: heads(&matrix),
        rows: matrix.tested().map(|row| shown(&matrix, row)).collect(),
        surprises: surprises.collect(),
        has_expected: run.rows.iter().any(|row| row.expected_lost.is_some() || row.expected_doubled.is_some()),
        timelines: timelines(run, &matrix),
        bars: model::bars(&matrix),
        witnesses: witnesses(run, &matrix),
        columns: FIGURES,
        figures: figures(&matrix),
        missing: missing(&matrix),
        faults: glossary(&run.machine, FAULT),
        protections: glossary(&run.machine, PROTECTION),
        command: run.machine.get("command").unwrap_or_default(),
        environment: environment(&run.machine),
    };
    // Rendering into memory fails only where a field's own Display does, and ours do not.
    page.render().unwrap_or_default()
}

/// What the page says first: under how many faults the unprotected updates were hurt.
fn answer(matrix: &Matrix<'_>) -> String {
    let base = matrix.rows.iter().find(|row| row.name == BASE && row.faulted().next().is_some());
    let hurt = |row: &Protected<'_>| row.faulted().filter(|cell| !cell.is_clean()).count();
    match base {
        _ if matrix.rows.iter().all(|row| row.faulted().next().is_none()) => {
            "Nothing was measured under a fault.".to_owned()
        }
        _ if matrix.rows.iter().all(|row| hurt(row) == 0) => {
            "No protection lost or doubled an update under the faults that it met.".to_owned()
        }
        Some(base) => format!(
            "Under {} of {}, unprotected {} lost or doubled acknowledged updates.",
            hurt(base),
            words::counted(base.faulted().count(), "fault"),
            base.name.to_uppercase()
        ),
        None => "Some protections lost or doubled acknowledged updates.".to_owned(),
    }
}

/// For each fault that hurt a protection: which, and which others held.
fn answers(matrix: &Matrix<'_>) -> Vec<(String, String)> {
    let lines = matrix.columns.iter().filter_map(|&column| {
        let cells: Vec<(&Protected<'_>, &Cell<'_>)> = matrix
            .sound()
            .flat_map(|row| row.at(column).map(move |cell| (row, cell)))
            .filter(|(_, cell)| cell.count() > 0)
            .collect();
        let hurt = cells.iter().filter(|(_, cell)| !cell.is_clean());
        let (row, cell) = hurt.max_by_key(|(row, cell)| (row.name == BASE, cell.worst()))?;
        let held: Vec<String> =
            cells.iter().filter(|(_, cell)| cell.is_clean()).map(|(row, cell)| priced(matrix, row, cell)).collect();
        let held = match (held.is_empty(), cells.len()) {
            (false, _) => format!("None lost or doubled with {}.", held.join(", ")),
            (true, 1) => "No other protection was tested.".to_owned(),
            (true, all) => format!("None of the {all} protections tested held."),
        };
        let title = names::title(column.0);
        Some((title, format!("{} {}. {held}", matrix.title(row), fate(cell))))
    });
    lines.take(ANSWERS).collect()
}

/// How many faults the page begins with; the matrix has all.
const ANSWERS: usize = 8;

/// `incr-wait (0.37×)`: a protection that held, and its speed without a fault; how few updates show it, where they are few.
fn priced(matrix: &Matrix<'_>, row: &Protected<'_>, cell: &Cell<'_>) -> String {
    let acked = cell.spread(|trial| trial.acked).map_or(0, |spread| spread.high);
    let few = (acked < FEW).then(|| format!("only {} acknowledged", words::counted(acked as usize, "update")));
    let price = matrix.price(row).filter(|_| row.name != BASE).map(verdict::share);
    let said: Vec<String> = price.into_iter().chain(few).collect();
    if said.is_empty() { matrix.title(row) } else { format!("{} ({})", matrix.title(row), said.join(", ")) }
}

fn heads(matrix: &Matrix<'_>) -> Vec<Head> {
    let healthy = Head { title: "No fault".to_owned(), servers: String::new() };
    let columns = matrix.columns.iter().map(|&(fault, topology, shards, replicas)| Head {
        title: names::title(fault),
        servers: names::servers(topology, shards, replicas),
    });
    std::iter::once(healthy).chain(columns).collect()
}

fn shown(matrix: &Matrix<'_>, row: &Protected<'_>) -> Row {
    Row {
        name: matrix.title(row),
        family: if row.family == "none" { "no protection".to_owned() } else { row.family.to_owned() },
        price: matrix.price(row).map_or_else(|| "–".to_owned(), verdict::share),
        cells: std::iter::once(row.healthy().map(cell).collect())
            .chain(matrix.columns.iter().map(|&column| row.at(column).map(cell).collect()))
            .collect(),
        sentence: verdict::sentence(matrix, row),
    }
}

fn cell(cell: &Cell<'_>) -> Shown {
    let mut more = Vec::new();
    let trials = cell.count();
    if trials > 0 {
        let hit = cell.losing().max(cell.doubling());
        more.push(if hit > 0 {
            format!("in {hit} of {}", words::counted(trials as usize, "trial"))
        } else {
            format!("in {}", words::counted(trials as usize, "trial"))
        });
    }
    if let Some(unknown) = cell.spread(|trial| trial.unknown).filter(|unknown| unknown.high > 0) {
        more.push(format!("{} unknown", count(unknown.middle)));
    }
    more.extend(cell.measured().filter_map(LabRow::disorder).max().map(|verdict| verdict.to_string()));
    if let Some(acked) = cell.spread(|trial| trial.acked).filter(|acked| acked.high < FEW) {
        more.push(format!("of {}", acked.text(count)));
    }
    if let Some(rate) = cell.surviving_per_s().filter(|_| cell.fault() == NO_FAULT) {
        more.push(format!("{} survive per second", words::rate(rate)));
    }
    if let Some(gap) = cell.spread(|trial| trial.downtime_ns).filter(|_| cell.fault() != NO_FAULT) {
        more.push(format!("{} gap", words::time(gap.middle)));
    }
    if cell.surprise().is_some() {
        more.push("not as expected".to_owned());
    }
    let class = match (trials, cell.is_clean()) {
        (0, _) => "blank",
        (_, true) => "held",
        (_, false) => "hurt",
    };
    Shown { class, fate: if trials == 0 { "not measured".to_owned() } else { fate(cell) }, more }
}

/// One for each cell that lost or doubled something.
fn witnesses(run: &LabRun, matrix: &Matrix<'_>) -> Vec<Told> {
    let mut steps: HashMap<u32, Vec<&Evidence>> = HashMap::new();
    run.evidence.iter().for_each(|step| steps.entry(step.trial).or_default().push(step));
    let hurt = matrix.faulted().filter(|(_, cell)| !cell.is_clean());
    let told = hurt.filter_map(|(row, cell)| {
        let is_hurt = |trial: &LabRow| trial.lost > Some(0) || trial.doubled > Some(0);
        let trial = cell.typical(|trial| is_hurt(trial) && steps.contains_key(&trial.trial))?;
        let mut steps = steps.get(&trial.trial)?.clone();
        steps.sort_by_key(|step| step.step);
        let more = steps.len().saturating_sub(STEPS);
        Some(Told {
            title: format!("{}: {}, trial {}", names::title(&trial.fault), matrix.title(row), trial.trial),
            steps: steps.into_iter().take(STEPS).map(step).collect(),
            more,
        })
    });
    told.take(WITNESSES).collect()
}

fn step(step: &Evidence) -> (&'static str, String, String) {
    let class = match step.what {
        EvidenceKind::Lost => "lost",
        EvidenceKind::Doubled => "lost doubled",
        EvidenceKind::Fault => "done",
        EvidenceKind::Unknown => "unknown",
        EvidenceKind::Acked | EvidenceKind::ReadBack => "",
    };
    (class, format!("{:.4} s", step.at_ns as f64 / 1e9), step.note.clone())
}

fn figures(matrix: &Matrix<'_>) -> Vec<Figures> {
    let all = matrix.rows.iter().flat_map(|row| row.cells.iter().map(move |cell| (row, cell)));
    all.map(|(row, cell)| {
        let first = cell.first();
        let number = |of: fn(&LabRow) -> Option<u64>| figure(cell, of, count);
        let time = |of: fn(&LabRow) -> Option<u64>| figure(cell, of, words::time);
        Figures {
            name: matrix.title(row),
            fault: if cell.fault() == NO_FAULT { "none".to_owned() } else { names::title(cell.fault()) },
            class: if cell.surprise().is_some() {
                "broken"
            } else if cell.count() == 0 {
                "unjudged"
            } else {
                ""
            },
            fields: [
                names::servers(first.topology, first.shards, first.replicas),
                count(u64::from(first.clients)),
                count(cell.count()),
                number(|trial| trial.acked),
                number(|trial| trial.lost),
                when(cell),
                number(|trial| trial.doubled),
                number(|trial| trial.unknown),
                number(|trial| trial.refused),
                time(|trial| trial.downtime_ns),
                time(|trial| trial.recover_ns),
                time(|trial| trial.stable_ns),
                cell.surviving_per_s().map_or_else(String::new, words::rate),
            ],
            verdict: judged(cell.measured().filter_map(|trial| trial.verdict).max()),
        }
    })
    .collect()
}

/// `0, 48, 0`: when the lost ones were acknowledged.
fn when(cell: &Cell<'_>) -> String {
    let sum = |of: fn(&LabRow) -> Option<u64>| {
        cell.measured().map(of).try_fold(0_u64, |sum, count| Some(sum.saturating_add(count?)))
    };
    let parts = [sum(|trial| trial.lost_before), sum(|trial| trial.lost_during), sum(|trial| trial.lost_after)];
    match parts {
        [Some(0), Some(0), Some(0)] => String::new(),
        [Some(before), Some(during), Some(after)] => [before, during, after].map(count).join(", "),
        _ => String::new(),
    }
}

fn missing(matrix: &Matrix<'_>) -> Vec<String> {
    let all = matrix.rows.iter().flat_map(|row| row.cells.iter().map(move |cell| (row, cell)));
    all.filter_map(|(row, cell)| Some(format!("{}, {}: {}", matrix.title(row), cell.fault(), cell.note()?))).collect()
}

/// What the folder says of each fault and each protection.
fn glossary(machine: &Machine, kind: &str) -> Vec<(String, String)> {
    let facts = machine.0.iter();
    facts.filter_map(|fact| Some((fact.fact.strip_prefix(kind)?.to_owned(), fact.value.clone()))).collect()
}

/// The facts that appear nowhere else on the page.
fn environment(machine: &Machine) -> Vec<(&str, &str)> {
    let facts = machine.0.iter().filter(|fact| !fact.fact.starts_with(FAULT) && !fact.fact.starts_with(PROTECTION));
    facts.map(|fact| (fact.fact.as_str(), fact.value.as_str())).collect()
}

const FAULT: &str = "fault.";
const PROTECTION: &str = "protection.";

/// A verdict as the tables of the other page show it.
fn judged(verdict: Option<Verdict>) -> Markup {
    verdict.map_or_else(Markup::default, |verdict| html!("<b class=\"v-{}\">{}</b>", verdict, verdict))
}
