//! Could one counter have produced these increments? Decided exactly, from what each update returned and when. Pure.
//!
//! [`check`] gives the [`Ledger`] (how many were lost, doubled, ...) and the [`Order`]: whether some order of the
//! updates explains everything that was seen. General checkers search for that order; a counter needs no search.
//!
//! # The theorem
//! Values are relative to the start, so the k-th increment makes the value k. An update is *told* the value in its
//! reply. Write *a* → *b* (*a* before *b*) if *a* ended before *b* began, or if the same worker had the outcome of *a*
//! when it began *b*. With equal timestamps only a worker's own order is known. So two workers' updates that touch
//! count as concurrent, and so do the updates of one hand-over, which share both timestamps. → is transitive and has no
//! cycle.
//!
//! A history is *linearizable* if its acknowledged updates and some of its unknown ones can be put into one sequence of
//! exactly `found` places that respects →, with every update told v at place v. An unknown update has a begin and no
//! end: it took effect at any time after its begin, or never. So others may have to come before it, but it never has to
//! come before another. A refused update did not happen and has no place. The final read comes after everything, so it
//! fixes the number of places. (An unknown update that takes effect even later counts as one that never did.)
//!
//! **Told updates.** Their places are their values. These must differ, lie in 1..=found, and there must be no *a* → *b*
//! where *a*'s value is the larger. Nothing else is required, because a sequence respects → if every pair in it does.
//! One scan from the largest value down, with the least end so far, finds every pair that contradicts the clock; one
//! walk along each worker's updates, with the largest value it had been told, finds every pair that contradicts the
//! worker's own order.
//!
//! **The others** (acknowledged *blind*, without a value, or unknown) fill the *gaps*: the values that no update was
//! told. Update x may stand in gap g exactly if g lies in its window `after < g < before`, where `after` is the largest
//! value told to an a → x, and `before` the least told to a b with x → b (an unknown update has none). This is
//! bipartite matching with intervals, also known as scheduling of unit jobs. Go through the gaps upwards and give each
//! to the waiting update whose window closes first (blind before unknown, then by end, begin and the worker's order):
//! this rule fails only if every assignment does. *Proof.* Take an assignment that agrees with the rule up to gap g,
//! where the rule takes x and the assignment takes y. If the assignment has x in a later gap h, exchange them: x may
//! stand in g because it was waiting; y may stand in h because its window closes no earlier than x's. If it leaves x
//! out, x is unknown; then so is y (the rule prefers blind ones), and x may replace y. Either way it agrees with the
//! rule one gap further. ∎
//!
//! **The others among themselves.** If x → y then everything before x is before y, and everything after y is after x,
//! so x's window opens and closes no later than y's, and x ends no later than y begins: x was waiting whenever y was,
//! and the rule took it first. So the assignment respects → for these pairs too, and is the sequence we need. ∎
//!
//! **Reads in general.** A read that saw r stands between the places r and r+1. The same scan covers it with the value
//! r + ½: no update before it may be told more, and none after it less. Two reads of one value stand in the order of
//! their begins. Events hold no reads; the only read here is the final one.
//!
//! The cost is O(n) if the values lie close together, as a counter's do; otherwise they are sorted, in O(n log n). The
//! matching adds O(log n) per blind or unknown update. Memory besides the events: 8 bytes per value, and 32 per update
//! if there are several keys.
//!
//! # The ledger
//! With V updates told D different values, and B blind ones:
//!
//! - `overwritten` = `repeated` = V − D: of the updates told the same value, only one is in the counter.
//! - `gaps` = values in 1..=found that no update was told. Blind updates explain them first, and so do updates told an
//!   impossible value (below 1).
//! - `rolled_back` = the number of different values above `found` that were told, plus as many updates without a place
//!   as it takes to make the values between these. How far the counter fell is a different figure: if one update was
//!   told 101 and the counter ended at 0, one update is lost, and the counter fell by 101.
//! - `lost` is the sum of these two and of the updates that still have no place. It never exceeds `acked`. If every
//!   update was told its value, it is `overwritten + rolled_back`; if none was, it is `max(0, acked − found)`, or
//!   `acked` if the counter ended below its start.
//! - Unknown updates explain the gaps that are still open, then refused ones do (`phantom`). What is left is `doubled`:
//!   an update was applied more than once, or another program wrote.
//!
//! Hence always `max(found, 0) − acked = doubled + phantom + explained by unknown − lost`: by the definitions, either
//! side plus `lost` is the number of gaps that blind updates left open. (A counter that ended below its start lost all
//! updates, and `−found` more units, which no update had added.) For GET+SET, where nothing else writes and every
//! update is told its value, there are no gaps, and `lost = acked − found = (acked − D) + (largest − found)`.
//!
//! `stale` counts the updates b that were told less than some a → b. If the accounts are clean and the values in order,
//! but blind or unknown updates do not fit the gaps in time, one is counted as stale, since at least one is out of
//! order. So the order is violated exactly when the ledger's verdict breaks exactness.
//!
//! # How bad it gets
//! If two or more workers each do two or more GET+SET updates, the counter can end at 2, however many they do, but
//! never lower. One worker, A, reads 0 and stalls. The others do all their updates except the last one of worker B. A
//! writes 1. B's last update reads 1 and stalls. A does the rest of its updates. B's last update writes 2. It cannot
//! end lower: the very last SET belongs to an update that was not its worker's first. So its GET came after a SET of
//! the same worker and saw at least 1, the least that any SET writes, and the last SET wrote at least 2.

