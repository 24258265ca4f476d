//! How far `report compare --live` can be trusted on this machine: how often it finds a planted slowdown, and how often
//! it calls two equal builds different.
//!
//! ```sh
//! cargo run --example gate_power -- --tries 40 --pairs 0 --time 30s   # 20 min, on a machine that does nothing else
//! cargo run --example gate_power -- --tries 0 --pairs 100 --time 12s  # 19 min
//! cargo run --example gate_power -- --tries 2 --pairs 2 --time 10s    # whether it works
//! ```
//!
//! The strategy `planted-incr` is INCR, after which the thread stays busy for a part of the time that the update took,
//! so that it makes 10 % fewer updates; `incr`, `pooled-incr` and `lua-incr` race beside it, one client each. Every try is
//! one `report compare --live` of that build against one without the slowdown; every pair compares two equal builds. A
//! try finds the slowdown if it calls `planted-incr` slower. A pair is a false alarm if it calls any strategy slower or
//! faster. The intervals are exact (Clopper and Pearson).

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::hint::black_box;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use redis_lost_updates::error::{BoxError, Error, Result};
use redis_lost_updates::redis;

use redis_lost_updates::stats::proportion_interval;
use redis_lost_updates::strategy::{Info, Strategy};
use redis_lost_updates::target::{Session, Target};
use redis_lost_updates::update::{Update, Updater};

/// The variable by which the two builds differ: the slowdown of `planted-incr`, as a fraction.
const VARIABLE: &str = "GATE_POWER_SLOWDOWN";

/// The argument that makes this program act as `report` with `planted-incr`, without any tries.
const AS_REPORT: &str = "as-report";

/// Power and false alarms of report compare --live on this machine
#[derive(Parser)]
struct Arguments {
    /// Comparisons with the slowdown
    #[arg(long, default_value_t = 40)]
    tries: u32,
    /// Comparisons of equal builds
    #[arg(long, default_value_t = 100)]
    pairs: u32,
    /// How long each measures
    #[arg(long, default_value = "60s")]
    time: String,
    /// The slowdown, in percent
    #[arg(long, default_value_t = 10.0, value_parser = slowdown)]
    slowdown: f64,
}

fn slowdown(text: &str) -> Result<f64, String> {
    let percent = text.parse::<f64>().ok().filter(|percent| (0.0..=90.0).contains(percent));
    percent.ok_or_else(|| "expected a percentage up to 90".to_owned())
}

struct Planted;

struct Own {
    session: Session,
    slowdown: f64,
}

impl Updater for Own {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let begun = Instant::now();
        let told = redis::cmd("INCR").arg(key).query(&mut self.session)?;
        let took = begun.elapsed();
        // For a rate of 1 - s an update has to take 1 / (1 - s) times as long.
        let longer = took.mul_f64(1.0 / (1.0 - self.slowdown));
        while begun.elapsed() < longer {
            black_box(0);
        }
        Ok(Update::told(told))
    }
}

impl Strategy for Planted {
    fn info(&self) -> &'static Info {
        const INFO: Info = Info {
            counted_by: &["incr"],
            commands: &["incr"],
            ..Info::exact("planted-incr", "INCR, and then a wait that makes it slower by a part.")
        };
        &INFO
    }

    fn open(&self, target: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let slowdown = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let slowdown = slowdown.clamp(0.0, 0.9);
        (0..workers).map(|_| Ok(Box::new(Own { session: target.connect()?, slowdown }) as Box<dyn Updater>)).collect()
    }
}

fn main() -> ExitCode {
    let mut words: Vec<_> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == AS_REPORT) {
        words.remove(1);
        return redis_lost_updates::run(&[&Planted], words);
    }
    match tried(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gate_power: {error}");
            ExitCode::from(2)
        }
    }
}

fn tried(arguments: &Arguments) -> Result<()> {
    let begun = Instant::now();
    let part = arguments.slowdown / 100.0;
    let mut found = 0;
    for at in 1..=arguments.tries {
        let outcomes = compared(part, &arguments.time)?;
        found += u32::from(outcomes.iter().any(|(name, outcome)| name == "planted-incr" && outcome == "slower"));
        told("try", at, arguments.tries, begun.elapsed(), &outcomes);
    }
    let mut alarms = 0;
    for at in 1..=arguments.pairs {
        let outcomes = compared(0.0, &arguments.time)?;
        alarms += u32::from(outcomes.iter().any(|(_, outcome)| outcome == "slower" || outcome == "faster"));
        told("pair", at, arguments.pairs, begun.elapsed(), &outcomes);
    }
    println!("slowdown of {} % found: {}", arguments.slowdown, with_interval(found, arguments.tries));
    println!("false alarms: {}", with_interval(alarms, arguments.pairs));
    Ok(())
}

fn told(what: &str, at: u32, of: u32, elapsed: Duration, outcomes: &[(String, String)]) {
    let outcomes: Vec<String> = outcomes.iter().map(|(name, outcome)| format!("{name} {outcome}")).collect();
    eprintln!("{what} {at} of {of}, {:.0} s: {}", elapsed.as_secs_f64(), outcomes.join(", "));
}

fn with_interval(count: u32, of: u32) -> String {
    let (low, high) = proportion_interval(u64::from(count), u64::from(of));
    format!("{count} of {of}, 95 % interval {:.1} % to {:.1} %", low * 100.0, high * 100.0)
}

/// One comparison of the build with this slowdown against the one without: every strategy with its outcome.
fn compared(slowdown: f64, time: &str) -> Result<Vec<(String, String)>> {
    let program = std::env::current_exe().map_err(|e| Error::usage(format!("this program has no path: {e}")))?;
    let plan = "--strategies planted-incr,incr,pooled-incr,lua-incr --threads 1";
    let build = |slowdown: f64| format!("{VARIABLE}={slowdown} '{}' {AS_REPORT} {plan}", program.display());
    let output = Command::new(&program)
        .args([AS_REPORT, "compare", "--live", &build(0.0), &build(slowdown), "--json", "--time", time])
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| Error::usage(format!("cannot start {}: {e}", program.display())))?;
    if !output.status.success() {
        return Err(Error::usage(format!("a comparison ended with {}", output.status)));
    }
    let json: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| Error::usage(format!("a comparison is no JSON: {e}")))?;
    let strategies = json["strategies"].as_array().into_iter().flatten();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok(strategies.map(|one| (text(&one["strategy"]), text(&one["surviving"]["outcome"]))).collect())
}
