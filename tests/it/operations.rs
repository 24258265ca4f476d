//! Histories of every operation: the verdict against a search that tries every order, and the accounts against their own
//! identities.

use redis_lost_updates::history::{
    Action, Counter, Fault, Findings, Operation, Order, Reply, Units, check_known, judge,
};
use redis_lost_updates::update::{Event, Outcome};
use redis_lost_updates::verdict;

/// A history of one counter: lanes of operations, and what is known of the counter.
#[derive(Debug, Clone)]
struct Case {
    lanes: Vec<Vec<Operation>>,
    counter: Counter,
}

impl Case {
    fn judged(&self) -> Findings {
        let lanes: Vec<&[Operation]> = self.lanes.iter().map(Vec::as_slice).collect();
        judge(&lanes, &[self.counter])
    }
}

/// "Before", straight from the doc.
fn before(a: &(usize, usize, Operation), b: &(usize, usize, Operation)) -> bool {
    let (x, y) = (&a.2, &b.2);
    let own = a.0 == b.0 && a.1 < b.1 && x.end_ns <= y.begin_ns && (x.begin_ns, x.end_ns) != (y.begin_ns, y.end_ns);
    x.reply != Reply::Unknown && (own || x.end_ns < y.begin_ns)
}

/// What a counter at `value` does with `op`; `None` if it would have answered otherwise.
fn step(counter: &Counter, op: &Operation, value: i64) -> Option<i64> {
    let passes = |amount: i64| {
        let to = value + amount;
        (amount > 0 && counter.max.is_some_and(|max| to > max))
            || (amount < 0 && counter.min.is_some_and(|min| to < min))
    };
    let told = |is: i64| match op.reply {
        Reply::Told(value) => value == is,
        _ => true,
    };
    match (op.action, op.reply) {
        (Action::Add(amount), Reply::Denied) => passes(amount).then_some(value),
        (Action::Add(amount), _) => (told(value + amount) && !passes(amount)).then_some(value + amount),
        (Action::Read, _) => told(value).then_some(value),
        (Action::Take, _) => told(value).then_some(0),
        (Action::Set(to), _) => told(value).then_some(to),
    }
}

/// Tries every sequence.
fn explained(all: &[(usize, usize, Operation)], placed: &mut Vec<bool>, counter: &Counter, value: i64) -> bool {
    let open = |i: usize| !placed[i] && all[i].2.reply != Reply::Unknown;
    if !(0..all.len()).any(open) && counter.last.is_none_or(|last| last == value) {
        return true;
    }
    for i in 0..all.len() {
        if placed[i] || (0..all.len()).any(|j| j != i && !placed[j] && before(&all[j], &all[i])) {
            continue;
        }
        let Some(next) = step(counter, &all[i].2, value) else { continue };
        placed[i] = true;
        let done = explained(all, placed, counter, next);
        placed[i] = false;
        if done {
            return true;
        }
    }
    false
}

fn brute(case: &Case) -> bool {
    let mut all = Vec::new();
    for (worker, lane) in case.lanes.iter().enumerate() {
        for (index, &op) in lane.iter().enumerate() {
            if op.reply != Reply::Failed {
                all.push((worker, index, op));
            }
        }
    }
    explained(&all, &mut vec![false; all.len()], &case.counter, case.counter.initial)
}

/// What a generator may draw from.
struct Mix {
    amounts: &'static [i64],
    actions: &'static [u8],
    limits: bool,
}

const MIXES: [Mix; 7] = [
    Mix { amounts: &[1], actions: b"aaar", limits: false },
    Mix { amounts: &[-3], actions: b"aaar", limits: true },
    Mix { amounts: &[1, 2, 5], actions: b"aaar", limits: false },
    Mix { amounts: &[1, 2], actions: b"aaar", limits: true },
    Mix { amounts: &[1, -1, 2], actions: b"aaaar", limits: true },
    Mix { amounts: &[1], actions: b"aaaat", limits: false },
    Mix { amounts: &[1, 2, -1, 0], actions: b"aaarrts", limits: true },
];

