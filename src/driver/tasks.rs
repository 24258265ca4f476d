//! The timed section for an async program: every client a task of one tokio runtime, which asks through the redis crate.
//!
//! This is what the crate's multiplexed connection is made for. Where clients share one, a task that waits for its reply
//! costs no thread switch: whatever one read of the socket brings wakes the tasks it is for, and what they ask next goes
//! out in one write. Clients that do not share have a multiplexed connection each, which is how the crate does async.
//!
//! What a client asks, and what it makes of the answers, is its [`ClientMachine`], as over our own
//! [event loop](crate::driver::events); sending, matching and parsing are the redis crate's, and the order in which tasks run
//! is tokio's. So is packing, but for what it costs to hand over what our client has packed. A back-off is tokio's sleep:
//! whole milliseconds.
//!
//! What comes out is what every driver gives. A client's log starts when its task first runs, and an update ends when its task
//! has its last reply in hand. The clock is read once for each round trip and once for the update.

mod answers;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::AsyncConnectionConfig;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::client_machine::{ClientMachine, Turn};
use crate::driver::{Clients, Driver};
use crate::error::{BoxError, Error, Result};
use crate::pace::Timetable;
use crate::race::{ClientLog, Limits, RaceLog, Recorder, Work, said, thread_cpu_ns};
use crate::resp::Requests;
use crate::strategy::Strategy;
use crate::target::{self, RESPONSE_TIMEOUT, Target, TaskSession, allow_files};
use crate::update::Update;
use crate::workload::{DriverKind, Workload};

/// How often a raised stop is looked for.
const TICK: Duration = Duration::from_millis(20);

/// Clients and their connections, opened.
pub struct TaskLoop {
    clients: Vec<Client>,
    /// How many there were at first: one that panics is lost.
    opened: usize,
    runtime: Runtime,
}

struct Client {
    machine: Box<dyn ClientMachine>,
    session: TaskSession,
    requests: Requests,
}

/// What bounds a race, in a form that tasks may hold.
#[derive(Clone)]
struct Bounds {
    zero: Instant,
    stop: Arc<AtomicBool>,
    deadline: Duration,
}

impl TaskLoop {
    /// Connects the clients: all over one multiplexed connection if they are to `share`, else each over its own.
    ///
    /// ```no_run
    /// use std::{sync::atomic::AtomicBool, time::Duration};
    /// use redis_lost_updates::{driver::{Limits, Work, tasks::TaskLoop}, target::Target, strategy};
    ///
    /// # fn main() -> redis_lost_updates::error::Result<()> {
    /// let server = Target::at("redis://127.0.0.1:6379")?;
    /// let incr = strategy::find(&["incr"])?[0].machines().expect("one that has the form");
    /// let mut clients = TaskLoop::open(&server, incr.clients(&server, 1_000)?, incr.share_a_connection())?;
    /// let work = vec![Work::one_key("a-counter-of-mine", 100); 1_000];
    /// let log = clients.race(&work, Limits { stop: &AtomicBool::new(false), deadline: Duration::from_secs(10) })?;
    /// println!("{} ns", log.span_ns());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A connection cannot be had, or this process may not have so many.
    pub fn open(server: &Target, machines: Vec<Box<dyn ClientMachine>>, share: bool) -> Result<Self> {
        allow_files(if share { 1 } else { machines.len().saturating_mul(server.shards() as usize) })?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::broken(format!("cannot start an async runtime: {e}")))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connect = || {
            // One after the other: thousands at once would overflow the server's queue of unaccepted ones.
            runtime.block_on(server.connect_task(&config))
        };
        let shared = if share { Some(connect()?) } else { None };
        let (wanted, mut clients) = (machines.len(), Vec::with_capacity(machines.len()));
        for (made, machine) in machines.into_iter().enumerate() {
            let session = shared.clone().map_or_else(connect, Ok);
            let session = session.map_err(|e| target::after(made, wanted, e))?;
            clients.push(Client { machine, session, requests: Requests::default() });
        }
        Ok(Self { clients, opened: wanted, runtime })
    }

    /// Races every client on this thread, and gives back what each did. The CPU time of the one thread stands in the
    /// first log.
    ///
    /// # Errors
    /// A client panicked: the message names it and what it said. The others finish first, and no more races are to be had.
    pub fn race(&mut self, work: &[Work], limits: Limits<'_>) -> Result<RaceLog> {
        if self.clients.len() < self.opened {
            return Err(Error::broken("a client of this crew has panicked: open a new crew"));
        }
        super::enough_work(work, self.clients.len())?;
        let recorder = work.iter().zip(&self.clients);
        let recorder: Vec<Recorder> =
            recorder.map(|(work, client)| Recorder::of(work, client.machine.batch())).collect();
        let stop = Arc::default();
        let bounds = Bounds { zero: Instant::now(), stop: Arc::clone(&stop), deadline: limits.deadline };
        let clients = std::mem::take(&mut self.clients).into_iter().zip(work).zip(recorder);
        let run = |((client, work), recorder): ((Client, &Work), Recorder)| {
            client.run(work.clone(), recorder, bounds.clone())
        };
        let ended = self.runtime.block_on(all(clients.map(run).collect(), limits.stop, &stop));
        let mut log = RaceLog { clients: Vec::with_capacity(ended.len()) };
        let (mut from, mut to) = (u64::MAX, 0);
        for (number, end) in ended.into_iter().enumerate() {
            let ended = end.map_err(|panic| Error::broken(format!("worker {number} panicked: {}", said(&*panic))))?;
            (from, to) = (from.min(ended.cpu_ns.start), to.max(ended.cpu_ns.end));
            self.clients.push(ended.client);
            log.clients.push(ended.log);
        }
        if let Some(first) = log.clients.first_mut() {
            first.cpu_ns = to.saturating_sub(from);
        }
        Ok(log)
    }
}

