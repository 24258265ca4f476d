//! What it would cost threads to run the state machines of the event loop instead of their own blocking code.
//!
//! For `incr`, `get-set` and `watch` at 16 threads: the strategy's blocking form (A) against its state machine, driven by
//! the same blocking connection on the same thread (B). Rounds alternate which comes first. The ratio B/A of acknowledged
//! updates a second says what it costs where the machine is quiet; the ratio of client CPU time for an update says it on
//! a busy one too.
//!
//! `cargo run --example one_form -- 30`

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use redis::{RedisResult, Value};
use redis_lost_updates::client_machine::{ClientMachine, Reply, Requests, Turn};
use redis_lost_updates::error::{BoxError, Result};
use redis_lost_updates::strategy::{self, ClientMachines, Info, Strategy};
use redis_lost_updates::target::{ServerSpec, Session, Target};
use redis_lost_updates::trial::Crew;
use redis_lost_updates::update::{Update, Updater};
use redis_lost_updates::workload::{Size, Workload};

const THREADS: usize = 16;
const TRIAL: Duration = Duration::from_millis(200);

/// A strategy whose threads run its state machine.
struct ByMachine<'a>(&'a dyn ClientMachines);

impl Strategy for ByMachine<'_> {
    fn info(&self) -> &'static Info {
        self.0.info()
    }

    fn open(&self, server: &Target, workers: usize) -> Result<Vec<Box<dyn Updater>>> {
        let machines = self.0.clients(server, workers)?.into_iter();
        machines
            .map(|machine| {
                let (connection, requests) = (server.connect()?, Requests::default());
                Ok(Box::new(Blocking { machine, connection, requests }) as Box<dyn Updater>)
            })
            .collect()
    }
}

struct Blocking {
    machine: Box<dyn ClientMachine>,
    connection: Session,
    requests: Requests,
}

impl Updater for Blocking {
    fn update(&mut self, key: &str) -> Result<Update, BoxError> {
        let mut done = Vec::with_capacity(1);
        self.update_batch(&[key], &mut done)?;
        done.pop().ok_or_else(|| "no outcome".into())
    }

    fn batch(&self) -> usize {
        self.machine.batch()
    }

    fn update_batch(&mut self, keys: &[&str], done: &mut Vec<Update>) -> Result<(), BoxError> {
        let since = Instant::now();
        self.requests.clear();
        self.machine.begin(keys, &mut self.requests);
        loop {
            self.connection.send(self.requests.bytes(), self.requests.commands())?;
            let replies = self.requests.commands();
            self.requests.clear();
            let mut turn = Turn::Reply;
            for _ in 0..replies {
                let value = receive(&mut self.connection)?;
                if matches!(turn, Turn::Reply) {
                    let elapsed = since.elapsed().as_nanos() as u64;
                    turn = self.machine.reply(reply(&value)?, elapsed, &mut self.requests, done);
                }
            }
            match turn {
                Turn::Reply => {}
                Turn::Done => return Ok(()),
                Turn::Failed(error) => return Err(error),
                Turn::Later(wait) => {
                    std::thread::sleep(wait);
                    self.machine.again(&mut self.requests);
                }
            }
        }
    }
}

fn receive(connection: &mut Session) -> RedisResult<Value> {
    connection.receive()
}

/// What a healthy server says, as the machines hear it.
fn reply(value: &Value) -> Result<Reply<'_>, BoxError> {
    Ok(match value {
        Value::Int(value) => Reply::Integer(*value),
        Value::BulkString(bytes) => Reply::Text(bytes),
        Value::SimpleString(status) => Reply::Status(status),
        Value::Okay => Reply::Status("OK"),
        Value::Nil => Reply::Nil,
        Value::Array(_) => Reply::List(None),
        other => return Err(format!("unexpected reply: {other:?}").into()),
    })
}

/// Acknowledged updates a second, and the clients' CPU time for one in nanoseconds.
fn measure(server: &Target, strategy: &dyn Strategy) -> Result<(f64, f64)> {
    let stop = AtomicBool::new(false);
    let mut crew = Crew::open(server, strategy, Workload::one_key(THREADS), 1, &stop)?;
    let trial = crew.sized_trial(Size::Duration(TRIAL))?;
    crew.close()?;
    let acked = trial.judgement.ledger.acked.max(1) as f64;
    let cpu: u64 = trial.log.clients.iter().map(|lane| lane.cpu_ns).sum();
    Ok((acked * 1e9 / trial.log.span_ns().max(1) as f64, cpu as f64 / acked))
}

/// The median, and the order statistics that hold the true one with some 95 % confidence.
fn middle(mut ratios: Vec<f64>) -> String {
    ratios.sort_by(f64::total_cmp);
    let (n, half) = (ratios.len(), (ratios.len() as f64).sqrt().round() as usize);
    let (low, high) = ((n / 2).saturating_sub(half), (n / 2 + half).min(n - 1));
    format!("{:.3} ({:.3} to {:.3})", ratios[n / 2], ratios[low], ratios[high])
}

fn run(rounds: usize) -> Result<()> {
    let server = ServerSpec::from_env()?.resolve(&AtomicBool::new(false), &mut |line| eprintln!("{line}"))?;
    println!("B/A over {rounds} rounds: state machine by a blocking thread / blocking form, {THREADS} threads");
    for blocking in strategy::find(&["incr", "get-set", "watch"])? {
        let Some(form) = blocking.machines() else { continue };
        let (mut rates, mut costs) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let machine = ByMachine(form);
            let b_first = (round % 2 == 1).then(|| measure(&server, &machine)).transpose()?;
            let a = measure(&server, blocking)?;
            let b = b_first.map_or_else(|| measure(&server, &machine), Ok)?;
            rates.push(b.0 / a.0);
            costs.push(b.1 / a.1);
        }
        println!("{:8} updates/s {}, CPU per update {}", form.info().name, middle(rates), middle(costs));
    }
    Ok(())
}

fn main() -> ExitCode {
    let rounds = std::env::args().nth(1).and_then(|rounds| rounds.parse().ok()).unwrap_or(30);
    match run(rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
