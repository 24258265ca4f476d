//! `report faults`: protections under faults, on private servers.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::fault::{self, Cell, ClientLibrary, Kept, Lab, Origin, PROTECTIONS, Plan, Protection, REPLY_TIMEOUT};
use crate::record::lab::{LabFolder, LabRow, LabRun};
use crate::record::{Machine, PAGE, csv_bytes};
use crate::report::{self, faults as words};
use crate::summary::lab::Matrix;
use crate::target::Private;
use crate::worker::Manifest;

use super::args::{Cli, FaultsArgs, Form};
use super::estimate::in_words;
use super::libraries;
use super::measure::{default_folder, now};
use super::output::{json, print, say, width};
use super::signals::{InOrder, STOP};
use super::{BROKEN, FAILED};

/// Rounds if the command line does not say.
const ROUNDS: u32 = 1;

pub(super) fn faults(cli: &Cli, args: &FaultsArgs) -> Result<ExitCode> {
    if args.list {
        return list().map(|()| ExitCode::SUCCESS);
    }
    let _in_order = InOrder::begin();
    let plan = plan(cli, args)?;
    plan.validate()?;
    let binary = cli.server.binary(&mut |line| say(&format!("report: {line}")))?;
    let report = libraries::this_program()?;
    let (product, clients) = (product(&binary)?, args.clients.into());
    let lab = Lab { origin: Origin::Program(binary), product, clients, report, stop: &STOP };
    let trials = plan.trials();
    say(&format!("report: {trials} trials on {}, about {}, seed {}", lab.product, in_words(plan.takes()), plan.seed));
    let out = args.out.clone().unwrap_or_else(default_folder);
    let mut folder = LabFolder::create(&out, &facts(&lab, &plan, args))?;
    let mut rows = Vec::new();
    let measured = measure(&lab, &plan, |kept| {
        if !args.quiet {
            let row = &kept.row;
            let number = rows.len() + 1;
            say(&format!("report: {number}/{trials} {} under {}: {}", row.protection, row.fault, said(row)));
        }
        folder.append(&kept.row, &kept.timeline, &kept.evidence, &kept.faults)?;
        rows.push(kept.row);
        Ok(())
    });
    // A run that ends early has a page of what there is, and what ended it is said first.
    let shown = if rows.is_empty() { Ok(()) } else { show(args, &rows, &out) };
    measured.and(shown).map(|()| code(args, &rows))
}

fn measure(lab: &Lab<'_>, plan: &Plan, mut keep: impl FnMut(Kept) -> Result<()>) -> Result<()> {
    let mut number = 0;
    for round in 1..=plan.rounds {
        for cell in plan.round(round) {
            number += 1;
            keep(lab.trial(&cell, number, round, plan.seed_of(&cell, round))?)?;
        }
    }
    Ok(())
}

/// Prints every fault and every protection.
fn list() -> Result<()> {
    let entry = |head: &str, words: &str| {
        let options = textwrap::Options::new(width()).initial_indent("      ").subsequent_indent("      ");
        format!("  {head}\n{}\n", textwrap::fill(words, options))
    };
    let mut text = "Faults\n".to_owned();
    for fault in fault::ALL {
        let info = fault.info();
        let forms = if info.forms.is_empty() { String::new() } else { format!(":{}", info.forms.join("|")) };
        let time = info.time.map_or_else(String::new, |time| format!(":TIME [{} ms]", time.as_millis()));
        text += &entry(&format!("{}{forms}{time}", info.name), &info.what());
    }
    text += "\nProtections\n";
    for protection in PROTECTIONS {
        text += &entry(&protection.name, &format!("{}: {}", protection.family, protection.about));
    }
    print(&text)
}

