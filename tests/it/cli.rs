//! The command line as a user types it.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use redis_lost_updates::record::Run;
use redis_lost_updates::verdict::{Promise, Verdict};

use crate::server::private;

fn report(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_report")).args(args).env_remove("REDIS_URL").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn small<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["--out", out, "--duration", "20ms", "--rounds", "1", "--threads", "1,8"];
    args.extend_from_slice(more);
    args
}

/// Servers that are children of ours or of a process that is gone; the keeper kills them soon after we end.
fn servers_in(dir: &Path) -> bool {
    let marker = dir.display().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .any(|entry| std::fs::read(entry.path().join("environ")).is_ok_and(|environ| text(&environ).contains(&marker)))
}

#[test]
fn a_run_leaves_rows_a_page_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let output = report(&small(&out, &["--strategies", "get-set,incr,mutex", "--seed", "7"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = Run::read(Path::new(&out)).unwrap();
    assert_eq!(run.records.len(), 6);
    for record in &run.records {
        assert_eq!(record.sources_agree(), Some(true), "{record:?}");
        match (record.promise, record.condition.threads) {
            (Promise::Exact, _) | (_, 1) => assert_eq!((record.verdict, record.lost), (Some(Verdict::Exact), Some(0))),
            (Promise::Lossy, _) => assert_eq!(record.verdict, Some(Verdict::Lost), "{record:?}"),
        }
    }
    assert_eq!(run.machine.get("seed"), Some("7"));
    let page = std::fs::read_to_string(Path::new(&out).join("index.html")).unwrap();
    let [recording, clock] =
        ["recording_ns_per_update", "clock_ns_per_read"].map(|fact| run.machine.get(fact).unwrap());
    assert!(
        page.contains(&format!("Measuring adds {recording} ns to every update, {clock} ns of them for the clock."))
    );
    let table = text(&output.stdout);
    assert!(table.contains("Closed loop"), "{table}");
    assert!(table.contains("get-set") && table.contains("index.html") && !table.contains('\u{1b}'), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80 || line.contains("index.html")), "{table}");
}

#[test]
fn the_driver_is_chosen_recorded_and_said() {
    let dir = tempfile::tempdir().unwrap();
    for (driver, threads, words) in [("events", "2,1500", "one event loop"), ("tasks", "2,150", "one async runtime")] {
        let out = dir.path().join(driver).display().to_string();
        let plan = ["--threads", threads, "--rounds", "1", "--updates", "4", "--strategies", "get-set,incr"];
        let output = report(&[["--out", &out, "--driver", driver].as_slice(), &plan].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
        let run = Run::read(Path::new(&out)).unwrap();
        assert_eq!(run.machine.get("driver"), Some(driver));
        assert_eq!(run.records.len(), 4);
        assert!(
            run.records.iter().all(|record| record.condition.driver.to_string() == driver && record.verdict.is_some())
        );
        let table = text(&output.stdout);
        assert!(table.contains(words), "{table}");
        let page = std::fs::read_to_string(Path::new(&out).join("index.html")).unwrap();
        assert!(page.contains(words));
    }
    // Of a group, what is not supported is skipped, and the row says why.
    let out = dir.path().join("group").display().to_string();
    let plan = ["--strategies", "exact", "--threads", "3", "--rounds", "1", "--updates", "4"];
    let output = report(&[["--out", &out, "--driver", "events"].as_slice(), &plan].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = Run::read(Path::new(&out)).unwrap();
    let supported = redis_lost_updates::strategy::driven_by_one_thread(redis_lost_updates::strategy::ALL);
    for record in &run.records {
        let skipped =
            record.note.as_deref().is_some_and(|note| note.starts_with("skipped: not supported by --driver events"));
        assert_eq!(skipped, !supported.contains(&record.condition.strategy.as_str()), "{record:?}");
    }
    // By itself it races what has the form.
    let out = dir.path().join("default").display().to_string();
    let output = report(&["--out", &out, "--driver", "tasks", "--threads", "3", "--rounds", "1", "--updates", "4"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = Run::read(Path::new(&out)).unwrap();
    assert!(run.records.len() >= 8 && run.records.iter().all(|record| record.verdict.is_some()));
}

#[test]
fn json_is_one_document_and_nothing_else_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let args =
        ["--out", &out, "--strategies", "incr", "--json", "--updates", "50", "--threads", "1,2", "--transport", "unix"];
    let output = report(&args);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["cells"].as_array().unwrap().len(), 2);
    assert_eq!(json["cells"][0]["verdict"], "exact");
}

#[test]
fn a_page_is_a_function_of_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir("results/example").unwrap().flatten() {
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let committed = std::fs::read(dir.path().join("index.html")).unwrap();
    std::fs::remove_file(dir.path().join("index.html")).unwrap();
    let output = report(&["render", &dir.path().display().to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let rendered = std::fs::read(dir.path().join("index.html")).unwrap();
    assert!(
        rendered == committed,
        "results/example/index.html is not what its CSV files render to: report render results/example"
    );
}

#[test]
fn what_is_wrong_is_one_line_that_says_what_is_allowed_and_exit_2() {
    let nowhere = tempfile::tempdir().unwrap().path().join("x").display().to_string();
    let cases: [(&[&str], &str); 16] = [
        (&["--redis-url", "redis://127.0.0.1:1"], "127.0.0.1:1"),
        (&["--threads", "0"], "1 to 1024"),
        (&["--threads", "2000"], "--driver events"),
        (&["--threads", "30000", "--driver", "events"], "1 to 20000"),
        (&["--driver", "events", "--strategies", "incr,mutex"], "multiplexed-incr"),
        (&["--driver", "tasks", "--strategies", "incr", "--rate", "500"], "--driver threads or events"),
        (&["--strategies", "nope"], "get-set"),
        (&["render", "/nonexistent"], "/nonexistent"),
        (&["--server-bin", "/nonexistent/redis-server"], "/nonexistent/redis-server"),
        (&["--updates", "0"], "1 to"),
        (&["--keys", "99999999"], "16384"),
        (&["--rate", "0"], "from 1 to"),
        (&["--until", "5%", "--rounds", "4"], "5 at least"),
        (&["--until", "5%", "--strategies", "get-set"], "exact"),
        (&["--rate", "2", "--duration", "100ms"], "--duration"),
        (&["--rate", "1", "--updates", "1000"], "600 s"),
    ];
    for (args, says) in cases {
        let since = Instant::now();
        let out: &[&str] = if args[0] == "render" { &[] } else { &["--out", &nowhere] };
        let output = report(&[args, out].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{args:?}: {said}");
        assert!(said.contains(says) && output.stdout.is_empty(), "{args:?}: {said}");
        assert!(since.elapsed() < Duration::from_secs(5), "{args:?}");
        assert!(!Path::new(&nowhere).exists(), "{args:?} left something behind");
    }
}

#[test]
fn without_any_server_the_three_ways_out_are_named() {
    let empty = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--offline", "--quick"])
        .env("PATH", empty.path())
        .env("XDG_CACHE_HOME", empty.path())
        .env("HOME", empty.path())
        .env_remove("REDIS_URL")
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    for way in ["--redis-url", "--server-bin", "install redis-server"] {
        assert!(said.contains(way), "{said}");
    }
}

/// Starts a long run, waits until rows are there, and gives the child.
fn long_run(dir: &Path) -> std::process::Child {
    let out = dir.join("run");
    let child = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--strategies", "incr,get-set", "--duration", "100ms", "--rounds", "500", "--threads", "2,4"])
        .args(["--out", &out.display().to_string()])
        .env("LOST_UPDATES_TEST", dir)
        .env_remove("REDIS_URL")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let since = Instant::now();
    while std::fs::read_to_string(out.join("trials.csv")).unwrap_or_default().lines().count() < 3 {
        assert!(since.elapsed() < Duration::from_secs(60), "no row after a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

fn signal(child: &std::process::Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn soon(condition: impl Fn() -> bool) -> bool {
    (0..500).any(|_| {
        condition() || {
            std::thread::sleep(Duration::from_millis(20));
            false
        }
    })
}

#[test]
fn ctrl_c_and_sigterm_leave_valid_files_and_no_server() {
    for name in ["-INT", "-TERM"] {
        let dir = tempfile::tempdir().unwrap();
        let child = long_run(dir.path());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
        let run = Run::read(&dir.path().join("run")).unwrap();
        assert!(run.records.iter().all(|record| record.verdict.is_some()));
        assert!(dir.path().join("run/index.html").exists());
        assert!(soon(|| !servers_in(dir.path())), "a server is left");
    }
}

#[test]
fn even_sigkill_leaves_no_server_and_the_next_run_works() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = long_run(dir.path());
    signal(&child, "-KILL");
    child.wait().unwrap();
    assert!(soon(|| !servers_in(dir.path())), "a server is left");
    assert!(Run::read(&dir.path().join("run")).unwrap().records.len() >= 2);
    let out = dir.path().join("again").display().to_string();
    assert!(report(&small(&out, &["--strategies", "incr"])).status.success());
}

#[test]
fn a_server_that_dies_in_the_middle_ends_the_run_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let server = private();
    let url = format!("redis://{}", server.address());
    let out = dir.path().join("run");
    let child = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["--redis-url", &url, "--strategies", "incr", "--duration", "100ms", "--rounds", "500", "--threads", "2"])
        .args(["--out", &out.display().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(soon(|| std::fs::read_to_string(out.join("trials.csv")).unwrap_or_default().lines().count() > 2));
    drop(server);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("127.0.0.1"), "{}", text(&output.stderr));
    assert!(report(&["render", &out.display().to_string()]).status.success());
}

#[test]
fn a_run_on_a_given_server_leaves_no_key_behind() {
    let server = private();
    let mut db = server.connect().unwrap();
    redis::cmd("SET").arg("somebody-elses").arg("7").exec(&mut db).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let url = format!("redis://{}", server.address());
    let output = report(&small(&out, &["--strategies", "all", "--redis-url", &url]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(report(&["demo", "--redis-url", &url]).status.success());
    let left: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut db).unwrap();
    assert_eq!(left, ["somebody-elses"]);
}

#[test]
fn the_demo_prints_what_the_original_printed_and_what_it_left_out() {
    let output = report(&["demo", "--threads", "3", "--updates", "50"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines[0], "Running code producing race condition");
    assert_eq!((lines[7], lines[8]), ("", "Running code avoiding race condition"));
    let number = |line: &str| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap();
    for pair in lines[9..15].chunks(2) {
        assert!(pair[0].starts_with("Before: ") && pair[1].starts_with("After: "));
        assert_eq!(number(pair[1]) - number(pair[0]), 50);
    }
    let racing_end = number(lines[9]);
    assert_eq!(lines[15], format!("Racing, {} of 150 updates were lost.", 150 - racing_end));
    assert_eq!(lines[16], "Behind the mutex, 0 of 150 updates were lost.");
}

#[test]
fn every_strategy_is_listed() {
    let listed = text(&report(&["list"]).stdout);
    for strategy in redis_lost_updates::strategy::ALL {
        assert!(
            listed.contains(strategy.info().name) && listed.contains(strategy.info().about),
            "{}",
            strategy.info().name
        );
    }
}
