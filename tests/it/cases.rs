//! Small files that were judged wrong, from public reports, and what is right; and the forms a file may have.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use redis_lost_updates::history::{Fault, Order};
use redis_lost_updates::interchange::{Answer, Checked, check_file, check_reader};

fn case(name: &str) -> Checked {
    check_file(&Path::new("tests/cases").join(name), None, None).unwrap()
}

fn checked(text: &str) -> Checked {
    check_reader(text.as_bytes(), None, None).unwrap()
}

fn refused(text: &str) -> String {
    check_reader(text.as_bytes(), None, None).unwrap_err().to_string()
}

fn fault(checked: &Checked) -> &Fault {
    match &checked.judgement.order {
        Order::Violated(witness) => &witness.fault,
        order => panic!("{order:?}"),
    }
}

fn says(checked: &Checked, text: &str) {
    assert!(checked.explanation.contains(text), "no {text:?} in\n{}", checked.explanation);
}

#[test]
fn every_reported_file_is_judged_right() {
    let exceeds = case("m01_lost_exceeds_acked.csv");
    assert_eq!((exceeds.answer, exceeds.judgement.ledger.lost), (Answer::Invalid, 1));
    says(&exceeds, "rolled back at the end: 1 update; the counter ended 101 below the largest value told");

    let shifted = case("m02_offbyone_single.csv");
    assert_eq!(shifted.answer, Answer::Valid);
    says(
        &shifted,
        "consistent only if 1 update of unknown outcome took effect after every update that returned a value",
    );

    let window = case("m03_window_restarts.csv");
    assert_eq!((window.answer, window.causes[0].raced), (Answer::Invalid, 0));
    assert_eq!((window.causes[0].falls, window.causes[0].falls_by_nobody, window.causes[0].fell), (1, 1, 2));
    says(&window, "the counter went back 1 time, by 2 in all");
    says(&window, "no update in this file can explain it");
    assert!(!window.explanation.contains("one wrote over the other"), "{}", window.explanation);
    assert_eq!(case("m03b_window_with_resets.csv").answer, Answer::Valid);

    let falling = case("m04_decr.csv");
    assert_eq!((falling.answer, falling.judgement.ledger.lost), (Answer::Invalid, 2));
    says(&falling, "a column 'amount' with -1");
    assert_eq!(case("m04b_decr_with_amount.csv").answer, Answer::Valid);
    assert_eq!(case("m05_amount.csv").answer, Answer::Valid);

    assert_eq!(case("m06_oversell_of_1.csv").answer, Answer::Valid);
    let oversold = case("m06b_oversell_with_limit.csv");
    assert_eq!((oversold.answer, oversold.oversold), (Answer::Invalid, 1));
    says(&oversold, "not valid: oversold by 1");

    let decimal = case("m07_float.csv");
    assert_eq!(decimal.answer, Answer::Invalid); // adds of 1 from 0 make no 1.5
    says(&decimal, "told 1.5");
    assert_eq!(check_file(Path::new("tests/cases/m07_float.csv"), None, None).unwrap(), decimal);

    let lanes = case("m08_async_worker.csv");
    assert_eq!(lanes.answer, Answer::Valid);
    says(&lanes, "it is treated as 2 workers");
    assert_eq!(case("m09_epoch.csv").answer, Answer::Valid);
}

const HEADER: &str = "worker,begin_ns,end_ns,outcome,value\n";

#[test]
fn what_is_said_of_a_counter_is_never_dropped() {
    let row = format!("{HEADER}a,0,1,ok,1\n");
    for said in ["# Final 0", "# final=0", "# FINAL: 0", "#final 0", "#   final =  0"] {
        assert_eq!(checked(&format!("{row}{said}\n")).answer, Answer::Invalid, "{said}");
    }
    let stray = checked(&format!("{row}# final 1\n# final 5 y\n"));
    assert_eq!((stray.answer, stray.judgement.ledger.doubled), (Answer::Invalid, 5));
    says(&stray, "counter y: initial 0, final 5");
    assert_eq!(checked(&format!("{row}# final 1\n# final 0 y\n")).answer, Answer::Valid);
    let mixed = "worker,begin_ns,end_ns,outcome,value,key\na,0,1,ok,1,x\n# final 1 x\n# final 2 y\n# initial 2 y\n";
    assert_eq!(checked(mixed).answer, Answer::Valid);
}

