//! Histories with more than increments of one: any amounts, reads, takes, sets, limits. Exact where that is cheap.
//!
//! → (*before*) is as in [`super`]'s doc. An add of *a* that was told *v* takes the counter from *v − a* to *v*; a read
//! told *r* finds it at *r*; a take told *v* takes it from *v* to 0; a set leaves its amount, and if it was told a
//! value, it replaced that value. With a limit, an add may not take the counter beyond it; a *denied* add found the
//! counter so close to the limit that it would have passed it. A history is *linearizable* if its acknowledged and
//! denied operations and some of its unknown ones can be put into one sequence that respects →, leads from the initial
//! to the final value, and shows each operation what it was told.
//!
//! # What is decided in polynomial time
//! **Theorem (one way).** Let all adds be of one sign, with no take or set, and let those that were told no value
//! (*loose* ones: blind or unknown) all add the same *s*. Then this is decided in O(n log n). Shift the history, and
//! negate it if it falls, so that it rises from 0. Each told add claims the open interval of levels between *v − a* and
//! *v*. These claims must lie within 0 and the final value and be disjoint. Loose adds must fill what they leave open,
//! the gaps, in steps of *s* from a gap's lower end to its upper end. So all values that the counter ever holds, its
//! *states*, are known before its order is. Give an add that makes the state *v* the place 2*v*, a read of *r* the
//! place 2*r* + 1 (*r* must be a state), and a denied add the place 2*t* + 1, where *t* is the first state at which it
//! would pass the limit. A read must stand exactly at its place, a denied add there or later. Then the history is
//! linearizable iff
//!
//! 1. there are no told adds, reads or denied adds *a* → *b*, with *b* not denied, where *a*'s place is above *b*'s,
//!    and
//! 2. earliest deadline first fills the gaps, where a loose *x* may make the state *v* if 2*v* is above the places of
//!    all *a* → *x* and below those of all *b* with *x* → *b* that are not denied.
//!
//! *Proof.* Both are necessary: a sequence has its adds and reads in the order of their places, and a denied add stands
//! after the add that makes its *t*. Now let both hold. The proof in [`super`]'s doc that the rule misses no assignment
//! and respects → among loose adds requires only that windows are intervals, that the steps to be filled are ordered,
//! and that for *x* → *y* the window of *x* opens and closes no later than that of *y*. All three hold here, because →
//! is transitive. Sort adds and reads by place, reads of one state by →. A denied *d* must come after all *a* → *d* and
//! after the add that makes *t*, and before all *b* with *d* → *b*. Of these, each *a* precedes each *b*, since *a* →
//! *b*; and each *b* stands above 2*t* + 1, by condition 1 or by its window. So there is room for *d* between them. ∎
//!
//! Two more cases are decided in the same time: unknown adds of different amounts, if the rest needs none of them (drop
//! them all); and a *no*, by the accounts below or, for adds of both signs, by the bounds of [Jepsen's counter
//! checker]: a value seen is at least what had been acknowledged before, and at most what had begun. So for reads the
//! answer is never weaker than Jepsen's.
//!
//! [Jepsen's counter checker]: https://github.com/jepsen-io/jepsen
//!
//! # What is not decided in polynomial time
//! Loose adds of different amounts: filling a gap of N with them is the subset-sum problem, which is NP-complete even
//! without timing. Mixed signs without told values contain it. Takes, sets and mixed signs that were told values let
//! the counter return to a state, so values no longer determine the order. For a read-modify-write register the
//! question is NP-complete (Gibbons and Korach, *Testing Shared Memories*, 1997), and we know no better algorithm for
//! these. All of these are searched: for a fixed number of workers there are at most n^workers sets of operations that
//! can come first, so the search is polynomial in the length of the history, and mostly linear for histories of real
//! servers. It is bounded in steps and memory; if it gives up, the answer is `undecided`, with the reason.
//!
//! # The accounts
//! The accounts count *units*, level by level: level *l* lies between *l* and *l* + 1. However the counter moved,
//! between its initial and its final value it rose through a level once more than it fell (or as often, or once less,
//! depending on where the two lie). If told adds, takes and sets rose through it more often than that, the units in
//! excess are lost acknowledged adds (if no adds rose there, something unrecorded took the counter down: `missing`). If
//! less often, they are lost acknowledged removals, or something unrecorded added: `surplus`. Loose adds then explain
//! what they can. For a counter that rises, this is the ledger of [`super`]: `lost = (told − distinct) + those beyond
//! the end`. A linearizable history has clean accounts: its loose adds cross each level as often as the told operations
//! leave open. The identity at [`Units`] holds for any input: what is open, summed over all levels, is the difference
//! between what the operations add up to and what the counter gained. `deficit` is that difference; in it, a lost +5
//! and a lost −5 cancel out.
//!
//! `Ledger::lost` counts updates. If all adds are of one amount, it is counted as in [`super`]; otherwise it is the
//! fewest acknowledged adds that can make up the lost units.
//!
//! Limits: *oversold* is how far the counter, or the amount granted, went beyond a limit. Without takes and sets, the
//! amount granted is the sum of the acknowledged adds, even if some are lost; with them, only the values told show it.

