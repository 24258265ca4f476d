//! Anyone's history as a file: what comes back, what is refused, and what the command says of it.

use std::process::Command;

use redis_lost_updates::history::check;
use redis_lost_updates::interchange::{Answer, Checked, check_file, check_reader, write_history};
use redis_lost_updates::update::{Event, Outcome};
use redis_lost_updates::verdict::Verdict;

use crate::target::private;

const HEADER: &str = "worker,begin_ns,end_ns,outcome,value\n";

fn checked(rows: &str, last: Option<i64>) -> Checked {
    check_reader(format!("{HEADER}{rows}").as_bytes(), None, last).unwrap()
}

fn refused(text: &str) -> String {
    check_reader(text.as_bytes(), None, None).unwrap_err().to_string()
}

#[test]
fn one_lost_and_one_doubled_with_the_right_count_is_invalid_and_names_both() {
    // Line 3 and 4 are told 2; nobody is told 4, as the update on line 6 was applied twice.
    let rows = "a,0,10,ok,1\na,20,30,ok,2\nb,20,30,ok,2\nb,40,50,ok,3\na,60,70,ok,5\n";
    let both = checked(rows, Some(5));
    assert_eq!((both.answer.exit_code(), both.verdict), (1, Verdict::Repeated));
    assert_eq!((both.judgement.ledger.lost, both.judgement.ledger.doubled), (1, 1));
    let text = &both.explanation;
    assert!(text.contains("value 2 was returned to worker a (line 3) and worker b (line 4)"), "{text}");
    assert!(text.contains("not returned to anyone: value 4, and the next one to worker a (line 6)"), "{text}");
    assert!(text.contains("worker a, 20 to 30 ns, told 2 (line 3)"), "{text}");

    let unsure = checked(&rows.replace("a,60,70,ok,5", "a,60,,unknown,"), Some(5));
    assert_eq!((unsure.answer, unsure.verdict), (Answer::Invalid, Verdict::Repeated));
    assert_eq!((unsure.judgement.ledger.lost, unsure.judgement.ledger.doubled), (1, 1));
    let text = &unsure.explanation;
    assert!(text.contains("value 2 was returned to worker a (line 3) and worker b (line 4)"), "{text}");
    assert!(text.contains("not returned to anyone: values 4 to 5, and the counter ended there"), "{text}");
    assert!(text.contains("1 update of unknown outcome can too: worker a (line 6)"), "{text}");
    assert!(text.contains("not covered: of 1 update of unknown outcome, 1 would explain the counter"), "{text}");
}

#[test]
fn valid_invalid_and_cannot_say() {
    let fine = "a,0,10,ok,6\nb,5,12,ok,7\nb,12,13,fail,\n";
    let from_five = |last| check_reader(format!("{HEADER}{fine}").as_bytes(), Some(5), last).unwrap();
    assert_eq!((from_five(Some(7)).answer, from_five(Some(7)).verdict), (Answer::Valid, Verdict::Exact));
    assert!(from_five(Some(6)).explanation.contains("but the counter ended at 6"));
    assert_eq!(from_five(Some(6)).answer, Answer::Invalid);
    let unread = from_five(None);
    assert_eq!(unread.answer, Answer::Valid);
    assert!(unread.explanation.contains("without a final value"), "{}", unread.explanation);
    // Without values and without an end there is nothing to go by; with an end there is.
    assert_eq!(checked("a,0,10,ok,\n", None).answer, Answer::CannotSay);
    assert_eq!(checked("a,0,10,ok,\n", Some(1)).answer, Answer::Valid);
    assert_eq!(checked("a,0,10,ok,\n", Some(0)).answer, Answer::Invalid);
    assert_eq!(checked("", None).answer, Answer::CannotSay);
    // Comments speak too, and an option counts instead.
    assert_eq!(checked("# final 1\na,0,10,ok,\n# anything\n", None).answer, Answer::Valid);
    assert_eq!(checked("# final 1\na,0,10,ok,\n", Some(2)).answer, Answer::Invalid);
}