#[test]
fn a_column_that_says_what_was_done_is_never_left_alone() {
    let with = |column: &str| format!("worker,begin_ns,end_ns,outcome,value,{column}\na,0,1,ok,5,5\n");
    for column in ["delta", "by", "Increment", "operation", "cmd", "type", "ammount", "qty", "op_type", "end", "keys"] {
        let read = check_reader(with(column).as_bytes(), None, None);
        let left_alone = ["end", "keys"].contains(&column);
        assert_eq!(read.is_ok(), left_alone, "{column}");
        if let Err(error) = read {
            assert!(error.to_string().contains("would change the verdict"), "{column}: {error}");
        }
    }
    for (row, why) in [
        ("a,0,1,ok,1,multiply,2", "op \"multiply\" is not one of add, read, take, set"),
        ("a,0,1,ok,1,add,two", "amount \"two\" is not a number"),
        ("a,0,1,ok,1,read,2", "a read or a take has no amount"),
        ("a,0,1,ok,,set,", "a set needs the amount it sets"),
        ("a,0,1,denied,,take,", "only an add can be denied"),
        ("a,0,1,ok,0.0000000001,add,1", "9 decimal places"),
        ("a,0,1,ok,9999999999.5,add,0.000000001", "too large for 9 decimal places"),
    ] {
        let text = format!("worker,begin_ns,end_ns,outcome,value,op,amount\n{row}\n");
        assert!(refused(&text).contains(why), "{row}: {}", refused(&text));
    }
}

#[test]
fn the_words_of_others_are_understood() {
    let text = "Worker;Begin_ns;end_ns;outcome;value;OP;amount\r\n\
                a;1700000000000000000;1700000000000000010;OK;5;INCRBY;5\r\n\
                a;1700000000000000020;;info;;DECRBY;2\r\n\
                b;1700000000000000030;1700000000000000031;ok;3;GET;\r\n\
                b;1700000000000000040;1700000000000000041;Ok;3;getdel;\r\n\
                # final 0\r\n";
    let others = checked(text);
    assert_eq!(others.answer, Answer::Valid, "{}", others.explanation);
    // Of another epoch, time begins with the earliest row.
    let late = checked(&text.replace("ok;3;GET", "ok;4;GET"));
    says(&late, "worker b, 30 to 31 ns, read, told 4 (line 4)");
    let apart = format!("{HEADER}a,0,1,ok,1\na,1700000000000000000,1700000000000000001,ok,2\n");
    assert!(refused(&apart).contains("is it one clock?"));
}

#[test]
fn decimals_are_exact() {
    let text = "worker,begin_ns,end_ns,outcome,value,amount\n\
                a,0,1,ok,0.1,0.1\na,2,3,ok,0.3,0.2\na,4,5,ok,0.30000000,0\n# final 0.3\n";
    assert_eq!(checked(text).answer, Answer::Valid);
    let lost = checked(&text.replace("# final 0.3", "# final 0.1"));
    assert_eq!((lost.answer, lost.judgement.ledger.lost), (Answer::Invalid, 1));
    says(&lost, "added and lost 0.2");
}

#[test]
fn made_lanes_claim_no_order_between_updates_that_touch() {
    // One client with two under way: the second and the third touch, and were told the other way round.
    let rows = "a,0,10,ok,1\na,5,20,ok,3\na,20,30,ok,2\n";
    assert_eq!(checked(&format!("{HEADER}{rows}# final 3\n")).answer, Answer::Valid);
    // The same of a client that does one thing at a time is out of order.
    let rows = rows.replace("a,0,10,ok,1\n", "b,0,10,ok,1\n");
    assert!(matches!(fault(&checked(&format!("{HEADER}{rows}# final 3\n"))), Fault::OutOfOrder { .. }));
}

#[test]
fn causes_are_told_apart() {
    let race = checked(&format!("{HEADER}a,0,10,ok,1\nb,5,15,ok,1\n# final 1\n"));
    assert_eq!((race.causes[0].raced, race.causes[0].falls), (1, 0));
    says(&race, "1 update overwritten in a race");
    // b read 0 early and wrote 1 late, over a's 3; then a went on from 1.
    let late = checked(&format!("{HEADER}a,0,1,ok,1\na,2,3,ok,2\na,4,5,ok,3\nb,0,6,ok,1\na,7,8,ok,2\n# final 2\n"));
    assert_eq!((late.causes[0].falls, late.causes[0].falls_by_nobody), (1, 0));
    says(&late, "a late write of an old value can explain it: worker b (line 5)");
    let doubled = checked(&format!("{HEADER}a,0,1,ok,1\na,2,3,ok,3\n# final 3\n"));
    says(&doubled, "applied twice, or by another writer: 1 update");
    // A single row that was told more than the end says more than the pair that shares a value.
    let single = checked(&format!("{HEADER}a,0,1,ok,1\nb,0,1,ok,1\na,2,3,ok,9\n# final 2\n"));
    assert!(matches!(fault(&single), Fault::Final { told: Some(_), .. }));
}

