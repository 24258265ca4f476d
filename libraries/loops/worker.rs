//! The worker loop that all Rust adapters share: docs/libraries.md says what goes over the pipes, and why.
//!
//! A client is a closure that adds one for each of the keys it is given. Adapters take this file in by its path.

use std::fmt::Write as _;
use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

const HEADER: &str = "worker,begin_ns,end_ns,outcome,value,key,tries\n";
/// The strategy of clients that send nothing: their rate shows what this loop and the pipes cost.
const NO_OP: &str = "no-op";
/// Rows are written in blocks of this size, so that writing is rare within the race.
const BLOCK: usize = 64 * 1024;

/// What this worker is to do.
pub struct Job {
    /// Where the server is.
    pub url: String,
    /// The strategy.
    pub strategy: String,
    /// The library's settings.
    pub settings: String,
    /// The names of the counters.
    pub keys: Vec<String>,
    /// The numbers of this process's clients.
    pub clients: Vec<u64>,
    sequences: Vec<Vec<usize>>,
    batch: usize,
}

/// The value that an acknowledged update was told, if any, and how many tries it took.
pub type Told = (Option<i64>, u32);

/// Why an update was not acknowledged.
pub enum Failure {
    /// It certainly did not happen.
    Refused(String),
    /// It may have happened.
    Unknown(String),
}

/// Adds one for each of the keys, in order. Updates that it tells nothing of are unknown.
pub type Update = Box<dyn FnMut(&[&str]) -> Result<Vec<Told>, Failure> + Send>;

/// What is particular to a library.
pub struct Adapter<'a> {
    /// Its name.
    pub library: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Connects one client.
    pub open: &'a mut dyn FnMut(&Job) -> Result<Update, String>,
    /// The settings in effect.
    pub effective: &'a dyn Fn(&Job) -> Vec<(&'static str, String)>,
}

struct Log {
    client: u64,
    by_row: bool,
    rows: String,
    count: u64,
    acked: u64,
    error: Option<String>,
}

impl Log {
    fn add(&mut self, (begin, end): (u64, u64), outcome: &str, told: Option<Told>, key: usize) {
        let (value, tries) = told.unwrap_or((None, 1));
        let value = value.map_or_else(String::new, |value| value.to_string());
        // Writing to a string cannot fail.
        let _ = writeln!(self.rows, "{},{begin},{end},{outcome},{value},{key},{tries}", self.client);
        self.count += 1;
        self.acked += u64::from(told.is_some());
        if self.by_row || self.rows.len() > BLOCK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        put(&self.rows);
        self.rows.clear();
    }
}

fn put(text: &str) {
    let mut out = std::io::stdout().lock();
    // If nobody listens any more there is nothing left to do.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn say(message: &Value) {
    put(&format!("{message}\n"));
}

struct Race {
    zero: Instant,
    start: u64,
    end: u64,
    pause: u64,
    rate: Option<(u64, u64)>,
    by_row: bool,
}

impl Race {
    fn now(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    fn until(&self, instant: u64) {
        std::thread::sleep(Duration::from_nanos(instant.saturating_sub(self.now())));
    }

    fn run(&self, update: &mut Update, job: &Job, batch: usize, sequence: &[usize], updates: u64, log: &mut Log) {
        self.until(self.start);
        let (mut begin, mut done, mut places) = (self.now(), 0, sequence.iter().cycle());
        while done < updates && begin < self.end {
            let many = (updates - done).min(batch as u64) as usize;
            let numbers: Vec<usize> = places.by_ref().take(many).copied().collect();
            let keys: Vec<&str> = numbers.iter().map(|&number| job.keys[number].as_str()).collect();
            done += many as u64;
            if let Some((per_s, clients)) = self.rate {
                let place = u128::from(done - 1) * u128::from(clients) + u128::from(log.client);
                self.until(self.start + (place * 1_000_000_000 / u128::from(per_s)) as u64);
                begin = self.now();
            }
            let told = update(&keys);
            let ended = self.now();
            let mut next = ended;
            match told {
                Ok(told) => {
                    for (place, &number) in numbers.iter().enumerate() {
                        let told = told.get(place).copied();
                        log.add((begin, ended), if told.is_some() { "ok" } else { "unknown" }, told, number);
                    }
                }
                Err(failure) => {
                    let (outcome, why) = match failure {
                        Failure::Refused(why) if many == 1 => ("fail", why),
                        // Of a batch that failed, some may have been done.
                        Failure::Refused(why) | Failure::Unknown(why) => ("unknown", why),
                    };
                    log.error.get_or_insert(why);
                    for &number in &numbers {
                        log.add((begin, ended), outcome, None, number);
                    }
                    self.until(ended + self.pause);
                    next = self.now();
                }
            }
            begin = next;
        }
        log.flush();
    }
}

fn list(value: &Value) -> impl Iterator<Item = u64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64)
}