mod accounts;
mod bounds;
mod causes;
mod fill;
pub mod general;
mod levels;
mod limits;
mod one_way;
mod operation;
mod search;
mod told;
mod witness;

use crate::update::{Event, Outcome};
use crate::verdict::Ledger;

pub use causes::{Causes, Fall};
pub use general::{Findings, judge};
pub use levels::Units;
use operation::Item;
pub use operation::{Action, Counter, Operation, Reply};
use told::Told;
pub use witness::{Fault, Witness};

/// The result of judging a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The accounts, summed over all counters.
    pub ledger: Ledger,
    /// Whether the increments are linearizable.
    pub order: Order,
}

/// Whether the increments are linearizable: whether some order of them explains everything that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Some order does.
    Linearizable,
    /// No order does. The witness is of the first counter that is wrong.
    Violated(Witness),
    /// It could not be decided, for this reason.
    Undecided(String),
}

impl Order {
    /// The answer as one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Linearizable => "linearizable",
            Self::Violated(_) => "violated",
            Self::Undecided(_) => "undecided",
        }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Violated(witness), _) => Self::Violated(witness),
            (_, Self::Violated(witness)) => Self::Violated(witness),
            (Self::Undecided(why), _) | (_, Self::Undecided(why)) => Self::Undecided(why),
            (Self::Linearizable, Self::Linearizable) => Self::Linearizable,
        }
    }
}

/// An update and where it stands in its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The worker that made it: the number of its lane.
    pub worker: u32,
    /// Its place among that worker's updates, from 0.
    pub index: u32,
    /// The update.
    pub event: Event,
}

impl Seen {
    fn value(&self) -> Option<i64> {
        match self.event.outcome() {
            Outcome::Acked(value) => Some(value),
            _ => None,
        }
    }

    fn span(&self) -> (u64, u64) {
        (self.event.begin_ns(), self.event.end_ns())
    }
}

impl From<&Item> for Seen {
    fn from(item: &Item) -> Self {
        let outcome = match item.op.reply {
            Reply::Told(value) => Outcome::Acked(value),
            Reply::Done => Outcome::AckedBlind,
            Reply::Failed | Reply::Denied => Outcome::Refused,
            Reply::Unknown => Outcome::Unknown,
        };
        let event = Event::new(usize::from(item.op.key), item.op.begin_ns, item.op.end_ns, 1, outcome);
        Self { worker: item.worker, index: item.index, event }
    }
}

/// All updates of one counter, worker by worker, each worker's in its own order; iterated several times.
trait Events: DoubleEndedIterator<Item = Seen> + Clone {}
impl<T: DoubleEndedIterator<Item = Seen> + Clone> Events for T {}