/// Jepsen's seven public test vectors for its counter checker (`counter-test` in its `checker_test.clj`): what each
/// does, and whether it is valid.
#[test]
fn jepsens_vectors_are_judged_at_least_as_strictly() {
    let invoke =
        |process: u8, f: &str, value: &str| format!("{{:process {process}, :type :invoke, :f :{f}, :value {value}}}\n");
    let done = |process: u8, kind: &str, f: &str, value: &str| {
        format!("{{:process {process}, :type :{kind}, :f :{f}, :value {value}}}\n")
    };
    let read = |p: u8, value: &str| invoke(p, "read", "nil") + &done(p, "ok", "read", value);
    let initial_read = read(0, "0");
    let failed_add = invoke(0, "add", "1") + &done(0, "fail", "add", "1") + &read(0, "0");
    let wrong_read = read(0, "1");
    // The add never completes, so the reads concurrent with it may see it or not, in this order.
    let incomplete = invoke(0, "add", "1") + &read(1, "0") + &read(1, "1");
    let interleaved = ["0", "1", "2", "4", "8"];
    let mut concurrent = String::new();
    for (i, amount) in interleaved.iter().enumerate() {
        let p = 2 * i as u8;
        if i > 0 {
            concurrent += &invoke(p - 1, "add", amount);
        }
        concurrent += &invoke(p, "read", "nil");
    }
    for (i, told) in ["6", "0", "3", "100", "15"].iter().enumerate() {
        let p = 2 * i as u8;
        if i > 0 {
            concurrent += &done(p - 1, "ok", "add", interleaved[i]);
        }
        concurrent += &done(p, "ok", "read", told);
    }
    let rolling = invoke(0, "read", "nil")
        + &invoke(1, "add", "1")
        + &done(0, "ok", "read", "0")
        + &invoke(0, "read", "nil")
        + &done(1, "ok", "add", "1")
        + &invoke(1, "add", "2")
        + &done(0, "ok", "read", "3")
        + &invoke(0, "read", "nil")
        + &done(1, "ok", "add", "2")
        + &done(0, "ok", "read", "5");
    // The other way round, no order explains them, although each lies within Jepsen's bounds.
    assert_eq!(checked(&(invoke(0, "add", "1") + &read(1, "1") + &read(1, "0"))).answer, Answer::Invalid);
    for (history, valid) in [
        (initial_read, true),
        (failed_add, true),
        (incomplete, true),
        (wrong_read, false),
        (concurrent, false),
        (rolling, false),
    ] {
        let judged = checked(&history);
        // Adds without a value in a counter that nobody read at the end leave room for doubt, and never for a yes.
        let said = judged.answer != Answer::Invalid;
        assert_eq!(said, valid, "{history}\n{}", judged.explanation);
    }
    // The empty one says nothing at all; Jepsen calls that valid.
    assert!(refused("").contains("no header line"));
    assert_eq!(checked("[]").answer, Answer::CannotSay);
}

#[test]
fn a_jepsen_history_is_read_with_its_crashes_keys_and_nemeses() {
    let text = "[{:process 0, :type :invoke, :f :add, :value [:x 2], :time 5, :index 0}\n\
                 #jepsen.history.Op{:process 1, :type :invoke, :f :read, :value [:x nil], :time 6}\n\
                 {:process :nemesis, :type :info, :f :start, :value {:grudge #{\"n1\" [1 2 {:a nil}]}}, :time 7} ; cut\n\
                 {:process 0, :type :info, :f :add, :value [:x 2], :time 9, :error \"timeout \\\"\"}\n\
                 #_ {:ignored true} {:process 1, :type :ok, :f :read, :value [:x 2], :time 9}\n\
                 {:process 2, :type :invoke, :f :read, :value [:y nil], :time 10}]";
    let keyed = checked(text);
    assert_eq!((keyed.answer, keyed.judgement.ledger.unknown, keyed.reads), (Answer::Valid, 1, 2));
    says(&keyed, "counter :x: initial 0");
    assert_eq!(checked(&text.replace("[:x 2], :time 9}", "[:x 3], :time 9}")).answer, Answer::Invalid);
    for (bad, why) in [
        ("{:process 0, :type :ok, :f :add, :value 1}", "completes an operation that it did not invoke"),
        (
            "{:process 0, :type :invoke, :f :cas, :value [1 2]} {:process 0, :type :ok, :f :cas, :value [1 2]}",
            "counter",
        ),
        ("{:process 0, :type :invoke, :f :add, :value", "ends in the middle"),
        ("{:process 0, :type :invoke, :f", "ends in the middle"),
    ] {
        assert!(refused(bad).contains(why), "{bad}: {}", refused(bad));
    }
    assert!(refused(&"[{:a ".repeat(100_000)).contains("deep"));
}

