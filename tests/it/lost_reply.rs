//! `report lost-reply`: a client that sends again is found to double, one that does not is not, and what the README and the
//! committed page say is what the committed rows say.

use std::path::Path;
use std::process::{Command, Stdio};

use redis_lost_updates::record::Run;
use redis_lost_updates::record::lost_reply::{LossWay, LostReply, read};
use redis_lost_updates::report::lost_reply as words;
use redis_lost_updates::verdict::Verdict;

/// The rows of a run with these arguments, and its exit code.
fn run(args: &[&str]) -> (Vec<LostReply>, Option<i32>) {
    let out = Command::new(env!("CARGO_BIN_EXE_report"))
        .args(["lost-reply", "--csv"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let rows: Result<Vec<LostReply>, _> = csv::Reader::from_reader(out.stdout.as_slice()).deserialize().collect();
    (rows.unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out.stderr))), out.status.code())
}

fn counts(row: &LostReply) -> (u64, u64, u64) {
    (row.acked.unwrap(), row.errors().unwrap(), row.doubled.unwrap())
}

fn of<'a>(rows: &'a [LostReply], settings: &str, way: LossWay) -> &'a LostReply {
    rows.iter().find(|row| row.settings == settings && row.way == way).unwrap()
}

#[test]
fn a_client_that_sends_again_doubles_and_one_that_does_not_does_not() {
    let (rows, code) = run(&[
        "--libraries",
        "tests/it/liar/library.toml",
        "--settings",
        "default,retries",
        "--ways",
        "fin,rst,dropped",
    ]);
    assert_eq!((rows.len(), code), (6, Some(0)));
    for way in [LossWay::Fin, LossWay::Rst] {
        let again = of(&rows, "retries", way);
        // Every tenth command, those that are sent again included: 111 for 100 updates.
        assert_eq!((counts(again), again.commands_lost, again.executions), ((100, 0, 11), Some(11), Some(111)));
        assert_eq!(again.marks.matches('2').count(), 11, "{}", again.marks);
        let once = of(&rows, "default", way);
        assert_eq!((counts(once), once.executions, once.is_stuck), ((90, 10, 0), Some(100), Some(false)));
        assert_eq!((once.marks.matches('x').count(), once.marks.matches('.').count()), (10, 90), "{}", once.marks);
    }
    // A request that never arrived may be sent again.
    assert_eq!(counts(of(&rows, "retries", LossWay::Dropped)), (100, 0, 0));
    let refused = of(&rows, "default", LossWay::Dropped);
    assert_eq!((counts(refused), refused.marks.matches('o').count()), ((90, 10, 0), 10));
}

#[test]
fn a_client_without_a_timeout_still_waits_and_one_that_does_not_come_back_is_stuck() {
    let (rows, code) = run(&[
        "--libraries",
        "tests/it/liar/library.toml",
        "--settings",
        "default,gives-up",
        "--ways",
        "silence,fin",
        "--cap",
        "3s",
    ]);
    assert_eq!((rows.len(), code), (4, Some(0)));
    let waits = of(&rows, "default", LossWay::Silence);
    assert_eq!((waits.acked, waits.attempted, waits.marks.as_str()), (Some(9), Some(10), ".........w"));
    assert!(waits.waiting_ns.unwrap() > 2_000_000_000, "{waits:?}");
    assert!(words::terminal(&rows).contains("still waiting after"));
    let stuck = of(&rows, "gives-up", LossWay::Fin);
    assert_eq!((stuck.acked, stuck.is_stuck), (Some(9), Some(true)), "{}", stuck.marks);
}

#[test]
fn the_built_in_library_never_sends_again() {
    let (rows, code) = run(&["--libraries", "redis-rs", "--ways", "fin,rst,dropped"]);
    assert_eq!((rows.len(), code), (6, Some(0)));
    for row in &rows {
        assert_eq!((counts(row), row.differs()), ((90, 10, 0), None), "{} {}", row.settings, row.way);
    }
    assert!(words::terminal(&rows).contains("set_read_timeout"), "its recipe is printed");
    let locked = std::fs::read_to_string("Cargo.lock").unwrap();
    assert!(locked.contains(&format!("name = \"redis\"\nversion = \"{}\"", rows[0].version)), "{}", rows[0].version);
}

