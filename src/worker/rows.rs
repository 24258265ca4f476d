//! The rows of one worker process, read as they arrive: each is checked against the job and the clock, and becomes an event
//! of 24 bytes.

use crate::update::{Event, Outcome};

use super::fault::{Fault, quote};
use super::message::Done;

/// The header of the rows: the columns of a history file, and two more.
const HEADER: &[u8] = b"worker,begin_ns,end_ns,outcome,value,key,tries";

const NO_CLIENT: &str = "it has no such client";

/// How a worker's clock relates to ours.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tie {
    /// The worker's clock minus ours.
    pub(super) offset_ns: i128,
    /// By how much that may be wrong, either way.
    pub(super) uncertainty_ns: u64,
}

/// What one client did, by its rows.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) events: Vec<Event>,
    /// How many updates it was asked for.
    pub(super) most: u64,
}

/// Reads rows into lanes.
pub(super) struct Rows {
    /// The number of the first lane's client; the others follow.
    pub(super) first_client: usize,
    pub(super) lanes: Vec<Lane>,
    pub(super) keys: usize,
    /// Whether the library sends updates again by itself: then a refusal may be that of a later try.
    pub(super) resends: bool,
    pub(super) tie: Tie,
    /// The race's zero and its start, by our clock.
    pub(super) zero_ns: u64,
    pub(super) start_ns: u64,
    pub(super) has_header: bool,
    pub(super) count: u64,
    pub(super) acked: u64,
}

impl Rows {
    /// Takes one line that is not a message; `now_ns` is the time by our clock.
    pub(super) fn take(&mut self, line: &[u8], now_ns: u64) -> Result<(), Fault> {
        if line.starts_with(b"#") || line.is_empty() {
            return Ok(());
        }
        if !self.has_header {
            self.has_header = line == HEADER;
            return if self.has_header { Ok(()) } else { Err(Fault::Garbage(quote(line))) };
        }
        let row = Row::parse(line).ok_or_else(|| Fault::Garbage(quote(line)))?;
        self.check_and_add(&row, now_ns).map_err(|why| Fault::Lie(format!("{why}, in the row {}", quote(line))))
    }

    fn check_and_add(&mut self, row: &Row, now_ns: u64) -> Result<(), &'static str> {
        if row.key >= self.keys {
            return Err("there is no such counter");
        }
        let (begin, end) = (self.ours(row.begin)?, self.ours(row.end)?);
        let slack = self.tie.uncertainty_ns;
        if begin + slack < self.start_ns.saturating_sub(self.zero_ns) {
            return Err("it begins before the race");
        }
        if end > now_ns.saturating_sub(self.zero_ns) + slack {
            return Err("it ends in the future");
        }
        if end < begin {
            return Err("it ends before it begins");
        }
        let place = row.client.checked_sub(self.first_client).ok_or(NO_CLIENT)?;
        let lane = self.lanes.get_mut(place).ok_or(NO_CLIENT)?;
        if let Some(last) = lane.events.last()
            && begin < last.end_ns()
            && (begin, end) != (last.begin_ns(), last.end_ns())
        {
            return Err("it overlaps the client's previous update");
        }
        if lane.events.len() as u64 >= lane.most {
            return Err("it is one update more than this client was to make");
        }
        let outcome = if self.resends && row.outcome == Outcome::Refused { Outcome::Unknown } else { row.outcome };
        lane.events.push(Event::new(row.key, begin, end, row.tries, outcome));
        self.count += 1;
        self.acked += u64::from(matches!(row.outcome, Outcome::Acked(_) | Outcome::AckedBlind));
        Ok(())
    }

    /// An instant of the worker's clock, in nanoseconds since the race's zero.
    fn ours(&self, theirs: u64) -> Result<u64, &'static str> {
        let ours = i128::from(theirs) - self.tie.offset_ns - i128::from(self.zero_ns);
        // An update may seem to begin before the zero, by no more than the tie's uncertainty.
        u64::try_from(ours.max(0)).ok().filter(|&ns| ns < 1 << 48).ok_or("its time is out of range")
    }

    /// Checks that what the worker says it did agrees with its rows.
    pub(super) fn agrees(&self, done: &Done) -> Result<(), Fault> {
        if !self.has_header {
            return Err(Fault::Garbage("no header before the end of the race".to_owned()));
        }
        if (done.rows, done.acked) == (self.count, self.acked) {
            return Ok(());
        }
        Err(Fault::Lie(format!(
            "it reports {} rows with {} acknowledged, but sent {} with {}",
            done.rows, done.acked, self.count, self.acked
        )))
    }
}

struct Row {
    client: usize,
    begin: u64,
    end: u64,
    outcome: Outcome,
    key: usize,
    tries: u32,
}

impl Row {
    fn parse(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?.trim_end_matches('\r');
        let mut fields = line.split(',');
        let mut next = || fields.next();
        let (client, begin, end) = (next()?.parse().ok()?, next()?.parse().ok()?, next()?.parse().ok()?);
        let (outcome, value) = (next()?, next()?);
        let outcome = match (outcome, value) {
            ("ok", "") => Outcome::AckedBlind,
            ("ok", value) => Outcome::Acked(value.parse().ok()?),
            ("fail", "") => Outcome::Refused,
            ("unknown", "") => Outcome::Unknown,
            _ => return None,
        };
        let row = Self { client, begin, end, outcome, key: next()?.parse().ok()?, tries: next()?.parse().ok()? };
        next().is_none().then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_a_library_that_sends_again_says_nothing_of_its_first_try() {
        for (resends, outcome) in [(false, Outcome::Refused), (true, Outcome::Unknown)] {
            let mut rows = Rows {
                first_client: 0,
                lanes: vec![Lane { events: Vec::new(), most: 1 }],
                keys: 1,
                resends,
                tie: Tie::default(),
                zero_ns: 0,
                start_ns: 0,
                has_header: true,
                count: 0,
                acked: 0,
            };
            rows.take(b"0,10,20,fail,,0,1", 30).unwrap();
            assert_eq!(rows.lanes[0].events[0].outcome(), outcome);
        }
    }
}
