//! Counters that only move in one direction: decided exactly, with reads and limits. The theorem is in [`super::general`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Seen;
use super::operation::{Action, Counter, Item, Reply};
use super::told::Own;
use super::witness::Fault;

/// A history of one counter, shifted, and negated if it falls, so that it rises from 0.
pub(super) struct OneWay<'a> {
    items: &'a [Item],
    sign: i128,
    initial: i128,
    found: Option<i128>,
    limit: Option<i128>,
    /// The amount of every add that was told no value.
    step: Option<i128>,
    claims: Vec<Claim>,
}

/// A told add: it took the counter from `from` to `to`.
#[derive(Clone, Copy)]
struct Claim {
    from: i128,
    to: i128,
    item: Item,
}

/// A told add, a read or a denied add, and where it must stand: 2v if it made v, 2v + 1 if it found v.
struct Mark {
    place: i128,
    item: Item,
    /// A denied add must come after the limit is reached, but may come later.
    at_least: bool,
}

impl<'a> OneWay<'a> {
    /// The history in this form; `None` if the counter may go both ways or is set, or if adds that were told no value
    /// have different amounts.
    pub(super) fn of(items: &'a [Item], counter: &Counter, with_unknown: bool) -> Option<Self> {
        let (mut sign, mut step) = (0, None);
        for item in items {
            let amount = match (item.op.action, item.op.reply) {
                (Action::Read, _) => continue,
                (Action::Add(_), Reply::Unknown) if !with_unknown => continue,
                (Action::Add(amount), _) => i128::from(amount),
                (Action::Take | Action::Set(_), _) => return None,
            };
            if amount == 0 || sign * amount.signum() < 0 {
                return None;
            }
            sign = amount.signum();
            if matches!(item.op.reply, Reply::Done | Reply::Unknown)
                && *step.get_or_insert(amount.abs()) != amount.abs()
            {
                return None;
            }
        }
        let sign = if sign == 0 { 1 } else { sign };
        let initial = i128::from(counter.initial);
        let turned = |value: i64| sign * (i128::from(value) - initial);
        let limit = if sign > 0 { counter.max } else { counter.min };
        let mut claims: Vec<Claim> = items
            .iter()
            .filter_map(|&item| match (item.op.action, item.op.reply) {
                (Action::Add(amount), Reply::Told(value)) => {
                    let to = turned(value);
                    Some(Claim { from: to - sign * i128::from(amount), to, item })
                }
                _ => None,
            })
            .collect();
        claims.sort_by_key(|claim| (claim.to, claim.item.begin(), claim.item.end()));
        let (found, limit) = (counter.last.map(turned), limit.map(turned));
        Some(Self { items, sign, initial, found, limit, step, claims })
    }

    /// Whether an order of the operations explains everything.
    pub(super) fn decide(&self) -> Result<(), Fault> {
        self.single_rows()?;
        self.claims_are_disjoint()?;
        let marks = self.marks()?;
        let order = Order::of(&marks)?;
        self.fill(&order)
    }

    /// How many denied adds ended before the limit was reached, or were denied although it never was.
    pub(super) fn undersold(&self) -> u64 {
        // The values found, by the begin of the operation that found them; then, for each begin, the least found from
        // then on.
        let mut found: Vec<(u64, i128)> = self.claims.iter().map(|claim| (claim.item.begin(), claim.from)).collect();
        found.extend(self.reads().map(|(value, item)| (item.begin(), value)));
        found.sort_unstable();
        let mut least = i128::MAX;
        for (_, value) in found.iter_mut().rev() {
            least = least.min(*value);
            *value = least;
        }
        let below = |item: &&Item| {
            let Some(needed) = self.denied_from(item) else { return true };
            let later = found.partition_point(|&(begin, _)| begin <= item.end());
            self.reached(needed).is_none() || found.get(later).is_some_and(|&(_, value)| value < needed)
        };
        self.items.iter().filter(|item| item.op.reply == Reply::Denied).filter(below).count() as u64
    }