fn code(args: &FaultsArgs, rows: &[LabRow]) -> ExitCode {
    if rows.iter().any(|row| !row.is_measured() && !row.is_skipped()) {
        ExitCode::from(FAILED)
    } else if args.expect
        && let Some(said) = surprises(rows)
    {
        // Where the table is not text, nothing else says why the exit code is 1.
        say(&format!("report: {said}"));
        ExitCode::from(BROKEN)
    } else {
        ExitCode::SUCCESS
    }
}

/// How many trials were not as expected, and the first.
fn surprises(rows: &[LabRow]) -> Option<String> {
    let mut surprising = rows.iter().filter_map(|row| Some((row, row.surprise()?)));
    let (row, what) = surprising.next()?;
    let (many, of) = (1 + surprising.count(), rows.len());
    Some(format!("{many} of {of} trials not as expected, the first {} under {}: {what}", row.protection, row.fault))
}

fn plan(cli: &Cli, args: &FaultsArgs) -> Result<Plan> {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let rounds = args.rounds.unwrap_or(ROUNDS);
    if args.full {
        let all = protections(cli, &["all".to_owned(), LIBRARIES.to_owned()])?;
        return Plan::matrix(&all, &fault::find(&["all"])?, rounds, seed);
    }
    if args.faults.is_empty() && args.protections.is_empty() {
        return Plan::story(args.quick, rounds, seed);
    }
    let all = vec!["all".to_owned()];
    let named = |names: &[String], all: Vec<String>| if names.is_empty() { all } else { names.to_vec() };
    let faults = fault::find(&named(&args.faults, story_faults()))?;
    Plan::matrix(&protections(cli, &named(&args.protections, all))?, &faults, rounds, seed)
}

/// Stands for every client library under all its settings.
const LIBRARIES: &str = "libraries";

/// The protections with these names: our own, then client libraries, which are installed on first use.
fn protections(cli: &Cli, names: &[String]) -> Result<Vec<Protection>> {
    let is_own = |name: &&String| *name == "all" || Protection::named(name).is_some();
    let (own, others): (Vec<&String>, Vec<&String>) = names.iter().partition(is_own);
    let mut found = Protection::find(&own)?;
    let mut wanted: Vec<(Manifest, String)> = Vec::new();
    for name in others {
        if name == LIBRARIES {
            let all = libraries::manifests(&["all".to_owned()])?;
            let on_one_server = all.into_iter().filter(|manifest| !manifest.cluster);
            wanted.extend(on_one_server.flat_map(|manifest| {
                let settings: Vec<String> = manifest.settings.keys().cloned().collect();
                settings.into_iter().map(move |settings| (manifest.clone(), settings))
            }));
            continue;
        }
        let (library, settings) = match name.rsplit_once('+') {
            Some((library, settings)) if !Path::new(name).exists() => (library, settings),
            _ => (name.as_str(), "default"),
        };
        let manifest = match Manifest::find(library) {
            Err(_) if !library.contains('/') => return Err(Protection::unknown(name)),
            found => found?,
        };
        wanted.push((manifest, settings.to_owned()));
    }
    found.extend(of_libraries(cli, wanted)?);
    Ok(found)
}

/// Each library is installed once, whatever the number of its settings.
fn of_libraries(cli: &Cli, wanted: Vec<(Manifest, String)>) -> Result<Vec<Protection>> {
    let mut manifests: Vec<Manifest> = Vec::new();
    for (manifest, settings) in &wanted {
        ClientLibrary::check(manifest, settings)?;
        if !manifests.contains(manifest) {
            manifests.push(manifest.clone());
        }
    }
    let installed = libraries::installed(manifests, cli.server.is_offline())?;
    let protection = |(manifest, settings): (Manifest, String)| {
        let found = installed.iter().find(|(known, _)| *known == manifest);
        let (_, found) = found.ok_or_else(|| Error::broken("a library was not looked for"))?;
        Protection::of_library(ClientLibrary { manifest, settings, found: found.clone() })
    };
    wanted.into_iter().map(protection).collect()
}