/// Judges every update in `lanes` against what each counter gained.
///
/// A lane is one worker's updates in its own order; neither begins nor ends ever go back in time. Values are relative
/// to the counter's start. `found` is what each counter gained, by its number.
///
/// ```
/// use redis_lost_updates::history::{Order, check};
/// use redis_lost_updates::update::{Event, Outcome::Acked};
/// // Both read 0, both wrote 1.
/// let lanes = [[Event::new(0, 10, 20, 1, Acked(1))], [Event::new(0, 12, 25, 1, Acked(1))]];
/// let judgement = check(&[&lanes[0], &lanes[1]], &[1]);
/// assert_eq!((judgement.ledger.lost, judgement.ledger.overwritten), (1, 1));
/// assert!(matches!(judgement.order, Order::Violated(_)));
/// ```
pub fn check(lanes: &[&[Event]], found: &[i64]) -> Judgement {
    let found: Vec<Option<i64>> = found.iter().map(|&gained| Some(gained)).collect();
    check_known(lanes, &found)
}

/// Like [`check`], for workers whose clocks may be up to `apart_ns` apart. Each update is taken to last from its earliest
/// possible beginning to its latest possible end, so that a possibly correct order is never called wrong.
///
/// ```
/// use redis_lost_updates::history::{Order, check, check_apart};
/// use redis_lost_updates::update::{Event, Outcome::Acked};
/// // The second seems to begin after the first has ended, and was told the smaller value.
/// let lanes = [[Event::new(0, 10, 20, 1, Acked(2))], [Event::new(0, 21, 30, 1, Acked(1))]];
/// let lanes = [&lanes[0][..], &lanes[1][..]];
/// assert!(matches!(check(&lanes, &[2]).order, Order::Violated(_)));
/// assert_eq!(check_apart(&lanes, &[2], 1).order, Order::Linearizable);
/// ```
pub fn check_apart(lanes: &[&[Event]], found: &[i64], apart_ns: u64) -> Judgement {
    if apart_ns == 0 {
        return check(lanes, found);
    }
    let lanes = widened(lanes, apart_ns);
    check(&lanes.iter().map(Vec::as_slice).collect::<Vec<_>>(), found)
}

/// The updates from their earliest possible beginning to their latest possible end, if the clocks of those who recorded
/// them may be up to `apart_ns` apart.
pub fn widened(lanes: &[&[Event]], apart_ns: u64) -> Vec<Vec<Event>> {
    let wider = |event: &Event| {
        let (begin, end) = (event.begin_ns().saturating_sub(apart_ns), event.end_ns().saturating_add(apart_ns));
        Event::new(event.key(), begin, end, event.tries(), event.outcome())
    };
    lanes.iter().map(|lane| lane.iter().map(wider).collect()).collect()
}

/// Like [`check`], but some counters may not have been read at the end: these are judged by the values alone.
///
/// Such a counter is assumed to have ended where its acknowledged updates say. So `found` in the ledger was not
/// measured, and losses after the largest value told cannot be seen.
pub fn check_known(lanes: &[&[Event]], found: &[Option<i64>]) -> Judgement {
    if let [gained] = found
        && lanes.iter().all(|lane| lane.iter().all(|event| event.key() == 0))
    {
        return account(0, everything(lanes), *gained);
    }
    let mut sum = Judgement { ledger: Ledger::default(), order: Order::Linearizable };
    let (buckets, strays) = by_key(lanes, found.len());
    for (key, (bucket, &gained)) in buckets.iter().zip(found).enumerate() {
        let Judgement { ledger, order } = account(key, bucket.iter().copied(), gained);
        sum.ledger += ledger;
        sum.order = sum.order.and(order);
    }
    if strays > 0 {
        let were = if strays == 1 { "1 update was".to_owned() } else { format!("{strays} updates were") };
        let why = format!("{were} of counters that are not among those judged");
        sum.order = sum.order.and(Order::Undecided(why));
    }
    sum
}

