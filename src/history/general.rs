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
use super::{Judgement, Order, Seen, bounds};
use crate::update::{Event, Outcome};
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
    let end = end(&items, counter);
    // Without a final read, the end is known only if every operation was told a value or the counter goes one way.
    let told = items.iter().all(|item| item.told().is_some() || item.op.reply == Reply::Denied);
    let known = counter.last.is_some() || told || OneWay::of(&items, counter, true).is_some();
    let units = if known { Units::of(&items, counter, end) } else { None };
    let mut ledger = ledger(all, counter, units.as_ref(), end);
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
    let (mut oversold, limit) = oversold(&items, counter);
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
    let undersold = undersold(&items, counter).max(u64::from(matches!(fault, Some(Fault::Undersold { .. }))));
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
    beyond_limit(items, counter).map_err(Found::NoOrder)?;
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

/// An add that was told more than the limit allows.
fn beyond_limit(items: &[Item], counter: &Counter) -> Result<(), Fault> {
    for item in items {
        if let (Action::Add(amount), Reply::Told(value)) = (item.op.action, item.op.reply)
            && !counter.allows(amount, value.into())
        {
            let limit = if amount > 0 { counter.max } else { counter.min }.unwrap_or(value);
            let relative = |value: i64| clamp(i128::from(value) - i128::from(counter.initial));
            let update = Some(Seen::from(item));
            return Err(Fault::Oversold { value: relative(value), limit: relative(limit), update });
        }
    }
    Ok(())
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

/// Where the counter ended; if it was not read, where its operations imply that it ended.
fn end(items: &[Item], counter: &Counter) -> i128 {
    if let Some(last) = counter.last {
        return last.into();
    }
    let initial = i128::from(counter.initial);
    let signs: Vec<i64> = items.iter().filter_map(|item| amount(item).map(i64::signum)).collect();
    let resets = items.iter().any(|item| matches!(item.op.action, Action::Take | Action::Set(_)));
    if resets || (signs.contains(&1) && signs.contains(&-1)) {
        return unread(items, initial);
    }
    let sign = i128::from(signs.first().copied().unwrap_or(1));
    let far = items.iter().filter_map(|item| item.told().map(|value| sign * (value - initial))).max().unwrap_or(0);
    let far = far.max(0);
    let blind = |item: &&Item| item.op.reply == Reply::Done;
    let blind: i128 = items.iter().filter(blind).filter_map(amount).map(|a| i128::from(a).abs()).sum();
    let told = |item: &&Item| item.told().is_some();
    let told: i128 = items.iter().filter(told).filter_map(amount).map(|a| i128::from(a).abs()).sum();
    initial + sign * (far + (blind - (far - told.min(far))).max(0))
}

fn amount(item: &Item) -> Option<i64> {
    match item.op.action {
        Action::Add(amount) if item.op.reply != Reply::Denied => Some(amount),
        _ => None,
    }
}

/// Where the told steps end: the value entered more often than left, the largest if there are several.
fn unread(items: &[Item], initial: i128) -> i128 {
    let mut visits = std::collections::BTreeMap::from([(initial, 1_i64)]);
    for item in items {
        let Some(told) = item.told() else { continue };
        let (from, to) = match item.op.action {
            Action::Add(amount) => (told - i128::from(amount), told),
            Action::Take => (told, 0),
            Action::Set(to) => (told, to.into()),
            Action::Read => continue,
        };
        *visits.entry(from).or_default() -= 1;
        *visits.entry(to).or_default() += 1;
    }
    visits.into_iter().filter(|&(_, more)| more > 0).map(|(value, _)| value).max().unwrap_or(initial)
}

/// The accounts in updates.
fn ledger(all: &[Item], counter: &Counter, units: Option<&Units>, end: i128) -> Ledger {
    let changes: Vec<&Item> = all.iter().filter(|item| item.op.action != Action::Read).collect();
    if let Some(ledger) = of_one_amount(&changes, counter) {
        return ledger;
    }
    let count = |wanted: &[Reply]| {
        let is = |item: &&&Item| {
            wanted.contains(&item.op.reply)
                || (wanted.contains(&Reply::Done) && matches!(item.op.reply, Reply::Told(_)))
        };
        changes.iter().filter(is).count() as u64
    };
    let (acked, refused) = (count(&[Reply::Done]), count(&[Reply::Failed, Reply::Denied]));
    let mut ledger = Ledger {
        attempted: changes.len() as u64,
        acked,
        refused,
        unknown: count(&[Reply::Unknown]),
        tries: changes.len() as u64,
        found: clamp(end - i128::from(counter.initial)),
        ..Ledger::default()
    };
    let Some(units) = units else { return ledger };
    let amounts = |sign: i64, failed: bool| {
        let mut amounts: Vec<i128> = changes
            .iter()
            .filter(|item| {
                if failed {
                    item.op.reply == Reply::Failed
                } else {
                    matches!(item.op.reply, Reply::Told(_) | Reply::Done)
                }
            })
            .filter_map(|item| match item.op.action {
                Action::Add(amount) if amount.signum() == sign => Some(i128::from(amount).abs()),
                _ => None,
            })
            .collect();
        amounts.sort_unstable_by(|a, b| b.cmp(a));
        amounts
    };
    let added = units.surplus + units.taken_twice;
    let by_failed = amounts(1, true).iter().sum::<i128>().min(added);
    let everything = amounts(1, false);
    ledger.lost = fewest(units.lost_added, &everything) + fewest(units.lost_removed, &amounts(-1, false));
    ledger.overwritten = ledger.lost;
    ledger.phantom = fewest(by_failed, &amounts(1, true));
    ledger.doubled = at_least(added - by_failed, everything.first().copied());
    ledger
}

/// How many of `amounts`, largest first, it takes to make up `units`.
fn fewest(units: i128, amounts: &[i128]) -> u64 {
    let before = amounts.iter().scan(0, |sum, &amount| Some(std::mem::replace(sum, *sum + amount)));
    before.take_while(|&sum| sum < units).count() as u64
}

/// How many times `amount` it takes to make up `units`.
fn at_least(units: i128, amount: Option<i128>) -> u64 {
    let amount = amount.unwrap_or(1).max(1);
    u64::try_from((units + amount - 1) / amount).unwrap_or(u64::MAX)
}

/// If everything adds one amount, the ledger of increments by that amount.
fn of_one_amount(changes: &[&Item], counter: &Counter) -> Option<Ledger> {
    let mut step = None;
    for item in changes {
        let Action::Add(amount) = item.op.action else { return None };
        if amount == 0 || *step.get_or_insert(amount) != amount {
            return None;
        }
    }
    let step = i128::from(step.unwrap_or(1));
    let steps = |value: i64| (i128::from(value) - i128::from(counter.initial)).div_euclid(step);
    let exact = |value: i64| (i128::from(value) - i128::from(counter.initial)) % step == 0;
    if counter.last.is_some_and(|last| !exact(last)) {
        return None;
    }
    let mut lanes: Vec<Vec<Event>> = Vec::new();
    let mut worker = None;
    for item in changes {
        if worker.replace(item.worker) != Some(item.worker) {
            lanes.push(Vec::new());
        }
        let outcome = match item.op.reply {
            // No number of such adds makes it: as impossible as a value below the start.
            Reply::Told(value) if !exact(value) => Outcome::Acked(0),
            Reply::Told(value) => Outcome::Acked(clamp(steps(value))),
            Reply::Done => Outcome::AckedBlind,
            Reply::Failed | Reply::Denied => Outcome::Refused,
            Reply::Unknown => Outcome::Unknown,
        };
        if let Some(lane) = lanes.last_mut() {
            lane.push(Event::new(0, item.op.begin_ns, item.op.end_ns, 1, outcome));
        }
    }
    let lanes: Vec<&[Event]> = lanes.iter().map(Vec::as_slice).collect();
    let gained = counter.last.map(|last| clamp(steps(last)));
    Some(super::check_known(&lanes, &[gained]).ledger)
}

/// How far the counter, or the amount granted, went beyond a limit; and that limit, relative to the start.
fn oversold(items: &[Item], counter: &Counter) -> (i128, i128) {
    let initial = i128::from(counter.initial);
    let resets = items.iter().any(|item| matches!(item.op.action, Action::Take | Action::Set(_)));
    let beyond = |sign: i128, limit: Option<i64>| {
        let Some(limit) = limit.map(i128::from) else { return (0, 0) };
        let (mut granted, mut excuse, mut worst) = (0, 0, 0);
        for item in items {
            let Some(amount) = amount(item).map(|amount| sign * i128::from(amount)) else { continue };
            match item.op.reply {
                Reply::Unknown => excuse += amount.min(0),
                _ => granted += amount,
            }
            if let (Some(told), true) = (item.told(), amount > 0) {
                worst = worst.max(sign * (told - limit));
            }
        }
        if granted > 0 && !resets {
            worst = worst.max(sign * (initial - limit) + granted + excuse);
            let last = counter.last.map_or(0, |last| sign * (i128::from(last) - limit));
            let grew = counter.last.is_some_and(|last| sign * (i128::from(last) - initial) > 0);
            worst = worst.max(if grew { last } else { 0 });
        }
        (worst.max(0), limit - initial)
    };
    let (over, under) = (beyond(1, counter.max), beyond(-1, counter.min));
    if over.0 >= under.0 { over } else { (under.0, under.1) }
}

/// How many adds were denied although the counter was provably below its limit; only for a counter that goes one way.
fn undersold(items: &[Item], counter: &Counter) -> u64 {
    let denied = |item: &&Item| item.op.reply == Reply::Denied;
    if !items.iter().any(|item| denied(&item)) {
        return 0;
    }
    OneWay::of(items, counter, true).map_or(0, |one_way| one_way.undersold())
}
