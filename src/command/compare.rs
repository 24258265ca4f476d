//! `report compare`: two builds, and whether the second may pass.

use std::path::Path;
use std::process::ExitCode;

use crate::compare::{Comparison, Gate, Options, part};
use crate::error::{Error, Result};
use crate::record::Run;
use crate::report::{self, comparison};

use super::BROKEN;
use super::args::CompareArgs;
use super::output::{coloured, json, print, say};
use super::turns::Turns;

/// The most runs on one side.
const MOST_RUNS: usize = 100;

pub(super) fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let bound = args.fail_if_slower.unwrap_or(Options::default().bound);
    let options = Options { trust_shift: args.trust_shift, bound };
    let (before, after) = (&args.before, &args.after);
    let compared = if args.live {
        let sides = Turns::of([before, after], args).measured()?;
        let [first, second] = sides.each_ref().map(|side| side.iter().collect::<Vec<&Run>>());
        Comparison::of_pairs((before, &first), (after, &second), options)?
    } else {
        let (first, second) = (side(before)?, side(after)?);
        let [first, second] = [&first, &second].map(|side| side.iter().collect::<Vec<&Run>>());
        Comparison::of_runs((before, &first), (after, &second), options)
    };
    if let Some(page) = &args.page {
        report::write_page(page, &comparison::page(&compared))?;
    }
    print(&match (args.json, args.markdown) {
        (true, _) => json(&comparison::Document::of(&compared))?,
        (_, true) => comparison::markdown(&compared),
        _ => comparison::terminal(&compared, coloured()),
    })?;
    if args.fail_if_slower.is_some() { gate(&compared, args.allow_weak) } else { Ok(ExitCode::SUCCESS) }
}

/// The exit code for the gate's verdict, with its reasons on stderr. "Cannot tell" does not count as a pass.
fn gate(compared: &Comparison, allow_weak: bool) -> Result<ExitCode> {
    match compared.gate() {
        Gate::Fails(failures) => {
            failures.iter().for_each(|failure| say(&format!("report: {failure}")));
            Ok(ExitCode::from(BROKEN))
        }
        Gate::AllSlower(why) | Gate::Nothing(why) => Err(Error::usage(why)),
        Gate::CannotTell(why) if allow_weak => {
            say(&format!("report: {why}; passed by --allow-weak"));
            Ok(ExitCode::SUCCESS)
        }
        Gate::CannotTell(why) => Err(Error::usage(format!("{why}; --allow-weak lets it pass"))),
        Gate::Passes => {
            let power = compared.power_in_words().unwrap_or_default();
            say(&format!("report: nothing is slower by more than {} %; {power}", (compared.bound * 1e5).round() / 1e3));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The runs of a side: folders separated by commas, each with or without a baseline.
fn side(operand: &str) -> Result<Vec<Run>> {
    // A folder may have a comma in its name.
    if Path::new(operand).exists() {
        return Ok(vec![read(operand)?]);
    }
    let names: Vec<&str> = operand.split(',').filter(|name| !name.is_empty()).collect();
    if names.len() > MOST_RUNS {
        return Err(Error::usage(format!("{} runs on one side: at most {MOST_RUNS}", names.len())));
    }
    for (at, name) in names.iter().enumerate() {
        // The same run given twice would look like two runs that happen to agree.
        if names[..at].contains(name) {
            return Err(Error::usage(format!("{name} is given twice on one side: each run counts once")));
        }
    }
    if names.is_empty() { read(operand).map(|run| vec![run]) } else { names.into_iter().map(read).collect() }
}

/// A folder, or FOLDER@BASELINE.
fn read(operand: &str) -> Result<Run> {
    let named = |why: Error| Error::usage(format!("{operand}: {why}"));
    match operand.rsplit_once('@') {
        Some((folder, baseline)) if !Path::new(operand).exists() => {
            part(Run::read(Path::new(folder))?, Some(baseline)).map_err(named)
        }
        _ => part(Run::read(Path::new(operand))?, None).map_err(named),
    }
}
