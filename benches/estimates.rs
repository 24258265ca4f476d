//! Criterion's half and ours, joined by bench id: its estimates with their confidence intervals, beside the ledger.
//!
//! The ledger of every id is kept in criterion's own folder too, so that a baseline saved today still has its verdict
//! when another run is compared with it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use redis_lost_updates::error::{Error, Result};
use redis_lost_updates::record::{ESTIMATES, Estimate, Folder, Machine, Record, csv_bytes, read_csv, write_whole};
use serde_json::Value;

/// Our file in criterion's folder of one bench id and baseline.
const LEDGER: &str = "ledger.csv";

/// Where criterion writes: `CRITERION_HOME`, or `criterion` in the target folder this program was built into.
pub(crate) fn output_directory() -> PathBuf {
    let target = || std::env::current_exe().ok().and_then(|exe| Some(exe.ancestors().nth(3)?.join("criterion")));
    std::env::var_os("CRITERION_HOME").map(PathBuf::from).or_else(target).unwrap_or_else(|| "target/criterion".into())
}

/// A result folder for this run, named by the second it began and the baseline it saves. Criterion's smoke test, which
/// `cargo test --benches` runs, measures nothing: its rows go under `target` and are replaced by the next.
pub(crate) fn new_folder(machine: &Machine) -> Result<Folder> {
    if !std::env::args().any(|arg| arg == "--bench") {
        let smoke = output_directory().with_file_name("bench-smoke-test");
        if smoke.exists() {
            std::fs::remove_dir_all(&smoke).map_err(|e| Error::file(&smoke, e))?;
        }
        return Folder::create(&smoke, machine);
    }
    // Cargo runs benches in the package's own folder.
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(':', "-");
    let baseline = saved_baseline().unwrap_or_else(|| "new".to_owned());
    Folder::create(&Path::new("results").join(format!("bench-{now}-{baseline}")), machine)
}

/// The baseline this run saves: criterion's own default is `base`, and with `--baseline` it saves none.
fn saved_baseline() -> Option<String> {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name || arg.starts_with(&format!("{name}=")))?;
        args[at].split_once('=').map(|(_, value)| value.to_owned()).or_else(|| args.get(at + 1).cloned())
    };
    if value("--baseline").or_else(|| value("--baseline-lenient")).is_some() {
        return None;
    }
    value("--save-baseline").or_else(|| Some("base".to_owned()))
}

/// This id's estimates of this run, and of every other baseline that has a ledger. Empty where criterion wrote none
/// (its smoke test).
pub(crate) fn join(output: &Path, strategy: &str, threads: usize, records: &[Record]) -> Result<Vec<Estimate>> {
    let folder = output.join(strategy).join(threads.to_string());
    let Some(this) = estimate(&folder.join("new"), "this run", ledger(strategy, threads, records)) else {
        return Ok(Vec::new());
    };
    let saved = saved_baseline();
    for name in std::iter::once("new").chain(saved.as_deref()) {
        if folder.join(name).is_dir() {
            write_whole(&folder.join(name).join(LEDGER), &csv_bytes(std::slice::from_ref(&this))?)?;
        }
    }
    let mut rows = vec![this];
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .map_err(|e| Error::file(&folder, e))?
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name != "new" && Some(name) != saved.as_ref() && folder.join(name).join(LEDGER).exists())
        .collect();
    names.sort();
    for name in names {
        let other: Vec<Estimate> = read_csv(&folder.join(&name).join(LEDGER))?;
        rows.extend(other.into_iter().map(|row| Estimate { baseline: name.clone(), ..row }));
    }
    Ok(rows)
}

/// The ledger of all calls of one id; criterion's figures still to come.
fn ledger(strategy: &str, threads: usize, records: &[Record]) -> Estimate {
    let sum = |figure: fn(&Record) -> Option<u64>| records.iter().filter_map(figure).sum();
    Estimate {
        bench_id: format!("{strategy}/{threads}"),
        baseline: String::new(),
        strategy: strategy.to_owned(),
        threads,
        mean_ns: 0.0,
        mean_low_ns: 0.0,
        mean_high_ns: 0.0,
        median_ns: 0.0,
        confidence: 0.0,
        acked: sum(|record| record.acked),
        lost: sum(|record| record.lost),
        doubled: sum(|record| record.doubled),
        verdict: records.iter().filter_map(|record| record.verdict).max(),
    }
}

fn estimate(folder: &Path, baseline: &str, ledger: Estimate) -> Option<Estimate> {
    let json: Value = serde_json::from_slice(&std::fs::read(folder.join("estimates.json")).ok()?).ok()?;
    let interval = &json["mean"]["confidence_interval"];
    Some(Estimate {
        baseline: baseline.to_owned(),
        mean_ns: json["mean"]["point_estimate"].as_f64()?,
        mean_low_ns: interval["lower_bound"].as_f64()?,
        mean_high_ns: interval["upper_bound"].as_f64()?,
        median_ns: json["median"]["point_estimate"].as_f64()?,
        confidence: interval["confidence_level"].as_f64()?,
        ..ledger
    })
}

/// Writes the joined rows into the result folder.
pub(crate) fn write(folder: &Path, rows: &[Estimate]) -> Result<()> {
    write_whole(&folder.join(ESTIMATES), &csv_bytes(rows)?)?;
    eprintln!("bench: ledgers in {}", folder.display());
    eprintln!("bench: one page with both halves: cargo run --bin report -- render {}", folder.display());
    Ok(())
}