#[test]
fn what_cannot_be_had_is_a_row_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("library.toml");
    std::fs::write(
        &path,
        "name = 'mine'\nlanguage = 'X'\nversion = '1'\nabout = 'a'\ncommand = ['x']\nstrategies = ['incr']\n\
         needs = [{ tool = 'no-such-tool', get = 'ask for it' }]\n[settings.default]\nabout = 'd'\n",
    )
    .unwrap();
    let (rows, code) = run(&["--libraries", path.to_str().unwrap(), "--ways", "fin"]);
    assert_eq!(code, Some(2));
    let note = rows[0].note.as_deref();
    assert_eq!(note, Some("skipped: no-such-tool is not on PATH (ask for it)"));
}

/// The fenced block of this language that follows `after` in the page.
fn block<'a>(page: &'a str, language: &str, after: &str) -> &'a str {
    let rest = page.split_once(after).unwrap().1.split_once(&format!("```{language}\n")).unwrap().1;
    rest.split_once("\n```").unwrap().0
}

#[test]
#[allow(clippy::print_stderr)] // a test that is left out says so
fn a_client_in_a_language_not_listed_works_from_the_documentation_alone() {
    let perl = ["-MJSON::PP", "-MTime::HiRes", "-MIO::Select", "-e1"];
    if !Command::new("perl").args(perl).status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: perl with its modules is not here (apt-get install perl)");
        return;
    }
    let page = std::fs::read_to_string("docs/libraries.md").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("library.toml", block(&page, "toml", "## A complete adapter"));
    write("adapter.pl", block(&page, "perl", "## A complete adapter"));
    let manifest = folder.path().join("library.toml");
    let (rows, code) = run(&["--libraries", manifest.to_str().unwrap(), "--ways", "fin,rst,dropped"]);
    assert_eq!((rows.len(), code), (3, Some(0)), "{rows:?}");
    for row in &rows {
        assert_eq!((row.library.as_str(), counts(row)), ("perl-socket", (90, 10, 0)), "{row:?}");
    }
    // One process per client: the values they were told are in an order that their clocks allow.
    let out = Command::new(env!("CARGO_BIN_EXE_report"))
        .args([
            "--strategies",
            "incr",
            "--threads",
            "4",
            "--updates",
            "100",
            "--rounds",
            "1",
            "--no-progress",
            "--libraries",
        ])
        .arg(&manifest)
        .arg("--out")
        .arg(folder.path().join("run"))
        .env_remove("REDIS_URL")
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let row = &Run::read(&folder.path().join("run")).unwrap().records[0];
    let seen = (row.condition.library.as_str(), row.acked, row.verdict, row.order.as_deref());
    assert_eq!(seen, ("perl-socket", Some(400), Some(Verdict::Exact), Some("linearizable")), "{row:?}");
    assert!(row.runtime.as_deref().is_some_and(|runtime| runtime.starts_with("Perl")) && row.no_op_per_s.is_none());
}

#[test]
fn settings_that_hold_are_listed_apart_from_those_whose_client_does_not_come_back() {
    let (machine, rows) = read(Path::new("results/lost-reply")).unwrap().unwrap();
    let page = words::page(&rows, &machine);
    let headline = page.split_once("<h1>").unwrap().1.split_once("</h1>").unwrap().0;
    // It doubles where the connection is closed, and not by default where redis.from_url was called.
    assert!(headline.contains("lettuce (only fin)") && headline.contains("redis-py (not from-url)"), "{headline}");
    let second = page.split_once("<p class=\"second\">").unwrap().1.split_once("</p>").unwrap().0;
    assert!(
        second.contains("With default settings 8 were still waiting") && second.contains("redis-rs-manager"),
        "{second}"
    );
    let held = page.split_once("id=\"recipes\"").unwrap().1.split_once("</section>").unwrap().0;
    let stuck = page.split_once("id=\"stuck\"").unwrap().1.split_once("</section>").unwrap().0;
    for (library, is_stuck) in [("go-redis", false), ("jedis", false), ("lettuce", true), ("node-redis", true)] {
        let heading = format!("<h3>{library}</h3>");
        assert_eq!((held.contains(&heading), stuck.contains(&heading)), (!is_stuck, is_stuck), "{library}");
    }
    assert!(
        words::terminal(&rows)
            .contains("lettuce: with these settings an INCR is executed once, or an error says so; but")
    );
}

#[test]
fn the_readme_and_the_committed_page_are_made_from_the_committed_rows() {
    let folder = Path::new("results/lost-reply");
    let (machine, rows) = read(folder).unwrap().unwrap();
    let readme = std::fs::read_to_string("README.md").unwrap();
    let table = words::summary_table(&rows);
    assert!(readme.contains(&table), "the README's table of client libraries is to be\n{table}");
    let page = std::fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(page == words::page(&rows, &machine), "report render results/lost-reply writes the page anew");
}