    fn value(&self, turned: i128) -> i64 {
        clamp(self.sign * turned)
    }

    fn turned(&self, value: i128) -> i128 {
        self.sign * (value - self.initial)
    }

    fn largest_told(&self) -> i128 {
        self.claims.last().map_or(0, |claim| claim.to)
    }

    fn reads(&self) -> impl Iterator<Item = (i128, Item)> {
        let read = |item: &&Item| item.op.action == Action::Read;
        self.items.iter().filter(read).filter_map(|item| item.told().map(|value| (self.turned(value), *item)))
    }

    /// What a single row shows to be wrong: a value out of reach.
    fn single_rows(&self) -> Result<(), Fault> {
        let seen = |item: &Item| Seen::from(item);
        if let Some(claim) = self.claims.iter().filter(|claim| claim.from < 0).min_by_key(|claim| claim.item.begin()) {
            return Err(Fault::BelowStart { update: seen(&claim.item) });
        }
        if let Some((_, item)) = self.reads().find(|&(value, _)| value < 0) {
            return Err(Fault::NeverHeld { read: seen(&item), passed: None });
        }
        let largest = self.claims.last().map(|claim| (claim.to, claim.item));
        let top = largest.into_iter().chain(self.reads()).max_by_key(|&(value, _)| value);
        if let (Some(found), Some((value, item))) = (self.found, top)
            && value > found
        {
            return Err(self.ended(found, Some(seen(&item))));
        }
        if let (Some(found), None) = (self.found.filter(|&found| found < 0), top) {
            return Err(self.ended(found, None));
        }
        // Without an add, nothing was granted.
        let is_add = |item: &Item| matches!(item.op.action, Action::Add(_)) && item.op.reply != Reply::Denied;
        let Some(limit) = self.limit.filter(|_| self.items.iter().any(is_add)) else { return Ok(()) };
        let told = self.claims.iter().map(|claim| (claim.to, claim.item)).chain(self.reads());
        let above = told.filter(|&(value, _)| value > limit.max(0)).min_by_key(|&(value, _)| value);
        let oversold = |value, update| Fault::Oversold { value: self.value(value), limit: self.value(limit), update };
        match above {
            Some((value, item)) => Err(oversold(value, Some(seen(&item)))),
            None => match self.found.filter(|&found| found > limit.max(0)) {
                Some(found) => Err(oversold(found, None)),
                None => Ok(()),
            },
        }
    }

    /// The fault of a counter that ended below a value told, or below its start.
    fn ended(&self, found: i128, told: Option<Seen>) -> Fault {
        let acked = |item: &&Item| matches!(item.op.reply, Reply::Told(_) | Reply::Done);
        let units = |items: &mut dyn Iterator<Item = &Item>| -> i128 {
            items.map(|item| if let Action::Add(amount) = item.op.action { i128::from(amount).abs() } else { 0 }).sum()
        };
        let least = units(&mut self.items.iter().filter(acked));
        let open = units(&mut self.items.iter().filter(|item| item.op.reply == Reply::Unknown));
        let (least, most) = (self.value(least), self.value(least + open));
        Fault::Ended { found: self.value(found), least, most, told }
    }

    fn claims_are_disjoint(&self) -> Result<(), Fault> {
        for pair in self.claims.windows(2) {
            let (first, second) = (&pair[0], &pair[1]);
            if second.from >= first.to {
                continue;
            }
            let (one, two) = (Seen::from(&first.item), Seen::from(&second.item));
            let same = (first.from, first.to) == (second.from, second.to);
            return Err(if same {
                Fault::SameValue { value: self.value(first.to), first: one, second: two }
            } else {
                Fault::Clash { first: one, second: two }
            });
        }
        Ok(())
    }

