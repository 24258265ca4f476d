//! The timed section for thousands of clients: one thread, one event loop, every client a state machine.
//!
//! A thread per client costs two context switches per update and does not scale beyond a few hundred clients. Here one
//! thread waits for all sockets at once (epoll, edge-triggered: a short read has emptied the socket), hands each reply
//! to the client that waits for it, and sends that client's next requests. All replies of one read are handled before
//! anything is sent, so clients that share a socket also share the system calls.
//!
//! The result is the same as with every driver: one log per client, allocated before the start. A client's log starts
//! when its first request is made. All first requests go out in one burst, so the overlap shows how long that took. The
//! clock is read once per read: an update ends when the read of its last reply returns. The next update begins at that
//! moment or, with a schedule, when the loop sees that it is due.

mod alarm;
mod line;
mod race;
mod racer;

use mio::{Poll, Token};

use crate::client_machine::ClientMachine;
use crate::driver::{Clients, Driver};
use crate::error::{Error, Result};
use crate::pace::Schedule;
use crate::race::{Limits, RaceLog, Work, thread_cpu_ns};
use crate::strategy::Strategy;
use crate::target::Target;
use crate::workload::{DriverKind, Workload};

use alarm::Alarm;
use line::Line;
use race::Race;
use racer::Racer;

/// The alarm's token; all other tokens are line numbers.
const ALARM: Token = Token(usize::MAX - 1);

/// Clients and their sockets, opened and watched.
pub struct EventLoop {
    poll: Poll,
    alarm: Alarm,
    lines: Vec<Line>,
    clients: Vec<Box<dyn ClientMachine>>,
    /// Clients per line: one, or all of them.
    sharers: usize,
}

impl EventLoop {
    /// Connects the clients: all over one socket if they `share`, otherwise each over its own.
    ///
    /// ```no_run
    /// use std::{sync::atomic::AtomicBool, time::Duration};
    /// use redis_lost_updates::{driver::{Limits, Work, events::EventLoop}, target::Target, strategy};
    ///
    /// # fn main() -> redis_lost_updates::error::Result<()> {
    /// let server = Target::at("redis://127.0.0.1:6379")?;
    /// let incr = strategy::find(&["incr"])?[0].machines().expect("one that has the form");
    /// let mut clients = EventLoop::open(&server, incr.clients(&server, 1_000)?, incr.share_a_connection())?;
    /// let work = vec![Work::one_key("a-counter-of-mine", 100); 1_000];
    /// let log = clients.race(&work, Limits { stop: &AtomicBool::new(false), deadline: Duration::from_secs(10) })?;
    /// println!("{} ns", log.span_ns());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A connection cannot be made, or this process may not open that many.
    pub fn open(server: &Target, clients: Vec<Box<dyn ClientMachine>>, share: bool) -> Result<Self> {
        let sharers = if share { clients.len().max(1) } else { 1 };
        let sockets = server.sockets(clients.len().div_ceil(sharers))?;
        let watch = || {
            let poll = Poll::new()?;
            let alarm = Alarm::new(poll.registry(), ALARM)?;
            let watched = |(number, socket)| Line::watched(socket, poll.registry(), Token(number));
            let lines: std::io::Result<Vec<Line>> = sockets.into_iter().enumerate().map(watched).collect();
            Ok((poll, alarm, lines?))
        };
        let cannot = |e: std::io::Error| Error::broken(format!("cannot watch the clients' sockets: {e}"));
        let (poll, alarm, lines) = watch().map_err(cannot)?;
        Ok(Self { poll, alarm, lines, clients, sharers })
    }

    /// Races all clients on this thread and returns a log of each. The thread's CPU time is in the first log.
    ///
    /// # Errors
    /// A client panicked: the message names the client and quotes the panic. The others finish first. Or the system
    /// cannot wait for the sockets.
    pub fn race(&mut self, work: &[Work], limits: Limits<'_>) -> Result<RaceLog> {
        self.race_paced(work, None, limits)
    }

    /// The same in an open loop: every client sends its updates when `schedule` says, or at once if it is late. A
    /// batch is sent when its last update is due.
    ///
    /// # Errors
    /// As [`EventLoop::race`].
    pub fn race_on_schedule(&mut self, work: &[Work], schedule: &Schedule, limits: Limits<'_>) -> Result<RaceLog> {
        self.race_paced(work, Some(schedule), limits)
    }

    fn race_paced(&mut self, work: &[Work], schedule: Option<&Schedule>, limits: Limits<'_>) -> Result<RaceLog> {
        super::enough_work(work, self.clients.len())?;
        self.alarm.clear();
        let racers: Vec<Racer> =
            (work.iter().zip(&self.clients)).map(|(work, client)| Racer::new(work, client.batch())).collect();
        let cpu_before = thread_cpu_ns();
        let (racers, panic) = Race::new(self, racers, work, schedule, limits)
            .raced()
            .map_err(|e| Error::broken(format!("cannot wait for the clients' sockets: {e}")))?;
        let mut log = RaceLog { clients: racers.into_iter().map(|racer| racer.recorder.log).collect() };
        if let Some(first) = log.clients.first_mut() {
            first.cpu_ns = thread_cpu_ns().saturating_sub(cpu_before);
        }
        panic.map_or(Ok(log), |said| Err(Error::broken(said)))
    }
}

pub(super) struct Events;

impl Driver for Events {
    fn kind(&self) -> DriverKind {
        DriverKind::Events
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
        Ok(Box::new(EventLoop::open(server, machines, share)?))
    }
}

impl Clients for EventLoop {
    fn race(&mut self, work: &[Work], schedule: Option<&Schedule>, limits: Limits<'_>) -> Result<RaceLog> {
        self.race_paced(work, schedule, limits)
    }

    fn batch(&self) -> usize {
        self.clients.iter().map(|client| client.batch()).max().unwrap_or(1)
    }
}
