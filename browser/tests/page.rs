//! The page in a real browser: nothing fetched, nothing said, everything that can be worked works by mouse and by
//! keyboard, readers of all kinds are served, and screenshots are left for people to look at.
//!
//! Without a Chromium these tests say so and pass, unless the environment has `CI`: then a skip is a failure. The
//! accessibility check wants axe-core, which `.ci/axe` fetches, at the path in `AXE`, or else at `target/axe/axe.min.js`.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../../tests/it/lab_sample.rs"]
mod lab_sample;
#[path = "../../examples/own_strategy.rs"]
#[allow(dead_code)] // its `main`
mod own_strategy;
#[path = "../../tests/it/sample.rs"]
mod sample;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use browser::{Look, NARROW, Page, WIDE, find};
use redis_lost_updates::compare::{Comparison, Options};
use redis_lost_updates::record::lost_reply;
use redis_lost_updates::report::{comparison, lab, lost_reply as lost_replies, render};
use redis_lost_updates::summary::Summary;
use sample::{Shape, USUAL};
use serde_json::Value;

const KEYED: Shape = Shape { strategies: 8, keys: &[1, 16], broken: true };
const MANY: Shape = Shape { strategies: 35, keys: &[1], broken: false };

/// A file to open; `None` if there is nothing to open it with.
struct Stage {
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Stage {
    fn set(shape: Shape) -> Option<Self> {
        let run = sample::run(shape);
        Self::of(&render(&Summary::of(&run), &run))
    }

    fn of(html: &str) -> Option<Self> {
        if find().is_none() {
            skip("there is no Chromium on PATH (CHROME may name one)");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("index.html");
        std::fs::write(&file, html).unwrap();
        Some(Self { file, _dir: dir })
    }

    fn open(&self, look: Look) -> Page {
        Page::open(&self.file, look).unwrap()
    }
}

fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "a browser test cannot run: {why}");
    eprintln!("\n*** SKIPPED, nothing was tested: {why} ***\n");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn is(page: &Page, expression: &str) -> bool {
    page.eval(expression).unwrap() == Value::Bool(true)
}

fn text(page: &Page, expression: &str) -> String {
    page.eval(expression).unwrap().as_str().unwrap_or_else(|| panic!("no text: {expression}")).to_owned()
}

/// Opens all that is folded.
fn unfold(page: &Page) {
    page.run("document.querySelectorAll('details.fold').forEach((n) => n.open = true)").unwrap();
}

/// The number of visible matches.
fn visible(page: &Page, selector: &str) -> usize {
    let count = format!("[...document.querySelectorAll('{selector}')].filter((n) => n.getClientRects().length).length");
    page.eval(&count).unwrap().as_u64().unwrap() as usize
}

/// Nothing but the file was asked for, and nothing was said.
fn is_quiet(page: &Page) {
    let requests = page.requests();
    let others: Vec<&String> = requests.iter().filter(|url| !url.starts_with("data:,")).collect();
    assert!(others.len() == 1 && others[0].starts_with("file://"), "{requests:?}");
    assert_eq!(page.console(), Vec::<String>::new());
}

#[test]
fn nothing_is_fetched_and_nothing_is_said() {
    for shape in [USUAL, KEYED, MANY] {
        let Some(stage) = Stage::set(shape) else { return };
        is_quiet(&stage.open(WIDE));
    }
}

#[test]
fn markup_in_the_result_files_runs_nothing() {
    let Some(stage) = Stage::set(USUAL) else { return };
    let run = sample::hostile(sample::run(KEYED));
    let compared = Comparison::of((sample::HOSTILE, &run), (sample::HOSTILE, &run), Options::default());
    for html in [render(&Summary::of(&run), &run), comparison::page(&compared)] {
        std::fs::write(&stage.file, html).unwrap();
        let page = stage.open(WIDE);
        assert!(is(&page, "document.documentElement.textContent.includes('window.ran=1')"));
        assert!(is(&page, "!document.querySelector('img, [onload], [onerror], [href^=javascript]')"));
        // Where a reader goes, too: every point read out, every table sorted.
        page.run("document.querySelectorAll('th button').forEach((n) => n.click())").unwrap();
        page.run("document.querySelectorAll('.bar[data-c], td[data-c]').forEach((n) => n.dispatchEvent(new PointerEvent('pointerenter')))")
            .unwrap();
        assert!(is(&page, "window.ran === undefined && !document.querySelector('img')"));
        is_quiet(&page);
    }
}

#[test]
fn markup_that_got_in_after_all_would_not_run() {
    let Some(stage) = Stage::set(USUAL) else { return };
    let whole = std::fs::read_to_string(&stage.file).unwrap();
    let holes = "<script>window.ran=1</script><img src=x onerror=\"window.ran=1\"><style>body{display:none}</style>\
                 <p id=hole style=\"display:none\">here</p><a id=link href=\"javascript:window.ran=1\">x</a>";
    std::fs::write(&stage.file, whole.replacen("<main>", &format!("<main>{holes}"), 1)).unwrap();
    let page = stage.open(WIDE);
    page.run("document.getElementById('link').click()").unwrap();
    assert!(is(&page, "new Promise((done) => setTimeout(() => done(window.ran === undefined), 200))"));
    assert_eq!(visible(&page, "#hole"), 1, "no style but ours holds");
    assert!(page.console().iter().any(|said| said.contains("Content Security Policy")), "{:?}", page.console());
    // Ours does run.
    assert!(visible(&page, ".tools button") > 0);
}

#[test]
fn without_a_script_the_page_is_whole_and_its_choices_still_work() {
    let Some(stage) = Stage::set(USUAL) else { return };
    let page = stage.open(Look { script: false, ..WIDE });
    assert_eq!(visible(&page, ".answer"), 1);
    page.click(".fold summary").unwrap();
    assert_eq!(visible(&page, ".panel"), 10);
    assert_eq!(visible(&page, ".log .chart:not(.bare)"), 1);
    page.click("#t4").unwrap();
    assert!(is(
        &page,
        "[...document.querySelectorAll('.answer')].find((n) => n.getClientRects().length).textContent.includes('At 4 clients')"
    ));
    page.click("#y-lin").unwrap();
    assert_eq!((visible(&page, ".log"), visible(&page, "figure > .lin")), (0, 1));
    page.click(".who summary").unwrap();
    page.click("#show-s0").unwrap();
    assert_eq!(visible(&page, ".panel"), 9);
    is_quiet(&page);
}

#[test]
fn every_marker_stands_on_its_point() {
    for shape in [USUAL, MANY] {
        let Some(stage) = Stage::set(shape) else { return };
        let page = stage.open(WIDE);
        let astray = "[...document.querySelectorAll('.plot use')].filter((n) => n.getClientRects().length).filter((n) => { \
            const b = n.getBoundingClientRect(), s = n.ownerSVGElement.getBoundingClientRect(); \
            return Math.hypot(b.x + b.width / 2 - s.x - n.x.baseVal.value, b.y + b.height / 2 - s.y - n.y.baseVal.value) > 2; }).length";
        assert_eq!(page.eval(astray).unwrap(), 0);
    }
}

#[test]
fn every_choice_and_button_works_by_mouse() {
    let Some(stage) = Stage::set(KEYED) else { return };
    let page = stage.open(WIDE);
    unfold(&page);
    let ids = page.eval("[...document.querySelectorAll('input[type=radio]')].map((n) => n.id)").unwrap();
    for id in ids.as_array().unwrap().iter().rev() {
        let id = id.as_str().unwrap();
        page.click(&format!("#{id}")).unwrap();
        assert!(is(&page, &format!("document.getElementById('{id}').checked")), "{id}");
    }
    // Now the first of every kind is chosen: one thread, one key, linear, log.
    assert!(is(
        &page,
        "[...document.querySelectorAll('.answer')].find((n) => n.getClientRects().length).textContent.includes('At 1 thread on 1 key')"
    ));
    page.click("#t8").unwrap();
    page.click("#k16").unwrap();
    assert_eq!(visible(&page, ".bars"), visible(&page, ".bars.t8.k16"));
    assert!(visible(&page, ".bars.t8.k16") > 0);
    page.click("#only").unwrap();
    assert_eq!(visible(&page, "#everything tr.row, [data-copy=everything] tr.row"), 8);
    page.click("#only").unwrap();

    page.click(".who summary").unwrap();
    assert!(is(&page, "document.querySelector('.who').open"));
    for i in 0..9 {
        page.click(&format!("#show-s{i}")).unwrap();
        assert_eq!(visible(&page, &format!(".s{i}")), 0, "s{i} is hidden");
    }
    for (button, left) in [(1, 8), (2, 0), (3, 7), (4, 1)] {
        page.click(&format!(".quick button:nth-child({button})")).unwrap();
        assert_eq!(visible(&page, ".panel"), left, "button {button}");
    }
    page.click(".quick button:nth-child(1)").unwrap();
    page.press("Escape").unwrap();
    assert!(is(&page, "!document.querySelector('.who').open"));

    let heads = page.eval("document.querySelectorAll('th button').length").unwrap().as_u64().unwrap();
    for i in 0..heads {
        page.run(&format!("document.querySelectorAll('th button').forEach((n, i) => n.id = i === {i} ? 'this' : '')"))
            .unwrap();
        for _ in 0..2 {
            page.click("#this").unwrap();
            let sorted = "(() => { const th = document.getElementById('this').closest('th'), down = th.ariaSort === 'descending'; \
                const rows = [...th.closest('table').tBodies[0].rows].map((r) => r.cells[th.cellIndex]); \
                const v = rows.map((c) => c.dataset.v ?? c.textContent.trim()).filter((t) => t !== '' && !Number.isNaN(Number(t))).map(Number); \
                return !!th.ariaSort && v.every((x, i) => !i || (down ? v[i - 1] >= x : v[i - 1] <= x)); })()";
            assert!(is(&page, sorted), "head {i}");
        }
    }
    for i in 0..2 {
        for (label, sign) in [("Copy as markdown", "|"), ("Copy as CSV", "strategy,")] {
            page.run("window.copied = null; navigator.clipboard.writeText = async (text) => { window.copied = text; }")
                .unwrap();
            page.run(&format!("[...document.querySelectorAll('.tools button')].forEach((n, at) => n.id = n.textContent === '{label}' && Math.floor(at / 2) === {i} ? 'that' : '')")).unwrap();
            page.click("#that").unwrap();
            let copied = text(&page, "window.copied");
            assert!(copied.starts_with(sign) && copied.contains("get-set"), "{copied}");
        }
    }
    page.click(".meanings summary").unwrap();
    assert!(is(&page, "document.querySelector('.meanings').open"));
    is_quiet(&page);
}

#[test]
fn copying_falls_back_where_the_clipboard_is_closed() {
    let Some(stage) = Stage::set(USUAL) else { return };
    let page = stage.open(WIDE);
    unfold(&page);
    page.run("window.copied = ''; navigator.clipboard.writeText = () => Promise.reject(new Error('no')); document.addEventListener('copy', () => { window.copied = document.activeElement.value; })").unwrap();
    page.click(".tools button").unwrap();
    assert!(text(&page, "window.copied").starts_with("| strategy"));
    is_quiet(&page);
}

#[test]
fn every_point_reads_out_by_mouse() {
    let Some(stage) = Stage::set(USUAL) else { return };
    let page = stage.open(WIDE);
    unfold(&page);
    page.hover("figure .kept.s6 [data-c]").unwrap();
    let said = text(&page, "document.querySelector('.tip').innerText");
    assert!(
        said.contains("incr")
            && said.contains("surviving")
            && said.contains("fewer than 1 in")
            && said.contains("verdict"),
        "{said}"
    );
    page.press("Escape").unwrap();
    assert!(is(&page, "document.querySelector('.tip').hidden"));
    page.hover(".bar[data-c]").unwrap();
    assert!(is(&page, "!document.querySelector('.tip').hidden"));
    // Wherever a point is, its readout is inside the window.
    let inside = "[...document.querySelectorAll('.plot')].filter((p) => p.getClientRects().length).every((p) => \
        [...p.querySelectorAll('[data-c]')].filter((n) => n.getClientRects().length).every((n) => { \
        const b = (n.querySelector('use') ?? n).getBoundingClientRect(); \
        p.dispatchEvent(new PointerEvent('pointermove', { clientX: b.x + b.width / 2, clientY: b.y + b.height / 2 })); \
        const tip = document.querySelector('.tip'), t = tip.getBoundingClientRect(); \
        return !tip.hidden && t.left >= 0 && t.right <= innerWidth + 1; }))";
    assert!(is(&page, inside));
    page.resize(NARROW.width, NARROW.height).unwrap();
    assert!(is(&page, inside));
    // A click on a point selects its load.
    page.resize(WIDE.width, WIDE.height).unwrap();
    page.click("figure .kept.s6 [data-c]").unwrap();
    assert!(is(&page, "document.getElementById('t1').checked"));
    is_quiet(&page);
}

#[test]
fn everything_works_by_keyboard_in_a_sensible_order() {
    let Some(stage) = Stage::set(USUAL) else { return };
    let page = stage.open(WIDE);
    unfold(&page);
    // Every stop is on the way of the tabulator, each once, from top to bottom.
    page.run("document.querySelectorAll('a[href], input, summary, button, [tabindex=\"0\"]').forEach((n, i) => n.dataset.stop = i)").unwrap();
    let wanted = "[...document.querySelectorAll('[data-stop]')].filter((n) => n.checkVisibility({ visibilityProperty: true }) && !(n.type === 'radio' && !n.checked)).map((n) => Number(n.dataset.stop))";
    let wanted: Vec<i64> = page.eval(wanted).unwrap().as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
    let mut seen = Vec::new();
    while seen.len() < wanted.len() {
        page.press("Tab").unwrap();
        let at = page.eval("Number(document.activeElement?.dataset?.stop ?? -1)").unwrap().as_i64().unwrap();
        seen.push(at);
    }
    assert_eq!(seen, wanted);

    let focus = |selector: &str| page.run(&format!("document.querySelector('{selector}').focus()")).unwrap();
    focus("#t16");
    page.press("ArrowLeft").unwrap();
    assert!(is(&page, "document.getElementById('t8').checked"));
    focus("#y-lin");
    page.press("ArrowRight").unwrap();
    assert_eq!(visible(&page, ".lin"), 0);
    page.press("ArrowLeft").unwrap();
    focus(".who summary");
    page.press("Enter").unwrap();
    assert!(is(&page, "document.querySelector('.who').open"));
    focus("#show-s1");
    page.press(" ").unwrap();
    assert_eq!(visible(&page, ".s1:not(tr)"), 0);
    page.press(" ").unwrap();
    page.press("Escape").unwrap();
    assert!(is(
        &page,
        "document.activeElement === document.querySelector('.who summary') && !document.querySelector('.who').open"
    ));
    focus("th button");
    page.press("Enter").unwrap();
    assert!(is(&page, "!!document.querySelector('th').ariaSort"));
    focus("#only");
    page.press(" ").unwrap();
    assert!(is(&page, "document.getElementById('only').checked"));

    // A chart is one stop; arrows walk all its points, each is said aloud.
    let plots = page.eval("[...document.querySelectorAll('.plot[tabindex]')].forEach((n, i) => n.id = `plot${i}`) ?? [...document.querySelectorAll('.plot[tabindex]')].filter((n) => n.getClientRects().length).map((n) => n.id)").unwrap();
    assert!(plots.as_array().unwrap().len() >= 13, "{plots}");
    for id in plots.as_array().unwrap() {
        let id = id.as_str().unwrap();
        focus(&format!("#{id}"));
        page.press("ArrowRight").unwrap();
        let first = text(&page, "document.getElementById('live').textContent");
        assert!(first.contains("verdict"), "{id}: {first}");
        page.press("End").unwrap();
        let last = text(&page, "document.getElementById('live').textContent");
        page.press("ArrowUp").unwrap();
        page.press("ArrowDown").unwrap();
        assert!(last.contains("verdict") && is(&page, "!document.querySelector('.tip').hidden"), "{id}");
    }
    focus(&format!("#{}", plots[0].as_str().unwrap()));
    page.press("ArrowRight").unwrap();
    page.press("Home").unwrap();
    page.press("Enter").unwrap();
    assert!(is(&page, "document.getElementById('t1').checked"));
    is_quiet(&page);
}

/// The elements that are wider than the window, if any.
fn spills(page: &Page) -> String {
    let spills = "(() => { const wide = document.documentElement.scrollWidth; return wide <= innerWidth ? '' : \
        [...document.body.querySelectorAll('*')].filter((n) => n.getBoundingClientRect().right > innerWidth + 1 && !n.closest('.scroll, .wide, pre')).slice(0, 5).map((n) => n.outerHTML.slice(0, 120)).join('\\n') || String(wide); })()";
    text(page, spills)
}

/// The pages that have no script: the failure lab's, and that of lost replies.
fn sheets() -> [(&'static str, String); 2] {
    let (machine, rows) = lost_reply::read(&root().join("results/lost-reply")).unwrap().unwrap();
    [("lab", lab::page(&lab_sample::run())), ("lost-reply", lost_replies::page(&rows, &machine))]
}

const PHONE: Look = Look { width: 390, ..NARROW };

#[test]
fn pages_without_a_script_are_whole_at_every_width_and_ask_for_nothing() {
    for (name, html) in sheets() {
        let Some(stage) = Stage::of(&html) else { return };
        for look in [PHONE, Look { width: 768, ..WIDE }, WIDE, Look { script: false, ..WIDE }] {
            let page = stage.open(look);
            is_quiet(&page);
            assert_eq!(spills(&page), "", "{name} at {}", look.width);
        }
    }
}

#[test]
fn the_lab_shows_a_verdict_beside_each_protection_wherever_the_matrix_is_scrolled() {
    let Some(stage) = Stage::of(&lab::page(&lab_sample::run())) else { return };
    let page = stage.open(PHONE);
    // A sentence stays inside the window while the figures beside it scroll.
    let inside = "[...document.querySelectorAll('.matrix .said p')].every((n) => { const b = n.getBoundingClientRect(); \
        return b.width > 200 && b.left >= 0 && b.right <= innerWidth; })";
    assert!(is(&page, inside));
    page.run("document.querySelector('.matrix').closest('.scroll').scrollLeft = 400").unwrap();
    assert!(is(&page, inside));
    assert!(visible(&page, ".matrix .hurt") > 3 && visible(&page, ".matrix .held") > 3);
    // The fault is shaded, and every loss that is drawn lies on the plot.
    assert_eq!(visible(&page, ".timeline"), 9);
    assert_eq!(visible(&page, ".timeline .window path"), 9);
    assert!(visible(&page, ".timeline use") > 10);
    page.click(".timeline summary").unwrap();
    assert!(is(&page, "document.querySelector('.timeline details').open"));
    page.press("Enter").unwrap();
    assert!(is(&page, "!document.querySelector('.timeline details').open"));
    is_quiet(&page);
}

#[test]
fn markup_in_the_labs_files_runs_nothing() {
    let run = lab_sample::hostile(lab_sample::run(), sample::HOSTILE);
    let Some(stage) = Stage::of(&lab::page(&run)) else { return };
    let page = stage.open(WIDE);
    assert!(is(&page, "document.documentElement.textContent.includes('window.ran=1')"));
    assert!(is(
        &page,
        "!document.querySelector('img, [onload], [onerror], [href^=javascript]') && window.ran === undefined"
    ));
    is_quiet(&page);
}

#[test]
fn nothing_spills_over_a_telephone() {
    for shape in [USUAL, KEYED, MANY] {
        let Some(stage) = Stage::set(shape) else { return };
        let page = stage.open(NARROW);
        assert_eq!(spills(&page), "");
        // Labels at the ends of lines stay inside as well; body clips what spills, so ask the labels themselves.
        let cut = "[...document.querySelectorAll('.ends tspan')].filter((n) => n.getClientRects().length && n.getBoundingClientRect().right > innerWidth).map((n) => n.textContent).join()";
        assert_eq!(text(&page, cut), "");
    }
}

/// The source of axe-core, if it is installed.
fn axe() -> Option<String> {
    let path = std::env::var_os("AXE").map_or_else(|| root().join("target/axe/axe.min.js"), PathBuf::from);
    let axe = std::fs::read_to_string(&path).ok();
    if axe.is_none() {
        skip(&format!("there is no axe-core at {} (.ci/axe fetches it)", path.display()));
    }
    axe
}

/// Axe finds nothing serious, with everything open.
fn is_accessible(page: &Page, axe: &str, look: Look) {
    page.run(axe).unwrap();
    page.run("document.querySelectorAll('details').forEach((n) => n.open = true)").unwrap();
    let found = page.eval("axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => [v.id, v.help, v.nodes.slice(0, 4).map((n) => `${n.html.slice(0, 200)} ${n.failureSummary}`)]))").unwrap();
    assert_eq!(found.as_array().map(Vec::len), Some(0), "{look:?}: {found:#}");
}

#[test]
fn axe_finds_nothing_serious() {
    let Some(axe) = axe() else { return };
    for (_, html) in sheets() {
        let Some(stage) = Stage::of(&html) else { return };
        for look in [WIDE, Look { dark: true, ..WIDE }, PHONE] {
            is_accessible(&stage.open(look), &axe, look);
        }
    }
    for shape in [USUAL, KEYED] {
        let Some(stage) = Stage::set(shape) else { return };
        for look in [WIDE, Look { dark: true, ..WIDE }, NARROW] {
            is_accessible(&stage.open(look), &axe, look);
        }
    }
}

/// The page of a strategy from another crate, as its own program writes it.
#[test]
fn the_page_of_ones_own_strategy_shows_it_like_any_other() {
    if find().is_none() {
        return skip("there is no Chromium on PATH (CHROME may name one)");
    }
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("run");
    let plan = "own --strategies append-byte,incr,get-set --threads 1,4 --updates 200 --rounds 3 --quiet --out";
    let args = plan.split(' ').map(Into::into).chain([out.clone().into_os_string()]);
    assert_eq!(redis_lost_updates::run(&[&own_strategy::AppendByte], args), ExitCode::SUCCESS);
    let page = Page::open(&out.join("index.html"), WIDE).unwrap();
    is_quiet(&page);
    for place in [".answer", "figure", "table"] {
        let named = "[...document.querySelectorAll('PLACE')].some((n) => n.textContent.includes('append-byte'))";
        assert!(is(&page, &named.replace("PLACE", place)), "{place} does not name it");
    }
    assert!(!is(&page, "document.body.textContent.includes('unknown version')"));
    let shots = root().join("target/screenshots");
    std::fs::create_dir_all(&shots).unwrap();
    std::fs::write(shots.join("own-strategy.png"), page.whole(WIDE.width).unwrap()).unwrap();
}

#[test]
fn screenshots_for_people_to_look_at() {
    let dir = root().join("target/screenshots");
    std::fs::create_dir_all(&dir).unwrap();
    for (name, shape) in [("usual", USUAL), ("keys", KEYED), ("many", MANY)] {
        let Some(stage) = Stage::set(shape) else { return };
        for look in [WIDE, NARROW] {
            let page = stage.open(look);
            for dark in [false, true] {
                page.prefer_dark(dark).unwrap();
                let scheme = if dark { "dark" } else { "light" };
                let png = page.whole(look.width).unwrap();
                std::fs::write(dir.join(format!("{name}-{}-{scheme}.png", look.width)), png).unwrap();
            }
        }
        let pdf = stage.open(WIDE).printed().unwrap();
        assert!(pdf.starts_with(b"%PDF"));
        if name == "usual" {
            let count = |what: &[u8]| pdf.windows(what.len()).filter(|part| part == &what).count();
            let sheets = count(b"/Type /Page") - count(b"/Type /Pages");
            assert!((1..=8).contains(&sheets), "{sheets} sheets of paper");
        }
        std::fs::write(dir.join(format!("{name}.pdf")), pdf).unwrap();
    }
    for (name, html) in sheets() {
        let Some(stage) = Stage::of(&html) else { return };
        for look in [WIDE, PHONE] {
            let page = stage.open(look);
            for dark in [false, true] {
                page.prefer_dark(dark).unwrap();
                let scheme = if dark { "dark" } else { "light" };
                let png = page.whole(look.width).unwrap();
                std::fs::write(dir.join(format!("{name}-{}-{scheme}.png", look.width)), png).unwrap();
            }
        }
    }
    eprintln!("look at {}", dir.display());
}
