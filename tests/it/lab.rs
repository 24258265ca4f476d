//! The failure lab's page and its short table are a pure function of the rows, and say what the rows say.

use std::path::Path;
use std::process::Command;

use redis_lost_updates::record::lab::{Expected, LabFolder, LabRow, LabRun};
use redis_lost_updates::report::lab::{page, summary_table};
use redis_lost_updates::verdict::Verdict;

use crate::lab_sample;
use crate::sample::HOSTILE;

/// The sentence of a protection, as the page has it.
fn sentence<'a>(html: &'a str, protection: &str) -> &'a str {
    let row = html.split_once(&format!("<b>{protection}</b>")).unwrap().1;
    row.split_once("<tr class=\"said\">").unwrap().1.split_once("<p>").unwrap().1.split_once("</p>").unwrap().0
}

#[test]
fn the_same_rows_give_the_same_page_and_it_fetches_nothing() {
    let run = lab_sample::run();
    let html = page(&run);
    assert_eq!(html, page(&run));
    assert!(html.len() < 400_000, "{} bytes", html.len());
    assert!(html.contains("content=\"default-src 'none'; "));
    for word in ["http://", "https://", "@import", "url(h", "<iframe", "<img", "src=", "<script", " style="] {
        assert!(!html.contains(word), "the page says {word}");
    }
}

#[test]
fn each_protection_has_its_verdict_in_words_with_its_bound_and_its_price() {
    let html = page(&lab_sample::run());
    let wait = sentence(&html, "incr-wait");
    assert!(
        wait.contains("Lost nothing under 3 faults, in 5 to 20 trials of each, so under 1 in 2 of them at 95 %."),
        "{wait}"
    );
    assert!(wait.contains("0.42× the speed of incr"), "{wait}");
    let incr = sentence(&html, "incr");
    assert!(incr.contains("in 5 of 10 kills of the primary (19 to 81 % at 95 %), at worst 15 of "), "{incr}");
    assert!(incr.contains("in 5 of 5 kills with a replica behind (200ms), at worst 6,300 of "), "{incr}");
    assert!(
        incr.contains("Lost nothing and doubled nothing under 2 other faults, in 3 to 20 trials of each"),
        "{incr}"
    );
    assert!(!incr.contains("speed of incr"), "it is what others are told against: {incr}");
    let retry = sentence(&html, "incr-retry");
    assert!(
        retry.contains("Counted updates twice in 3 of 3 trials with lost replies (fin), at worst 11 of "),
        "{retry}"
    );
    let one = sentence(&html, "idempotent-lua");
    assert!(one.contains("Lost nothing in 3 trials with lost replies (fin), too few to say more."), "{one}");
    // Twenty trials without a loss: 1 - 0.05^(1/20) is 1 in 7.2.
    assert!(html.contains("nothing was lost in 20 planned failovers, so under 1 in 7 of them at 95 %"));
}

#[test]
fn a_narrow_matrix_needs_no_glance() {
    let mut run = lab_sample::run();
    run.rows.retain(|row| ["none", "reply-lost:fin", "failover-crash"].contains(&row.fault.as_str()));
    assert!(!page(&run).contains("id=\"glance\""));
}

#[test]
fn a_wide_matrix_is_shown_at_a_glance_with_the_worst_trial_of_each_cell() {
    let mut run = lab_sample::run();
    let first = run.rows.iter().find(|row| row.protection == "incr" && row.fault == "failover-crash").unwrap().clone();
    let mut add = |fault: &str, lost, doubled, verdict| {
        let trial = run.rows.len() as u32 + 1;
        let (lost, doubled, verdict, unknown) = (Some(lost), Some(doubled), Some(verdict), Some(0));
        run.rows.push(LabRow { trial, fault: fault.to_owned(), lost, doubled, verdict, unknown, ..first.clone() });
    };
    add("eviction", 12_345, 0, Verdict::Lost);
    add("eviction", 7, 0, Verdict::Lost);
    add("expiry", 0, 41, Verdict::Excess);
    add("flush", 1_250_000, 3, Verdict::Lost);
    add("read-only", 0, 0, Verdict::Misordered);
    let html = page(&run);
    let glance = html.split("<table class=\"glance\">").nth(1).unwrap().split("</table>").next().unwrap();
    let row = glance.split("<th scope=\"row\">incr</th>").nth(1).unwrap().split("</tr>").next().unwrap();
    for cell in ["<b>12k</b>", "<b>+41</b>", "<b>1.3M +3</b>", "<td class=\"held\"", "Eviction: lost 7 and 12,345\""] {
        assert!(row.contains(cell), "no {cell} in {row}");
    }
    let cells = |text: &str| text.matches("<td").count();
    let heads = glance.split("</thead>").next().unwrap().matches("<th ").count();
    assert_eq!(cells(row) + 1, heads, "{row}");
    // Nothing is missing, but no order explains the values: the cell says so.
    assert!(html.contains("<b>none lost</b><small>in 1 trial</small><small>misordered</small>"), "{html}");
}

