//! One race of the event loop: each reply is handed to its client, and that client's next requests are sent.

use std::io::ErrorKind;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::Token;

use crate::client_machine::Turn;
use crate::pace::Schedule;
use crate::race::{Limits, Work, said, start_of};
use crate::resp::{Reply, Requests};
use crate::target::RESPONSE_TIMEOUT;

use super::racer::Racer;
use super::{ALARM, EventLoop};

/// How often the loop checks for a raised stop and for overdue replies, even if nothing arrives.
const TICK: Duration = Duration::from_millis(50);

/// The most sockets handled between two waits.
const EVENTS: usize = 1_024;

/// One race in progress.
pub(super) struct Race<'a> {
    of: &'a mut EventLoop,
    racers: Vec<Racer>,
    work: &'a [Work],
    limits: Limits<'a>,
    started: Option<Started<'a>>,
    zero: Instant,
    /// Clients that are not done yet.
    running: usize,
    /// What is to be sent on the current line.
    requests: Requests,
    /// The counters of the batch that begins.
    keys: Vec<&'a str>,
    /// The first panic.
    panic: Option<String>,
}

/// A schedule and its start.
struct Started<'a> {
    schedule: &'a Schedule,
    /// When it starts, in nanoseconds since the race's zero.
    start_ns: u64,
}

impl<'a> Race<'a> {
    pub(super) fn new(
        of: &'a mut EventLoop,
        racers: Vec<Racer>,
        work: &'a [Work],
        schedule: Option<&'a Schedule>,
        limits: Limits<'a>,
    ) -> Self {
        let zero = Instant::now();
        Self {
            of,
            running: racers.len(),
            racers,
            work,
            limits,
            started: schedule.map(|schedule| Started { schedule, start_ns: start_of(zero, 1) }),
            zero,
            requests: Requests::default(),
            keys: Vec::new(),
            panic: None,
        }
    }

    /// Races until every client is done. Returns what each did, and the message of the first panic.
    pub(super) fn raced(mut self) -> std::io::Result<(Vec<Racer>, Option<String>)> {
        self.start();
        self.run()?;
        Ok((self.racers, self.panic))
    }

    fn now(&self) -> u64 {
        self.zero.elapsed().as_nanos() as u64
    }

    /// The clients on a line.
    fn members(&self, line: usize) -> Range<usize> {
        let sharers = self.of.sharers;
        line * sharers..((line + 1) * sharers).min(self.racers.len())
    }

    /// Makes every client's first requests: in one burst, or, with a schedule, when they are due.
    fn start(&mut self) {
        let of_all = self.started.as_ref().map_or_else(|| self.now(), |started| started.start_ns);
        for line in 0..self.of.lines.len() {
            let lost = self.of.lines[line].lost.clone();
            for client in self.members(line) {
                let now = self.now();
                let from = if self.started.is_some() { of_all } else { now };
                self.racers[client].recorder.start(from, of_all, self.limits);
                match &lost {
                    Some(why) => self.give_up(client, why, now),
                    None if self.racers[client].recorder.goes_on(self.limits) => self.go_on(client, now),
                    None => self.finish(client),
                }
            }
            self.send(line);
        }
    }

    /// Waits and serves until every client is done.
    fn run(&mut self) -> std::io::Result<()> {
        let mut events = mio::Events::with_capacity(EVENTS);
        let mut buffer = Vec::new();
        let mut now = self.now();
        let mut looked_up = now;
        while self.running > 0 {
            let wait = self.of.alarm.wind(self.now())?.map_or(TICK, |wait| wait.min(TICK));
            match self.of.poll.poll(&mut events, Some(wait)) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for event in events.iter().filter(|event| event.token() != ALARM) {
                let line = event.token().0;
                if event.is_writable() {
                    self.send(line);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.receive(line, event.is_read_closed(), &mut buffer);
                }
            }
            now = self.now();
            self.wake(now);
            if now - looked_up > TICK.as_nanos() as u64 {
                looked_up = now;
                self.hang_up_on_the_silent(now, &mut buffer);
                self.send_home_who_waits();
            }
        }
        Ok(())
    }

