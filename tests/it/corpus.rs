//! The corpus: every history is judged as its label says, and the labels are what their maker makes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use redis_lost_updates::interchange::{Answer, check_file};

#[test]
fn every_history_of_the_corpus_is_judged_as_labelled() {
    let mut labels = csv::Reader::from_path("corpus/labels.csv").unwrap();
    let columns: Vec<String> = labels.headers().unwrap().iter().map(str::to_owned).collect();
    let (mut judged, mut faulty, mut bytes) = (0, 0, 0);
    for row in labels.records() {
        let row = row.unwrap();
        let get = |name: &str| &row[columns.iter().position(|column| column == name).unwrap()];
        let path = Path::new("corpus").join(get("file"));
        bytes += std::fs::metadata(&path).unwrap().len();
        let checked = check_file(&path, None, None).unwrap();
        let expected = if get("valid") == "yes" { Answer::Valid } else { Answer::Invalid };
        assert_eq!(checked.answer, expected, "{}: {}\n{}", get("file"), get("sentence"), checked.explanation);
        let ledger = &checked.judgement.ledger;
        let taken_twice = checked.units.as_ref().map_or(0, |units| units.taken_twice as u64);
        let figures = [
            ("acked", ledger.acked),
            ("lost", ledger.lost),
            ("overwritten", ledger.overwritten),
            ("doubled", ledger.doubled),
            ("oversold", checked.oversold as u64),
            ("undersold", checked.undersold),
            ("taken_twice", taken_twice),
        ];
        for (name, figure) in figures {
            let label = get(name);
            assert!(label.is_empty() || label == figure.to_string(), "{}: {name} {figure}, not {label}", get("file"));
        }
        judged += 1;
        faulty += usize::from(expected == Answer::Invalid);
    }
    assert!(judged >= 200 && faulty * 5 >= judged * 2, "{faulty} of {judged}");
    assert!(bytes < 2 << 20, "{bytes} bytes");
    let files =
        ["histories", "recorded"].map(|folder| std::fs::read_dir(Path::new("corpus").join(folder)).unwrap().count());
    assert_eq!(files.iter().sum::<usize>(), judged);
}

/// Every row of the README's table is a fault that some history has, and lists the kinds of history that have it.
#[test]
fn the_readme_lists_every_fault_with_its_kinds() {
    let readme = std::fs::read_to_string("corpus/README.md").unwrap();
    let mut labels = csv::Reader::from_path("corpus/labels.csv").unwrap();
    let mut labelled: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in labels.records() {
        let row = row.unwrap();
        labelled.entry(row[3].to_owned()).or_default().insert(row[2].to_owned());
    }
    let table = readme.split_once("| fault | what it is | kinds |").unwrap().1.split_once("\n\n").unwrap().0;
    let rows = table.lines().skip(2).map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let listed: BTreeMap<String, BTreeSet<String>> = rows
        .map(|row| (row[0].replace("none", ""), row[2].split(' ').map(|kind| kind.replace('`', "")).collect()))
        .collect();
    assert_eq!(listed, labelled);
    let count = labels_count();
    assert!(readme.contains(&format!("{count} small histories")), "{count}");
}

fn labels_count() -> usize {
    csv::Reader::from_path("corpus/labels.csv").unwrap().records().count()
}

#[test]
fn the_corpus_is_what_its_maker_makes() {
    let dir = tempfile::tempdir().unwrap();
    let maker = dir.path().join("make.py");
    std::fs::copy("corpus/make.py", &maker).unwrap();
    std::fs::create_dir(dir.path().join("recorded")).unwrap();
    for entry in std::fs::read_dir("corpus/recorded").unwrap() {
        let name = Path::new("recorded").join(entry.unwrap().file_name());
        std::fs::copy(Path::new("corpus").join(&name), dir.path().join(name)).unwrap();
    }
    assert!(Command::new("python3").arg(&maker).status().unwrap().success());
    let same = |name: &Path| {
        let made = std::fs::read(dir.path().join(name)).unwrap();
        assert!(made == std::fs::read(Path::new("corpus").join(name)).unwrap(), "{}", name.display());
    };
    same(Path::new("labels.csv"));
    for entry in std::fs::read_dir("corpus/histories").unwrap() {
        same(&Path::new("histories").join(entry.unwrap().file_name()));
    }
}
