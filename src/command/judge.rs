//! `report check`, `explain`, `demo`: one history or one race, and what became of its updates.

use std::path::Path;
use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::report::words::counted;
use crate::strategy::{self, Strategy};
use crate::verdict::Promise;
use crate::{explain as library, interchange, report};

use super::BROKEN;
use super::args::Cli;
use super::output::{print, say};
use super::signals::{InOrder, STOP};

pub(super) fn check(file: &Path, initial: Option<i64>, last: Option<i64>) -> Result<ExitCode> {
    let checked = interchange::check_file(file, initial, last)?;
    print(&checked.explanation)?;
    Ok(ExitCode::from(checked.answer.exit_code()))
}

pub(super) fn explain(cli: &Cli, known: &[&dyn Strategy], name: &str, threads: usize) -> Result<ExitCode> {
    let strategies = strategy::find_among(known, &[name])?;
    let [strategy] = strategies[..] else { return Err(Error::usage("explain takes one strategy by its name")) };
    let server = cli.server.resolve(&mut |line| say(&format!("report: {line}")))?;
    let looking = InOrder::begin();
    let witness = library::explain(&server, strategy, threads, &STOP)?;
    drop(looking);
    let Some(witness) = witness else {
        let patience = library::PATIENCE.as_secs();
        let promise = match strategy.info().promise {
            Promise::Exact => ", as it promises",
            Promise::Lossy => "; it can: try more --threads",
        };
        print(&format!(
            "{name} lost nothing with {} in {patience} s of small races{promise}.\n",
            counted(threads, "client")
        ))?;
        return Ok(ExitCode::SUCCESS);
    };
    let (lost, acked) = (witness.lost, witness.acked);
    print(&format!(
        "{name}, {}: {lost} of {acked} acknowledged updates were lost. One of them, in the\n",
        counted(threads, "client")
    ))?;
    print(&format!("order in which the server executed the commands:\n\n{}", report::witness(&witness.steps)))?;
    Ok(if strategy.info().promise == Promise::Exact { ExitCode::from(BROKEN) } else { ExitCode::SUCCESS })
}

pub(super) fn demo(cli: &Cli, threads: usize, updates: u64) -> Result<ExitCode> {
    let server = cli.server.resolve(&mut |line| say(&format!("report: {line}")))?;
    let phases = crate::demo(&server, threads, updates, &mut std::io::stdout())?;
    let unjudged = phases.iter().find(|phase| phase.acked == 0);
    Ok(match (phases[1].lost(), unjudged) {
        (0, None) => ExitCode::SUCCESS,
        (0, Some(phase)) => {
            let why = phase.refusal.as_deref().unwrap_or("nothing was asked");
            return Err(Error::server(format!("demo: no update was acknowledged: {why}")));
        }
        _ => ExitCode::from(BROKEN),
    })
}
