//! The timed section as in an async program: every client is a task of one tokio runtime and uses the redis crate.
//!
//! This is what the crate's multiplexed connection is made for. When clients share one, waiting for a reply costs no
//! thread switch: one read of the socket wakes all tasks that it has replies for, and their next requests go out in one
//! write. Clients that do not share have a multiplexed connection each, because that is the crate's async connection.
//!
//! A [`ClientMachine`] makes each client's requests and interprets the replies, as in our own [event
//! loop](crate::driver::events). The redis crate packs and sends requests, parses replies and matches them to requests;
//! splitting what our client has packed into words for it is an extra cost. Tokio decides the order in which tasks run.
//! A back-off is a tokio sleep, in whole milliseconds.
//!
//! The result is the same as with every driver: one log per client. A client's log starts when its task first runs, and
//! an update ends when its task has received the last reply. The clock is read once per round trip and once per batch.

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
use crate::pace::Schedule;
use crate::race::{ClientLog, Limits, RaceLog, Recorder, Work, said, thread_cpu_ns};
use crate::resp::Requests;
use crate::strategy::Strategy;
use crate::target::{self, RESPONSE_TIMEOUT, Target, TaskSession, allow_files};
use crate::update::Update;
use crate::workload::{DriverKind, Workload};

/// How often to check for a raised stop.
const TICK: Duration = Duration::from_millis(20);

/// Clients and their connections, opened.
pub struct TaskLoop {
    clients: Vec<Client>,
    /// How many there were at first; a client that panics is lost.
    opened: usize,
    runtime: Runtime,
}

struct Client {
    machine: Box<dyn ClientMachine>,
    session: TaskSession,
    requests: Requests,
}

/// The limits of a race, in a form that tasks can own.
#[derive(Clone)]
struct Bounds {
    zero: Instant,
    stop: Arc<AtomicBool>,
    deadline: Duration,
}

impl TaskLoop {
    /// Connects the clients: all over one multiplexed connection if they `share`, otherwise each over its own.
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
    /// A connection cannot be made, or this process may not open that many.
    pub fn open(server: &Target, machines: Vec<Box<dyn ClientMachine>>, share: bool) -> Result<Self> {
        allow_files(if share { 1 } else { machines.len().saturating_mul(server.shards() as usize) })?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::broken(format!("cannot start an async runtime: {e}")))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connect = || {
            // One after the other: thousands at once would overflow the server's accept queue.
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

    /// Races all clients on this thread and returns a log of each. The thread's CPU time is in the first log.
    ///
    /// # Errors
    /// A client panicked: the message names the client and quotes the panic. The others finish first, and no further
    /// race is possible.
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
    fn race(&mut self, work: &[Work], schedule: Option<&Schedule>, limits: Limits<'_>) -> Result<RaceLog> {
        match schedule {
            None => TaskLoop::race(self, work, limits),
            Some(_) => Err(Error::usage("driver tasks does not support --rate")),
        }
    }

    fn batch(&self) -> usize {
        self.clients.iter().map(|client| client.machine.batch()).max().unwrap_or(1)
    }
}

/// Runs every future as its own task until all have ended, and returns each one's result or panic. Raises `stopped`
/// once `stop` is raised.
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
        // Nobody aborts our tasks, so only a panic ends one early.
        ended.push(end.map_err(|error| error.try_into_panic().unwrap_or_else(|error| Box::new(error.to_string()))));
    }
    ended
}

/// What a task returns.
struct Ended {
    client: Client,
    log: ClientLog,
    /// The thread's CPU time when the task started and when it ended.
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

    /// One batch, from its first request to the last reply that matters.
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