/// Every fault in its first form.
fn story_faults() -> Vec<String> {
    fault::ALL.iter().map(|fault| fault.info().name.to_owned()).collect()
}

/// The product and version of the server program, found by starting one.
fn product(binary: &std::path::Path) -> Result<String> {
    let server = crate::target::Target::node(&Private::start(binary, &[], None)?, None)?;
    Ok(server.product().to_owned())
}

fn said(row: &LabRow) -> String {
    match (&row.note, row.lost, row.doubled) {
        (Some(why), ..) if row.is_skipped() => why.clone(),
        (Some(why), ..) => format!("NOT MEASURED: {why}"),
        (None, lost, doubled) => {
            let surprise = row.surprise().map_or_else(String::new, |what| format!(" (not expected: {what})"));
            let (acked, unknown) = (row.acked.unwrap_or(0), row.unknown.unwrap_or(0));
            format!(
                "{acked} acknowledged, {} lost, {} doubled, {unknown} unknown{surprise}",
                lost.unwrap_or(0),
                doubled.unwrap_or(0)
            )
        }
    }
}

fn facts(lab: &Lab<'_>, plan: &Plan, args: &FaultsArgs) -> Machine {
    let mut machine = Machine::default();
    machine.add("format", "1");
    machine.add("version", env!("CARGO_PKG_VERSION"));
    machine.add("server", &lab.product);
    machine.add("clients", lab.clients.to_string());
    machine.add("rounds", plan.rounds.to_string());
    machine.add("seed", plan.seed.to_string());
    machine.add("reply_timeout_ms", REPLY_TIMEOUT.as_millis().to_string());
    machine.add("command", reproduce(plan, args));
    machine.add("os", std::env::consts::OS);
    machine.add("cpus", std::thread::available_parallelism().map_or(0, usize::from).to_string());
    machine.add("started", now());
    for Cell { protection, fault } in &plan.cells {
        let info = fault.fault.info();
        if machine.get(&format!("protection.{}", protection.name)).is_none() {
            machine.add(&format!("protection.{}", protection.name), &*protection.about);
        }
        if machine.get(&format!("fault.{fault}")).is_none() {
            machine.add(&format!("fault.{fault}"), info.what());
        }
    }
    machine
}

/// The command that measures the same again.
fn reproduce(plan: &Plan, args: &FaultsArgs) -> String {
    let list = |option: &str, names: &[String]| match names {
        [] => String::new(),
        names => format!(" {option} {}", names.join(",")),
    };
    let kind = match (args.quick, args.full) {
        (true, _) => " --quick",
        (_, true) => " --full",
        _ => "",
    };
    format!(
        "report faults{kind}{}{} --rounds {} --clients {} --seed {}",
        list("--faults", &args.faults),
        list("--protections", &args.protections),
        plan.rounds,
        args.clients,
        plan.seed
    )
}

/// What `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    matrix: &'a Matrix,
    trials: &'a [LabRow],
}

fn show(args: &FaultsArgs, rows: &[LabRow], out: &Path) -> Result<()> {
    let protections: Vec<String> = PROTECTIONS.iter().map(|protection| protection.name.to_string()).collect();
    let faults: Vec<String> = fault::find(&["all"])?.iter().map(ToString::to_string).collect();
    let matrix = Matrix::of(rows, &protections, &faults);
    let text = match args.table.form() {
        Form::Json => json(&Document { schema: 1, matrix: &matrix, trials: rows })?,
        Form::Csv => String::from_utf8_lossy(&csv_bytes(rows)?).into_owned(),
        Form::Markdown => words::markdown(&matrix),
        Form::Text => words::terminal(&matrix, width()),
    };
    print(&text)?;
    if let Some(run) = LabRun::read(out)? {
        let page = out.join(PAGE);
        report::write_page(&page, &report::lab::page(&run))?;
        say(&format!("report: {}", page.display()));
    }
    Ok(())
}
