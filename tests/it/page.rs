//! The page as a file: complete, self-contained, a pure function of the rows, and honest about what it shows.

use std::collections::HashSet;

use crate::sample::{self, Shape, USUAL};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use redis_lost_updates::compare::{Comparison, Options};
use redis_lost_updates::condition::Condition;
use redis_lost_updates::record::{Clock, Estimate, Record, Run};
use redis_lost_updates::report::{comparison, headline, render, sheet, table};
use redis_lost_updates::summary::{Limit, Summary};
use redis_lost_updates::verdict::{Promise, Verdict};
use sha2::{Digest, Sha256};

fn page(run: &Run) -> String {
    render(&Summary::of(run), run)
}

/// What is between the first `from` and the next `to`.
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("no {from}")) + from.len();
    let end = text[start..].find(to).unwrap_or_else(|| panic!("no {to} after {from}"));
    &text[start..start + end]
}

#[test]
fn the_same_rows_give_the_same_bytes_and_few_enough_of_them() {
    let run = sample::run(USUAL);
    let first = page(&run);
    assert_eq!(first, page(&run));
    assert!(first.len() < 400_000, "{} bytes", first.len());
}

#[test]
fn nothing_is_fetched_and_nothing_may_be() {
    let html = page(&sample::run(USUAL));
    assert!(html.contains("content=\"default-src 'none'; "));
    for word in ["http://", "https://", "@import", "url(h", "<iframe", "<img", "src=", "import("] {
        assert!(!html.contains(word), "the page says {word}");
    }
}

#[test]
fn the_answer_names_the_loss_and_the_fastest_that_lost_none() {
    let html = page(&sample::run(USUAL));
    let answer = between(&html, "<div class=\"answer by-t t16 by-k k1\">", "</div>");
    assert!(answer.contains("At 16 clients <code>get-set</code> acknowledged"), "{answer}");
    assert!(answer.contains("<b class=\"loss\">lost 8"), "{answer}");
    assert!(answer.contains("the fastest strategy without loss, <code>multiplexed-incr</code>, kept"), "{answer}");
    assert!(answer.contains(": fewer than 1 in"), "a zero is printed with its bound: {answer}");
    assert!(!html.contains("is safe") && !html.contains(">safe<"));
}

#[test]
fn a_batch_is_no_measure_for_those_that_take_one_update_at_a_time() {
    let mut run = sample::run(USUAL);
    run.machine.add("batch.multiplexed-incr", "16");
    let html = page(&run);
    let answer = between(&html, "<div class=\"answer by-t t16 by-k k1\">", "</div>");
    assert!(!answer.contains("without loss, <code>multiplexed-incr</code>"), "{answer}");
    assert!(answer.contains("Faster in batches: <code>multiplexed-incr</code>"), "{answer}");
    assert!(html.contains("× in batches</span>"));
}

#[test]
fn no_lossy_strategy_is_ever_ranked() {
    let html = page(&sample::run(USUAL));
    for ranked in html.split("<ol>").skip(1).filter(|part| part.starts_with("<li class=\"s")) {
        let ranked = ranked.split("</ol>").next().unwrap();
        assert!(!ranked.contains("lossy") && ranked.contains("exact"), "{ranked}");
    }
}

#[test]
fn warnings_stand_once_with_a_mark_where_they_touch() {
    let html = page(&sample::run(USUAL));
    let section = |heading: &str| between(&html, &format!("<h2 id=\"{heading}\">"), "</section>");
    let number = |said: &str| {
        assert_eq!(html.matches(said).count(), 1, "{said}");
        let before = &html[..html.find(said).unwrap()];
        before.rsplit("id=\"care-").next().unwrap().split('"').next().unwrap().to_owned()
    };
    let marked = |heading: &str, said: &str| section(heading).contains(&format!("href=\"#care-{}\"", number(said)));
    assert!(marked("losses", "may evict keys") && !marked("latency", "may evict keys"));
    for touched in ["rates", "cost", "latency"] {
        for said in ["not optimised", "CPUs were not assigned", "<b>Mixed drivers:</b>", "The run ended early"] {
            assert!(marked(touched, said), "{touched}: {said}");
        }
    }
    assert!(marked("losses", "<b>Low overlap:</b>") && marked("rates", "The clients were the limit"));
}

