//! Histories recorded by other programs, written as a result folder that page, table and `compare` read like one of our
//! runs.

use std::collections::BTreeMap;
use std::path::Path;

use crate::condition::Condition;
use crate::error::Result;
use crate::interchange::Checked;
use crate::plain::one_line;
use crate::record::{Clock, Folder, Machine, PAGE, Record, Run};
use crate::report;
use crate::summary::Summary;
use crate::verdict::Promise;

/// A judged history and the name that its row gets.
pub(super) struct Judged {
    pub(super) name: String,
    pub(super) checked: Checked,
}

/// The name of a row: that of the file, without its endings.
pub(super) fn name_of(file: &str) -> String {
    let base = Path::new(file).file_name().map_or_else(|| "stdin".into(), |name| name.to_string_lossy());
    let stem = base.split('.').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = stem.chars().take(60).map(plain).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "stdin".to_owned() } else { name.to_owned() }
}

/// Writes `histories` into the folder `out` with its page. Histories of one name are rounds of one strategy.
pub(super) fn write(out: &Path, histories: &[Judged]) -> Result<()> {
    let mut machine = Machine::default();
    machine.add("version", env!("CARGO_PKG_VERSION"));
    machine.add("source", "histories that were recorded elsewhere, judged by report check");
    let mut rounds: BTreeMap<&str, u32> = BTreeMap::new();
    let most = histories.iter().map(|judged| {
        let round = rounds.entry(&judged.name).or_default();
        *round += 1;
        *round
    });
    machine.add("rounds", most.max().unwrap_or(0).to_string());
    let mut folder = Folder::create(out, &machine)?;
    rounds.clear();
    for judged in histories {
        let round = rounds.entry(&judged.name).or_default();
        *round += 1;
        let record = Record { trial: folder.next_trial(), round: *round, ..row(judged) };
        let latency: Vec<_> =
            judged.checked.latency.iter().map(|&times| record.bucket(Clock::Service, times)).collect();
        folder.append(&record, &latency)?;
    }
    let run = Run::read(out)?;
    report::write_page(&out.join(PAGE), &report::render(&Summary::of(&run), &run))
}

/// The lines of a witness, as one.
fn told(witness: &str) -> String {
    one_line(&witness.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; "))
}

fn row(judged: &Judged) -> Record {
    let Judged { name, checked } = judged;
    let ledger = &checked.judgement.ledger;
    let condition = Condition {
        library: "not recorded".to_owned(),
        ..Condition::of(name, checked.workers.max(1), checked.counters)
    };
    Record {
        order: Some(checked.judgement.order.word().to_owned()),
        span_ns: checked.load.map(|load| load.span_ns),
        overlap: checked.load.map(|load| load.overlap),
        verdict: Some(checked.verdict),
        note: checked.witness.as_deref().map(told),
        ..Record::blank(condition, Promise::Exact).with(ledger)
    }
}
