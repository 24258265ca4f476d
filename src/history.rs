//! Were these increments one counter's? Decided exactly, from what each update was told and when. Pure.
//!
//! [`check`] gives the [`Ledger`] (how many were lost, doubled, ...) and the [`Order`]: whether some order of the
//! updates explains everything that was seen. General checkers search for that order; a counter needs no search.
//!
//! # The theorem
//! Values are relative to the start, so the k-th increment makes the value k. Write *a* → *b* (*a* before *b*) when *a*
//! ended before *b* began, or when one worker made *a* first and had its outcome by the time it began *b*: with equal
//! stamps only the worker's own order is known, so two workers' updates that touch count as concurrent, and so do the
//! updates of one hand-over, which share both stamps. → is transitive and has no cycle.
//!
//! A history is *linearizable* if its acknowledged updates and some of its unknown ones can be put into one sequence of
//! exactly `found` places that keeps →, in which every update told v has place v. An unknown update has a begin and no
//! end: it took effect at any time after its begin or never, so it may come after others but never *must* come before
//! one. A refused update did not happen and has no place. The final read comes after everything (an unknown update
//! that takes effect later still is, to this history, one that never did), so it fixes the number of places.
//!
//! **Told updates.** Their places are their values: these must differ, lie in 1..=found, and for no two may *a* → *b*
//! with *a*'s value the larger. Nothing else is asked, as a sequence keeps → when every pair in it does. One scan from
//! the largest value down, with the least end seen so far, finds every pair by the clock; one walk along each worker's
//! updates, with the largest value it had been told, finds every pair by its own order.
//!
//! **The others** (acknowledged *blind*, without a value, or unknown) fill the values nobody was told, the *gaps*. Update
//! x may stand in gap g exactly if g lies in its window `after < g < before`, where `after` is the largest value told to
//! an a → x, and `before` the least told to a b with x → b (none for an unknown one). So far this is a bipartite
//! matching with intervals, that is, scheduling of unit jobs: going through the gaps upwards and giving each to the
//! waiting update whose window closes first (blind before unknown, then by end, begin and the worker's order) fails only
//! if every assignment does. *Proof.* Take an assignment that agrees with the rule up to gap g, where the rule says x
//! and it says y. If it has x in a later gap h, exchange them: x may stand in g, as it was waiting; y may stand in h, as
//! y's window closes no earlier than x's. If it leaves x out, x is unknown, then so is y (the rule prefers blind ones),
//! and x may replace y. Either way it agrees with the rule one gap further. ∎
//!
//! **The others among themselves.** If x → y then everything before x is before y, and everything after y is after x, so
//! x's window opens and closes no later than y's, and x ends no later than y begins: x was waiting whenever y was, and
//! the rule took it first. So the assignment keeps → for these pairs too, and it is the sequence asked for. ∎
//!
//! **Reads in general.** A read that saw r stands between the places r and r+1. It obeys the same scan with the value
//! r + ½: no update before it may be told more, none after it less; two reads of one value stand in the order of their
//! begins. Events hold no reads; the only one here is the final one.
//!
//! The cost is O(n) where the values lie close together, as a counter's do, else a sort, O(n log n); the matching adds
//! O(log n) for every blind or unknown update. Memory beside the events: 8 bytes a value, 32 an update with several keys.
//!
//! # The ledger
//! With V updates told D different values, and B blind ones:
//!
//! - `overwritten` = `repeated` = V − D: of those told one value, only one is in the counter.
//! - `gaps` = values in 1..=found that nobody was told. Blind updates explain them first (and so do updates told a value
//!   below 1, which nobody can have made).
//! - `rolled_back` = how many different values beyond `found` were told, and of the updates without a place so many as
//!   are needed to make the values between these. How far the counter went back is another figure: a single update told
//!   101 in a counter that ended at 0 is one update lost, and a counter that fell by 101.
//! - `lost` is the sum of these two and of the updates that then still have no place. It never exceeds `acked`. Where
//!   every update was told its value, it is `overwritten + rolled_back`; where none was, `max(0, acked − found)`, or all
//!   of them if the counter ended below its start.
//! - The gaps still open are explained by unknown updates, then by refused ones (`phantom`); what is then left was
//!   `doubled`: some update was applied more than once, or somebody else wrote.
//!
//! Hence always `max(found, 0) − acked = doubled + phantom + explained by unknown − lost`: adding up the definitions,
//! that `+ lost` is the number of gaps that blind updates left open. (A counter that ended below its start lost all
//! updates, and `−found` units more, which no update had given it.) And for GET+SET, where nothing else writes and every
//! update is told, there are no gaps, and `lost = acked − found = (acked − D) + (largest − found)`.
//!
//! `stale` counts the updates b told less than some a → b. If the accounts are clean and the values in order, and yet
//! blind or unknown updates fit no gap in time, one is counted as stale, since at least one is out of order. So the
//! order is violated exactly if the ledger's verdict breaks exactness.
//!
//! # How bad it gets
//! Two or more workers that each do two or more GET+SET updates can leave the counter at 2, however many they do, and
//! never lower. One reads 0 and stalls; the others do all their updates but the last of one of them; the first writes 1;
//! that last update reads 1 and stalls; the first does the rest of its own; the last update writes 2. Lower it cannot be:
//! the last SET of all belongs to an update that was not its worker's first, so its GET came after a SET of the same
//! worker, saw 1 or more, as no SET writes less, and so the last SET wrote 2 or more.

mod bounds;
mod causes;
mod fill;
pub mod general;
mod levels;
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

/// What a history amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The accounts, all counters summed.
    pub ledger: Ledger,
    /// Whether the increments are linearizable.
    pub order: Order,
}

/// Whether the increments are linearizable: whether some order of them explains everything that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Some order does.
    Linearizable,
    /// None does, and why: of several counters, the first that is wrong.
    Violated(Witness),
    /// It cannot be said, and why.
    Undecided(String),
}

impl Order {
    /// The word for it.
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
    /// Whose update it is: the number of its lane.
    pub worker: u32,
    /// Its place among the updates of that worker, from 0.
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

/// All updates of one counter, worker by worker and each worker's in its order; walked several times.
trait Events: DoubleEndedIterator<Item = Seen> + Clone {}
impl<T: DoubleEndedIterator<Item = Seen> + Clone> Events for T {}

/// Judges every update in `lanes` against what each counter gained.
///
/// A lane is one worker's updates in its own order, begins and ends never going back; the values told are relative to
/// the counter's start, and `found` has what each counter gained, by its number.
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

/// As [`check`], where some counters were not read at the end: these are judged by the values alone.
///
/// Such a counter is taken to have ended where its acknowledged updates say it did, so `found` in the ledger is then no
/// finding, and losses after the largest value told cannot be seen.
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

/// The updates of each of `keys` counters, and how many are of none of them.
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

/// Counts the outcomes; and how many are blind.
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
    // Beyond the end stand those told a value there, and those who made the values between these.
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