fn everything<'a>(lanes: &'a [&'a [Event]]) -> impl Events + 'a {
    lanes.iter().enumerate().flat_map(|(worker, lane)| {
        let place = move |(index, &event): (usize, &Event)| Seen { worker: worker as u32, index: index as u32, event };
        lane.iter().enumerate().map(place)
    })
}

/// The updates of each of `keys` counters, and how many updates belong to none of them.
fn by_key(lanes: &[&[Event]], keys: usize) -> (Vec<Vec<Seen>>, usize) {
    let mut counts = vec![0; Event::MAX_KEYS.max(keys)];
    lanes.iter().for_each(|lane| lane.iter().for_each(|event| counts[event.key()] += 1));
    let strays = counts[keys..].iter().sum();
    let mut buckets: Vec<Vec<Seen>> = counts[..keys].iter().map(|&count| Vec::with_capacity(count)).collect();
    for seen in everything(lanes) {
        if let Some(bucket) = buckets.get_mut(seen.event.key()) {
            bucket.push(seen);
        }
    }
    (buckets, strays)
}

/// Judges one counter.
fn account(key: usize, events: impl Events, found: Option<i64>) -> Judgement {
    let (mut ledger, blind) = outcomes(events.clone());
    let told = Told::new(events.clone(), ledger.acked - blind, found.unwrap_or(i64::MAX));
    ledger.stale = told.stale(events.clone());
    balance(&mut ledger, &told, blind, found);
    let fault = witness::in_values(events.clone(), &told, &ledger, found)
        .or_else(|| fill::gaps(events, &told, &ledger, blind, found).err());
    let order = match fault {
        Some(fault) => {
            let clean = [ledger.lost, ledger.doubled, ledger.phantom, ledger.repeated] == [0; 4];
            ledger.stale = if clean { ledger.stale.max(1) } else { ledger.stale };
            Order::Violated(Witness { key, fault })
        }
        None if found.is_none() && blind > 0 => Order::Undecided(
            "the counter was not read at the end, so updates acknowledged without a value cannot be found in it"
                .to_owned(),
        ),
        None => Order::Linearizable,
    };
    Judgement { ledger, order }
}

/// Counts the updates by outcome; also returns how many are blind.
fn outcomes(events: impl Events) -> (Ledger, u64) {
    let (mut ledger, mut blind) = (Ledger::default(), 0);
    events.for_each(|seen| {
        ledger.attempted += 1;
        ledger.tries += u64::from(seen.event.tries());
        match seen.event.outcome() {
            Outcome::Acked(_) => ledger.acked += 1,
            Outcome::AckedBlind => (ledger.acked, blind) = (ledger.acked + 1, blind + 1),
            Outcome::Refused => ledger.refused += 1,
            Outcome::Unknown => ledger.unknown += 1,
        }
    });
    (ledger, blind)
}

/// Balances what the updates were told against what the counter gained, as the module's doc says.
fn balance(ledger: &mut Ledger, told: &Told, blind: u64, found: Option<i64>) {
    let largest = told.largest().max(0);
    let impossible = told.distinct() - told.possible(); // told a value below 1
    let placeless = blind + impossible;
    ledger.found = found.unwrap_or_else(|| {
        let beyond = placeless.saturating_sub(largest as u64 - told.possible());
        largest.saturating_add_unsigned(beyond)
    });
    let end = ledger.found.max(0);
    ledger.repeated = ledger.acked - blind - told.distinct();
    ledger.overwritten = ledger.repeated;
    let within = told.within();
    ledger.gaps = end as u64 - within;
    // Rolled back: updates told a value beyond the end, and updates that made the values between these.
    let beyond = told.possible() - within;
    let between = (largest.max(end).abs_diff(end)) - beyond;
    let nowhere = placeless.saturating_sub(ledger.gaps);
    ledger.rolled_back = beyond + nowhere.min(between);
    ledger.lost = ledger.overwritten + ledger.rolled_back + nowhere.saturating_sub(between);
    let open = ledger.gaps.saturating_sub(placeless);
    let unexplained = open - open.min(ledger.unknown);
    ledger.phantom = unexplained.min(ledger.refused);
    ledger.doubled = unexplained - ledger.phantom;
}
