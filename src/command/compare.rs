//! `report compare`: two runs, and whether the second may pass.

use std::path::Path;
use std::process::ExitCode;

use crate::compare::{Comparison, Options, part};
use crate::error::{Error, Result};
use crate::record::Run;
use crate::report::{self, comparison};

use super::BROKEN;
use super::args::CompareArgs;
use super::output::{coloured, json, print, say};

pub(super) fn compare(args: &CompareArgs) -> Result<ExitCode> {
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let options = Options { trust_shift: args.trust_shift };
    let compared = Comparison::of((&args.before, &before), (&args.after, &after), options);
    if let Some(page) = &args.page {
        report::write_page(page, &comparison::page(&compared))?;
    }
    print(&match (args.json, args.markdown) {
        (true, _) => json(&comparison::Document::of(&compared))?,
        (_, true) => comparison::markdown(&compared),
        _ => comparison::terminal(&compared, coloured()),
    })?;
    let Some(percent) = args.fail_if_slower else { return Ok(ExitCode::SUCCESS) };
    let failures = compared.failures(percent / 100.0);
    for failure in &failures {
        say(&format!("report: {failure}"));
    }
    match (failures.is_empty(), compared.landslide(), compared.compared()) {
        (false, ..) => Ok(ExitCode::from(BROKEN)),
        (true, Some(ratio), _) => Err(Error::usage(format!(
            "all strategies together run at {ratio:.2} of what they did: whether that is the machine or the code cannot be \
             told; measure both again on one machine, or take it for real with --trust-shift"
        ))),
        // A gate that looked at nothing must not look open.
        (true, None, 0) => Err(Error::usage("nothing could be compared, so nothing was checked")),
        (true, None, _) => {
            // An open gate says how much it could have stopped: noisy runs let much pass.
            if let Some([(least, finest), (most, coarsest)]) = compared.reach(percent / 100.0) {
                say(&format!(
                    "report: nothing is surely slower by more than {percent} %; between these runs it would take a slowdown \
                     of {:.0} % ({finest}) to {:.0} % ({coarsest}) to be sure of one, and less with more rounds",
                    least * 100.0,
                    most * 100.0
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
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