#[test]
fn bad_rows_are_named_by_line() {
    let row = |row: &str| refused(&format!("{HEADER}a,0,10,ok,1\n{row}\n"));
    for (bad, why) in [
        ("b,20,10,ok,2", "line 3: it ends (10) before it begins (20)"),
        ("b,x,10,ok,2", "line 3: begin_ns \"x\" is not a whole number"),
        ("b,0,10,ok,two", "line 3: value \"two\" is not a number"),
        ("b,0,10,maybe,2", "line 3: outcome \"maybe\" is not one of ok, fail, unknown"),
        ("b,0,10,ok", "line 3: it has 4 fields, the header has 5"),
        ("b,0,,ok,2", "line 3: end_ns is empty"),
        ("b,0,10,fail,2", "line 3: only an ok update has a value"),
        ("b,0,281474976710656,ok,2", "line 3: end_ns 281474976710656 is 2^48 ns (78 hours) or more"),
        ("# final many", "line 3: \"many\" is not a number"),
    ] {
        assert!(row(bad).contains(why), "{bad}: {}", row(bad));
    }
    assert!(refused("worker,begin_ns,outcome,value\n").contains("line 1: there is no column end_ns"));
    assert!(refused("").contains("no header line"));
    assert!(refused("# redis-lost-updates history v3\n").contains("v3 is not one that can be read"));
    let many: String = (0..9).map(|i| format!("b{i},9,1,ok,\n")).collect();
    assert!(refused(&format!("{HEADER}{many}")).contains("line 6: it ends (1) before it begins (9); and 4 more"));
    // One hand-over shares both times.
    assert_eq!(checked("a,0,10,ok,1\na,0,10,ok,2\n", Some(2)).answer, Answer::Valid);
}

#[test]
fn what_is_written_is_judged_alike() {
    let event = |key, begin, end, outcome| Event::new(key, begin, end, 1, outcome);
    let one = [event(0, 0, 10, Outcome::Acked(1)), event(1, 10, 20, Outcome::AckedBlind)];
    let two =
        [event(0, 0, 12, Outcome::Acked(1)), event(1, 12, 20, Outcome::Unknown), event(0, 20, 21, Outcome::Refused)];
    let lanes: [&[Event]; 2] = [&one, &two];
    for found in [&[1, 2][..], &[2, 1], &[0, 3]] {
        let mut file = Vec::new();
        write_history(&mut file, &lanes, found).unwrap();
        let checked = check_reader(file.as_slice(), None, None).unwrap();
        assert_eq!(checked.judgement, check(&lanes, found));
    }
    let error =
        check_reader("worker,begin_ns,end_ns,outcome,value,key\na,0,1,ok,,x\na,1,2,ok,,y\n".as_bytes(), None, Some(1));
    assert!(error.unwrap_err().to_string().contains("# final N KEY"));
}

#[test]
fn the_command_answers_with_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.csv");
    let run = |text: &str, last: &str| {
        std::fs::write(&path, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
        let output = command.arg("check").arg(&path).args(["--initial", "-1", "--final", last]).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let text = format!("{HEADER}a,0,1,ok,0\nb,0,1,ok,1\n");
    assert_eq!(run(&text, "1").0, Some(0));
    let (code, said) = run(&text, "0");
    assert!(code == Some(1) && said.starts_with("not valid: lost"), "{said}");
    let (code, said) = run(&text.replace("ok,0", "good,0"), "1");
    assert!(code == Some(3) && said.contains("history.csv: line 2: outcome \"good\""), "{said}");
    assert!(check_file(&dir.path().join("none.csv"), None, None).is_err());
}

#[test]
fn what_a_python_client_records_is_judged() {
    let server = private();
    let address = format!("127.0.0.1:{}", server.child().unwrap().port());
    let url = server.secret_url();
    let password = url.trim_start_matches("redis://:").split('@').next().unwrap();
    let record = |more: &[&str]| {
        let mut python = Command::new("python3");
        python
            .args(["examples/history_recorder.py", &address, "--updates", "300"])
            .args(more)
            .env("REDISCLI_AUTH", password);
        let output = python.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        check_reader(output.stdout.as_slice(), None, None).unwrap()
    };
    let incr = record(&[]);
    assert_eq!((incr.answer, incr.verdict, incr.judgement.ledger.acked), (Answer::Valid, Verdict::Exact, 1_200));
    let racy = record(&["--racy"]);
    assert_eq!((racy.answer, racy.verdict), (Answer::Invalid, Verdict::Lost), "{}", racy.explanation);
}
