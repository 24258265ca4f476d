//! `report check`, `explain` and `demo`: one history or one race, and what became of its updates.

use std::process::ExitCode;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::interchange::{self, Document, Options, SCHEMA};
use crate::record::PAGE;
use crate::report::words::counted;
use crate::strategy::{self, Strategy};
use crate::verdict::Promise;
use crate::{Demo, explain as library, report};

use super::args::{CheckArgs, Cli, DemoArgs};
use super::imported::{self, Judged};
use super::output::{json, print, say};
use super::signals::{InOrder, STOP};
use super::{BROKEN, FAILED};

/// A file that is no history.
const NO_HISTORY: u8 = 3;

pub(super) fn check(args: &CheckArgs) -> Result<ExitCode> {
    let memory = args.memory.map(|mib| mib.saturating_mul(1 << 20));
    let options = Options { initial: args.initial, last: args.last, memory };
    let (mut codes, mut judged) = (Vec::new(), Vec::new());
    for file in &args.files {
        let name = file.display().to_string();
        let checked = if name == "-" {
            interchange::check_stream(std::io::stdin().lock(), &options)
                .map_err(|why| Error::usage(format!("standard input: {why}")))
        } else {
            interchange::check_path(file, &options)
        };
        match checked {
            Ok(checked) => {
                codes.push(checked.answer.exit_code());
                if args.json {
                    print(&json(&Document::new(&name, &checked))?)?;
                } else {
                    let title = if args.files.len() > 1 { format!("{name}:\n") } else { String::new() };
                    print(&(title + &checked.explanation))?;
                }
                if args.out.is_some() {
                    judged.push(Judged { name: imported::name_of(&name), checked });
                }
            }
            Err(why) => {
                codes.push(NO_HISTORY);
                if args.json {
                    let error = why.to_string();
                    print(&json(&serde_json::json!({ "schema": SCHEMA, "file": name, "error": error }))?)?;
                }
                say(&format!("report: {why}"));
            }
        }
    }
    if let Some(out) = &args.out
        && !judged.is_empty()
    {
        imported::write(out, &judged)?;
        say(&format!("report: {}", out.join(PAGE).display()));
    }
    // One that is wrong outweighs one that cannot be read, and this one that does not say enough.
    let worst = [BROKEN, NO_HISTORY, FAILED].into_iter().find(|code| codes.contains(code));
    Ok(ExitCode::from(worst.unwrap_or(0)))
}

pub(super) fn explain(cli: &Cli, known: &[&dyn Strategy], name: &str, threads: usize) -> Result<ExitCode> {
    let strategies = strategy::find_among(known, &[name])?;
    let [strategy] = strategies[..] else { return Err(Error::usage("explain: expected the name of one strategy")) };
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

/// How long a reader at the back of a room needs for a line.
const PAUSE: Duration = Duration::from_millis(700);

pub(super) fn demo(cli: &Cli, args: &DemoArgs) -> Result<ExitCode> {
    // Slowly, few are enough: two threads that lose each other's updates, three times over.
    let (threads, updates, pause) = if args.slow { (2, 3, Some(PAUSE)) } else { (4, 100, None) };
    let (threads, updates) = (args.threads.unwrap_or(threads).into(), args.updates.unwrap_or(updates));
    let server = cli.server.resolve(&mut |line| say(&format!("report: {line}")))?;
    let phases = crate::demo(&server, Demo { threads, updates, pause }, &mut std::io::stdout())?;
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