#[test]
fn where_the_clients_are_the_limit_every_row_says_so() {
    let run = sample::run(USUAL);
    let summary = Summary::of(&run);
    let cell = |threads| {
        summary.cells.iter().find(|c| c.condition.strategy == "incr" && c.condition.threads == threads).unwrap()
    };
    // One CPU for the clients: 0.95 of it used by 16 threads, and 0.6 by 8, with 0.46 of the server beside them.
    assert_eq!((cell(16).limit, cell(8).limit), (Some(Limit::Clients), Some(Limit::SharedCpus)));
    let table = table(&summary, false);
    let row = table.lines().find(|line| line.starts_with("incr ")).unwrap();
    assert!(row.contains('*') && table.contains("\n* Limited by the clients' CPUs"), "{table}");
    let sheet = String::from_utf8(sheet(&summary).unwrap()).unwrap();
    assert!(sheet.lines().next().unwrap().contains(",client_cpus,server_cpus,limit,"), "{sheet}");
    assert!(sheet.contains(",clients,") && sheet.contains(",shared-cpus,"));
    let html = page(&run);
    assert!(html.contains("<b>The CPUs were the limit:</b>") && html.contains("<b>0.95 (limit)</b>"));
}

#[test]
fn a_broken_promise_comes_before_everything() {
    let shape = Shape { broken: true, ..USUAL };
    let html = page(&sample::run(shape));
    let said = "<code>lua</code> promises to be exact and lost <b>";
    let alarm = html.find(said).unwrap_or_else(|| panic!("no {said}"));
    let alarm_text = between(&html, said, "</li>");
    assert!(alarm_text.contains("in <b>1 of 5 trials</b>, at 8 clients. Verdict: lost"), "{alarm_text}");
    assert!(
        html.contains("Did anybody else write to this server")
            && html.contains("<div class=\"bars by-t t8 by-k k1 broke\">")
    );
    assert!(alarm < html.find("id=\"answer\"").unwrap());
    assert!(html.contains("Broke their promise to be exact: not ranked"));
    assert!(!page(&sample::run(USUAL)).contains("A promise was broken"));
}

#[test]
fn what_could_not_be_measured_says_why_and_is_escaped() {
    let mut run = sample::run(USUAL);
    let blank = Record::blank(Condition::of("watch", 64, 1), Promise::Exact);
    run.records.push(Record { round: 1, error: Some("<script>alert(1)</script>".to_owned()), ..blank });
    let html = page(&run);
    assert!(html.contains("the server does not know SET IFEQ &#60;yet&#62;"));
    assert!(!html.contains("<script>alert"));
    assert!(html.contains("An &#60;Example&#62; CPU"));
}

#[test]
fn no_text_of_a_result_file_becomes_markup() {
    let run = sample::hostile(sample::run(Shape { strategies: 5, keys: &[1, 4], broken: true }));
    let options = Options::default();
    let compared = Comparison::of((sample::HOSTILE, &run), (sample::HOSTILE, &run), options);
    let elements = |html: &str, name: &str| html.matches(&format!("<{name}")).count();
    let (clean, pages) = (page(&sample::run(USUAL)), [page(&run), comparison::page(&compared)]);
    for (html, scripts) in pages.iter().zip([elements(&clean, "script"), 0]) {
        assert!(html.contains("window.ran=1"), "the text is there");
        assert_eq!((elements(html, "script"), elements(html, "style")), (scripts, 1));
        for markup in ["<img", "<svg onload", "<a href=\"java", "<!--", "onerror=\""] {
            assert!(!html.contains(markup), "{markup}");
        }
    }
    let readouts = between(&pages[0], "id=\"readouts\">", "</script>");
    assert!(!readouts.contains('<'), "nothing in it can end the script");
    assert!(serde_json::from_str::<serde_json::Value>(readouts).is_ok());
}