use super::levels::Units;
use super::one_way::{OneWay, clamp};
use super::operation::{Action, Counter, Item, Operation, Reply};
use super::search::{self, Found};
use super::witness::{Fault, Witness};
use super::{Judgement, Order, Seen, accounts, bounds, limits};
use crate::verdict::Ledger;

/// The result of judging a general history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// The accounts in updates, all counters summed, and whether some order explains everything.
    pub judgement: Judgement,
    /// The accounts in units, all counters summed; `None` if unknown, for example because a take was told no value.
    pub units: Option<Units>,
    /// By how many units the worst of the counters went beyond a limit.
    pub oversold: i128,
    /// How many adds were denied although the counter was below the limit all the while, as far as a scan shows.
    pub undersold: u64,
    /// How many reads there are; no account includes them.
    pub reads: u64,
}

/// Judges operations of any kind: `lanes` are the operations of each worker in its own order, as for
/// [`super::check`], and `counters` what is known of each counter.
///
/// ```
/// use redis_lost_updates::history::{Action, Counter, Operation, Order, Reply, judge};
/// let op = |begin_ns, end_ns, action, reply| Operation { key: 0, begin_ns, end_ns, action, reply };
/// // 5 are added, all are taken, 2 are added.
/// let lane = [
///     op(0, 1, Action::Add(5), Reply::Told(5)),
///     op(2, 3, Action::Take, Reply::Told(5)),
///     op(4, 5, Action::Add(2), Reply::Told(2)),
/// ];
/// let counter = Counter { last: Some(2), ..Counter::default() };
/// assert_eq!(judge(&[&lane], &[counter]).judgement.order, Order::Linearizable);
/// ```
pub fn judge(lanes: &[&[Operation]], counters: &[Counter]) -> Findings {
    let mut all = Findings {
        judgement: Judgement { ledger: Ledger::default(), order: Order::Linearizable },
        units: Some(Units::default()),
        oversold: 0,
        undersold: 0,
        reads: 0,
    };
    let mut buckets: Vec<Vec<Item>> = vec![Vec::new(); counters.len()];
    let mut strays = 0;
    for (worker, lane) in (0..).zip(lanes) {
        for (index, &op) in (0..).zip(*lane) {
            match buckets.get_mut(usize::from(op.key)) {
                Some(bucket) => bucket.push(Item { worker, index, op }),
                None => strays += 1,
            }
        }
    }
    for (key, (items, counter)) in buckets.into_iter().zip(counters).enumerate() {
        all.add(one(key, &items, counter));
    }
    if strays > 0 {
        let why = format!("{strays} operations were of counters that are not among those judged");
        all.judgement.order = all.judgement.order.and(Order::Undecided(why));
    }
    all
}

impl Findings {
    fn add(&mut self, other: Self) {
        self.judgement.ledger += other.judgement.ledger;
        let order = std::mem::replace(&mut self.judgement.order, Order::Linearizable);
        self.judgement.order = order.and(other.judgement.order);
        self.units = self.units.zip(other.units).map(|(one, two)| one.plus(&two));
        self.oversold = self.oversold.max(other.oversold);
        self.undersold += other.undersold;
        self.reads += other.reads;
    }
}

