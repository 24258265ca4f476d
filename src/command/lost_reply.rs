//! `report lost-reply` and `report worker`: client libraries whose replies are lost.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use crate::error::{Error, Result};
use crate::lost_reply::{self, Cell};
use crate::record::lost_reply::{LossWay, LostReply, write};
use crate::record::{Machine, PAGE, csv_bytes};
use crate::report::{lost_reply as words, write_page};
use crate::target::Target;
use crate::worker::Manifest;

use super::FAILED;
use super::args::{Cli, Form, LostReplyArgs};
use super::libraries::{self, Found};
use super::output::{json, print, say};
use super::signals::{InOrder, STOP};

pub(super) fn lost_reply(cli: &Cli, args: &LostReplyArgs) -> Result<ExitCode> {
    let trial = args.trial();
    let ways = if args.ways.is_empty() { LossWay::ALL.to_vec() } else { args.ways.clone() };
    let _in_order = InOrder::begin();
    let libraries = installed(cli, args)?;
    let server = cli.server.resolve(&mut |line| say(&format!("report: {line}")))?;
    let mut cells = Vec::new();
    let mut rows = Vec::new();
    for (manifest, found) in &libraries {
        for settings in manifest.settings.keys().filter(|name| args.settings.is_empty() || args.settings.contains(name))
        {
            for &way in &ways {
                match found {
                    Ok(library) => cells.push(Cell { library, settings, way }),
                    Err(why) => {
                        let row = lost_reply::row(manifest, settings, way, trial);
                        rows.push(LostReply { note: Some(format!("skipped: {why}")), ..row });
                    }
                }
            }
        }
    }
    let (all, mut done) = (cells.len(), 0);
    lost_reply::measure(&server, &cells, trial, &STOP, &mut |row| {
        done += 1;
        let what = row.note.as_deref().unwrap_or("measured");
        say(&format!("report: {done}/{all} {} {} {}: {what}", row.library, row.settings, row.way));
        rows.push(row);
    });
    if STOP.load(Ordering::Relaxed) {
        return Err(Error::interrupted());
    }
    let place = |row: &LostReply| {
        let library = libraries.iter().position(|(manifest, _)| manifest.name == row.library);
        (library, row.settings.clone(), row.way)
    };
    rows.sort_by_key(place);
    tell(args, &rows, &facts(&server, args)?)?;
    Ok(if rows.iter().all(LostReply::is_measured) { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// The libraries asked for, installed where they can be.
fn installed(cli: &Cli, args: &LostReplyArgs) -> Result<Vec<Found>> {
    let names = if args.libraries.is_empty() { Manifest::names()? } else { args.libraries.clone() };
    let manifests = libraries::manifests(&names)?;
    let is_had = |name: &String| manifests.iter().any(|manifest| manifest.settings.contains_key(name));
    if !args.settings.is_empty() && !args.settings.iter().any(is_had) {
        return Err(Error::usage(format!("none of these libraries has settings named {}", args.settings.join(", "))));
    }
    for manifest in &manifests {
        if !manifest.strategies.iter().any(|strategy| strategy == "incr") {
            return Err(Error::usage(format!("library {}: it does not implement the strategy incr", manifest.name)));
        }
        if let Some(unknown) = args.settings.iter().find(|name| !manifest.settings.contains_key(*name)) {
            say(&format!("report: {}: it has no settings named '{unknown}'", manifest.name));
        }
    }
    libraries::installed(manifests, cli.server.is_offline())
}

fn facts(server: &Target, args: &LostReplyArgs) -> Result<Machine> {
    let mut machine = Machine::default();
    let facts = server.facts()?;
    machine.add("version", env!("CARGO_PKG_VERSION"));
    machine.add("server", format!("{} {}", facts.name, facts.version));
    machine.add("transport", "tcp, through a proxy in this process");
    let trial = args.trial();
    machine.add("updates", trial.updates.to_string());
    machine.add("every", trial.every.to_string());
    machine.add("cap_s", trial.cap.as_secs_f64().to_string());
    machine.add("pause_ms", trial.pause.as_millis().to_string());
    machine.add("os", std::env::consts::OS);
    machine.add("cpus", std::thread::available_parallelism().map_or(0, usize::from).to_string());
    Ok(machine)
}

fn tell(args: &LostReplyArgs, rows: &[LostReply], machine: &Machine) -> Result<()> {
    if let Some(folder) = &args.out {
        write(folder, rows, machine)?;
        let page: PathBuf = folder.join(PAGE);
        write_page(&page, &words::page(rows, machine))?;
        say(&format!("report: {}", page.display()));
    }
    let text = match args.table.form() {
        Form::Json => json(&words::Document::of(rows, machine))?,
        Form::Csv => String::from_utf8_lossy(&csv_bytes(rows)?).into_owned(),
        Form::Markdown => words::markdown(rows),
        Form::Text => words::terminal(rows),
    };
    print(&text)
}