#[test]
fn what_may_run_and_style_is_ours_by_its_hash() {
    let run = sample::run(USUAL);
    let compared = Comparison::of(("a", &run), ("b", &run), Options::default());
    for html in [page(&run), comparison::page(&compared)] {
        let policy = between(&html, "http-equiv=\"Content-Security-Policy\" content=\"", "\"");
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"), "{policy}");
        for (name, from, to) in [("style-src", "<style>", "</style>"), ("script-src", "<script>", "</script>")] {
            if !html.contains(from) {
                assert!(!policy.contains(name), "{policy}");
                continue;
            }
            let hash = BASE64_STANDARD.encode(Sha256::digest(between(&html, from, to)));
            assert!(policy.contains(&format!("{name} 'sha256-{hash}';")), "{policy}");
        }
        // A policy of hashes allows neither.
        assert!(!html.contains(" style=") && !html.contains(" onclick="));
    }
}

#[test]
fn a_witness_is_drawn_or_missed_aloud() {
    let mut run = sample::run(USUAL);
    let html = page(&run);
    let witness = between(&html, "<h2 id=\"witness\">", "</section>");
    assert!(witness.contains("client A") && witness.contains("GET → 41") && witness.contains("is lost"));
    run.witness.clear();
    assert!(page(&run).contains("no witness (a recorded"));
}

#[test]
fn keys_have_a_chart_of_their_own_if_there_are_several() {
    let html = page(&sample::run(Shape { strategies: 4, keys: &[1, 16, 256], broken: false }));
    assert!(html.contains("More keys, fewer collisions"));
    assert!(html.contains("id=\"k256\""));
    assert!(!page(&sample::run(USUAL)).contains("More keys, fewer collisions"));
}

#[test]
fn what_many_cells_have_in_common_is_said_once() {
    let mut run = sample::run(USUAL);
    for (i, threads) in [1, 2, 4, 8].into_iter().enumerate() {
        for name in ["a", "b", "c", "d", "e", "f", "g"] {
            let blank = Record::blank(Condition::of(name, threads, 1), Promise::Exact);
            // The same reason, though its figures differ.
            let error = Some(format!("the disk is full after {} bytes", 100 * threads));
            run.records.push(Record { round: 1 + i as u32, error, ..blank });
        }
    }
    let html = page(&run);
    let failed = between(&html, "<h2>Could not be measured</h2>", "</div>");
    assert!(failed.contains("<b>7 strategies at 1, 2, 4, 8 "), "{failed}");
    assert_eq!(failed.matches("the disk is full").count(), 1, "{failed}");
}

/// A run at an offered rate: name, updates per second, p99.
fn paced(strategies: &[(&str, u64, u64)]) -> Run {
    let mut run = Run::default();
    for (at, &(name, rate, p99_ns)) in strategies.iter().enumerate() {
        for round in 1..=5 {
            let mut condition = Condition::of(name, 4, 1);
            condition.offered_per_s = Some(2_000);
            let record = Record {
                trial: at as u32 * 5 + round,
                round,
                attempted: Some(rate),
                acked: Some(rate),
                lost: Some(0),
                backlog: Some(if rate < 2_000 { 500 } else { 0 }),
                span_ns: Some(1_000_000_000),
                verdict: Some(Verdict::Exact),
                ..Record::blank(condition, Promise::Exact)
            };
            for clock in [Clock::Service, Clock::Response] {
                run.latency
                    .extend([record.bucket(clock, (p99_ns / 2, rate - 100)), record.bucket(clock, (p99_ns, 100))]);
            }
            run.records.push(record);
        }
    }
    run
}

