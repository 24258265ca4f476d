//! `report`: measures the plan, writes the folder, prints the result.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use crate::driver::Driver;
use crate::driver::external::External;
use crate::error::{Error, Result};
use crate::fault::Dimension;
use crate::record::{Folder, Machine, PAGE, Run, SUMMARY, write_whole};
use crate::secret::concealed;
use crate::strategy::Strategy;
use crate::summary::{Outcome, Summary};
use crate::target::Target;
use crate::trial::{Breaker, Entrant};
use crate::until::{Decision, percent};
use crate::workload::Plan;
use crate::{driver, explain, report, strategy, trial};

use super::args::{Cli, OutputArgs, UNTIL_TIME};
use super::asked::Asked;
use super::libraries;
use super::output::{Said, coloured, json, print};
use super::progress::Progress;
use super::signals::{InOrder, STOP};
use super::{BROKEN, FAILED};

pub(super) fn measure(
    cli: &Cli,
    known: &[&dyn Strategy],
    own: &[&dyn Strategy],
    words: &[OsString],
) -> Result<ExitCode> {
    let asked = Asked::of(cli, known, own)?;
    if let Some(out) = &cli.output.out {
        Folder::check_free(out)?;
    }
    let mut said = Said::new(cli.output.quiet);
    let servers = reached(cli, &mut said)?;
    let looking = InOrder::begin();
    let found = libraries::installed(asked.manifests.clone(), cli.server.is_offline())?;
    let drivers = libraries::drivers(found, &cli.plan.settings);
    drop(looking);
    servers.iter().try_for_each(|server| check_faults(&asked.faults, server, cli.plan.allow_faults))?;
    let entrants = entrants(&asked.plan, &asked.strategies, &drivers, &asked.faults)?;
    servers.iter().try_for_each(|server| trial::check_room(&asked.plan, server, &entrants))?;
    let mut machine = facts(&asked, &servers, &drivers, asked.plan.trials(entrants.len() * servers.len()), words)?;
    announce(&asked, &machine, &mut said);
    let out = cli.output.out.clone().unwrap_or_else(default_folder);
    let is_whole = race(&asked, &servers, &entrants, &out, &mut machine, &cli.output, &mut said)?;
    let names: Vec<&str> = own.iter().map(|own| own.info().name).chain(strategy::DEFAULT.iter().copied()).collect();
    drop(entrants);
    drop(servers);
    conclude(&out, is_whole, &names, &cli.output, said)
}

/// The servers that were asked for, at each distance that was asked for.
fn reached(cli: &Cli, said: &mut Said) -> Result<Vec<Target>> {
    let servers = cli.server.resolve_all(&mut |line| said.note(line))?;
    let servers: Vec<Vec<Target>> =
        servers.into_iter().map(|server| server.at_distances(&cli.plan.rtt)).collect::<Result<_>>()?;
    let servers = servers.concat();
    if cli.server.is_insecure() {
        said.warn("warning: --insecure: any certificate is accepted, so others may read and change what is sent");
    }
    Ok(servers)
}

/// Everything a reader must know to believe a figure of this run.
fn facts(
    asked: &Asked<'_>,
    servers: &[Target],
    drivers: &[External],
    trials: usize,
    words: &[OsString],
) -> Result<Machine> {
    let mut machine = Machine::gather(servers, &asked.plan, &asked.strategies)?;
    libraries::add_facts(&mut machine, drivers);
    asked.faults.iter().for_each(|fault| machine.add(&format!("fault.{}", fault.fault()), fault.about()));
    if asked.goal.is_none() {
        machine.add("planned_trials", trials.to_string());
    }
    machine.add("started", now());
    machine.add("command", command_line(words));
    if let Some(goal) = asked.goal {
        machine.add("until", format!("±{}", percent(goal.within)));
    }
    Ok(machine)
}

/// Says what is to come and how long it takes.
fn announce(asked: &Asked<'_>, machine: &Machine, said: &mut Said) {
    if let Some(advice) = asked.plan.advice() {
        said.note(&advice);
    }
    if let Some(distance) = report::words::distance(machine) {
        said.note(&distance);
    }
    for (_, warning) in machine.warnings() {
        said.warn(&format!("warning: {warning}"));
    }
    match asked.goal {
        None => said.note(&asked.estimate),
        Some(_) => said.note(&format!("at most {} minutes, or {}", UNTIL_TIME.as_secs() / 60, asked.estimate)),
    }
}

