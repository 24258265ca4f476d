//! A run while it happens: rows into the folder, and a progress bar, rows or a live view on stderr.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Instant;

use crate::error::{Error, Result};
use crate::history::widened;
use crate::interchange::write_history;
use crate::record::{Bucket, Folder, HISTORY, Record, write_whole};
use crate::report::words;
use crate::stats::quantile;
use crate::target::Target;
use crate::trial::{Entrant, Observer, Trial};
use crate::until::{Decision, Goal, Precision, percent};
use crate::update::Event;
use crate::workload::{Plan, Workload};
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::args::OutputArgs;
use super::estimate;
use super::live::Live;
use super::output::say;

pub(super) struct Progress {
    folder: Folder,
    /// Trials done.
    kept: u64,
    bar: ProgressBar,
    last: String,
    live: Option<Live>,
    verbose: bool,
    /// Where histories go, if they are kept.
    history: Option<PathBuf>,
    goal: Option<Pursuit>,
    /// The last time that something of ours could not be removed from the server.
    left: Option<String>,
    told: Told,
}

/// What a running trial's label says besides its strategy.
#[derive(Clone, Copy)]
struct Told {
    /// Its server, if there are several.
    server: bool,
    /// Its round trip, if there are several.
    distance: bool,
}

impl Told {
    fn of(servers: &[Target]) -> Self {
        let mut pairs = servers.windows(2);
        Self {
            server: pairs.clone().any(|pair| pair[0].product() != pair[1].product()),
            distance: pairs.any(|pair| pair[0].rtt_us() != pair[1].rtt_us()),
        }
    }

    fn label(self, strategy: &str, server: &str, rtt_us: Option<u64>) -> String {
        let server = self.server.then(|| format!(" on {server}"));
        let distance =
            rtt_us.filter(|_| self.distance).map(|us| format!(" rtt {}", words::time(us.saturating_mul(1_000))));
        [Some(strategy.to_owned()), server, distance].into_iter().flatten().collect()
    }
}

/// Rounds that go on until a goal is reached.
struct Pursuit {
    goal: Goal,
    since: Instant,
    records: Vec<Record>,
    decision: Decision,
}

impl Progress {
    /// Of the entrants of these names, each on every server.
    pub(super) fn new(
        folder: Folder,
        plan: &Plan,
        names: &[String],
        servers: &[Target],
        goal: Option<Goal>,
        output: &OutputArgs,
    ) -> Self {
        let told = Told::of(servers);
        let on = |server: &Target| {
            let (product, rtt_us) = (server.product().to_owned(), server.rtt_us());
            names.iter().map(move |name| told.label(name, &product, rtt_us))
        };
        let labels: Vec<String> = servers.iter().flat_map(on).collect();
        let trials = plan.trials(labels.len()) as u64;
        let screen = MultiProgress::new();
        let live = output.watch.then(|| Live::new(&screen, plan, &labels));
        let bar = match (output.no_progress || output.quiet, output.watch) {
            (true, _) => ProgressBar::hidden(),
            (false, true) => screen.add(ProgressBar::new(trials)),
            (false, false) => ProgressBar::new(trials),
        };
        let planned = estimate::time(plan, labels.len());
        let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {left} left  {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.with_key("left", move |state: &ProgressState, out: &mut dyn Write| {
            let left = estimate::left(planned, state.elapsed(), state.pos(), state.len().unwrap_or(0));
            // It is a line on a screen: nobody is to be told that it could not be made.
            let _ = out.write_str(&left.map_or_else(|| "? s".to_owned(), estimate::in_words));
        }));
        let history = output.history.then(|| folder.path().join(HISTORY));
        let (since, records, decision) = (Instant::now(), Vec::new(), Decision::GoOn);
        let goal = goal.map(|goal| Pursuit { goal, since, records, decision });
        Self {
            folder,
            kept: 0,
            bar,
            last: String::new(),
            live,
            verbose: output.verbose,
            history,
            goal,
            left: None,
            told,
        }
    }

    /// Trials done.
    pub(super) fn kept(&self) -> u64 {
        self.kept
    }

    /// What could not be removed from the server, if anything.
    pub(super) fn left(&self) -> Option<&str> {
        self.left.as_deref()
    }

    /// How the pursuit of a goal ended, if there was one and it came to an end.
    pub(super) fn decision(&self) -> Option<&Decision> {
        self.goal.as_ref().map(|pursuit| &pursuit.decision).filter(|decision| **decision != Decision::GoOn)
    }

    pub(super) fn finish(&mut self) {
        if let Some(live) = &mut self.live {
            live.finish();
        }
        self.bar.finish_and_clear();
    }