#[test]
fn at_an_offered_rate_those_that_kept_up_are_ranked_by_their_p99() {
    let html = page(&paced(&[("incr", 2_000, 3_000_000), ("lua", 2_000, 1_000_000), ("lock", 1_200, 500_000)]));
    let answer = between(&html, "<div class=\"answer by-t t4 by-k k1\">", "</div>");
    assert!(
        answer.contains("<code>lua</code> had the lowest 99th percentile of those that kept up: <b>1.0 ms</b>"),
        "{answer}"
    );
    assert!(answer.contains("Kept up with a higher percentile: <code>incr</code> (3.0 ms, 0 lost)."), "{answer}");
    assert!(answer.contains("Could not keep up: <code>lock</code> (1,200/s, 0 lost)."), "{answer}");
    let bars = between(&html, "Exact, ranked", "</ol>");
    let ranked = ["lua", "incr"].map(|name| bars.find(&format!("<code>{name}</code>")).unwrap());
    assert!(ranked.is_sorted() && bars.contains("<span>1.0 ms</span>"), "{bars}");
    let behind = between(&html, "Exact, but did not keep up: not ranked", "</ul>");
    assert!(behind.contains("<code>lock</code>") && !bars.contains("<code>lock</code>"), "{behind}");
    let none = page(&paced(&[("lock", 1_200, 500_000)]));
    assert!(none.contains("no exact strategy kept up"));
    let mut few = paced(&[("incr", 2_000, 3_000_000)]);
    few.latency.clear();
    assert!(page(&few).contains("too few updates were sent for a 99th percentile"));
}

#[test]
fn what_a_fault_did_is_said_first_and_ranked_nowhere() {
    let row = |trial, strategy: &str, fault: &str, (lost, doubled, unknown), verdict| {
        let fault = fault.to_owned();
        Record {
            trial,
            round: 1,
            acked: Some(1_600),
            lost: Some(lost),
            doubled: Some(doubled),
            unknown: Some(unknown),
            span_ns: Some(100_000_000),
            verdict: Some(verdict),
            ..Record::blank(Condition { fault, ..Condition::of(strategy, 4, 1) }, Promise::Exact)
        }
    };
    let run = Run {
        records: vec![
            row(1, "incr", "none", (0, 0, 0), Verdict::Exact),
            row(2, "incr", "reply-lost:fin", (0, 0, 40), Verdict::Unproven),
            Record { promise: Promise::Lossy, ..row(3, "incr-retry", "reply-lost:fin", (0, 41, 0), Verdict::Excess) },
        ],
        ..Run::default()
    };
    let said = "Under reply-lost:fin: incr-retry counted 41 twice (1,600 acknowledged); nothing lost or doubled by incr (40 \
                unknown).";
    let html = page(&run);
    assert!(html.contains(&format!("<b>{said}</b>")), "{html}");
    let summary = Summary::of(&run);
    let terminal = headline(&summary, &run.machine, &[]).replace('\n', " ");
    assert!(terminal.starts_with(said), "{terminal}");
    let ranked = between(&html, "Exact, ranked", "</ol>");
    assert!(!ranked.contains("reply-lost"), "{ranked}");
    let under = between(&html, "Under a fault: not ranked", "</ul>");
    assert!(under.contains("0 lost, 41 doubled") && under.contains("0 lost, 40 unknown"), "{under}");
}

#[test]
fn where_nothing_was_acknowledged_the_page_says_why_and_ranks_nothing() {
    let error = Some("OOM command not allowed".to_owned());
    let blank = Record::blank(Condition::of("incr", 4, 1), Promise::Exact);
    let refused = Record {
        trial: 1,
        round: 1,
        acked: Some(0),
        lost: Some(0),
        refused: Some(12),
        span_ns: Some(1_000_000),
        verdict: Some(Verdict::Unproven),
        error,
        ..blank
    };
    let html = page(&Run { records: vec![refused], ..Run::default() });
    let answer = between(&html, "<div class=\"answer by-t t4 by-k k1\">", "</div>");
    let why =
        "incr cannot be judged: no update was acknowledged in 1 of 1 trial at 4 threads: OOM command not allowed.";
    assert!(answer.contains(why), "{answer}");
    assert!(!html.contains("Exact, ranked"));
}

#[test]
fn where_all_that_kept_up_sent_too_few_updates_for_a_p99_that_is_said() {
    let mut few = paced(&[("incr", 2_000, 3_000_000)]);
    few.latency.clear();
    let said = headline(&Summary::of(&few), &few.machine, &[]);
    assert_eq!(said, "Offered 2,000/s, at 4 threads too few updates were sent for a p99.\n");
}

