//! Limits: adds that went beyond one, and adds that were denied below it.

use super::Seen;
use super::accounts::amount;
use super::one_way::{OneWay, clamp};
use super::operation::{Action, Counter, Item, Reply};
use super::witness::Fault;

/// An add that was told more than the limit allows.
pub(super) fn beyond_limit(items: &[Item], counter: &Counter) -> Result<(), Fault> {
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

/// How far the counter, or the amount granted, went beyond a limit; and that limit, relative to the start.
pub(super) fn oversold(items: &[Item], counter: &Counter) -> (i128, i128) {
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
pub(super) fn undersold(items: &[Item], counter: &Counter) -> u64 {
    let denied = |item: &&Item| item.op.reply == Reply::Denied;
    if !items.iter().any(|item| denied(&item)) {
        return 0;
    }
    OneWay::of(items, counter, true).map_or(0, |one_way| one_way.undersold())
}