/// A history that a counter gave, and then, mostly, one thing in it changed.
fn draw(random: &mut fastrand::Rng, mix: &Mix) -> Case {
    let limit = |random: &mut fastrand::Rng| (mix.limits && random.bool()).then(|| random.i64(-3..6));
    let mut counter =
        Counter { initial: random.i64(-1..3), last: None, min: limit(random).map(|m| m - 3), max: limit(random) };
    let loose = random.u8(0..3);
    let (mut drafts, mut left) = (Vec::new(), 7);
    for worker in 0..random.usize(1..4) {
        let mut now = 0;
        let mut last = None;
        for index in 0..random.usize(0..4_usize.min(left + 1)) {
            let (begin, end) = match last {
                Some(span) if random.u8(0..8) == 0 => span,
                _ => {
                    let begin = now + random.u64(0..3);
                    (begin, begin + random.u64(0..5))
                }
            };
            (last, now) = (Some((begin, end)), end);
            let amount = mix.amounts[random.usize(0..mix.amounts.len())];
            let action = match mix.actions[random.usize(0..mix.actions.len())] {
                b'a' => Action::Add(amount),
                b'r' => Action::Read,
                b't' => Action::Take,
                _ => Action::Set(random.i64(-1..4)),
            };
            let reply = match random.u8(0..10) {
                0 => Reply::Failed,
                1 | 2 if loose > 0 => Reply::Unknown,
                3 | 4 if loose > 1 => Reply::Done,
                _ => Reply::Told(0),
            };
            let at = random.u64(begin..=end + if reply == Reply::Unknown { 4 } else { 0 });
            let place = (worker, index);
            drafts.push((at, random.u8(..), place, Operation { key: 0, begin_ns: begin, end_ns: end, action, reply }));
            left -= 1;
        }
    }
    drafts.sort_by_key(|draft| (draft.0, draft.1, draft.2));
    let mut value = counter.initial;
    for (_, _, _, op) in &mut drafts {
        let happens = op.reply != Reply::Failed && (op.reply != Reply::Unknown || random.bool());
        let found = value;
        if let (Action::Add(_), true) = (op.action, happens && step(&counter, &blind(op), value).is_none()) {
            op.reply = if op.reply == Reply::Unknown { Reply::Unknown } else { Reply::Denied };
            continue;
        }
        if happens {
            value = step(&counter, &blind(op), value).unwrap_or(value);
        }
        if let Reply::Told(told) = &mut op.reply {
            *told = if matches!(op.action, Action::Add(_)) { value } else { found };
        }
        // A set seldom says what it replaced.
        if matches!(op.action, Action::Set(_)) && matches!(op.reply, Reply::Told(_)) && random.u8(0..3) > 0 {
            op.reply = Reply::Done;
        }
    }
    counter.last = (random.u8(0..5) > 0).then_some(value);
    for _ in 0..[0, 1, 1, 2][random.usize(0..4)] {
        spoil(random, &mut drafts, &mut counter);
    }
    let mut lanes = vec![Vec::new(); 3];
    drafts.sort_by_key(|draft| draft.2);
    drafts.into_iter().for_each(|(_, _, (worker, _), op)| lanes[worker].push(op));
    Case { lanes, counter }
}

fn blind(op: &Operation) -> Operation {
    Operation { reply: Reply::Done, ..*op }
}

fn spoil(random: &mut fastrand::Rng, drafts: &mut [(u64, u8, (usize, usize), Operation)], counter: &mut Counter) {
    let how = random.u8(0..6);
    if let (0, Some(last)) = (how, &mut counter.last) {
        *last += random.i64(-2..3);
        return;
    }
    let Some(count) = drafts.len().checked_sub(1) else { return };
    let op = &mut drafts[random.usize(0..=count)].3;
    let by = random.i64(-2..3);
    match (&mut op.reply, &mut op.action) {
        (Reply::Told(value), _) if how < 4 => *value += by,
        (reply @ Reply::Denied, _) => *reply = Reply::Done,
        (reply, Action::Add(_)) if how == 4 && (counter.max.is_some() || counter.min.is_some()) => {
            *reply = Reply::Denied;
        }
        (_, Action::Add(amount)) if how == 5 => *amount += by,
        _ => {}
    }
}

/// Jepsen's counter rule, from its definition: adds of 0 and more, one read at a time.
fn jepsen_rejects(case: &Case) -> bool {
    let ops: Vec<&Operation> = case.lanes.iter().flatten().filter(|op| op.reply != Reply::Failed).collect();
    let amount = |op: &Operation| if let Action::Add(amount) = op.action { amount } else { 0 };
    if ops.iter().any(|op| matches!(op.action, Action::Take | Action::Set(_)) || amount(op) < 0) {
        return false;
    }
    ops.iter().filter(|op| op.action == Action::Read).any(|read| {
        let Reply::Told(value) = read.reply else { return false };
        let adds = ops.iter().filter(|op| op.reply != Reply::Denied);
        let least: i64 = adds
            .clone()
            .filter(|op| op.reply != Reply::Unknown && op.end_ns < read.begin_ns)
            .map(|op| amount(op))
            .sum();
        let most: i64 = adds.filter(|op| op.begin_ns <= read.end_ns).map(|op| amount(op)).sum();
        !(least..=most).contains(&(value - case.counter.initial))
    })
}

