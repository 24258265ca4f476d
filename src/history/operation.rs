//! Operations other than adding one, and what they returned: the rows of a general history.

/// What was asked of the counter. Amounts are in units: with decimals, in units of the last place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Add this much, of any sign. Told: the value it made.
    Add(i64),
    /// Read the value. Told: the value seen.
    Read,
    /// Take all there is and leave zero (GETDEL, GETSET 0). Told: what was taken.
    Take,
    /// Set to this value, whatever was there. Told, if anything: the value replaced (GETSET).
    Set(i64),
}

/// The outcome of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// Acknowledged, with this value returned.
    Told(i64),
    /// Acknowledged without a value.
    Done,
    /// Certainly did not happen, for whatever reason.
    Failed,
    /// May or may not have happened, and may still happen.
    Unknown,
    /// An add refused because it would have passed a limit.
    Denied,
}

/// One operation of one worker. Values are those of the counter, not relative to its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// Which counter.
    pub key: u16,
    /// When it was sent, in nanoseconds on a clock that all workers share; below 2^48.
    pub begin_ns: u64,
    /// When its outcome was known; meaningless if the outcome is unknown.
    pub end_ns: u64,
    /// What was asked.
    pub action: Action,
    /// Its outcome.
    pub reply: Reply,
}

/// What is known of one counter besides its operations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counter {
    /// What it held before.
    pub initial: i64,
    /// What it held after, if it was read.
    pub last: Option<i64>,
    /// The least value that an add may make.
    pub min: Option<i64>,
    /// The greatest value that an add may make.
    pub max: Option<i64>,
}

impl Counter {
    /// Whether an add may take the counter to `to`.
    pub(super) fn allows(&self, amount: i64, to: i128) -> bool {
        match amount.signum() {
            1 => self.max.is_none_or(|max| to <= i128::from(max)),
            -1 => self.min.is_none_or(|min| to >= i128::from(min)),
            _ => true,
        }
    }
}

/// A relevant operation on one counter, with its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) worker: u32,
    pub(super) index: u32,
    pub(super) op: Operation,
}

impl Item {
    pub(super) fn begin(&self) -> u64 {
        self.op.begin_ns
    }

    /// When it had taken effect at the latest; never, if its outcome is unknown.
    pub(super) fn end(&self) -> u64 {
        if self.op.reply == Reply::Unknown { u64::MAX } else { self.op.end_ns }
    }

    pub(super) fn told(&self) -> Option<i128> {
        match self.op.reply {
            Reply::Told(value) => Some(i128::from(value)),
            _ => None,
        }
    }

    /// Whether it must come before `other`, by the definition in the module's doc.
    pub(super) fn before(&self, other: &Self) -> bool {
        let (x, y) = (&self.op, &other.op);
        let own = self.worker == other.worker
            && self.index < other.index
            && x.end_ns <= y.begin_ns
            && (x.begin_ns, x.end_ns) != (y.begin_ns, y.end_ns);
        x.reply != Reply::Unknown && (own || x.end_ns < y.begin_ns)
    }
}
