//! Bounds on every value that was read, whatever the order: Jepsen's counter rule, for adds of both signs.

use super::Seen;
use super::one_way::clamp;
use super::operation::{Action, Counter, Item, Reply};
use super::witness::Fault;

/// Sums of amounts by time.
struct Sums {
    times: Vec<u64>,
    sums: Vec<i128>,
}

impl Sums {
    fn of(mut amounts: Vec<(u64, i128)>) -> Self {
        amounts.sort_unstable_by_key(|&(time, _)| time);
        let mut sums = vec![0];
        for &(_, amount) in &amounts {
            sums.push(sums[sums.len() - 1] + amount);
        }
        Self { times: amounts.into_iter().map(|(time, _)| time).collect(), sums }
    }

    fn before(&self, time: u64) -> i128 {
        self.sums[self.times.partition_point(|&other| other < time)]
    }

    fn until(&self, time: u64) -> i128 {
        self.sums[self.times.partition_point(|&other| other <= time)]
    }
}

/// Checks what reads and told adds saw, and the final value, against what can have been added before: at least
/// everything acknowledged before the operation began, at most everything begun before it ended.
///
/// Only for counters that are never taken or set.
pub(super) fn check(items: &[Item], counter: &Counter) -> Result<(), Fault> {
    let adds = |wanted: fn(&Item, i64) -> Option<u64>| {
        let timed = items.iter().filter_map(move |item| match item.op.action {
            Action::Add(amount) if item.op.reply != Reply::Denied => {
                wanted(item, amount).map(|time| (time, i128::from(amount)))
            }
            _ => None,
        });
        Sums::of(timed.collect())
    };
    let ended_up = adds(|item, amount| (amount > 0 && item.op.reply != Reply::Unknown).then_some(item.op.end_ns));
    let ended_down = adds(|item, amount| (amount < 0 && item.op.reply != Reply::Unknown).then_some(item.op.end_ns));
    let begun_up = adds(|item, amount| (amount > 0).then_some(item.op.begin_ns));
    let begun_down = adds(|item, amount| (amount < 0).then_some(item.op.begin_ns));
    let initial = i128::from(counter.initial);
    for item in items {
        let Some(value) = item.told() else { continue };
        let own = if let Action::Add(amount) = item.op.action { i128::from(amount) } else { 0 };
        let (begin, end) = (item.op.begin_ns, item.op.end_ns);
        let least = initial + ended_up.before(begin) + own.max(0) + begun_down.until(end);
        let most = initial + begun_up.until(end) + ended_down.before(begin) + own.min(0);
        if value < least || value > most {
            let (least, most) = (clamp(least - initial), clamp(most - initial));
            return Err(Fault::OutOfBounds { update: Seen::from(item), least, most });
        }
    }
    let Some(last) = counter.last.map(i128::from) else { return Ok(()) };
    let end = u64::MAX;
    let least = initial + ended_up.until(end) + begun_down.until(end);
    let most = initial + begun_up.until(end) + ended_down.until(end);
    if (least..=most).contains(&last) {
        return Ok(());
    }
    let (least, most) = (clamp(least - initial), clamp(most - initial));
    Err(Fault::Ended { found: clamp(last - initial), least, most, told: None })
}