/// Measures into a new folder; returns whether every trial was made. If something ended the run early, the rows so far are
/// kept, and the reason is said first, so that nobody takes them for the whole run.
fn race(
    asked: &Asked<'_>,
    servers: &[Target],
    entrants: &[Entrant<'_>],
    out: &Path,
    machine: &mut Machine,
    output: &OutputArgs,
    said: &mut Said,
) -> Result<bool> {
    let folder = Folder::create(out, machine)?;
    let names: Vec<String> = entrants.iter().map(Entrant::name).collect();
    let mut progress = Progress::new(folder, &asked.plan, &names, servers, asked.goal, output);
    let _looking = InOrder::begin();
    let measured = trial::measure_entrants(&asked.plan, servers, entrants, &STOP, &mut progress);
    progress.finish();
    if let Some(left) = progress.left() {
        said.warn(&format!("warning: some keys of this run could not be removed: {left}"));
    }
    if let Some(decision) = progress.decision() {
        match decision {
            Decision::NotReached(outcome) => said.warn(&format!("warning: --until {outcome}")),
            _ => said.note(&format!("--until {decision}")),
        }
        machine.add("until_outcome", decision.to_string());
        machine.write(out)?;
    }
    if measured.is_ok()
        && let Err(error) = explain::record_losses(out, servers, entrants, &STOP)
    {
        said.warn(&format!("some losses could not be shown step by step: {error}"));
    }
    if let Err(error) = &measured {
        let planned = asked.plan.trials(names.len() * servers.len());
        said.warn(&format!("the run stopped after {} of {planned} trials: {error}", progress.kept()));
    }
    Ok(measured.is_ok())
}

/// Reads the folder back, as `report render` does; shows it and judges it.
fn conclude(out: &Path, is_whole: bool, known: &[&str], output: &OutputArgs, mut said: Said) -> Result<ExitCode> {
    let run = Run::read(out)?;
    let summary = Summary::of(&run);
    show(out, &summary, &run, known, output)?;
    let code = verdict(&summary, is_whole, &mut said);
    let headline = report::headline(&summary, &run.machine, known);
    let text = format!("{headline}\n{}\n{}index.html\n", report::table(&summary, false), said.text());
    write_whole(&out.join(SUMMARY), text.as_bytes())?;
    Ok(code)
}

/// Refuses to break a server that is not ours, or what cannot be done there.
fn check_faults(faults: &[Dimension], server: &Target, is_allowed: bool) -> Result<()> {
    if let Some(why) = faults.iter().find_map(|fault| fault.refuses(server)) {
        return Err(Error::usage(why));
    }
    match faults.is_empty() || server.child().is_some() || is_allowed {
        true => Ok(()),
        false => Err(Error::usage(
            "--faults on a server that is not private needs --allow-faults, which makes this run's own clients lose replies",
        )),
    }
}

/// Every strategy with what drives it, one driver for all or one for each client library, without and with each fault.
fn entrants<'a>(
    plan: &Plan,
    strategies: &[&'a dyn Strategy],
    drivers: &'a [External],
    faults: &'a [Dimension],
) -> Result<Vec<Entrant<'a>>> {
    let drivers: Vec<&dyn Driver> = match drivers {
        [] => vec![driver::of(plan.driver)?],
        drivers => drivers.iter().map(|driver| driver as &dyn Driver).collect(),
    };
    let breakers: Vec<Option<&dyn Breaker>> =
        std::iter::once(None).chain(faults.iter().map(|fault| Some(fault as &dyn Breaker))).collect();
    let mut entrants = Vec::new();
    for &strategy in strategies {
        for &driver in &drivers {
            entrants.extend(breakers.iter().map(|&breaker| Entrant { strategy, driver, breaker }));
        }
    }
    Ok(entrants)
}

/// Shows what is in the folder: the headline, and the tables that were asked for.
fn show(dir: &Path, summary: &Summary, run: &Run, known: &[&str], output: &OutputArgs) -> Result<()> {
    let page = dir.join(PAGE);
    // A page that cannot be written must not cost the table too.
    let written = report::write_page(&page, &report::render(summary, run));
    if output.json {
        print(&json(&report::Document::of(summary, &run.machine))?)?;
    } else if output.csv {
        print(&String::from_utf8_lossy(&report::sheet(summary)?))?;
    } else if let Some(format) = output.format {
        print(&report::tracked(std::slice::from_ref(run), format.into())?)?;
    } else if output.table {
        // The answer last, where the screen ends.
        let headline = report::headline(summary, &run.machine, known);
        print(&format!("{}\n{headline}", report::table(summary, coloured())))?;
    } else if !output.quiet {
        print(&report::screen(summary, &run.machine, known, coloured()))?;
    }
    if written.is_ok() && !output.json && !output.csv && output.format.is_none() {
        print(&format!("{}\n", page.display()))?;
    }
    written
}

/// Names each cause. What is broken is broken, however the run ended.
fn verdict(summary: &Summary, is_whole: bool, said: &mut Said) -> ExitCode {
    summary.causes.iter().for_each(|cause| said.warn(&cause.to_string()));
    match summary.outcome {
        Outcome::Broken => ExitCode::from(BROKEN),
        Outcome::Unjudged => ExitCode::from(FAILED),
        Outcome::Kept if is_whole => ExitCode::SUCCESS,
        Outcome::Kept => ExitCode::from(FAILED),
    }
}

/// The date and time in UTC, to the second.
pub(super) fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// A new folder below `results/`, by time and host; two runs in one second have numbers.
pub(super) fn default_folder() -> PathBuf {
    let host = rustix::system::uname().nodename().to_string_lossy().replace('/', "_");
    let name = format!("{}-{host}", now().replace(':', "-"));
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let mut folders = std::iter::once(name.clone()).chain(numbered).map(|name| Path::new("results").join(name));
    folders.find(|folder| !folder.exists()).unwrap_or_else(|| Path::new("results").join(&name))
}

/// The command as it was typed, for the page's recipe, without any URL: it may hold a password.
fn command_line(words: &[OsString]) -> String {
    let program = words.first().and_then(|program| Path::new(program).file_stem());
    let program = program.map_or_else(|| "report".to_owned(), |name| name.to_string_lossy().into_owned());
    let words: Vec<String> = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    std::iter::once(program).chain(concealed(&words)).collect::<Vec<_>>().join(" ")
}
