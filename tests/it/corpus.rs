//! The corpus: every history is judged as its label says, and the labels are what their maker makes.

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
        let path = Path::new("corpus/histories").join(get("file"));
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
    assert_eq!(std::fs::read_dir("corpus/histories").unwrap().count(), judged);
}

#[test]
fn the_corpus_is_what_its_maker_makes() {
    let dir = tempfile::tempdir().unwrap();
    let maker = dir.path().join("make.py");
    std::fs::copy("corpus/make.py", &maker).unwrap();
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