#[test]
fn values_that_no_order_explains_are_never_expected() {
    let run = lab_sample::run();
    let sound = run.rows.iter().find(|row| row.protection == "incr" && row.lost == Some(0)).unwrap();
    let never = Some(Expected::Never);
    let row = |verdict, lost, expected_lost| LabRow {
        lost: Some(lost),
        doubled: Some(0),
        verdict: Some(verdict),
        expected_lost,
        expected_doubled: never,
        ..sound.clone()
    };
    assert_eq!(row(Verdict::Exact, 0, never).surprise(), None);
    let said = row(Verdict::Misordered, 0, never).surprise();
    assert_eq!(said.as_deref(), Some("misordered, expected an order that explains every value"));
    assert_eq!(row(Verdict::Misordered, 0, Some(Expected::May)).surprise(), None);
    assert_eq!(row(Verdict::Lost, 2, never).surprise().as_deref(), Some("lost 2, expected never"));
}

#[test]
fn it_begins_with_what_held_under_each_fault_and_at_what_price() {
    let html = page(&lab_sample::run());
    assert!(html.contains("Under 2 of 4 faults, unprotected INCR lost or doubled acknowledged updates."), "{html}");
    let held = html.split("<dl class=\"held-by\">").nth(1).unwrap().split("</dl>").next().unwrap();
    for words in [
        "<dt>Reply lost (fin)</dt><dd>incr-retry doubled 11. None lost or doubled with incr, idempotent-lua (0.75×).</dd>",
        "<dt>Primary killed</dt><dd>incr lost 2 (0 to 15). None lost or doubled with incr-wait (0.42×).</dd>",
    ] {
        assert!(held.contains(words), "no {words} in {held}");
    }
    assert!(html.contains("measured on redis 7.0.15"));
    // What a protection loses without a fault says nothing of a fault: it is in the matrix alone.
    let mut racy = lab_sample::run();
    for row in racy.rows.iter_mut().filter(|row| row.protection == "incr-retry") {
        row.lost = Some(5);
    }
    let html = page(&racy);
    assert!(sentence(&html, "incr-retry").starts_with("Loses updates without a fault too."));
    let held = html.split("<dl class=\"held-by\">").nth(1).unwrap().split("</dl>").next().unwrap();
    assert!(!held.contains("Reply lost") && !html.contains("<h3>Reply lost (fin): incr-retry</h3>"), "{held}");
}

#[test]
fn two_trials_are_both_told_and_the_median_of_four_is_between_the_middle_ones() {
    let told = |lost: &[u64]| {
        let mut run = lab_sample::run();
        run.rows.retain(|row| {
            (row.protection.as_str(), row.fault.as_str()) != ("incr", "failover-crash")
                || row.round <= lost.len() as u32
        });
        for row in run.rows.iter_mut().filter(|row| row.protection == "incr" && row.fault == "failover-crash") {
            row.lost = Some(lost[row.round as usize - 1]);
        }
        summary_table(&run)
    };
    assert!(told(&[4, 1_403]).contains("**lost 4 and 1,403** in 2 of 2"), "{}", told(&[4, 1_403]));
    assert!(told(&[9, 1, 4, 7]).contains("**lost 5 (1 to 9)** in 4 of 4"), "{}", told(&[9, 1, 4, 7]));
}

#[test]
fn a_planned_failover_stands_beside_a_kill() {
    let html = page(&lab_sample::run());
    assert!(html.contains("Is my preStop hook safe?"));
    assert!(html.contains("acknowledged updates were lost in 5 of 10 kills of the primary, 8 at the median"));
    let mut only = lab_sample::run();
    only.rows.retain(|row| row.fault != "failover-planned");
    assert!(!page(&only).contains("prestop"), "nothing is said of what was not measured");
}

#[test]
fn charts_are_of_the_worst_and_of_what_held_and_say_the_same_in_words() {
    let html = page(&lab_sample::run());
    let charts = html.split("<article class=\"timeline").skip(1);
    let charts: Vec<&str> = charts.map(|chart| chart.split_once("</article>").unwrap().0).collect();
    let title = |chart: &str| chart.split_once("<h3>").unwrap().1.split_once("</h3>").unwrap().0.to_owned();
    let titles: Vec<String> = charts.iter().map(|chart| title(chart)).collect();
    let wanted = [
        "Reply lost (fin): incr-retry",
        "Reply lost (fin): idempotent-lua",
        "Primary killed, replica behind (200ms): incr+min-replicas",
        "Primary killed, replica behind (200ms): incr-wait",
        "Primary killed: incr",
        "Primary killed: incr-wait",
        "Cut to the replica: incr+min-replicas",
        "Cut to the replica: incr-wait",
        "Planned failover: incr",
    ];
    assert_eq!(titles, wanted);
    let cut = charts[6];
    let all = [
        "class=\"window\"",
        "class=\"lost\"",
        "17,400 of ",
        "8,700 before, 8,700 during",
        "killed-primary",
        "--seed 42",
    ];
    for words in all {
        assert!(cut.contains(words), "no {words} in {cut}");
    }
    assert!(!charts[8].contains("class=\"lost\""), "where nothing was lost, nothing is drawn lost");
    assert!(html.contains("% of the 6,000 predicted"), "the middle trial beside the model");
}

