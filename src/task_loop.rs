//! The timed section for an async program: every client a task of one tokio runtime, which asks through the redis crate.
//!
//! This is what the crate's multiplexed connection is made for. Where clients share one, a task that waits for its reply
//! costs no thread switch: whatever one read of the socket brings wakes the tasks it is for, and what they ask next goes
//! out in one write. Clients that do not share have a multiplexed connection each, which is how the crate does async.
//!
//! What a client asks, and what it makes of the answers, is its [`Conversation`], as over our own
//! [event loop](crate::event_loop); packing, sending, matching and parsing are the redis crate's, and the order in which
//! tasks run is tokio's. A back-off is tokio's sleep: whole milliseconds.
//!
//! What comes out is what [`crate::race`] gives. A lane starts when its task first runs; the clock is read once an update,
//! when its task has its last reply in hand.

mod answers;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

use crate::conversation::{Conversation, Turn};
use crate::error::{BoxError, Error, Result};
use crate::race::{Heat, Lane, Laps, Limits, Work, said, thread_cpu_ns};
use crate::resp::Requests;
use crate::server::{self, RESPONSE_TIMEOUT, Server, allow_files};
use crate::update::Update;

/// How often a raised stop is looked for.
const TICK: Duration = Duration::from_millis(20);

/// Clients and their connections, opened.
pub struct TaskLoop {
    clients: Vec<Client>,
    runtime: Runtime,
}

struct Client {
    machine: Box<dyn Conversation>,
    connection: MultiplexedConnection,
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
    /// # Errors
    /// A connection cannot be had, or this process may not have so many.
    pub fn open(server: &Server, machines: Vec<Box<dyn Conversation>>, share: bool) -> Result<Self> {
        allow_files(if share { 1 } else { machines.len() })?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|e| Error::broken(format!("cannot start an async runtime: {e}")))?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let connect = || {
            let connection = server.client().get_multiplexed_async_connection_with_config(&config);
            runtime.block_on(connection).map_err(|e| server.refuses(&e))
        };
        let shared = if share { Some(connect()?) } else { None };
        let (wanted, mut clients) = (machines.len(), Vec::with_capacity(machines.len()));
        for (made, machine) in machines.into_iter().enumerate() {
            let connection = shared.clone().map_or_else(connect, Ok);
            let connection = connection.map_err(|e| server::after(made, wanted, e))?;
            clients.push(Client { machine, connection, requests: Requests::default() });
        }
        Ok(Self { clients, runtime })
    }

    /// How many updates a client likes to be handed at once.
    pub fn batch(&self) -> usize {
        self.clients.iter().map(|client| client.machine.batch()).max().unwrap_or(1)
    }

    /// Races every client on this thread, and gives back what each did. The CPU time of the one thread stands in the
    /// first lane.
    ///
    /// # Errors
    /// A client panicked: the message names it and what it said. The others finish first, and no more races are to be had.
    pub fn race(&mut self, work: &[Work], limits: Limits<'_>) -> Result<Heat> {
        assert_eq!(work.len(), self.clients.len(), "work for every client");
        let laps: Vec<Laps> = work.iter().map(|work| Laps::of(work.updates)).collect();
        let bounds = Bounds { zero: Instant::now(), stop: Arc::default(), deadline: limits.deadline };
        let clients = std::mem::take(&mut self.clients).into_iter().zip(work).zip(laps);
        let run = |((client, work), laps): ((Client, &Work), Laps)| client.run(work.clone(), laps, bounds.clone());
        let runs: Vec<_> = clients.map(run).collect();
        let cpu_before = thread_cpu_ns();
        let ended = self.runtime.block_on(all(runs, limits.stop, &bounds.stop));
        let cpu_ns = thread_cpu_ns().saturating_sub(cpu_before);
        let mut heat = Heat { lanes: Vec::with_capacity(ended.len()) };
        for (number, end) in ended.into_iter().enumerate() {
            let (client, lane) = end.map_err(|said| Error::broken(format!("worker {number} panicked: {said}")))?;
            self.clients.push(client);
            heat.lanes.push(lane);
        }
        if let Some(lane) = heat.lanes.first_mut() {
            lane.cpu_ns = cpu_ns;
        }
        Ok(heat)
    }
}

/// Runs every future as a task of its own until all have ended: what each gave, or what its panic said. Raises `stopped`
/// once `stop` is.
async fn all<T: Send + 'static>(
    runs: Vec<impl Future<Output = T> + Send + 'static>,
    stop: &AtomicBool,
    stopped: &AtomicBool,
) -> Vec<Result<T, String>> {
    let mut tasks = JoinSet::new();
    let ids: Vec<_> = runs.into_iter().map(|run| tasks.spawn(run).id()).collect();
    let mut ended = std::collections::HashMap::with_capacity(ids.len());
    loop {
        stopped.store(stop.load(Ordering::Relaxed), Ordering::Relaxed);
        match tokio::time::timeout(TICK, tasks.join_next_with_id()).await {
            Ok(Some(Ok((id, end)))) => drop(ended.insert(id, Ok(end))),
            Ok(Some(Err(error))) => {
                let id = error.id();
                // Nobody aborts a task of ours.
                let panic = error.try_into_panic().unwrap_or_else(|error| resume_unwind(Box::new(error.to_string())));
                ended.insert(id, Err(said(&*panic)));
            }
            Ok(None) => break,
            Err(_still_racing) => {}
        }
    }
    ids.iter().filter_map(|id| ended.remove(id)).collect()
}

impl Client {
    /// All laps of one client.
    async fn run(mut self, work: Work, mut laps: Laps, bounds: Bounds) -> (Self, Lane) {
        let now = || bounds.zero.elapsed().as_nanos() as u64;
        let limits = Limits { stop: &bounds.stop, deadline: bounds.deadline };
        let batch = self.machine.batch();
        let mut keys = Vec::with_capacity(batch);
        laps.start(now());
        while laps.goes_on(limits) {
            let begin_ns = laps.lane.end_ns;
            laps.hand_over(&work, batch, begin_ns, &mut keys);
            let ending = self.converse(&keys, &mut laps.done, || now() - begin_ns).await;
            laps.write_down(ending, now());
        }
        (self, laps.lane)
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
            let values = answers::ask(&mut self.connection, &self.requests).await?;
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
