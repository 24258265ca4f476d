//! `report render`, `list`, `predict`: what is known without measuring.

use std::path::Path;

use crate::error::Result;
use crate::record::{PAGE, Run, lost_reply};
use crate::strategy::Strategy;
use crate::summary::Summary;
use crate::verdict::Promise;
use crate::{law, report};

use super::args::Cli;
use super::output::print;

pub(super) fn render(dir: &Path) -> Result<()> {
    let page = dir.join(PAGE);
    if let Some((machine, rows)) = lost_reply::read(dir)? {
        report::write_page(&page, &report::lost_reply::page(&rows, &machine))?;
        return print(&format!("{}\n", page.display()));
    }
    let run = Run::read(dir)?;
    report::write_page(&page, &report::render(&Summary::of(&run), &run))?;
    print(&format!("{}\n", page.display()))
}

/// Every strategy, by promise; what the server at hand cannot run is marked, if there is a server without fetching one.
pub(super) fn list(cli: &Cli, known: &[&dyn Strategy]) -> Result<()> {
    let server = match cli.server.resolve_offline() {
        Err(error) if cli.server.is_particular() => return Err(error),
        server => server.ok(),
    };
    for promise in [Promise::Exact, Promise::Lossy] {
        print(match promise {
            Promise::Exact => "exact: must not lose or double an update      round trips\n",
            Promise::Lossy => "\nlossy: known to be wrong, kept as controls    round trips\n",
        })?;
        for strategy in known.iter().filter(|strategy| strategy.info().promise == promise) {
            let why_not = server.as_ref().map_or(Ok(None), |server| strategy.unavailable(server))?;
            let mark = why_not.map_or_else(String::new, |why| format!(" [not on this server: {why}]"));
            print(&format!(
                "  {:<24} {:>5}  {}{mark}\n",
                strategy.info().name,
                strategy.info().round_trips,
                strategy.info().about
            ))?;
        }
    }
    let of = |share: bool| {
        let forms = known.iter().filter_map(|strategy| strategy.machines());
        forms
            .filter(|form| form.share_a_connection() == share)
            .map(|form| form.info().name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let (own, shared) = (of(false), of(true));
    print(&format!(
        "\n--driver events and --driver tasks drive, over a connection per client: {own};\nover one for all: {shared}\n"
    ))
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