/// The identities of the accounts, for any history.
fn adds_up(case: &Case, findings: &Findings) {
    let ledger = &findings.judgement.ledger;
    assert!(ledger.lost <= ledger.acked, "{case:?}\n{findings:?}");
    let limits = findings.oversold > 0 || findings.undersold > 0;
    let violated = matches!(findings.judgement.order, Order::Violated(_));
    assert!(violated || !limits, "{case:?}\n{findings:?}");
    if !limits {
        assert_eq!(verdict::judge(ledger).breaks_exactness(), violated, "{case:?}\n{findings:?}");
    }
    let Some(units) = &findings.units else { return };
    assert!(violated || units.is_clean(), "{case:?}\n{findings:?}");
    if let Some(last) = case.counter.last {
        assert_eq!(i128::from(last - case.counter.initial), gained(units), "{case:?}\n{findings:?}");
    }
    let parts =
        [units.lost_added, units.lost_removed, units.taken_twice, units.set_twice, units.surplus, units.missing];
    assert!(parts.iter().all(|&part| part >= 0), "{case:?}\n{findings:?}");
    assert!(units.lost_added <= units.added && units.lost_removed <= units.removed, "{case:?}\n{findings:?}");
}

fn gained(units: &Units) -> i128 {
    units.added - units.removed - units.taken + units.set - units.lost_added + units.lost_removed - units.set_twice
        + units.taken_twice
        + units.surplus
        - units.missing
        + units.unknown_added
        - units.unknown_removed
}

#[test]
fn a_hundred_thousand_histories_of_every_operation_agree_with_trying_every_order() {
    let mut random = fastrand::Rng::with_seed(17);
    let mut valid = [0; MIXES.len()];
    const EACH: usize = 15_000;
    for (mix, valid) in MIXES.iter().zip(&mut valid) {
        for _ in 0..EACH {
            let case = draw(&mut random, mix);
            let findings = case.judged();
            let expected = brute(&case);
            let order = &findings.judgement.order;
            let blind = case.lanes.iter().flatten().any(|op| op.reply == Reply::Done);
            let said = match order {
                Order::Linearizable => true,
                Order::Violated(_) => false,
                // Nothing of this size is given up.
                Order::Undecided(_) => {
                    assert!(case.counter.last.is_none() && blind, "{case:?}\n{findings:?}");
                    true
                }
            };
            assert_eq!(said, expected, "{case:?}\n{findings:?}");
            assert!(!(said && jepsen_rejects(&case)), "weaker than Jepsen: {case:?}\n{findings:?}");
            adds_up(&case, &findings);
            *valid += usize::from(expected);
        }
    }
    assert!(valid.iter().all(|valid| (EACH / 5..EACH * 4 / 5).contains(valid)), "{valid:?} of {EACH} each");
}

#[test]
fn increments_are_judged_as_the_faster_checker_judges_them() {
    let mut random = fastrand::Rng::with_seed(18);
    for _ in 0..20_000 {
        let mut case = draw(&mut random, &Mix { amounts: &[1], actions: b"a", limits: false });
        case.counter.initial = 0;
        let event = |op: &Operation| {
            let outcome = match op.reply {
                Reply::Told(value) => Outcome::Acked(value),
                Reply::Done => Outcome::AckedBlind,
                Reply::Failed | Reply::Denied => Outcome::Refused,
                Reply::Unknown => Outcome::Unknown,
            };
            Event::new(0, op.begin_ns, op.end_ns, 1, outcome)
        };
        case.lanes.iter_mut().flatten().for_each(|op| op.action = Action::Add(1));
        let lanes: Vec<Vec<Event>> = case.lanes.iter().map(|lane| lane.iter().map(event).collect()).collect();
        let slices: Vec<&[Event]> = lanes.iter().map(Vec::as_slice).collect();
        let fast = check_known(&slices, &[case.counter.last]);
        let general = case.judged();
        assert_eq!(general.judgement.order.word(), fast.order.word(), "{case:?}");
        assert_eq!(general.judgement.ledger, fast.ledger, "{case:?}");
        if let (Some(units), Some(last)) = (&general.units, case.counter.last)
            && last >= 0
        {
            let told_below = case.lanes.iter().flatten().any(|op| matches!(op.reply, Reply::Told(..1)));
            assert!(told_below || units.lost_added == i128::from(fast.ledger.lost), "{case:?}\n{general:?}");
        }
    }
}

fn op(begin_ns: u64, end_ns: u64, action: Action, reply: Reply) -> Operation {
    Operation { key: 0, begin_ns, end_ns, action, reply }
}

fn findings(lanes: &[Vec<Operation>], initial: i64, last: i64, (min, max): (Option<i64>, Option<i64>)) -> Findings {
    Case { lanes: lanes.to_vec(), counter: Counter { initial, last: Some(last), min, max } }.judged()
}

