//! `report`: argv, paths, progress on stderr, exit codes. What it says and does is the library's.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit)]

mod args;
mod compare;
mod judge;
mod live;
mod measure;
mod output;
mod progress;
mod shell;
mod show;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use args::{Cli, Command};
use clap::Parser;
use redis_lost_updates::error::Result;
use redis_lost_updates::strategy;

/// Raised by Ctrl-C and SIGTERM: the run ends after the update it is in.
static STOP: AtomicBool = AtomicBool::new(false);

/// An exact strategy broke its promise, or a comparison found what it was to look out for.
const BROKEN: u8 = 1;
/// Bad usage, no server, or the run could not finish.
const FAILED: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return shell::explain(&error),
    };
    if let Err(error) = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            // Asked twice: go at once. The private server's keeper ends it, whatever becomes of us.
            std::process::exit(FAILED.into());
        }
    }) {
        eprintln!("report: Ctrl-C will not end the run in order: {error}");
    }
    run(&cli).unwrap_or_else(|error| {
        eprintln!("report: {error}");
        ExitCode::from(FAILED)
    })
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let done = |()| ExitCode::SUCCESS;
    match &cli.command {
        None => measure::measure(cli),
        Some(Command::Render { dir }) => show::render(dir).map(done),
        Some(Command::List) => show::list(cli).map(done),
        Some(Command::Compare(args)) => compare::compare(args),
        Some(Command::Explain { strategy, threads }) => judge::explain(cli, strategy, usize::from(*threads)),
        Some(Command::Predict { threads, keys }) => show::predict(threads, usize::from(*keys)).map(done),
        Some(Command::Check { file, initial, last }) => judge::check(file, *initial, *last),
        Some(Command::Demo { threads, updates }) => judge::demo(cli, usize::from(*threads), *updates),
        Some(Command::Completions { shell }) => shell::completions(*shell).map(done),
        Some(Command::Man) => shell::man().map(done),
        Some(Command::SecondProcess) => {
            strategy::second_process(std::io::stdin().lock(), std::io::stdout().lock(), None).map(done)
        }
    }
}