#[test]
fn what_was_not_expected_and_what_was_not_measured_is_said() {
    let mut run = lab_sample::run();
    assert!(!page(&run).contains("Not as expected"));
    let missing = "incr+waitaof, crash-restart:aof: skipped: the server does not know WAITAOF &#60;yet&#62;";
    assert!(page(&run).contains(missing));
    let row = run.rows.iter_mut().find(|row| row.fault == "one-way-cut" && row.protection == "incr-wait").unwrap();
    row.expected_lost = Some(Expected::Must);
    let told = "incr-wait, Cut to the replica: lost 0, expected must (expected because: a reason &#38; nothing";
    assert!(page(&run).contains(told));
}

#[test]
fn trials_under_other_conditions_are_never_pooled() {
    let mut run = lab_sample::run();
    let rows: Vec<_> = run.rows.iter().filter(|row| row.fault == "failover-crash").cloned().collect();
    for mut row in rows {
        row.server_settings = "appendonly=yes".to_owned();
        run.rows.push(row);
    }
    let figures = |run: &LabRun| {
        let html = page(run);
        let table = html.split_once("<h2 id=\"figures\">").unwrap().1.to_owned();
        table.matches("<td>Primary killed</td>").count()
    };
    assert_eq!((figures(&lab_sample::run()), figures(&run)), (2, 4));
    let mut other = lab_sample::run();
    let cut = other.rows.iter_mut().filter(|row| row.fault == "one-way-cut");
    cut.for_each(|row| row.server = "valkey 9.1.2".to_owned());
    assert!(page(&other).contains("<b>incr-wait on valkey 9.1.2</b>"));
}

#[test]
fn markup_in_the_labs_files_stays_text() {
    let html = page(&lab_sample::hostile(lab_sample::run(), HOSTILE));
    for word in ["<script", "<img", "<svg onload", "javascript:window.ran=1\"", "</title><"] {
        assert!(!html.contains(word), "{word}");
    }
    assert!(html.contains("window.ran=1"), "it is there, as text");
}

#[test]
fn a_folder_of_the_lab_is_rendered_from_its_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lab");
    let run = lab_sample::run();
    let mut folder = LabFolder::create(&path, &run.machine).unwrap();
    for row in &run.rows {
        let of = |trial: u32| trial == row.trial;
        let timeline: Vec<_> = run.timeline.iter().filter(|moment| of(moment.trial)).copied().collect();
        let evidence: Vec<_> = run.evidence.iter().filter(|step| of(step.trial)).cloned().collect();
        let faults: Vec<_> = run.faults.iter().filter(|fault| of(fault.trial)).cloned().collect();
        folder.append(row, &timeline, &evidence, &faults).unwrap();
    }
    let read = LabRun::read(&path).unwrap().unwrap();
    assert_eq!(page(&read), page(&run));
    let output = Command::new(env!("CARGO_BIN_EXE_report")).arg("render").arg(&path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_to_string(path.join("index.html")).unwrap(), page(&run));
}

#[test]
fn an_empty_or_broken_run_makes_a_page_too() {
    let none = LabRun::default();
    assert!(page(&none).contains("Nothing was measured under a fault."));
    assert!(!summary_table(&none).is_empty());
    let mut odd = lab_sample::run();
    for row in &mut odd.rows {
        (row.acked, row.lost, row.doubled, row.span_ns) = (None, Some(u64::MAX), Some(u64::MAX), Some(0));
        (row.fault_begin_ns, row.fault_end_ns) = (Some(9), Some(3));
        (row.lost_before, row.lost_during, row.lost_after) = (Some(u64::MAX), Some(1), None);
    }
    odd.timeline.iter_mut().for_each(|moment| moment.acked = u64::MAX);
    assert!(page(&odd).len() < 400_000 && !summary_table(&odd).is_empty());
}

#[test]
fn the_short_table_is_of_the_faults_that_tell_protections_apart() {
    let table = summary_table(&lab_sample::run());
    let head = table.lines().next().unwrap();
    assert!(head.starts_with("| protection | ") && head.ends_with(" | speed without a fault |"), "{head}");
    assert!(table.contains("| `incr-wait` |") && table.contains("0 in 20") && table.contains("| 0.42× |"), "{table}");
    assert!(table.contains("**doubled 11** in 3 of 3"), "{table}");
}

/// The README's third table and the committed page, once there is a committed result.
#[test]
fn the_readme_and_the_committed_page_of_the_lab_are_made_from_the_committed_rows() {
    let folder = Path::new("results/faults");
    let Some(run) = LabRun::read(folder).unwrap() else { return };
    let readme = std::fs::read_to_string("README.md").unwrap();
    let table = summary_table(&run);
    assert!(readme.contains(&table), "the README's table of protections is to be\n{table}");
    let committed = std::fs::read_to_string(folder.join("index.html")).unwrap();
    assert!(committed == page(&run), "report render results/faults writes the page anew");
}
