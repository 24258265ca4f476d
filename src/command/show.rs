//! `report render`, `list`, `predict`: what needs no measurement.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::record::lab::LabRun;
use crate::record::{PAGE, Run, lost_reply};
use crate::strategy::Strategy;
use crate::summary::Summary;
use crate::verdict::Promise;
use crate::{law, report};

use super::args::{Cli, TrackingFormat};
use super::output::{print, width};

/// The page of one folder, or the figures of some in a service's format.
pub(super) fn render(dirs: &[PathBuf], format: Option<TrackingFormat>) -> Result<()> {
    match (format, dirs) {
        (Some(format), _) => {
            let runs: Vec<Run> = dirs.iter().map(|dir| Run::read(dir)).collect::<Result<_>>()?;
            print(&report::tracked(&runs, format.into())?)
        }
        (None, [dir]) => page(dir),
        (None, _) => Err(Error::usage("several folders: one has a page; --format otava takes several")),
    }
}

fn page(dir: &Path) -> Result<()> {
    let page = dir.join(PAGE);
    if let Some((machine, rows)) = lost_reply::read(dir)? {
        report::write_page(&page, &report::lost_reply::page(&rows, &machine))?;
        return print(&format!("{}\n", page.display()));
    }
    if let Some(run) = LabRun::read(dir)? {
        report::write_page(&page, &report::lab::page(&run))?;
        return print(&format!("{}\n", page.display()));
    }
    let run = Run::read(dir)?;
    report::write_page(&page, &report::render(&Summary::of(&run), &run))?;
    print(&format!("{}\n", page.display()))
}

/// Every strategy, by promise, those of the default plan with a mark; what the server at hand cannot run says so, if there
/// is a server without fetching one.
pub(super) fn list(cli: &Cli, known: &[&dyn Strategy], own: &[&dyn Strategy]) -> Result<()> {
    let server = match cli.server.resolve_offline() {
        Err(error) if cli.server.is_particular() => return Err(error),
        server => server.ok(),
    };
    let (width, default) = (width(), cli.plan.strategies(own, &[]));
    let mut text = paragraph("* raced by default; the number is the round trips per update.", 0, width);
    for promise in [Promise::Exact, Promise::Lossy] {
        text += &match promise {
            Promise::Exact => paragraph("exact: must not lose or double an update while nothing fails", 0, width),
            Promise::Lossy => "\n".to_owned() + &paragraph("lossy: known to lose updates, kept as controls", 0, width),
        };
        for strategy in known.iter().filter(|strategy| strategy.info().promise == promise) {
            let why_not = server.as_ref().map_or(Ok(None), |server| strategy.unavailable(server))?;
            let why_not = why_not.map_or_else(String::new, |why| format!(" [not on this server: {why}]"));
            let mark = if default.iter().any(|name| name == strategy.info().name) { '*' } else { ' ' };
            text += &entry(*strategy, mark, &why_not, width);
        }
    }
    text += &driven(known, width);
    print(&text)
}

/// The width from which names and sentences stand beside each other.
const BESIDE: usize = 72;

fn entry(strategy: &dyn Strategy, mark: char, why_not: &str, width: usize) -> String {
    let info = strategy.info();
    let head = format!("{mark} {:<24} {:>5}", info.name, info.round_trips);
    let about = format!("{}{why_not}", info.about);
    if width < BESIDE {
        return format!("{mark} {} {}\n{}", info.name, info.round_trips, paragraph(&about, 4, width));
    }
    let indent = head.chars().count() + 2;
    format!("{head}  {}", paragraph(&about, indent, width).trim_start())
}

/// Text in lines of at most `width` columns, each begun by so many spaces.
fn paragraph(text: &str, indent: usize, width: usize) -> String {
    let lines = report::words::wrap(text, width - indent).into_iter();
    lines.map(|line| format!("{:indent$}{line}\n", "")).collect()
}

fn driven(known: &[&dyn Strategy], width: usize) -> String {
    let of = |share: bool| {
        let forms = known.iter().filter_map(|strategy| strategy.machines());
        let names = forms.filter(|form| form.share_a_connection() == share).map(|form| form.info().name);
        names.collect::<Vec<_>>().join(", ")
    };
    let (own, shared) = (of(false), of(true));
    let said = format!(
        "Supported by --driver events and --driver tasks. One connection per client: {own}. One shared connection: {shared}."
    );
    format!("\n{}", paragraph(&said, 0, width))
}

pub(super) fn predict(threads: &[u16], keys: usize) -> Result<()> {
    let counters = if keys == 1 { "one counter".to_owned() } else { format!("{keys} counters used evenly") };
    print(&format!("GET and SET on {counters}, clients that never pause:\n\nthreads    lost  surviving\n"))?;
    for &threads in threads {
        let lost = law::predict_keys(usize::from(threads), keys);
        let [lost, kept] = [lost, 1.0 - lost].map(|part| report::words::percent(part).replace(' ', ""));
        print(&format!("{threads:>7} {lost:>7} {kept:>10}\n"))?;
    }
    Ok(())
}
