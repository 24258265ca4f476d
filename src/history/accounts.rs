//! The accounts of a general history in updates, and where its counter ended.

use super::levels::Units;
use super::one_way::clamp;
use super::operation::{Action, Counter, Item, Reply};
use crate::update::{Event, Outcome};
use crate::verdict::Ledger;

/// The accounts in updates.
pub(super) fn ledger(all: &[Item], counter: &Counter, units: Option<&Units>, end: i128) -> Ledger {
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

/// Where the counter ended; if it was not read, where its operations imply that it ended.
pub(super) fn end(items: &[Item], counter: &Counter) -> i128 {
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

/// What an operation adds, unless it was denied or is no add.
pub(super) fn amount(item: &Item) -> Option<i64> {
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