fn fault(findings: &Findings) -> &Fault {
    match &findings.judgement.order {
        Order::Violated(witness) => &witness.fault,
        order => panic!("{order:?}"),
    }
}

#[test]
fn gains_and_losses_that_cancel_are_both_seen() {
    // Both read 10; the one wrote 15, the other 5: one of them is not in the counter, whichever came last.
    let both = [vec![op(0, 9, Action::Add(5), Reply::Told(15))], vec![op(1, 8, Action::Add(-5), Reply::Told(5))]];
    for (last, lost_added, lost_removed) in [(15, 0, 5), (5, 5, 0), (10, 5, 5)] {
        let findings = findings(&both, 10, last, (None, None));
        let units = findings.units.unwrap();
        assert_eq!((units.lost_added, units.lost_removed), (lost_added, lost_removed), "{last}");
        assert_eq!(units.deficit, 10 - i128::from(last));
        assert!(matches!(findings.judgement.order, Order::Violated(_)));
    }
    // Two of each lost: the deficit is 0, and the accounts of the counter tell nothing; the steps told do.
    let lane = |amount: i64| [0, 10, 20].map(|t| op(t, t + 1, Action::Add(amount), Reply::Told(amount))).to_vec();
    let cancel = findings(&[lane(5), lane(-5)], 0, 0, (None, None));
    let units = cancel.units.unwrap();
    assert_eq!((units.deficit, units.lost_added, units.lost_removed), (0, 15, 15));
    assert_eq!(cancel.judgement.ledger.lost, 6);
}

#[test]
fn what_is_taken_twice_is_seen() {
    let lanes = [
        vec![op(0, 1, Action::Add(7), Reply::Told(7)), op(2, 5, Action::Take, Reply::Told(7))],
        vec![op(3, 6, Action::Take, Reply::Told(7))],
    ];
    let twice = findings(&lanes, 0, 0, (None, None));
    assert_eq!(twice.units.unwrap().taken_twice, 7);
    assert!(matches!(fault(&twice), Fault::SameStep { .. }));
}

#[test]
fn a_limit_is_judged_both_ways() {
    let buy = |begin, told| op(begin, begin + 1, Action::Add(-1), Reply::Told(told));
    let denied = |begin| op(begin, begin + 1, Action::Add(-1), Reply::Denied);
    let stock = |lane: Vec<Operation>, last| findings(&[lane], 2, last, (Some(0), None));
    assert_eq!(stock(vec![buy(0, 1), buy(2, 0), denied(4)], 0).judgement.order, Order::Linearizable);
    let over = stock(vec![buy(0, 1), buy(2, 0), buy(4, -1)], -1);
    assert_eq!(over.oversold, 1);
    assert!(matches!(fault(&over), Fault::Oversold { value: -3, limit: -2, update: Some(_) }));
    let under = stock(vec![buy(0, 1), denied(2), buy(4, 0)], 0);
    assert_eq!(under.undersold, 1);
    // Two of one stock that each saw 1 left: the counter is within its limit, and yet 2 of 1 are granted.
    let race = findings(&[vec![buy(0, 0)], vec![buy(0, 0)]], 1, 0, (Some(0), None));
    assert_eq!((race.oversold, race.judgement.ledger.lost), (1, 1));
}

#[test]
fn what_cannot_be_searched_is_undecided_with_a_reason() {
    // 40 blind adds of different amounts at once, and a sum that they may or may not make.
    let lanes: Vec<Vec<Operation>> =
        (0..40).map(|i| vec![op(0, 100, Action::Add((1 << i) * 3 + 2), Reply::Unknown)]).collect();
    let hard = findings(&lanes, 0, 1 << 41, (None, None));
    assert!(matches!(&hard.judgement.order, Order::Undecided(why) if why.contains("gave up")), "{hard:?}");
}

#[test]
fn a_long_history_of_every_operation_is_judged() {
    let mut random = fastrand::Rng::with_seed(19);
    let (mut lanes, mut value) = (vec![Vec::new(); 8], 0);
    let mut free = [0; 8];
    for n in 1..=50_000_u64 {
        let worker = random.usize(0..8);
        let (at, begin) = (n * 10, free[worker]);
        let action = match random.u8(0..20) {
            0 => Action::Take,
            1..4 => Action::Read,
            4..10 => Action::Add(-1),
            _ => Action::Add(1),
        };
        let was = value;
        value = match action {
            Action::Add(amount) => value + amount,
            Action::Take => 0,
            _ => value,
        };
        let told = if let Action::Add(_) = action { value } else { was };
        lanes[worker].push(op(begin, at + 3, action, Reply::Told(told)));
        free[worker] = at + 4;
    }
    let long = findings(&lanes, 0, value, (None, None));
    assert_eq!(long.judgement.order, Order::Linearizable);
}
