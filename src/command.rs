//! The command line: argv, paths, progress on stderr, exit codes. Other modules do everything else.
//!
//! Part of the library, not of the program, so that a crate with its own strategies gets all of it with one call.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

mod args;
mod asked;
mod clean;
mod compare;
mod estimate;
mod faults;
mod grammar;
mod imported;
mod judge;
mod libraries;
mod live;
mod lost_reply;
mod measure;
mod output;
mod progress;
mod shell;
mod show;
mod signals;
mod turns;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::error::{Error, Result};
use crate::fault;
use crate::secret;
use crate::strategy::{self, ALL, Strategy};
use crate::worker;
use args::{Cli, Command};
use output::say;

/// An exact strategy broke its promise, or a comparison failed.
const BROKEN: u8 = 1;
/// Bad usage, no server, or the run could not finish.
const FAILED: u8 = 2;

/// Does everything that the program `report` does, for `own` strategies in addition to those of this crate: measures
/// them, writes the folder with its page, compares runs, explains a loss. `args` begins with the program's name, like
/// [`std::env::args_os`]. Without `--strategies`, it races the `own` strategies and those of the default plan.
///
/// ```no_run
/// # use redis_lost_updates::strategy::{Strategy, find};
/// # let mine: &dyn Strategy = find(&["incr"]).unwrap()[0];
/// fn main() -> std::process::ExitCode {
///     # let mine: &dyn redis_lost_updates::strategy::Strategy = redis_lost_updates::strategy::find(&["incr"]).unwrap()[0];
///     redis_lost_updates::run(&[mine], std::env::args_os())
/// }
/// ```
///
/// It handles Ctrl-C and SIGTERM: a run ends in an orderly way, everything else at once. Call it only once per process.
/// Pass the program's own arguments: only then can `mutex-two-processes` start this program as its second process.
///
/// The exit code is 0 if every exact strategy kept its promise, 1 if one broke it, 2 if the run could not finish.
pub fn run(own: &[&dyn Strategy], args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = args.into_iter().collect();
    let texts: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    if secret::is_misplaced(&texts) {
        say("report: a URL in the wrong place (not shown, as it may hold a password): use --redis-url");
        return ExitCode::from(FAILED);
    }
    let cli = match grammar::parse(&words) {
        Ok(cli) => cli,
        Err(error) => return shell::explain(&error, &secret::concealed(&texts)),
    };
    if words.iter().eq(&std::env::args_os().collect::<Vec<_>>()) {
        strategy::this_program_is_report();
    }
    signals::install();
    known(own).and_then(|known| obey(&cli, &known, own, &words)).unwrap_or_else(|error| {
        say(&format!("report: {error}"));
        ExitCode::from(FAILED)
    })
}

/// All known strategies, `own` ones first.
fn known<'a>(own: &[&'a dyn Strategy]) -> Result<Vec<&'a dyn Strategy>> {
    let known: Vec<&dyn Strategy> = own.iter().chain(ALL).copied().collect();
    let name = |at: usize| known[at].info().name;
    match (0..known.len()).find(|&at| (0..at).any(|earlier| name(earlier) == name(at))) {
        Some(at) => Err(Error::usage(format!("strategy {}: the name is already taken; rename yours", name(at)))),
        None => Ok(known),
    }
}

fn obey(cli: &Cli, known: &[&dyn Strategy], own: &[&dyn Strategy], words: &[OsString]) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match &cli.command {
        None => measure::measure(cli, known, own, words),
        Some(Command::Render { dirs, format }) => show::render(dirs, *format).map(done),
        Some(Command::List) => show::list(cli, known, own).map(done),
        Some(Command::Compare(args)) => compare::compare(args),
        Some(Command::Explain { strategy, threads }) => judge::explain(cli, known, strategy, usize::from(*threads)),
        Some(Command::Predict { threads, keys }) => show::predict(threads, usize::from(*keys)).map(done),
        Some(Command::Check(args)) => judge::check(args),
        Some(Command::Demo(args)) => judge::demo(cli, args),
        Some(Command::Clean) => clean::clean(cli).map(done),
        Some(Command::Completions { shell }) => shell::completions(*shell, known).map(done),
        Some(Command::Man { command, out }) => shell::man(command.as_deref(), out.as_deref(), known).map(done),
        Some(Command::LostReply(args)) => lost_reply::lost_reply(cli, args),
        Some(Command::Faults(args)) => faults::faults(cli, args),
        Some(Command::Worker { library }) if library == fault::WORKER => {
            fault::work();
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Worker { library }) => worker::work(library).map(done),
        Some(Command::SecondProcess) => {
            strategy::second_process(std::io::stdin().lock(), std::io::stdout().lock()).map(done)
        }
    }
}