    /// The least value at or above `least` that the counter holds at some time, or the add that jumps over `least`.
    fn held_from(&self, least: i128) -> Result<i128, Option<Item>> {
        if least <= 0 {
            return Ok(0);
        }
        let next = self.claims.partition_point(|claim| claim.to < least);
        if let Some(claim) = self.claims.get(next)
            && claim.from < least
        {
            return if claim.to == least { Ok(least) } else { Err(Some(claim.item)) };
        }
        // Between told adds only steps of one size are possible.
        let from = next.checked_sub(1).map_or(0, |before| self.claims[before].to);
        match self.step {
            _ if least == from => Ok(least),
            Some(step) if (least - from) % step == 0 => Ok(least),
            _ => Err(None),
        }
    }

    /// Like [`Self::held_from`], rounded up; `None` if the counter never gets there.
    fn reached(&self, least: i128) -> Option<i128> {
        let value = match self.held_from(least) {
            Ok(value) => value,
            Err(Some(item)) => self.turned(item.told()?),
            Err(None) => {
                let next = self.claims.partition_point(|claim| claim.to < least);
                let from = next.checked_sub(1).map_or(0, |before| self.claims[before].to);
                from + (least - from + self.step? - 1) / self.step? * self.step?
            }
        };
        let open = self.found.is_none() && self.step.is_some();
        let top = self.found.unwrap_or(self.largest_told());
        let allowed = self.limit.is_none_or(|limit| value <= limit.max(0));
        ((value <= top || open) && allowed).then_some(value)
    }

    /// The least value at which an add may be denied.
    fn denied_from(&self, item: &Item) -> Option<i128> {
        match item.op.action {
            Action::Add(amount) => self.limit.map(|limit| limit - i128::from(amount).abs() + 1),
            _ => None,
        }
    }

    /// Told adds, reads and denied adds with their places, ordered by place.
    fn marks(&self) -> Result<Vec<Mark>, Fault> {
        let mut marks: Vec<Mark> =
            self.claims.iter().map(|c| Mark { place: 2 * c.to, item: c.item, at_least: false }).collect();
        for (value, item) in self.reads() {
            if let Err(by) = self.held_from(value) {
                return Err(Fault::NeverHeld { read: Seen::from(&item), passed: by.as_ref().map(Seen::from) });
            }
            marks.push(Mark { place: 2 * value + 1, item, at_least: false });
        }
        for &item in self.items.iter().filter(|item| item.op.reply == Reply::Denied) {
            let needed = self.denied_from(&item);
            let Some(value) = needed.and_then(|needed| self.reached(needed)) else {
                let needed = needed.map(|needed| self.value(needed));
                return Err(Fault::Undersold { update: Seen::from(&item), needed });
            };
            marks.push(Mark { place: 2 * value + 1, item, at_least: true });
        }
        marks.sort_by_key(|mark| mark.place);
        Ok(marks)
    }

    /// Fills the gaps between told adds with adds that were told no value: earliest deadline first.
    fn fill(&self, order: &Order) -> Result<(), Fault> {
        let top = self.found.unwrap_or(order.top());
        let step = self.step.unwrap_or(0);
        let mut loose = self.windows(order);
        loose.sort_unstable_by_key(|loose| loose.after);
        let mut coming = loose.iter().peekable();
        let mut waiting: BinaryHeap<Reverse<Loose>> = BinaryHeap::new();
        let mut at = 0;
        for claim in self.claims.iter().map(Some).chain([None]) {
            let until = claim.map_or(top, |claim| claim.from);
            // However far away `until` is, this ends once the adds run out.
            while at < until {
                let next = at + step;
                if step == 0 || next > until {
                    return Err(self.nobody(at + 1, claim));
                }
                while let Some(&loose) = coming.next_if(|loose| loose.after < 2 * next) {
                    waiting.push(Reverse(loose));
                }
                match waiting.pop() {
                    Some(Reverse(loose)) if loose.before > 2 * next => at = next,
                    Some(Reverse(loose)) => return Err(self.nowhere(&loose)),
                    None => return Err(self.nobody(next, claim)),
                }
            }
            at = claim.map_or(at, |claim| claim.to);
        }
        let left: Vec<Loose> = waiting.into_iter().map(|Reverse(loose)| loose).chain(coming.copied()).collect();
        let blind: Vec<&Loose> = left.iter().filter(|loose| loose.blind).collect();
        // If the counter was not read, all we know is that it went on from there.
        if let Some(loose) = blind.iter().filter(|l| self.found.is_some() || l.before < i128::MAX).min() {
            return Err(self.nowhere(loose));
        }
        let end = top + step * blind.len() as i128;
        match self.limit {
            Some(limit) if end > limit && !blind.is_empty() => {
                Err(Fault::Oversold { value: self.value(end), limit: self.value(limit), update: None })
            }
            _ => Ok(()),
        }
    }

