//! Which commands are hit, and how: rules as data, and the count of commands that have passed.

use std::collections::BTreeSet;

/// Commands that count as writes unless a script says otherwise: those that change a key, and those that may.
///
/// Between MULTI and EXEC only the EXEC counts: queued commands are not executed yet.
#[rustfmt::skip]
pub const WRITES: &[&str] = &[
    "APPEND", "BITFIELD", "BITOP", "COPY", "DECR", "DECRBY", "DEL", "EVAL", "EVALSHA", "EXEC", "EXPIRE", "EXPIREAT", "FCALL",
    "GETDEL", "GETEX", "GETSET", "HDEL", "HINCRBY", "HINCRBYFLOAT", "HMSET", "HSET", "HSETNX", "INCR", "INCRBY",
    "INCRBYFLOAT", "INCREX", "LPOP", "LPUSH", "LSET", "LTRIM", "MSET", "MSETNX", "PERSIST", "PEXPIRE", "PEXPIREAT", "PFADD",
    "PSETEX", "RENAME", "RENAMENX", "RESTORE", "RPOP", "RPUSH", "SADD", "SET", "SETBIT", "SETEX", "SETNX", "SETRANGE",
    "SPOP", "SREM", "UNLINK", "XADD", "ZADD", "ZINCRBY", "ZREM",
];

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lose {
    /// The reply: the server has executed the command.
    Reply,
    /// The request: the server never sees it.
    Request,
}

/// How the client learns of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Its connection is closed normally.
    Fin,
    /// Its connection is reset; a unix socket, which has no reset, is closed.
    Rst,
    /// Not at all: the connection stays, and nothing passes on it any more, in either direction.
    Silence,
}

/// Which of the commands that count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// Every n-th; 0 means none.
    Every(u64),
    /// Those with these numbers, from 1.
    These(BTreeSet<u64>),
}

/// What commands are counted over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// All connections together, in the order in which their commands reach the proxy.
    Together,
    /// Each connection by itself.
    EachConnection,
}

/// One rule: which of the commands with these names lose what, and how.
///
/// After the command that it takes, nothing more on that connection reaches the server, so what the server executes is
/// known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The names that count, in capitals.
    pub names: BTreeSet<String>,
    /// The connections it is for, by their numbers from 1 in the order in which they were made; `None` for all.
    pub connections: Option<BTreeSet<u64>>,
    /// What they are counted over.
    pub count: Count,
    /// Which of them it takes.
    pub which: Which,
    /// What they lose.
    pub lose: Lose,
    /// How the client learns of it.
    pub by: By,
}

impl Rule {
    /// Every n-th write of all connections together loses its reply or request.
    pub fn every(nth: u64, lose: Lose, by: By) -> Self {
        Self { which: Which::Every(nth), ..Self::these([], lose, by) }
    }

    /// The writes with these numbers, from 1, of all connections together lose their reply or request.
    pub fn these(numbers: impl IntoIterator<Item = u64>, lose: Lose, by: By) -> Self {
        Self {
            names: WRITES.iter().map(|&name| name.to_owned()).collect(),
            connections: None,
            count: Count::Together,
            which: Which::These(numbers.into_iter().collect()),
            lose,
            by,
        }
    }

    /// The same rule for other commands; names in upper or lower case.
    #[must_use]
    pub fn of(self, names: &[&str]) -> Self {
        Self { names: names.iter().map(|name| name.to_ascii_uppercase()).collect(), ..self }
    }

    /// The same, counted on each connection by itself.
    #[must_use]
    pub fn on_each_connection(self) -> Self {
        Self { count: Count::EachConnection, ..self }
    }

    /// The same, on these connections only.
    #[must_use]
    pub fn on(self, connections: impl IntoIterator<Item = u64>) -> Self {
        Self { connections: Some(connections.into_iter().collect()), ..self }
    }

    fn takes(&self, number: u64) -> bool {
        match &self.which {
            Which::Every(nth) => *nth > 0 && number.is_multiple_of(*nth),
            Which::These(numbers) => numbers.contains(&number),
        }
    }
}

/// The rules in force, and how many commands each has counted.
#[derive(Debug, Default)]
pub(super) struct Judge {
    rules: Vec<Rule>,
    counted: Vec<u64>,
    /// Which set of rules this is: a connection's counts belong to one set.
    edition: u64,
}

/// One connection's own counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counted: Vec<u64>,
    edition: u64,
}

impl Judge {
    /// Replaces the rules; the new ones count from zero.
    pub(super) fn follow(&mut self, rules: Vec<Rule>) {
        (self.counted, self.edition) = (vec![0; rules.len()], self.edition + 1);
        self.rules = rules;
    }

    /// Whether there is any rule.
    pub(super) fn has_rules(&self) -> bool {
        !self.rules.is_empty()
    }

    /// Counts a command, and says what it loses. If several rules take it, the first one applies.
    pub(super) fn judge(&mut self, connection: u64, tally: &mut Tally, name: &str) -> Option<(Lose, By)> {
        if tally.edition != self.edition {
            *tally = Tally { counted: vec![0; self.rules.len()], edition: self.edition };
        }
        let mut verdict = None;
        for ((rule, all), own) in self.rules.iter().zip(&mut self.counted).zip(&mut tally.counted) {
            if !rule.names.contains(name) || rule.connections.as_ref().is_some_and(|those| !those.contains(&connection))
            {
                continue;
            }
            (*all, *own) = (*all + 1, *own + 1);
            let number = if rule.count == Count::Together { *all } else { *own };
            if verdict.is_none() && rule.takes(number) {
                verdict = Some((rule.lose, rule.by));
            }
        }
        verdict
    }
}