#[test]
fn another_clients_history_becomes_a_folder_that_compare_takes() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    let [valid, invalid] = ["incr-2", "race-2"].map(|name| format!("corpus/histories/{name}.csv"));
    for out in [&one, &two] {
        let args = [valid.as_str(), invalid.as_str(), valid.as_str(), "--out", out.to_str().unwrap()];
        assert_eq!(report(&args, b"").status.code(), Some(1));
        let run = redis_lost_updates::record::Run::read(out).unwrap();
        let rows: Vec<(u32, &str)> = run.records.iter().map(|r| (r.round, r.condition.strategy.as_str())).collect();
        assert_eq!(rows, [(1, "incr-2"), (1, "race-2"), (2, "incr-2")]);
        let checked = check_file(Path::new(&invalid), None, None).unwrap();
        assert_eq!(
            (run.records[1].lost, run.records[1].verdict),
            (Some(checked.judgement.ledger.lost), Some(checked.verdict))
        );
        let page = std::fs::read_to_string(out.join("index.html")).unwrap();
        assert!(page.contains("<code>incr-2</code> is valid: each of "), "{page}");
        assert!(page.contains("<code>race-2</code> is not valid: <b class=\"loss\">"), "{page}");
        assert!(page.contains("both were told "), "the witness");
        // Of server, clients and cost the files say nothing.
        for unknown in ["of unknown version", "closed loop", "Cost of correctness", "Did anybody else write"] {
            assert!(!page.contains(unknown), "{unknown}");
        }
    }
    let mut compare = Command::new(env!("CARGO_BIN_EXE_report"));
    let output = compare.arg("compare").args([&one, &two]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("incr-2"), "{output:?}");
    // What a run has written is not written over.
    assert_ne!(report(&[&valid, "--out", one.to_str().unwrap()], b"").status.code(), Some(0));
}

fn report(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    command.arg("check").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    output
}

#[test]
fn any_form_from_anywhere_and_several_at_once() {
    let csv = format!("{HEADER}a,0,10,ok,1\nb,5,15,ok,1\n# final 1\n");
    let lines = "{\"worker\":\"a\",\"begin_ns\":0,\"end_ns\":10,\"outcome\":\"ok\",\"value\":1}\n\
                 {\"worker\":2,\"begin_ns\":5,\"end_ns\":15,\"outcome\":\"ok\",\"value\":\"1\",\"op\":\"add\"}\n\
                 {\"final\":1}\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(csv.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(csv.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
    for form in [csv.as_bytes(), lines.as_bytes(), &gzip, &zstd] {
        let output = report(&["-", "--json"], form);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&json["schema"], &json["answer"]), (&serde_json::json!(1), &serde_json::json!("invalid")));
        assert_eq!((&json["updates"]["lost"], &json["causes"]["overwritten_in_a_race"]), (&1.into(), &1.into()));
        assert_eq!(json["witness"]["kind"], "same-value");
    }
    // The worst of several answers is the exit code; each file is named.
    let valid = "tests/cases/m05_amount.csv";
    let several = |files: &[&str]| {
        let output = report(files, b"");
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    assert_eq!(several(&[valid, valid]).0, Some(0));
    let (code, said) = several(&[valid, "tests/cases/m01_lost_exceeds_acked.csv", "Cargo.toml"]);
    assert!(code == Some(1) && said.contains("m05_amount.csv:\nvalid"), "{said}");
    let (code, said) = several(&[valid, "Cargo.toml", "tests/cases/none.csv"]);
    assert!(code == Some(3) && said.contains("Cargo.toml: ") && said.contains("none.csv: "), "{said}");
    assert_eq!(report(&["-", "--final", "2.5"], csv.as_bytes()).status.code(), Some(1));
    // What takes more memory than it may is refused in one line.
    let many: String = (0..200_000).map(|i| format!("a,{i},{i},ok,\n")).collect();
    let small = report(&["-", "--memory", "1"], format!("{HEADER}{many}").as_bytes());
    let said = String::from_utf8(small.stderr).unwrap();
    assert!(small.status.code() == Some(3) && said.contains("MiB of memory") && said.lines().count() == 1, "{said}");
}