    fn nobody(&self, value: i128, next: Option<&Claim>) -> Fault {
        let read =
            || self.reads().filter(|&(read, _)| read >= value).min_by_key(|&(read, _)| read).map(|(_, item)| item);
        let next = next.map(|claim| claim.item).or_else(read);
        Fault::NobodyMade { value: self.value(value), next: next.as_ref().map(Seen::from) }
    }

    fn nowhere(&self, loose: &Loose) -> Fault {
        let bound = |place: i128| Some(self.value(place.div_euclid(2)));
        let after = if loose.after <= 0 { None } else { bound(loose.after) };
        let before = if loose.before == i128::MAX { None } else { bound(loose.before + loose.before.rem_euclid(2)) };
        let (after, before) = if self.sign > 0 { (after, before) } else { (before, after) };
        Fault::NoRoom { update: Seen::from(&loose.item), after, before }
    }

    /// The window of every add that was told no value.
    fn windows(&self, order: &Order) -> Vec<Loose> {
        let (mut loose, mut own) = (Vec::new(), Own::default());
        let is_loose = |item: &Item| {
            matches!(item.op.action, Action::Add(_)) && matches!(item.op.reply, Reply::Done | Reply::Unknown)
        };
        let unknown_too = |item: &Item| self.step.is_some() && is_loose(item);
        let ranked = order.ranked(self.items);
        for (item, &rank) in self.items.iter().zip(&ranked) {
            let before = own.step(item.worker, (item.op.begin_ns, item.op.end_ns), rank);
            if unknown_too(item) {
                let rank = before.max(order.largest_before(item.begin()));
                let blind = item.op.reply == Reply::Done;
                loose.push(Loose { after: order.place(rank).unwrap_or(0), before: i128::MAX, blind, item: *item });
            }
        }
        let (mut own, mut last) = (Own::default(), loose.len());
        for (item, &rank) in self.items.iter().zip(&ranked).rev() {
            let rank = rank.filter(|_| item.op.reply != Reply::Denied).map(|rank| -rank);
            let (begin, end) = (item.op.begin_ns, item.op.end_ns);
            let next = own.step(item.worker, (u64::MAX - end, u64::MAX - begin), rank);
            if unknown_too(item) {
                last -= 1;
                if loose[last].blind {
                    let next = next.checked_neg().unwrap_or(i64::MAX).min(order.least_after(end));
                    loose[last].before = order.place(next).unwrap_or(i128::MAX);
                }
            }
        }
        loose
    }
}

/// An add that was told no value, and the open window of places where it can stand.
#[derive(Clone, Copy)]
struct Loose {
    after: i128,
    before: i128,
    blind: bool,
    item: Item,
}

impl Loose {
    /// The order in which adds are assigned: earliest end of the window, blind before unknown, then by time and worker.
    fn urgency(&self) -> (i128, bool, u64, u64, u32, u32) {
        let op = &self.item.op;
        (self.before, !self.blind, op.end_ns, op.begin_ns, self.item.worker, self.item.index)
    }
}

impl Ord for Loose {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.urgency().cmp(&other.urgency())
    }
}

