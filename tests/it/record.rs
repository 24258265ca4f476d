//! The result folder: what is in it is what was measured, and what is broken in it is named.

use std::path::Path;

use redis_lost_updates::condition::Condition;
use redis_lost_updates::record::{
    FAULTS, Fact, Fault, Folder, LATENCY, MACHINE, Machine, Record, Run, TRIALS, read_csv,
};
use redis_lost_updates::report::render;
use redis_lost_updates::summary::Summary;
use redis_lost_updates::verdict::Promise;

/// The columns other tools may rely on, in order.
const COLUMNS: [&str; 18] = [
    "round",
    "strategy",
    "promise",
    "threads",
    "keys",
    "attempted",
    "acked",
    "refused",
    "unknown",
    "tries",
    "found",
    "lost",
    "doubled",
    "repeated",
    "span_ns",
    "overlap",
    "verdict",
    "error",
];

#[test]
fn every_promised_column_is_in_the_example_and_explained() {
    let example = std::fs::read_to_string("results/example/trials.csv").unwrap();
    let header: Vec<&str> = example.lines().next().unwrap().split(',').collect();
    for column in COLUMNS {
        assert!(header.contains(&column), "{column} is missing");
    }
    let explained = std::fs::read_to_string("results/README.md").unwrap();
    for file in [TRIALS, LATENCY, MACHINE] {
        let text = std::fs::read_to_string(format!("results/example/{file}")).unwrap();
        for column in text.lines().next().unwrap().split(',') {
            assert!(
                explained.contains(&format!("`{column}`")),
                "results/README.md does not explain {column} of {file}"
            );
        }
    }
}

#[test]
fn no_cell_is_a_formula_and_every_cell_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::default();
    for text in [
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "'=1",
        "=HYPERLINK(\"http://x\",\"y\")",
        "-5",
        "plain, text",
    ] {
        machine.add("=cmd|'/C calc'!A0", text);
    }
    machine.write(dir.path()).unwrap();
    let bytes = std::fs::read(dir.path().join(MACHINE)).unwrap();
    let mut rows = csv::ReaderBuilder::new().has_headers(false).from_reader(bytes.as_slice());
    for cell in rows.records().flat_map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>()) {
        assert!(cell.parse::<f64>().is_ok() || !cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?}");
    }
    assert_eq!(read_csv::<Fact>(&dir.path().join(MACHINE)).unwrap(), machine.0);
}

#[test]
fn a_broken_row_is_named_by_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    for file in [TRIALS, LATENCY, MACHINE] {
        std::fs::copy(format!("results/example/{file}"), dir.path().join(file)).unwrap();
    }
    let path = dir.path().join(LATENCY);
    let text = std::fs::read_to_string(&path).unwrap();
    let broken: String = text
        .lines()
        .enumerate()
        .map(|(i, l)| if i == 2 { "1,get-set,four,1,1,1\n".into() } else { format!("{l}\n") })
        .collect();
    std::fs::write(&path, broken).unwrap();
    let error = Run::read(dir.path()).unwrap_err().to_string();
    assert!(error.contains("latency.csv") && error.contains("line: 3"), "{error}");
}

#[test]
fn faults_have_a_file_once_there_are_some() {
    let dir = tempfile::tempdir().unwrap();
    let mut folder = Folder::create(dir.path(), &Machine::default()).unwrap();
    let record = Record { trial: 3, ..Record::blank(Condition::of("incr", 4, 1), Promise::Exact) };
    folder.append_faults(&[]).unwrap();
    assert!(!dir.path().join(FAULTS).exists(), "no faults, no file");
    assert_eq!(Run::read(dir.path()).unwrap().faults, []);
    let lost = Fault { connection: Some(1), command: Some(7), ..record.fault(-5, "lost-reply-fin") };
    let healed = record.fault(9, "healed");
    folder.append_faults(std::slice::from_ref(&lost)).unwrap();
    folder.append_faults(std::slice::from_ref(&healed)).unwrap();
    assert_eq!(Run::read(dir.path()).unwrap().faults, [lost, healed]);
    let explained = std::fs::read_to_string("results/README.md").unwrap();
    let text = std::fs::read_to_string(dir.path().join(FAULTS)).unwrap();
    for column in text.lines().next().unwrap().split(',') {
        assert!(explained.contains(&format!("`{column}`")), "results/README.md does not explain {column}");
    }
}

/// What each shape of `trials.csv` lacks: the folders of `tests/folders` are the beginnings of runs that earlier versions
/// made.
#[test]
fn folders_of_every_earlier_shape_are_read_and_rendered() {
    for shape in ["shape-1", "shape-2", "shape-3"] {
        let run = Run::read(Path::new("tests/folders").join(shape).as_path()).unwrap();
        assert_eq!(run.records.len(), 12, "{shape}");
        for (at, record) in run.records.iter().enumerate() {
            let like_then = Condition {
                driver: record.condition.driver,
                transport: record.condition.transport,
                ..Condition::of(&record.condition.strategy, record.condition.threads, 1)
            };
            assert_eq!((&record.condition, record.trial), (&like_then, at as u32 + 1), "{shape}");
            let buckets = run.latency.iter().filter(|bucket| bucket.trial == record.trial);
            assert_eq!(buckets.map(|bucket| bucket.count).sum::<u64>(), record.attempted.unwrap(), "{shape} {at}");
        }
        let summary = Summary::of(&run);
        assert!(summary.trials == 12 && summary.cells.iter().all(|cell| cell.label == cell.condition.strategy));
        assert!(render(&summary, &run).contains("<!doctype html>"), "{shape}");
    }
}