#[test]
fn a_winner_is_called_one_only_where_nobody_is_close_and_the_trials_suffice() {
    let row = |trial, strategy: &str, acked: u64| Record {
        trial: trial as u32,
        round: trial as u32,
        acked: Some(acked + trial),
        lost: Some(0),
        span_ns: Some(100_000_000),
        verdict: Some(Verdict::Exact),
        ..Record::blank(Condition::of(strategy, 4, 1), Promise::Exact)
    };
    let said = |trials: u64, other: u64| {
        let records = (1..=trials).flat_map(|trial| [row(trial, "incr", 1_000), row(trial, "watch", other)]).collect();
        let run = Run { records, ..Run::default() };
        headline(&Summary::of(&run), &run.machine, &[]).replace('\n', " ")
    };
    let alone = said(5, 100);
    assert!(alone.starts_with("incr wins at 4 threads: 10,000 surviving/s (10,000 to 10,100), 0 of "), "{alone}");
    assert!(alone.contains("no other is within its noise"), "{alone}");
    let close = said(5, 999);
    assert!(close.starts_with("incr leads at 4 threads: ") && close.contains("within its noise: watch"), "{close}");
    let few = said(2, 100);
    assert!(few.starts_with("incr leads at 4 threads: 10,000 surviving/s (10,000 to 10,000 in 2 trials), "), "{few}");
    assert!(few.contains("too few trials to be sure"), "{few}");
    let one = said(1, 100);
    assert!(one.starts_with("incr leads at 4 threads: 10,000 surviving/s (one trial, so no interval)"), "{one}");
}

#[test]
fn a_bench_folder_is_answered_by_criterions_intervals() {
    let mut run = page_run(vec![row(9, 3)]);
    run.records[0].condition.threads = 4;
    let estimate = |name: &str, mean_ns: f64, lost| Estimate {
        bench_id: format!("{name}/4"),
        baseline: "this run".to_owned(),
        strategy: name.to_owned(),
        threads: 4,
        mean_ns,
        mean_low_ns: mean_ns * 0.98,
        mean_high_ns: mean_ns * 1.02,
        median_ns: mean_ns,
        confidence: 0.95,
        acked: 1_000,
        lost,
        doubled: 0,
        verdict: Some(if lost > 0 { Verdict::Lost } else { Verdict::Exact }),
    };
    run.estimates =
        vec![estimate("incr", 50_000.0, 0), estimate("get-set", 90_000.0, 700), estimate("mutex", 400_000.0, 0)];
    let html = page(&run);
    let answer = between(&html, "<div class=\"answer by-t t4 by-k k1\">", "</div>");
    assert!(
        answer
            .contains("<code>incr</code> was the fastest that lost nothing: <b>50 µs</b> (criterion: 49 µs to 51 µs)"),
        "{answer}"
    );
    assert!(answer.contains("<code>get-set</code> took 90 µs and <b class=\"loss\">lost 70.0 %</b>"), "{answer}");
    assert!(answer.contains("Slower: <code>mutex</code> (392 µs to 408 µs)."), "{answer}");
    // One that promises nothing does not win, even where it lost nothing.
    run.estimates[1] = estimate("get-set", 9_000.0, 0);
    assert!(page(&run).contains("<code>incr</code> was the fastest that lost nothing"));
}

#[test]
fn a_strategy_has_one_colour_in_every_page() {
    let tone = |html: &str, name: &str| {
        let ends = [format!("</svg>{name}<"), format!("</svg>{name} <small>lossy")];
        let before = html[..ends.iter().find_map(|end| html.find(end)).unwrap_or_else(|| panic!("no {name}"))]
            .rfind("<label class=\"")
            .unwrap();
        html[before + 14..].split(' ').next().unwrap().to_owned()
    };
    let (few, many) =
        (page(&sample::run(Shape { strategies: 7, ..USUAL })), page(&sample::run(Shape { strategies: 35, ..USUAL })));
    for name in ["get-set", "watch", "mutex", "pooled-incr", "incr"] {
        assert_eq!(tone(&few, name), tone(&many, name), "{name}");
    }
    assert_ne!(tone(&few, "incr"), tone(&few, "mutex"));
}