/// Judges one counter.
fn one(key: usize, all: &[Item], counter: &Counter) -> Findings {
    let items: Vec<Item> = all.iter().filter_map(relevant).collect();
    let end = accounts::end(&items, counter);
    // Without a final read, the end is known only if every operation was told a value or the counter goes one way.
    let told = items.iter().all(|item| item.told().is_some() || item.op.reply == Reply::Denied);
    let known = counter.last.is_some() || told || OneWay::of(&items, counter, true).is_some();
    let units = if known { Units::of(&items, counter, end) } else { None };
    let mut ledger = accounts::ledger(all, counter, units.as_ref(), end);
    let mut fault = None;
    let order = match decide(&items, counter, units.as_ref()) {
        Ok(()) if counter.last.is_none() && items.iter().any(|item| item.op.reply == Reply::Done) => Order::Undecided(
            "the counter was not read at the end, so updates acknowledged without a value cannot be found in it"
                .to_owned(),
        ),
        Ok(()) => Order::Linearizable,
        Err(Found::GaveUp(why)) => Order::Undecided(why),
        Err(Found::NoOrder(why)) => {
            fault = Some(why.clone());
            Order::Violated(Witness { key, fault: why })
        }
        Err(Found::Order) => Order::Linearizable,
    };
    let clean = [ledger.lost, ledger.doubled, ledger.phantom, ledger.repeated] == [0; 4];
    let of_limits = matches!(fault, Some(Fault::Oversold { .. } | Fault::Undersold { .. }));
    match order {
        Order::Violated(_) if clean && !of_limits => ledger.stale = ledger.stale.max(1),
        _ if clean => ledger.stale = 0,
        _ => {}
    }
    let (mut oversold, limit) = limits::oversold(&items, counter);
    if let Some(Fault::Oversold { value, limit, .. }) = fault {
        oversold = oversold.max(value.abs_diff(limit).into());
    }
    let order = match order {
        Order::Linearizable | Order::Undecided(_) if oversold > 0 => {
            let fault = Fault::Oversold { value: clamp(limit + oversold), limit: clamp(limit), update: None };
            Order::Violated(Witness { key, fault })
        }
        order => order,
    };
    let undersold = limits::undersold(&items, counter).max(u64::from(matches!(fault, Some(Fault::Undersold { .. }))));
    let reads = all.iter().filter(|item| item.op.action == Action::Read).count() as u64;
    Findings { judgement: Judgement { ledger, order }, units, oversold, undersold, reads }
}

/// The operation, if it says anything about the counter: a failed one or a read without a value does not. An add of 0
/// counts as a read.
fn relevant(item: &Item) -> Option<Item> {
    let mut item = *item;
    if item.op.action == Action::Add(0) && item.op.reply != Reply::Denied {
        item.op.action = Action::Read;
    }
    match (item.op.action, item.op.reply) {
        (_, Reply::Failed) => None,
        (Action::Read, Reply::Told(_)) => Some(item),
        (Action::Read, _) => None,
        _ => Some(item),
    }
}

fn decide(items: &[Item], counter: &Counter, units: Option<&Units>) -> Result<(), Found> {
    if let Some(one_way) = OneWay::of(items, counter, true) {
        return one_way.decide().map_err(Found::NoOrder);
    }
    let told_all = items.iter().all(|item| item.op.reply != Reply::Done);
    if told_all && OneWay::of(items, counter, false).is_some_and(|one_way| one_way.decide().is_ok()) {
        return Ok(());
    }
    limits::beyond_limit(items, counter).map_err(Found::NoOrder)?;
    if !items.iter().any(|item| matches!(item.op.action, Action::Take | Action::Set(_))) {
        bounds::check(items, counter).map_err(Found::NoOrder)?;
    }
    if let (Some(units), Some(_)) = (units, counter.last)
        && !units.is_clean()
    {
        return Err(Found::NoOrder(unbalanced(items, units)));
    }
    match search::search(items, counter) {
        Found::Order => Ok(()),
        other => Err(other),
    }
}

/// The fault of accounts that do not balance: two operations that claim the same step, or else the sums.
fn unbalanced(items: &[Item], units: &Units) -> Fault {
    let step = |item: &Item| match (item.op.action, item.op.reply) {
        (Action::Read, _) => None,
        (action, Reply::Told(value)) => Some((action, value)),
        _ => None,
    };
    let mut steps: Vec<&Item> = items.iter().filter(|item| step(item).is_some()).collect();
    // Stable, so that of each step the first in time leads.
    steps.sort_by_key(|item| (step(item), item.begin(), item.end()));
    let repeats = steps.windows(2).filter(|pair| step(pair[0]) == step(pair[1]));
    let overlapping = repeats.filter(|pair| !pair[0].before(pair[1]) && !pair[1].before(pair[0]));
    let pair = overlapping.min_by_key(|pair| pair[1].begin());
    match pair {
        Some(pair) => Fault::SameStep { first: Seen::from(pair[0]), second: Seen::from(pair[1]) },
        None => Fault::Unbalanced {
            lost: clamp(units.lost_added + units.lost_removed + units.set_twice + units.missing),
            surplus: clamp(units.surplus + units.taken_twice),
        },
    }
}