pub(super) struct Tasks;

impl Driver for Tasks {
    fn kind(&self) -> DriverKind {
        DriverKind::Tasks
    }

    fn refuses(&self, _server: &Target, strategy: &dyn Strategy) -> Option<String> {
        super::refused_by_one_thread(strategy)
    }

    fn parameters(&self, strategy: &dyn Strategy) -> String {
        super::machine_parameters(strategy)
    }

    fn check_room(&self, server: &Target, strategies: &[&dyn Strategy], clients: usize) -> Result<()> {
        super::check_sockets(server, strategies, clients)
    }

    fn open(&self, server: &Target, strategy: &dyn Strategy, workload: &Workload) -> Result<Box<dyn Clients>> {
        let (machines, share) = super::machines(server, strategy, workload.threads)?;
        Ok(Box::new(TaskLoop::open(server, machines, share)?))
    }
}

impl Clients for TaskLoop {
    fn race(&mut self, work: &[Work], timetable: Option<&Timetable>, limits: Limits<'_>) -> Result<RaceLog> {
        match timetable {
            None => TaskLoop::race(self, work, limits),
            Some(_) => Err(Error::usage("driver tasks does not support --rate")),
        }
    }

    fn batch(&self) -> usize {
        self.clients.iter().map(|client| client.machine.batch()).max().unwrap_or(1)
    }
}

/// Runs every future as a task of its own until all have ended: what each gave, or its panic. Raises `stopped` once `stop`
/// is.
async fn all<T: Send + 'static>(
    runs: Vec<impl Future<Output = T> + Send + 'static>,
    stop: &AtomicBool,
    stopped: &AtomicBool,
) -> Vec<std::thread::Result<T>> {
    stopped.store(stop.load(Ordering::Relaxed), Ordering::Relaxed);
    let tasks: Vec<JoinHandle<T>> = runs.into_iter().map(tokio::spawn).collect();
    let mut ended = Vec::with_capacity(tasks.len());
    for mut task in tasks {
        let end = loop {
            match tokio::time::timeout(TICK, &mut task).await {
                Ok(end) => break end,
                Err(_still_racing) => stopped.store(stop.load(Ordering::Relaxed), Ordering::Relaxed),
            }
        };
        // Nobody aborts a task of ours: what ends it early is a panic.
        ended.push(end.map_err(|error| error.try_into_panic().unwrap_or_else(|error| Box::new(error.to_string()))));
    }
    ended
}

/// What a task gives back.
struct Ended {
    client: Client,
    log: ClientLog,
    /// The thread's CPU time when it started and when it ended.
    cpu_ns: Range<u64>,
}

impl Client {
    /// Races one client until its work is done or it has to stop.
    async fn run(mut self, work: Work, mut recorder: Recorder, bounds: Bounds) -> Ended {
        let cpu_before = thread_cpu_ns();
        let now = || bounds.zero.elapsed().as_nanos() as u64;
        let limits = Limits { stop: &bounds.stop, deadline: bounds.deadline };
        let batch = self.machine.batch();
        let mut keys = Vec::with_capacity(batch);
        recorder.start(now(), 0, limits);
        while recorder.goes_on(limits) {
            let begin_ns = recorder.log.end_ns;
            recorder.hand_over(&work, batch, begin_ns, &mut keys);
            let ending = self.converse(&keys, &mut recorder.done, || now() - begin_ns).await;
            recorder.write_down(ending, now());
        }
        Ended { client: self, log: recorder.log, cpu_ns: cpu_before..thread_cpu_ns() }
    }

    /// One hand-over, from its first request to the last reply that matters.
    async fn converse(
        &mut self,
        keys: &[&str],
        done: &mut Vec<Update>,
        elapsed_ns: impl Fn() -> u64,
    ) -> Result<(), BoxError> {
        let mut error = String::new();
        self.requests.clear();
        self.machine.begin(keys, &mut self.requests);
        loop {
            if self.requests.commands() == 0 {
                return Err("it waits for a reply that it did not ask for".into());
            }
            let values = self.session.ask(&self.requests).await?;
            let elapsed_ns = elapsed_ns();
            self.requests.clear();
            let mut turn = Turn::Reply;
            for value in &values {
                let reply = answers::reply(value, &mut error)?;
                turn = self.machine.reply(reply, elapsed_ns, &mut self.requests, done);
                if !matches!(turn, Turn::Reply) {
                    break;
                }
            }
            match turn {
                Turn::Reply => {}
                Turn::Done => return Ok(()),
                Turn::Failed(error) => return Err(error),
                Turn::Later(wait) => {
                    tokio::time::sleep(wait).await;
                    self.machine.again(&mut self.requests);
                }
            }
        }
    }
}