    /// Reads all that has arrived on a line, and sends its clients' next requests.
    fn receive(&mut self, line: usize, closed: bool, buffer: &mut Vec<u8>) {
        while self.of.lines[line].lost.is_none() {
            let received = match self.of.lines[line].receive(buffer) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => return self.lose(line, &error.to_string()),
            };
            let now = self.now();
            let mut from = 0;
            loop {
                match Reply::read(&buffer[from..received.filled]) {
                    Ok(Some((reply, length))) => {
                        from += length;
                        let Some(client) = self.of.lines[line].expects.pop_front() else {
                            return self.lose(line, "a reply came that nobody had asked for");
                        };
                        self.hear(client as usize, reply, now);
                    }
                    Ok(None) => break,
                    Err(error) => return self.lose(line, &error.to_string()),
                }
            }
            self.of.lines[line].keep(&buffer[from..received.filled]);
            self.send(line);
            // What arrives after a short read raises an event of its own, except for a close that this event has
            // already reported.
            if received.is_all && !closed {
                return;
            }
        }
    }

    /// Hands a reply to its client.
    fn hear(&mut self, client: usize, reply: Reply<'_>, now: u64) {
        let racer = &mut self.racers[client];
        racer.owed -= 1;
        // If the client's batch has ended early, the rest of its replies are ignored.
        if racer.ending.is_none() {
            let elapsed = racer.recorder.elapsed_ns(now);
            let (machine, requests) = (&mut self.of.clients[client], &mut self.requests);
            let turn =
                catch_unwind(AssertUnwindSafe(|| machine.reply(reply, elapsed, requests, &mut racer.recorder.done)));
            self.take(client, turn, now);
        }
        self.settle(client, now);
    }

    /// Begins a client's next batch, at once or when it is due.
    fn go_on(&mut self, client: usize, now: u64) {
        let racer = &mut self.racers[client];
        let last = racer.recorder.last_of_next(self.of.clients[client].batch());
        let due = self.started.as_ref().map(|started| started.start_ns + started.schedule.intended_ns(client, last));
        let over = self.limits.deadline.as_nanos() as u64;
        match (due.filter(|&due| due > now), &self.started) {
            (Some(due), Some(started)) if due - started.start_ns >= over => self.finish(client),
            (Some(due), _) => {
                racer.awaits_turn = true;
                self.of.alarm.set(due, client);
            }
            (None, _) => self.begin(client, now),
        }
    }

    /// Begins a client's next batch now.
    fn begin(&mut self, client: usize, now: u64) {
        let (racer, machine) = (&mut self.racers[client], &mut self.of.clients[client]);
        racer.recorder.hand_over(&self.work[client], machine.batch(), now, &mut self.keys);
        let (keys, requests) = (&self.keys, &mut self.requests);
        let begun = catch_unwind(AssertUnwindSafe(|| machine.begin(keys, requests)));
        self.take(client, begun.map(|()| Turn::Reply), now);
        self.settle(client, now);
    }

    /// Records the requests that a client made, and what it waits for.
    fn take(&mut self, client: usize, turn: std::thread::Result<Turn>, now: u64) {
        let asked = std::mem::take(&mut self.requests.commands);
        let racer = &mut self.racers[client];
        if asked > 0 {
            racer.owed += asked as u32;
            racer.asked_ns = now;
            let expects = &mut self.of.lines[client / self.of.sharers].expects;
            expects.extend(std::iter::repeat_n(client as u32, asked));
        }
        match turn {
            Ok(Turn::Reply) if racer.owed == 0 => {
                racer.ending = Some(Err("it waits for a reply that it did not ask for".into()));
            }
            Ok(Turn::Reply) => {}
            Ok(Turn::Later(_)) if racer.owed > 0 => {
                racer.ending = Some(Err("it waits for a further try before all replies have come".into()));
            }
            Ok(Turn::Later(wait)) => self.of.alarm.set(now + wait.as_nanos() as u64, client),
            Ok(Turn::Done) => racer.ending = Some(Ok(())),
            Ok(Turn::Failed(error)) => racer.ending = Some(Err(error)),
            Err(panic) => {
                let words = said(&*panic);
                self.panic.get_or_insert_with(|| format!("worker {client} panicked: {words}"));
                racer.recorder.stop_after_this();
                racer.ending = Some(Err(words.into()));
            }
        }
    }

    /// Records a batch once it has ended and all its replies have arrived, and begins the next one.
    fn settle(&mut self, client: usize, now: u64) {
        let racer = &mut self.racers[client];
        if racer.owed > 0 {
            return;
        }
        let Some(ending) = racer.ending.take() else { return };
        racer.recorder.write_down(ending, now);
        if racer.recorder.goes_on(self.limits) {
            self.go_on(client, now);
        } else {
            self.finish(client);
        }
    }

    /// A client is done. With a schedule, its log lasts until the schedule's end, unless it had to stop.
    fn finish(&mut self, client: usize) {
        let racer = &mut self.racers[client];
        racer.is_finished = true;
        self.running -= 1;
        if let Some(started) = self.started.as_ref().filter(|_| racer.recorder.are_done()) {
            let over = started.start_ns + started.schedule.length_ns();
            racer.recorder.log.end_ns = racer.recorder.log.end_ns.max(over);
        }
    }

    /// Begins the next batch, or the next try, of every client whose wait is over.
    fn wake(&mut self, now: u64) {
        // Clients that share a socket share the write.
        let share = self.of.sharers > 1;
        while let Some(client) = self.of.alarm.due(now) {
            if self.racers[client].is_finished {
                continue;
            }
            if std::mem::take(&mut self.racers[client].awaits_turn) {
                self.begin(client, now);
            } else {
                let (machine, requests) = (&mut self.of.clients[client], &mut self.requests);
                let turn = catch_unwind(AssertUnwindSafe(|| machine.again(requests)));
                self.take(client, turn.map(|()| Turn::Reply), now);
                self.settle(client, now);
            }
            if !share {
                self.send(client);
            }
        }
        if share {
            self.send(0);
        }
    }

    /// Once the run is to end, finishes the clients whose next update is not due yet.
    fn send_home_who_waits(&mut self) {
        if !self.limits.stop.load(Ordering::Relaxed) {
            return;
        }
        for client in 0..self.racers.len() {
            if self.racers[client].awaits_turn && !self.racers[client].is_finished {
                self.racers[client].awaits_turn = false;
                self.finish(client);
            }
        }
    }

    /// Sends the requests made for a line, after those that the system has not accepted yet.
    fn send(&mut self, line: usize) {
        let sent = self.of.lines[line].send(&self.requests.bytes, self.of.poll.registry(), Token(line));
        self.requests.clear();
        if let Err(error) = sent {
            self.lose(line, &error.to_string());
        }
    }

    /// A line is lost: the outcome of every update in progress on it is unknown, and its clients are done.
    fn lose(&mut self, line: usize, why: &str) {
        self.requests.clear();
        self.of.lines[line].close(why, self.of.poll.registry());
        let now = self.now();
        for client in self.members(line) {
            let racer = &mut self.racers[client];
            if std::mem::take(&mut racer.awaits_turn) {
                // Nothing is in progress, and updates that are due later are never sent.
                racer.recorder.stop_for(why);
                self.finish(client);
            } else if !racer.is_finished {
                racer.owed = 0;
                racer.recorder.stop_after_this();
                racer.ending.get_or_insert_with(|| Err(why.into()));
                self.settle(client, now);
            }
        }
    }

    /// Finishes a client whose connection was lost in an earlier race. Its first update is recorded as unknown; with a
    /// schedule none is due yet, so none is recorded.
    fn give_up(&mut self, client: usize, why: &str, now: u64) {
        let racer = &mut self.racers[client];
        if self.started.is_some() || !racer.recorder.goes_on(self.limits) {
            racer.recorder.stop_for(why);
            return self.finish(client);
        }
        racer.recorder.hand_over(&self.work[client], 1, now, &mut self.keys);
        racer.recorder.stop_after_this();
        racer.ending = Some(Err(why.into()));
        self.settle(client, now);
    }

    /// Gives up on lines whose replies are overdue, as a blocking client does.
    fn hang_up_on_the_silent(&mut self, now: u64, buffer: &mut Vec<u8>) {
        let is_overdue =
            |racer: &Racer| racer.owed > 0 && now.saturating_sub(racer.asked_ns) > RESPONSE_TIMEOUT.as_nanos() as u64;
        for line in 0..self.of.lines.len() {
            if !self.racers[self.members(line)].iter().any(is_overdue) {
                continue;
            }
            // If this process itself stood still, the reply may be there.
            self.receive(line, false, buffer);
            if self.racers[self.members(line)].iter().any(is_overdue) {
                self.lose(line, &format!("no reply within {} s", RESPONSE_TIMEOUT.as_secs()));
            }
        }
    }
}
