//! Why updates are missing, decided by whether the updates that returned the same value overlapped in time.
//!
//! If two updates returned the same value and overlapped, one overwrote the other: a race. If one ended before the other
//! began, the counter went back in between. A late write of an old value can cause that, if its update was in progress when
//! the higher value was written. If none was, no update in the file is responsible, and something else must be: a reset, an
//! expiry, a failover, another database.

use super::operation::{Action, Operation, Reply};

/// Where the counter went back: which update saw it high, and which later one saw it low.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fall {
    /// Worker and index of the update told the larger value, which ended first.
    pub high: (u32, u32),
    /// Worker and index of the update told the smaller value, which began later.
    pub low: (u32, u32),
    /// How far it fell, at least, in units.
    pub by: i128,
    /// An update whose late write can have caused it, if there is one.
    pub late: Option<(u32, u32)>,
}

/// Why updates are missing from one counter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Causes {
    /// Updates told the same value as another that they overlap: overwritten in a race.
    pub raced: u64,
    /// How often, at least, the counter went back between two updates that do not overlap.
    pub falls: u64,
    /// How many of these falls no update in the file can have caused.
    pub falls_by_nobody: u64,
    /// How far it fell in all, in units.
    pub fell: i128,
    /// The first fall that no update can have caused; if there is none, the first fall.
    pub first: Option<Fall>,
}

/// The most updates that are searched for one that can have made the counter go back.
const LOOKED: usize = 1_000;

/// An add, negated if the counter falls, so that it always rises.
#[derive(Clone, Copy)]
struct Told {
    begin: u64,
    end: u64,
    from: i128,
    to: i128,
    place: (u32, u32),
}

impl Causes {
    /// From the operations on one counter, with their places. Empty unless it only changes by adds in one direction.
    pub fn of(operations: impl Iterator<Item = (u32, u32, Operation)>) -> Self {
        let (mut told, mut others) = (Vec::new(), Vec::new());
        let mut sign = 0;
        for (worker, index, op) in operations {
            let Action::Add(amount) = op.action else {
                if op.action == Action::Read || op.reply == Reply::Failed {
                    continue;
                }
                return Self::default();
            };
            let amount = i128::from(amount);
            if amount == 0 || matches!(op.reply, Reply::Failed | Reply::Denied) {
                continue;
            }
            if sign * amount < 0 {
                return Self::default();
            }
            sign = amount.signum();
            let place = (worker, index);
            match op.reply {
                Reply::Told(to) => {
                    let to = sign * i128::from(to);
                    told.push(Told { begin: op.begin_ns, end: op.end_ns, from: to - amount.abs(), to, place });
                }
                Reply::Unknown => others.push((op.begin_ns, u64::MAX, place)),
                _ => others.push((op.begin_ns, op.end_ns, place)),
            }
        }
        let mut causes = Self { raced: raced(&mut told), ..Self::default() };
        causes.falls(&mut told, &mut others);
        causes
    }

    fn falls(&mut self, told: &mut [Told], others: &mut [(u64, u64, (u32, u32))]) {
        told.sort_unstable_by_key(|add| (add.begin, add.end));
        others.sort_unstable();
        let mut by_end: Vec<usize> = (0..told.len()).collect();
        by_end.sort_unstable_by_key(|&i| told[i].end);
        let mut ended = by_end.into_iter().peekable();
        // Only updates that began after the last fall count: earlier ones may have seen the values before it.
        let (mut high, mut since) = (None::<Told>, 0);
        let mut longest = told.iter().scan(0, |end, add| {
            *end = add.end.max(*end);
            Some(*end)
        });
        let longest: Vec<u64> = longest.by_ref().collect();
        for low in told.iter() {
            while let Some(i) = ended.next_if(|&i| told[i].end < low.begin) {
                if told[i].begin >= since && high.is_none_or(|high| told[i].to > high.to) {
                    high = Some(told[i]);
                }
            }
            let Some(top) = high.filter(|high| low.to <= high.to) else { continue };
            let late = late(told, others, &longest, &top, low);
            let fall = Fall { high: top.place, low: low.place, by: top.to - low.from, late };
            self.falls += 1;
            self.falls_by_nobody += u64::from(late.is_none());
            self.fell += fall.by;
            if self.first.is_none_or(|first| first.late.is_some() && late.is_none()) {
                self.first = Some(fall);
            }
            (high, since) = (None, low.begin);
        }
    }
}

/// How many overlap an earlier update that was told the same value.
fn raced(told: &mut [Told]) -> u64 {
    told.sort_unstable_by_key(|add| (add.to, add.from, add.begin, add.end));
    let mut raced = 0;
    for same in told.chunk_by(|one, two| (one.to, one.from) == (two.to, two.from)) {
        let mut end = None;
        for add in same {
            raced += u64::from(end.is_some_and(|end| add.begin <= end));
            end = end.max(Some(add.end));
        }
    }
    raced
}

/// An update that overlaps `high` in time and wrote less than `low` did, or was told no value.
fn late(
    told: &[Told],
    others: &[(u64, u64, (u32, u32))],
    longest: &[u64],
    high: &Told,
    low: &Told,
) -> Option<(u32, u32)> {
    let until = told.partition_point(|add| add.begin <= high.end);
    let overlapping = (0..until).rev().take_while(|&i| longest[i] >= high.begin).take(LOOKED);
    let is_late = |add: &&Told| add.end >= high.begin && add.to < low.to && add.place != high.place;
    let found = overlapping.map(|i| &told[i]).find(is_late).map(|add| add.place);
    let blind = || {
        let until = others.partition_point(|&(begin, ..)| begin <= high.end);
        others[..until].iter().rev().take(LOOKED).find(|&&(_, end, _)| end >= high.begin).map(|&(_, _, place)| place)
    };
    found.or_else(blind)
}
