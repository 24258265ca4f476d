//! Matches the replies on one connection to its commands, and finds where a rule applies.
//!
//! Reply n belongs to command n. That holds for pipelines, for transactions (whose commands are answered with QUEUED) and
//! for RESP3, if pushes and attributes are skipped. Where it stops holding (after SUBSCRIBE, for example), rules stop
//! applying. A command is held back until its name is known, which takes a few dozen bytes; everything else is forwarded as
//! it arrives.

use crate::proxy::event::{Log, What};
use crate::proxy::frames::{Frames, Kind, Step};
use crate::proxy::script::{By, Judge, Lose, Tally};

/// After these commands, replies no longer match commands by position. CLIENT REPLY is one more.
#[rustfmt::skip]
const UNANSWERED: [&str; 9] =
    ["SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE", "MONITOR", "SYNC", "PSYNC"];

/// The first byte of a TLS connection.
const TLS: u8 = 0x16;

/// The command that a rule took.
#[derive(Debug, Clone)]
struct Taken {
    command: u64,
    name: String,
    lose: Lose,
    by: By,
}

/// How a connection is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Nothing has arrived.
    New,
    /// Commands and replies are matched.
    Matched,
    /// They are not, and everything passes.
    Opaque,
}

/// One connection as a dialogue.
#[derive(Debug)]
pub(super) struct Dialogue {
    number: u64,
    reading: Reading,
    requests: Frames,
    replies: Frames,
    /// Commands that have arrived whole, and how many of them were answered.
    commands: u64,
    answered: u64,
    in_multi: bool,
    /// The beginning of a command whose name is not known yet.
    held: Vec<u8>,
    taken: Option<Taken>,
    tally: Tally,
}

impl Dialogue {
    pub(super) fn new(number: u64, is_opaque: bool) -> Self {
        Self {
            number,
            reading: if is_opaque { Reading::Opaque } else { Reading::New },
            requests: Frames::of_commands(),
            replies: Frames::of_replies(),
            commands: 0,
            answered: 0,
            in_multi: false,
            held: Vec::new(),
            taken: None,
            tally: Tally::default(),
        }
    }

    /// Handles bytes from the client: appends those that go to the server to `passing`, and returns how the connection
    /// is to end, if it ends now.
    pub(super) fn requests(&mut self, bytes: &[u8], judge: &mut Judge, log: &Log, passing: &mut Vec<u8>) -> Option<By> {
        if self.reading == Reading::New && !bytes.is_empty() {
            self.reading = if bytes[0] == TLS { Reading::Opaque } else { Reading::Matched };
            if self.reading == Reading::Opaque && judge.has_rules() {
                log.add(Some(self.number), None, "", What::TlsRefused);
                return Some(By::Rst);
            }
        }
        if self.is_over() {
            return None;
        }
        let (mut at, mut from) = (0, 0);
        while at < bytes.len() && self.reading == Reading::Matched {
            let (used, step) = self.requests.step(&bytes[at..]);
            at += used;
            match step {
                Step::Done => break,
                Step::Begins(_) => {}
                Step::Named => {
                    self.named(judge);
                    if self.waits_for(Lose::Request, self.commands + 1) {
                        self.held.clear();
                        return (self.answered == self.commands).then(|| self.fired(log)).flatten();
                    }
                }
                Step::Ends(Kind::Nothing) => {}
                Step::Ends(_) => self.ended(log),
                Step::Broken => self.become_opaque("", What::Unframed, log),
            }
            passing.append(&mut self.held);
            passing.extend_from_slice(&bytes[from..at]);
            from = at;
            if self.is_over() {
                return None;
            }
        }
        let rest = &bytes[from..];
        if self.reading == Reading::Matched && self.requests.waits_for_a_name() {
            self.held.extend_from_slice(rest);
        } else {
            passing.append(&mut self.held);
            passing.extend_from_slice(rest);
        }
        None
    }

    /// The client sends no more: returns what had arrived of a command without a name.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        if self.is_over() { Vec::new() } else { std::mem::take(&mut self.held) }
    }

    /// Whether a rule has taken a command, and the server has received all that it is to receive on this connection: up
    /// to and including a command whose reply is lost, or up to but not including a command that is lost itself.
    fn is_over(&self) -> bool {
        let is_sent = |taken: &Taken| taken.lose == Lose::Request || taken.command == self.commands;
        self.taken.as_ref().is_some_and(is_sent)
    }

    /// The name of a command is known: a rule may take it.
    fn named(&mut self, judge: &mut Judge) {
        let name = self.requests.word(0);
        let is_queued = self.in_multi && name != "EXEC";
        match name.as_str() {
            "MULTI" => self.in_multi = true,
            "EXEC" | "DISCARD" | "RESET" => self.in_multi = false,
            _ => {}
        }
        if !is_queued && let Some((lose, by)) = judge.judge(self.number, &mut self.tally, &name) {
            self.taken = Some(Taken { command: self.commands + 1, name, lose, by });
        }
    }

    fn ended(&mut self, log: &Log) {
        self.commands += 1;
        let name = self.requests.word(0);
        let is_silent = name == "CLIENT" && self.requests.word(1) == "REPLY";
        if is_silent || UNANSWERED.contains(&name.as_str()) {
            self.become_opaque(&name, What::Unmatched, log);
        }
    }

    /// Handles bytes from the server: returns how many of them go to the client, and how the connection is to end after
    /// them, if it does.
    pub(super) fn replies(&mut self, bytes: &[u8], log: &Log) -> (usize, Option<By>) {
        let mut at = 0;
        while at < bytes.len() && self.reading != Reading::Opaque {
            let (used, step) = self.replies.step(&bytes[at..]);
            at += used;
            let next = self.answered + 1;
            match step {
                Step::Done => break,
                Step::Begins(Kind::Whole) if self.waits_for(Lose::Reply, next) => return (at, self.fired(log)),
                Step::Ends(Kind::Whole) => {
                    self.answered = next;
                    if self.waits_for(Lose::Request, next + 1) {
                        return (at, self.fired(log));
                    }
                }
                Step::Broken => self.become_opaque("", What::Unframed, log),
                _ => {}
            }
        }
        (bytes.len(), None)
    }

    fn waits_for(&self, lose: Lose, command: u64) -> bool {
        self.taken.as_ref().is_some_and(|taken| (taken.lose, taken.command) == (lose, command))
    }

    fn fired(&self, log: &Log) -> Option<By> {
        let taken = self.taken.as_ref()?;
        log.add(Some(self.number), Some(taken.command), &taken.name, What::Lost(taken.lose, taken.by));
        Some(taken.by)
    }

    fn become_opaque(&mut self, command: &str, why: What, log: &Log) {
        let place = (!command.is_empty()).then_some(self.commands);
        log.add(Some(self.number), place, command, why);
        (self.reading, self.taken) = (Reading::Opaque, None);
    }
}