    fn label(&self, record: &Record) -> String {
        let condition = &record.condition;
        self.told.label(&condition.entrant(), &condition.server, condition.rtt_us)
    }

    /// One trial as a line.
    fn say(&self, record: &Record, latency: &[Bucket]) {
        let per_s = |rate: Option<f64>| rate.map_or_else(|| "-".to_owned(), words::rate);
        let told = latency.iter().filter(|bucket| bucket.clock == record.clock());
        let buckets: Vec<(u64, u64)> = told.map(|bucket| (bucket.up_to_ns, bucket.count)).collect();
        let offered = record
            .condition
            .offered_per_s
            .map_or_else(String::new, |per_s| format!("offered {}/s, ", words::count(per_s)));
        let keys = if record.condition.keys == 1 { String::new() } else { format!(" k{}", record.condition.keys) };
        let line = format!(
            "round {} {} x{}{keys}: {offered}acked {}/s, surviving {}/s, p99 {}, {}",
            record.round,
            self.label(record),
            record.condition.threads,
            per_s(record.acked_per_s()),
            per_s(record.surviving_per_s()),
            quantile(&buckets, 0.99).map_or_else(|| "-".to_owned(), words::time),
            word(record),
        );
        let why = record.error.as_ref().or(record.note.as_ref()).map_or_else(String::new, |why| format!(" ({why})"));
        self.bar.suspend(|| say(&format!("{line}{why}")));
    }

    fn keep_history(&self, record: &Record, trial: &Trial) -> Result<()> {
        let Some(folder) = &self.history else { return Ok(()) };
        std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, e))?;
        let server = self.told.server.then(|| format!("-{}", record.condition.server.replace([' ', '/'], "-")));
        let distance = record.condition.rtt_us.filter(|_| self.told.distance).map(|us| format!("-rtt{us}us"));
        let on: String = [server, distance].into_iter().flatten().collect();
        let path = folder.join(format!(
            "{}-{}-{}-{}{on}.csv",
            record.round,
            record.condition.entrant().replace([' ', ':'], "-"),
            record.condition.threads,
            record.condition.keys
        ));
        let lanes: Vec<&[Event]> = trial.log.clients.iter().map(|lane| lane.events.as_slice()).collect();
        // A reader knows of one clock only.
        let wider = if trial.apart_ns > 0 { widened(&lanes, trial.apart_ns) } else { Vec::new() };
        let lanes = if wider.is_empty() { lanes } else { wider.iter().map(Vec::as_slice).collect() };
        let mut bytes = Vec::new();
        write_history(&mut bytes, &lanes, &trial.found).map_err(|e| Error::file(&path, e))?;
        write_whole(&path, &bytes)
    }
}

fn word(record: &Record) -> String {
    record.verdict.map_or_else(|| "no verdict".to_owned(), |verdict| verdict.shown(record.promise))
}

impl Observer for Progress {
    fn begins(&mut self, entrant: Entrant<'_>, server: &Target, workload: &Workload, done: usize) {
        self.bar.set_position(done as u64);
        let label = self.told.label(&entrant.name(), server.product(), server.rtt_us());
        if let Some(live) = &mut self.live {
            live.begins(&label, workload.keys, workload.threads);
        }
        self.bar.set_message(format!("{label} x{}{}", workload.threads, self.last));
    }

    fn keeps(&mut self, record: Record, latency: Vec<Bucket>, trial: Option<Trial>) -> Result<()> {
        let label = self.label(&record);
        self.last = format!("  (last: {label} x{} {})", record.condition.threads, word(&record));
        if self.verbose {
            self.say(&record, &latency);
        }
        if let Some(live) = &mut self.live {
            live.sees(&label, &record);
        }
        // The row last, so that every row's history is there.
        if let Some(trial) = trial {
            self.folder.append_faults(&trial.faults)?;
            self.keep_history(&record, &trial)?;
        }
        self.folder.append(&record, &latency)?;
        self.kept += 1;
        if let Some(pursuit) = &mut self.goal {
            pursuit.records.push(record);
        }
        Ok(())
    }

    fn leaves(&mut self, error: &Error) {
        self.left = Some(error.to_string());
    }

    fn wants_more(&mut self) -> bool {
        let Some(pursuit) = &mut self.goal else { return true };
        let precision = Precision::of(&pursuit.records);
        pursuit.decision = pursuit.goal.decide(&precision, pursuit.since.elapsed());
        if let Some(worst) = precision.worst.filter(|worst| worst.error.is_finite()) {
            self.last = format!("  want ±{}: {worst}", percent(pursuit.goal.within));
        }
        pursuit.decision == Decision::GoOn
    }
}
