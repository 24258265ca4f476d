//! What a command line asks to have measured, and how long that takes.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::fault::Dimension;
use crate::strategy::{self, Strategy};
use crate::target::{NOT_FAR, check_distance};
use crate::until::Goal;
use crate::verdict::Promise;
use crate::worker::Manifest;
use crate::workload::Plan;

use super::args::Cli;
use super::{estimate, libraries};

/// A quick run that is longer was hardly meant.
const MINUTE: Duration = Duration::from_secs(60);

pub(super) struct Asked<'a> {
    pub(super) plan: Plan,
    pub(super) strategies: Vec<&'a dyn Strategy>,
    /// The client libraries, not yet installed.
    pub(super) manifests: Vec<Manifest>,
    pub(super) faults: Vec<Dimension>,
    pub(super) goal: Option<Goal>,
    /// How long it takes, in words.
    pub(super) estimate: String,
}

impl<'a> Asked<'a> {
    /// # Errors
    /// The options contradict each other, or name something that does not exist.
    pub(super) fn of(cli: &Cli, known: &[&'a dyn Strategy], own: &[&'a dyn Strategy]) -> Result<Self> {
        check_distances(cli)?;
        // Another round trip is planned as another server.
        let servers = cli.server.servers() * cli.plan.distances();
        let manifests = libraries::manifests(&cli.plan.libraries)?;
        let strategies = strategy::find_among(known, &cli.plan.strategies(own, &manifests))?;
        let lines = strategies.len() * manifests.len().max(1) * cli.plan.settings.len().max(1);
        let plan = cli.plan.plan(&strategies, lines, servers, known)?;
        let goal = cli.plan.goal(&plan);
        if goal.is_some() && strategies.iter().all(|strategy| strategy.info().promise == Promise::Lossy) {
            return Err(Error::usage("--until needs an exact strategy among --strategies"));
        }
        let program = libraries::this_program()?;
        let faults: Vec<Dimension> =
            cli.plan.faults()?.into_iter().map(|chosen| Dimension::new(chosen, program.clone())).collect();
        let broken = broken_time(&faults, &plan, lines * servers);
        if let (Some(fault), false) = (faults.first(), cli.server.is_one_plain()) {
            return Err(Error::usage(fault.is_alone()));
        }
        let mut estimate = estimate::said(&plan, lines, (cli.server.servers(), cli.plan.distances()));
        if !faults.is_empty() {
            estimate += &format!("; about {} more under faults", estimate::in_words(broken));
        }
        let is_long = estimate::time(&plan, lines * servers).is_some_and(|time| time + broken > MINUTE);
        if cli.plan.quick && is_long && !cli.plan.yes {
            return Err(Error::usage(format!(
                "--quick with these options takes {estimate}; add --yes to run it anyway, or leave some out"
            )));
        }
        Ok(Self { plan, strategies, manifests, faults, goal, estimate })
    }
}

/// Refuses round trips that cannot be emulated, before a server is started for them.
fn check_distances(cli: &Cli) -> Result<()> {
    let round_trips = &cli.plan.rtt;
    round_trips.iter().try_for_each(|&time| check_distance(time))?;
    // As precise as the rows have them.
    let us: Vec<u128> = round_trips.iter().map(Duration::as_micros).collect();
    if (1..us.len()).any(|at| us[..at].contains(&us[at])) {
        return Err(Error::usage("--rtt: the same time is given twice"));
    }
    if round_trips.iter().any(|time| !time.is_zero()) && !cli.server.may_be_far() {
        return Err(Error::usage(NOT_FAR));
    }
    Ok(())
}

/// How long the trials under faults take.
fn broken_time(faults: &[Dimension], plan: &Plan, lines: usize) -> Duration {
    let trials = u32::try_from(plan.trials(lines)).unwrap_or(u32::MAX);
    faults.iter().map(|fault| fault.takes().saturating_mul(trials)).fold(Duration::ZERO, Duration::saturating_add)
}