fn hear(input: &mut dyn BufRead) -> Option<Value> {
    let mut line = String::new();
    input.read_line(&mut line).ok().filter(|&read| read > 0)?;
    serde_json::from_str(&line).ok()
}

impl Job {
    fn read(message: &Value) -> Option<Self> {
        let job = message.get("job")?;
        let text = |name| job.get(name).and_then(Value::as_str).map(str::to_owned);
        let texts = job.get("keys")?.as_array()?;
        let sequences = job.get("sequences")?.as_array()?;
        Some(Self {
            url: text("url")?,
            strategy: text("strategy")?,
            settings: text("settings")?,
            keys: texts.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            sequences: sequences.iter().map(|one| list(one).map(|key| key as usize).collect()).collect(),
            clients: list(job.get("clients")?).collect(),
            batch: job.get("batch")?.as_u64()? as usize,
        })
    }
}

/// Does one job: a thread for every client.
pub fn serve(adapter: Adapter<'_>) {
    if let Err(why) = work(adapter) {
        say(&json!({ "error": why }));
    }
}

fn work(adapter: Adapter<'_>) -> Result<(), String> {
    let mut input = std::io::stdin().lock();
    let Some(first) = hear(&mut input) else { return Ok(()) };
    let job = Job::read(&first).ok_or("a job is to come first")?;
    let batch = if job.strategy == "pipelined-incr" { job.batch } else { 1 };
    let is_no_op = job.strategy == NO_OP;
    let mut open = || if is_no_op { Ok(nothing()) } else { (adapter.open)(&job) };
    let mut clients: Vec<Update> = job.clients.iter().map(|_| open()).collect::<Result<_, String>>()?;
    let effective = if is_no_op { Vec::new() } else { (adapter.effective)(&job) };
    let settings: serde_json::Map<String, Value> =
        effective.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    say(&json!({ "ready": { "library": adapter.library, "version": adapter.version, "runtime": "Rust",
        "batch": batch, "settings": settings } }));
    let zero = Instant::now();
    while let Some(message) = hear(&mut input) {
        if let Some(ping) = message.get("ping") {
            say(&json!({ "pong": ping, "now_ns": zero.elapsed().as_nanos() as u64 }));
        } else if let Some(go) = message.get("go") {
            race(&job, batch, &mut clients, go, zero);
        }
    }
    Ok(())
}

/// A client that sends nothing.
fn nothing() -> Update {
    Box::new(|keys| Ok(keys.iter().map(|_| (Some(1), 1)).collect()))
}

fn race(job: &Job, batch: usize, clients: &mut [Update], go: &Value, zero: Instant) {
    let number = |name| go.get(name).and_then(Value::as_u64).unwrap_or(0);
    let rate = go.get("rate").and_then(|rate| Some((rate.get("per_s")?.as_u64()?, rate.get("clients")?.as_u64()?)));
    let (start, by_row) = (number("start_ns"), go.get("flush").and_then(Value::as_str) == Some("row"));
    let race = Race { zero, start, end: start + number("duration_ns"), pause: number("pause_ns"), rate, by_row };
    let updates: Vec<u64> = list(&go["updates"]).collect();
    put(HEADER);
    let logs: Result<Vec<Log>, ()> = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter_mut()
            .enumerate()
            .map(|(i, update)| {
                let log = Log {
                    client: job.clients[i],
                    by_row: race.by_row,
                    rows: String::new(),
                    count: 0,
                    acked: 0,
                    error: None,
                };
                let (race, updates) = (&race, updates.get(i).copied().unwrap_or(0));
                let sequence = job.sequences.get(i).map_or(&[0][..], Vec::as_slice);
                scope.spawn(move || {
                    let mut log = log;
                    race.run(update, job, batch, sequence, updates, &mut log);
                    log
                })
            })
            .collect();
        // A thread that panicked took its rows along.
        threads.into_iter().map(|thread| thread.join().map_err(drop)).collect()
    });
    let Ok(logs) = logs else { return say(&json!({ "error": "a client panicked" })) };
    let mut done = json!({ "rows": logs.iter().map(|log| log.count).sum::<u64>(),
        "acked": logs.iter().map(|log| log.acked).sum::<u64>() });
    if let Some(error) = logs.into_iter().find_map(|log| log.error) {
        done["error"] = error.into();
    }
    say(&json!({ "done": done }));
}
