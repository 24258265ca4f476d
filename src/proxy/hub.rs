//! The proxy's thread: one event loop for all its sockets, a timer, and its owner's commands.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Result};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use crate::proxy::event::{Log, What};
use crate::proxy::link::{CLIENT, Link, Next, SERVER, Shared};
use crate::proxy::script::{By, Judge, Rule};
use crate::proxy::socket::{Address, Door, Socket};
use crate::proxy::way::Way;
use crate::proxy::{Delay, Direction, Dropped};
use crate::timer::Timer;

/// Room for one read.
const READ: usize = 64 << 10;

/// The most sockets handled between two waits.
const EVENTS: usize = 1_024;

/// How soon to retry what the system had no room for: accepting or making a connection, or listening on a port.
const AGAIN: Duration = Duration::from_millis(2);

/// The most that the timer is set early to make up for late wake-ups.
const MOST_LEAD_NS: u64 = 100_000;

const DOOR: Token = Token(usize::MAX - 2);
const TIMER: Token = Token(usize::MAX - 3);
/// The owner's orders.
pub(super) const ORDERS: Token = Token(usize::MAX - 4);

/// What the owner orders; each order is answered when it is done.
pub(super) enum Order {
    Follow(Vec<Rule>),
    Delay(Direction, Delay),
    Cut(Direction),
    Heal,
    Refuse(Option<Duration>),
    Kill(By),
    Redirect(Address),
    Stop,
}

/// An order, and where to report that it is done and what it ended.
pub(super) type Ordered = (Order, SyncSender<Dropped>);

pub(super) struct Hub {
    pub(super) poll: Poll,
    timer: Timer,
    /// The time the timer is set to.
    set_to: Option<u64>,
    /// How early the timer is set, to make up for late wake-ups.
    lead: u64,
    door: Door,
    /// When the door opens again.
    reopen: Option<u64>,
    /// Connections wait at the door that there was no room for.
    is_asked: bool,
    upstream: Address,
    links: Vec<Option<Box<Link>>>,
    free: Vec<usize>,
    /// Links made so far.
    made: u64,
    /// When each direction of a link is due: the time, the link, the direction.
    due: BinaryHeap<Reverse<(u64, usize, usize)>>,
    /// Links whose turn it is.
    turns: Vec<usize>,
    /// Links whose server had no room in its queue.
    unmade: Vec<usize>,
    delays: [Delay; 2],
    seed: u64,
    is_opaque: bool,
    shared: Shared,
    orders: Receiver<Ordered>,
}

/// What a hub is made of.
pub(super) struct Plan {
    pub(super) door: Door,
    pub(super) upstream: Address,
    pub(super) delays: [Delay; 2],
    pub(super) seed: u64,
    pub(super) is_opaque: bool,
    pub(super) rules: Vec<Rule>,
    pub(super) log: Arc<Log>,
    pub(super) orders: Receiver<Ordered>,
}

impl Hub {
    pub(super) fn new(mut plan: Plan) -> Result<Self> {
        let poll = Poll::new()?;
        let timer = Timer::new(poll.registry(), TIMER)?;
        plan.door.watch(poll.registry(), DOOR)?;
        let mut judge = Judge::default();
        judge.follow(plan.rules);
        let shared = Shared {
            judge,
            log: plan.log,
            cut: [false; 2],
            buffer: vec![0; READ],
            passing: Vec::new(),
            weight: 0,
            zero: Instant::now(),
            now: 0,
            early: 0,
        };
        Ok(Self {
            poll,
            timer,
            set_to: None,
            lead: 0,
            door: plan.door,
            reopen: None,
            is_asked: false,
            upstream: plan.upstream,
            links: Vec::new(),
            free: Vec::new(),
            made: 0,
            due: BinaryHeap::new(),
            turns: Vec::new(),
            unmade: Vec::new(),
            delays: plan.delays,
            seed: plan.seed,
            is_opaque: plan.is_opaque,
            shared,
            orders: plan.orders,
        })
    }