#[test]
fn every_strategy_looks_unlike_the_others_of_its_kind_and_the_default_ones_have_their_own_colours() {
    let rows = redis_lost_updates::strategy::ALL.iter().map(|strategy| {
        let info = strategy.info();
        Record {
            acked: Some(9),
            lost: Some(0),
            round: 1,
            span_ns: Some(1_000_000_000),
            verdict: Some(Verdict::Exact),
            ..Record::blank(Condition::of(info.name, 4, 1), info.promise)
        }
    });
    let html = page(&page_run(rows.collect()));
    let menu = between(&html, "<p class=\"quick\">", "</div>");
    let (mut looks, mut colours) = (HashSet::new(), HashSet::new());
    for label in menu.split("<label class=\"").skip(1) {
        let (tone, marker) = (label.split(' ').next().unwrap(), between(label, "href=\"#m", "\""));
        let name = between(label, "</svg>", "<").trim();
        assert!(looks.insert((tone, marker)), "{name} looks like another: {tone}, marker {marker}");
        if redis_lost_updates::strategy::DEFAULT.contains(&name) {
            assert!(colours.insert(tone), "{name} has another's colour: {tone}");
        }
    }
    assert_eq!(looks.len(), redis_lost_updates::strategy::ALL.len());
    assert_eq!(colours.len(), redis_lost_updates::strategy::DEFAULT.len());
}

#[test]
fn the_page_of_the_example_is_short() {
    let html = std::fs::read_to_string("results/example/index.html").unwrap();
    let body = &html[html.find("<main>").unwrap()..html.find("</main>").unwrap()];
    let text: String =
        body.split('<').map(|part| part.split_once('>').map_or("", |(_, text)| text).to_owned() + " ").collect();
    let words = text.split_whitespace().count();
    assert!(words <= 4_700, "{words} words");
}

#[test]
fn ids_are_unique_and_references_lead_somewhere() {
    let html = page(&sample::run(USUAL));
    let mut ids = HashSet::new();
    for part in html.split(" id=\"").skip(1) {
        assert!(ids.insert(part.split('"').next().unwrap()), "{} twice", &part[..20]);
    }
    for part in html.split("href=\"#").skip(1).chain(html.split("aria-labelledby=\"").skip(1)) {
        let id = part.split('"').next().unwrap();
        assert!(ids.contains(id), "{id} is nowhere");
    }
}

#[test]
fn an_empty_or_failed_run_still_has_a_page() {
    let html = page(&Run::default());
    assert!(html.contains("No result: this folder"));
    let blank = Record::blank(Condition::of("incr", 4, 1), Promise::Exact);
    let records = vec![Record { round: 1, error: Some("connection refused".to_owned()), ..blank }];
    let html = page(&Run { records, ..Run::default() });
    assert_eq!(html.matches("connection refused").count(), 1, "{html}");
    assert!(html.contains("Nothing could be measured: connection refused") && !html.contains("class=\"controls\""));
}

#[test]
fn a_load_without_a_kept_promise_still_has_an_answer() {
    let exact = || Record { promise: Promise::Exact, ..row(9, 0) };
    let lost = Record { lost: Some(1), verdict: Some(Verdict::Lost), ..exact() };
    let html = page_of(vec![lost], &[]);
    assert!(html.contains("no strategy was shown to keep its promise") && !html.contains("No result"), "{html}");
    // Doubled, not lost; and more than all updates can explain.
    let doubled = Record { doubled: Some(2), verdict: Some(Verdict::Excess), ..exact() };
    let excess = Record { verdict: Some(Verdict::Excess), ..exact() };
    assert!(
        page_of(vec![doubled], &[]).contains("promises to be exact and counted <b>2</b> of 9 updates more than once")
    );
    assert!(page_of(vec![excess], &[]).contains("promises to be exact and was not in <b>1 of 1 trial</b>"));
}

fn page_run(records: Vec<Record>) -> Run {
    Run { records, ..Run::default() }
}

/// A page of these rows and facts.
fn page_of(records: Vec<Record>, facts: &[(&str, &str)]) -> String {
    let mut run = page_run(records);
    facts.iter().for_each(|(fact, value)| run.machine.add(fact, *value));
    page(&run)
}