impl PartialOrd for Loose {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Loose {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Loose {}

/// Marks ordered by place, checked to respect the clock and each worker's own order.
struct Order {
    /// Distinct places, ascending; a rank is an index into these.
    places: Vec<i128>,
    /// Worker, index and rank of each mark, lane by lane.
    ranks: Vec<(u32, u32, i64)>,
    /// For each rank, the least end of the marks there or above.
    ended: Vec<u64>,
    /// For each rank, the largest begin of the marks there or below; denied adds bound nothing from above.
    begun: Vec<u64>,
}

impl Order {
    fn of(marks: &[Mark]) -> Result<Self, Fault> {
        let mut places: Vec<i128> = marks.iter().map(|mark| mark.place).collect();
        places.dedup();
        let mut ended = vec![u64::MAX; places.len() + 1];
        // A begin of 0 comes after no end, so 0 can stand for no begin.
        let mut begun = vec![0; places.len()];
        let mut ranks = Vec::with_capacity(marks.len());
        let mut rank = 0;
        for mark in marks {
            rank += usize::from(places[rank] < mark.place);
            ended[rank] = ended[rank].min(mark.item.end());
            if !mark.at_least {
                begun[rank] = begun[rank].max(mark.item.begin());
            }
            ranks.push((mark.item.worker, mark.item.index, rank as i64));
        }
        for rank in (0..places.len()).rev() {
            ended[rank] = ended[rank].min(ended[rank + 1]);
        }
        for rank in 1..begun.len() {
            begun[rank] = begun[rank].max(begun[rank - 1]);
        }
        let mut order = Self { places, ranks, ended, begun };
        order.keeps_time(marks)?;
        order.ranks.sort_unstable();
        Ok(order)
    }

    /// Checks that no mark comes after one with a higher place.
    fn keeps_time(&self, marks: &[Mark]) -> Result<(), Fault> {
        let mut lanes: Vec<(&Mark, i64)> = marks.iter().zip(self.ranks.iter().map(|&(_, _, rank)| rank)).collect();
        lanes.sort_unstable_by_key(|(mark, _)| (mark.item.worker, mark.item.index));
        let (mut own, mut late) = (Own::default(), None::<&Mark>);
        for (mark, rank) in lanes {
            let item = &mark.item;
            let before = own.step(item.worker, (item.op.begin_ns, item.op.end_ns), Some(rank));
            let wrong = before > rank || self.ended[rank as usize + 1] < item.begin();
            if wrong && !mark.at_least && late.is_none_or(|late| item.begin() < late.item.begin()) {
                late = Some(mark);
            }
        }
        let Some(later) = late else { return Ok(()) };
        let earlier = marks.iter().filter(|mark| mark.place > later.place && mark.item.before(&later.item));
        match earlier.min_by_key(|mark| mark.item.end()) {
            Some(earlier) => {
                Err(Fault::OutOfOrder { earlier: Seen::from(&earlier.item), later: Seen::from(&later.item) })
            }
            None => Ok(()),
        }
    }

    /// The rank of each of `items`, which are ordered by lane.
    fn ranked(&self, items: &[Item]) -> Vec<Option<i64>> {
        let mut ranks = self.ranks.iter().peekable();
        let rank = |item: &Item| {
            ranks.next_if(|&&(worker, index, _)| (worker, index) == (item.worker, item.index)).map(|&(_, _, rank)| rank)
        };
        items.iter().map(rank).collect()
    }

    fn place(&self, rank: i64) -> Option<i128> {
        usize::try_from(rank).ok().and_then(|rank| self.places.get(rank).copied())
    }

    /// The largest value that any mark requires the counter to have held.
    fn top(&self) -> i128 {
        self.places.last().map_or(0, |place| place / 2)
    }

    fn largest_before(&self, begin: u64) -> i64 {
        self.ended[..self.places.len()].partition_point(|&end| end < begin) as i64 - 1
    }

    fn least_after(&self, end: u64) -> i64 {
        let after = self.begun.partition_point(|&begin| begin <= end);
        if after == self.begun.len() { i64::MAX } else { after as i64 }
    }
}

/// The value, limited to what a figure in a witness can hold.
pub(super) fn clamp(value: i128) -> i64 {
    value.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}