    /// Runs until it is told to stop, or its owner is gone, or the system cannot wait for sockets.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            let Ok(wait) = self.wait() else { return };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return,
                Ok(()) => {}
            }
            self.shared.look();
            let is_timed = events.iter().any(|event| event.token() == TIMER);
            if is_timed {
                self.learn();
            }
            for event in &events {
                match event.token() {
                    DOOR => self.is_asked = true,
                    TIMER => {}
                    ORDERS => {
                        if !self.obey() {
                            return;
                        }
                    }
                    Token(number) => self.ready(number, event),
                }
            }
            self.tend(is_timed);
        }
    }

    /// Sets the timer to what is due first; returns how long to wait.
    fn wait(&mut self) -> Result<Option<Duration>> {
        if !self.turns.is_empty() {
            return Ok(Some(Duration::ZERO));
        }
        let again = (self.is_asked || !self.unmade.is_empty()).then_some(AGAIN);
        let first = self.due.peek().map(|Reverse((due, ..))| *due).into_iter().chain(self.reopen).min();
        let Some(due) = first else { return Ok(again) };
        let due = due.saturating_sub(self.lead);
        self.shared.look();
        let wait = Duration::from_nanos(due.saturating_sub(self.shared.now).max(1));
        if self.set_to != Some(due) {
            self.timer.set(wait)?;
            self.set_to = Some(due);
        }
        let own = if cfg!(target_os = "linux") { None } else { Some(wait) };
        Ok(own.into_iter().chain(again).min())
    }

    /// The timer woke us: learns how late that was.
    fn learn(&mut self) {
        if let Some(set_to) = self.set_to.take() {
            let late = self.shared.now.saturating_sub(set_to).min(MOST_LEAD_NS);
            self.lead = (self.lead * 15 + late) / 16;
        }
    }

    /// Does what no event announces: connections to accept, what is due, links whose turn it is.
    fn tend(&mut self, is_timed: bool) {
        if self.reopen.is_some_and(|at| at <= self.shared.now) {
            self.reopen();
        }
        if self.is_asked {
            self.is_asked = self.take_connections();
        }
        for number in std::mem::take(&mut self.unmade) {
            self.connect(number);
        }
        // After a timer wake-up, this also handles what falls due before the loop could wake again.
        self.shared.early = if is_timed { self.lead } else { 0 };
        let until = self.shared.now + self.shared.early;
        while let Some(&Reverse((due, number, way))) = self.due.peek().filter(|first| first.0.0 <= until) {
            self.due.pop();
            if let Some(link) = &mut self.links[number]
                && link.ways[way].wake == Some(due)
            {
                link.ways[way].wake = None;
                self.pump(number);
            }
        }
        self.shared.early = 0;
        for number in std::mem::take(&mut self.turns) {
            self.pump(number);
        }
    }

    fn pump(&mut self, number: usize) {
        let Some(Some(link)) = self.links.get_mut(number) else { return };
        let next = link.pump(&mut self.shared);
        if next.contains(&Next::Over) {
            return self.forget(number);
        }
        for (way, next) in next.into_iter().enumerate() {
            match next {
                Next::Due(due) if link.ways[way].wake != Some(due) => {
                    link.ways[way].wake = Some(due);
                    self.due.push(Reverse((due, number, way)));
                }
                _ => {}
            }
        }
        if next.contains(&Next::Turn) {
            self.turns.push(number);
        }
    }

    fn ready(&mut self, token: usize, event: &mio::event::Event) {
        let (number, side) = (token / 2, token % 2);
        let Some(Some(link)) = self.links.get_mut(number) else { return };
        if link.is_ready(side, event).is_err() {
            link.refuse(&self.shared.log);
            return self.forget(number);
        }
        self.pump(number);
    }

    fn forget(&mut self, number: usize) {
        if let Some(link) = self.links[number].take() {
            let weight = link.ways[CLIENT].weight() + link.ways[SERVER].weight();
            self.shared.weight = self.shared.weight.saturating_sub(weight);
            self.free.push(number);
        }
    }

    /// Accepts waiting connections, a limited number at a time; returns whether there may be more.
    fn take_connections(&mut self) -> bool {
        for _ in 0..EVENTS {
            match self.door.accept() {
                Ok(client) => self.take(client),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // Gone before it was accepted.
                Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                // Most likely no more files can be opened: the connections wait in the queue.
                Err(_) => return true,
            }
        }
        true
    }

    fn take(&mut self, client: Socket) {
        self.made += 1;
        let made = self.made;
        let seed = |way: u64| (self.seed ^ made.wrapping_mul(0x9E37_79B9_7F4A_7C15)).wrapping_add(way);
        let ways = [Way::new(self.delays[CLIENT], seed(0)), Way::new(self.delays[SERVER], seed(1))];
        let mut link = Box::new(Link::new(made, client, ways, self.is_opaque));
        let number = self.free.pop().unwrap_or(self.links.len());
        let watched = link.socket(CLIENT).map(|socket| socket.watch(self.poll.registry(), Token(number * 2 + CLIENT)));
        if !matches!(watched, Some(Ok(()))) {
            self.free.push(number);
            return;
        }
        if number == self.links.len() {
            self.links.push(Some(link));
        } else {
            self.links[number] = Some(link);
        }
        self.connect(number);
    }

    /// Connects a link to its server.
    fn connect(&mut self, number: usize) {
        let Some(Some(link)) = self.links.get_mut(number) else { return };
        let connected = Socket::connect(&self.upstream).and_then(|mut socket| {
            socket.watch(self.poll.registry(), Token(number * 2 + SERVER))?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => link.set_server(socket),
            // A unix socket's queue is full.
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.unmade.push(number),
            Err(_) => {
                link.refuse(&self.shared.log);
                self.forget(number);
            }
        }
    }

    fn reopen(&mut self) {
        let opened = self.door.reopen().and_then(|()| self.door.watch(self.poll.registry(), DOOR));
        // If something else took the port meanwhile, try again later.
        self.reopen = opened.is_err().then(|| self.shared.now + AGAIN.as_nanos() as u64);
        if opened.is_ok() {
            self.shared.log.add(None, None, "", What::Reopened);
        }
    }

    /// Carries out orders; returns whether to go on.
    fn obey(&mut self) -> bool {
        loop {
            let (order, done) = match self.orders.try_recv() {
                Ok(ordered) => ordered,
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            };
            let mut dropped = Dropped::default();
            match order {
                Order::Follow(rules) => self.shared.judge.follow(rules),
                Order::Delay(direction, delay) => self.delay(direction, delay),
                Order::Cut(direction) => {
                    direction.ways().for_each(|way| self.shared.cut[way] = true);
                    self.shared.log.add(None, None, "", What::Cut(direction));
                }
                Order::Heal => self.heal(),
                Order::Refuse(time) => self.refuse(time),
                Order::Kill(by) => dropped = self.kill(by),
                Order::Redirect(upstream) => self.upstream = upstream,
                Order::Stop => return false,
            }
            // The owner may be gone.
            let _ = done.send(dropped);
        }
    }

    fn delay(&mut self, direction: Direction, delay: Delay) {
        for way in direction.ways() {
            self.delays[way] = delay;
            self.links.iter_mut().flatten().for_each(|link| link.ways[way].delay = delay);
        }
    }

    fn heal(&mut self) {
        self.shared.cut = [false; 2];
        self.shared.log.add(None, None, "", What::Healed);
        if !self.door.is_open() {
            self.reopen();
        }
        for number in 0..self.links.len() {
            self.pump(number);
        }
    }

    fn refuse(&mut self, time: Option<Duration>) {
        self.door.close();
        self.reopen = time.map(|time| self.shared.now.saturating_add(time.as_nanos() as u64));
        self.shared.log.add(None, None, "", What::Refused);
    }

    fn kill(&mut self, by: By) -> Dropped {
        self.refuse(None);
        let mut dropped = Dropped::default();
        for number in 0..self.links.len() {
            if let Some(link) = &mut self.links[number] {
                let (bytes, is_over) = link.kill(by);
                dropped.connections += 1;
                dropped.bytes += bytes;
                if is_over {
                    self.forget(number);
                }
            }
        }
        (self.shared.weight, self.due) = (0, BinaryHeap::new());
        self.shared.log.add(None, None, "", What::Killed(by));
        dropped
    }
}