fn row(acked: u64, lost: u64) -> Record {
    Record {
        round: 1,
        attempted: Some(acked),
        acked: Some(acked),
        lost: Some(lost),
        span_ns: Some(1_000_000_000),
        verdict: Some(if lost > 0 { Verdict::Lost } else { Verdict::Exact }),
        ..Record::blank(Condition::of("get-set", 16, 1), Promise::Lossy)
    }
}

#[test]
fn one_lost_of_many_millions_has_its_page_and_its_interval() {
    // These never ended: the interval of few, or nearly all, lost of more than some 7.3 million.
    for (acked, lost, said) in [
        (20_000_000, 1, "1 of 20,000,000: 1.3e-7 % to 2.8e-5 % at 95 %"),
        (8_000_000, 1, "1 of 8,000,000: 3.2e-7 % to 7.0e-5 % at 95 %"),
        (8_000_000, 7_999_999, "7,999,999 of 8,000,000: 99.99993 % to 99.9999997 % at 95 %"),
    ] {
        let page = page_of(vec![row(acked, lost)], &[]);
        assert!(page.contains(said), "{acked}, {lost}: not {said}");
    }
}

#[test]
fn nearly_all_lost_is_not_all() {
    let page = page_of(vec![row(50_000, 49_997)], &[]);
    assert!(page.contains("lost 99.994 %</b> of them, leaving 3"), "not 100.0 %, as three were kept");
    assert!(page_of(vec![row(50_000, 50_000)], &[]).contains("lost 100 %</b> of them, leaving 0"));
}

#[test]
fn a_filtered_bench_did_not_end_early() {
    let facts = [("rounds", "10"), ("threads", "1,2,4,8,16"), ("keys", "1"), ("strategy.get-set", "the race")];
    assert!(page_of(vec![row(9, 3)], &facts).contains("The run ended early:</b> 1 of 50 trials were made"));
    let bench: Vec<_> = facts.into_iter().chain([("measured_by", "criterion")]).collect();
    assert!(!page_of(vec![row(9, 3)], &bench).contains("ended early"));
}

#[test]
fn figures_at_the_end_of_their_range_have_a_page() {
    let most = Record {
        span_ns: Some(1),
        trial: 1,
        server_applied: Some(u64::MAX),
        unknown: Some(u64::MAX),
        ..row(u64::MAX, u64::MAX)
    };
    let mut run = Run { records: vec![most.clone(), Record { round: 2, trial: 2, ..most }], ..Run::default() };
    let bucket = |up_to_ns, count| run.records[0].bucket(Clock::Service, (up_to_ns, count));
    run.latency = vec![bucket(0, u64::MAX), bucket(0, u64::MAX), bucket(u64::MAX, 1)];
    let page = page(&run);
    assert!(page.len() < 1_000_000 && page.contains("<b>Overflow:</b> sums beyond 64 bits were capped"));
}

#[test]
fn the_nodes_of_a_cluster_are_drawn_and_the_busy_one_is_called_the_limit() {
    let mut run = sample::run(USUAL);
    assert!(!page(&run).contains("Server by server"), "there is one server");
    for record in run.records.iter_mut().filter(|record| record.condition.strategy == "get-set") {
        let busy_us = record.span_ns.unwrap() / 1_000;
        record.node_calls = Some("1000+3000".to_owned());
        record.node_cpu_us = Some(format!("0+{busy_us}"));
    }
    let html = page(&run);
    let section = between(&html, "<h2 id=\"nodes\">", "</section>");
    assert!(section.contains("node 2: 1.00 CPUs"), "{section}");
    // A quarter and three quarters of the bar, with a gap.
    assert!(section.contains("width=\"24.6%\"") && section.contains("width=\"74.6%\""), "{section}");
    assert!(!section.contains("<code>incr</code>"), "only what was measured on several nodes");
    for record in run.records.iter_mut().filter(|record| record.node_cpu_us.is_some()) {
        record.node_cpu_us = Some("5+5".to_owned());
    }
    let html = page(&run);
    let section = between(&html, "<h2 id=\"nodes\">", "</section>");
    assert!(section.contains("busiest") && !section.contains("node 2: "), "{section}");
}
