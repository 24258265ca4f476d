//! The exact checker against a search that tries every order, against known answers, and against every schedule of a
//! model server.

use proptest::prelude::*;
use redis_lost_updates::history::{Fault, Judgement, Order, Seen, check, check_known};
use redis_lost_updates::update::{Event, Outcome};
use redis_lost_updates::verdict::{Ledger, Verdict, judge};

fn judged(lanes: &[Vec<Event>], found: i64) -> Judgement {
    let lanes: Vec<&[Event]> = lanes.iter().map(Vec::as_slice).collect();
    check(&lanes, &[found])
}

fn unread(lanes: &[Vec<Event>]) -> Judgement {
    let lanes: Vec<&[Event]> = lanes.iter().map(Vec::as_slice).collect();
    check_known(&lanes, &[None])
}

fn event(begin: u64, end: u64, outcome: Outcome) -> Event {
    Event::new(0, begin, end, 1, outcome)
}

fn told(begin: u64, end: u64, value: i64) -> Event {
    event(begin, end, Outcome::Acked(value))
}

/// Every update that may have happened, with its place in the history.
fn happened(lanes: &[Vec<Event>]) -> Vec<Seen> {
    let mut all = Vec::new();
    for (worker, lane) in (0..).zip(lanes) {
        for (index, &event) in (0..).zip(lane) {
            if event.outcome() != Outcome::Refused {
                all.push(Seen { worker, index, event });
            }
        }
    }
    all
}

/// The definition of "before", straight from the doc of the checker.
fn before(a: &Seen, b: &Seen) -> bool {
    let (x, y) = (&a.event, &b.event);
    let own = a.worker == b.worker
        && a.index < b.index
        && x.end_ns() <= y.begin_ns()
        && (x.begin_ns(), x.end_ns()) != (y.begin_ns(), y.end_ns());
    x.outcome() != Outcome::Unknown && (own || x.end_ns() < y.begin_ns())
}

/// Tries every sequence: is there one that explains it all?
fn explained(all: &[Seen], placed: &mut Vec<bool>, count: i64, found: Option<i64>) -> bool {
    let missing = |i: usize| !placed[i] && all[i].event.outcome() != Outcome::Unknown;
    if (0..all.len()).all(|i| !missing(i)) && found.is_none_or(|found| count == found) {
        return true;
    }
    for i in 0..all.len() {
        let fits = match all[i].event.outcome() {
            Outcome::Acked(value) => value == count + 1,
            _ => true,
        };
        if placed[i] || !fits || (0..all.len()).any(|j| j != i && !placed[j] && before(&all[j], &all[i])) {
            continue;
        }
        placed[i] = true;
        let done = explained(all, placed, count + 1, found);
        placed[i] = false;
        if done {
            return true;
        }
    }
    false
}

fn brute(lanes: &[Vec<Event>], found: Option<i64>) -> bool {
    let all = happened(lanes);
    explained(&all, &mut vec![false; all.len()], 0, found)
}

/// One update to be: time since the last, its own time, when in it (or after, if unknown) it takes effect, its outcome.
type Draft = (u64, u64, u64, u8);

/// Histories of at most three workers and seven updates that a real counter could have given.
fn possible() -> impl Strategy<Value = (Vec<Vec<Event>>, i64)> {
    let draft = (0..3u64, 0..5u64, 0..6u64, 0..10u8);
    prop::collection::vec(prop::collection::vec(draft, 0..5), 1..4).prop_map(|drafts| simulate(&drafts))
}

/// Lets the drafts take effect in the order of their times.
fn simulate(drafts: &[Vec<Draft>]) -> (Vec<Vec<Event>>, i64) {
    let (mut effects, mut lanes, mut left) = (Vec::new(), Vec::new(), 7);
    for (worker, drafts) in drafts.iter().enumerate() {
        let (mut lane, mut now) = (Vec::<(u64, u64)>::new(), 0);
        for (index, &(pause, time, when, kind)) in drafts.iter().take(left).enumerate() {
            // A kind of 9 joins the hand-over before it.
            let joins = kind == 9 && index > 0;
            let (begin, end) = if joins { lane[index - 1] } else { (now + pause, now + pause + time) };
            let at = if kind == 7 { begin + when } else { begin + when % (end - begin + 1) };
            effects.push((at, kind, worker, index));
            lane.push((begin, end));
            now = end;
        }
        left -= lane.len();
        lanes.push(lane);
    }
    effects.sort_by_key(|&(at, _, worker, index)| (at, worker, index));
    let mut outcomes: Vec<Vec<Outcome>> = lanes.iter().map(|lane| vec![Outcome::Refused; lane.len()]).collect();
    let mut counter = 0;
    for (at, kind, worker, index) in effects {
        outcomes[worker][index] = match kind {
            5 => Outcome::Refused,
            6 | 8 => Outcome::AckedBlind,
            7 => Outcome::Unknown,
            _ => Outcome::Acked(counter + 1),
        };
        // Of the unknown ones, those at odd times happened.
        counter += i64::from(kind != 5 && (kind != 7 || at % 2 == 1));
    }
    let lanes = lanes.iter().zip(outcomes).map(|(lane, outcomes)| {
        lane.iter().zip(outcomes).map(|(&(begin, end), outcome)| event(begin, end, outcome)).collect()
    });
    (lanes.collect(), counter)
}

/// The same with one thing changed, and histories of nothing but noise.
fn any_history() -> impl Strategy<Value = (Vec<Vec<Event>>, i64)> {
    let changed =
        (possible(), 0..8usize, -1..8i64, -2..3i64, 0..5u8).prop_map(|((mut lanes, found), at, value, off, how)| {
            let slot = lanes.iter_mut().flatten().nth(at);
            if let (Some(slot), 0..3) = (slot, how) {
                let outcome = [Outcome::Acked(value), Outcome::AckedBlind, Outcome::Unknown][usize::from(how)];
                *slot = event(slot.begin_ns(), slot.end_ns(), outcome);
            }
            (lanes, if how == 3 { found + off } else { found })
        });
    let noise =
        (possible(), prop::collection::vec((0..6u8, 1..7i64), 7), 0..8i64).prop_map(|((mut lanes, _), what, found)| {
            for (slot, (kind, value)) in lanes.iter_mut().flatten().zip(what) {
                let outcome = match kind {
                    0 => Outcome::AckedBlind,
                    1 => Outcome::Unknown,
                    2 => Outcome::Refused,
                    _ => Outcome::Acked(value),
                };
                *slot = event(slot.begin_ns(), slot.end_ns(), outcome);
            }
            (lanes, found)
        });
    prop_oneof![possible(), changed, noise]
}

/// Clean accounts exactly if linearizable; lost is a part of acked; and the doc's identity: `max(found, 0) - acked =
/// doubled + phantom + explained - lost`.
fn holds_together(judgement: &Judgement) {
    let (ledger, order) = (&judgement.ledger, &judgement.order);
    let violated = matches!(order, Order::Violated(_));
    assert_eq!(judge(ledger).breaks_exactness(), violated, "{judgement:?}");
    assert!(ledger.lost <= ledger.acked, "{judgement:?}");
    let explained = i128::from(ledger.found.max(0)) - i128::from(ledger.acked) + i128::from(ledger.lost)
        - i128::from(ledger.doubled)
        - i128::from(ledger.phantom);
    assert!((0..=i128::from(ledger.unknown)).contains(&explained), "{judgement:?}");
    assert!(explained == i128::from(ledger.unknown) || ledger.doubled + ledger.phantom == 0, "{judgement:?}");
    assert_eq!(ledger.repeated, ledger.overwritten);
    assert!(ledger.lost >= ledger.overwritten + ledger.rolled_back);
}

/// A witness says what is so, whoever made it.
fn is_true(fault: &Fault, lanes: &[Vec<Event>], found: i64) {
    let here = |seen: &Seen| lanes[seen.worker as usize][seen.index as usize] == seen.event;
    let value = |seen: &Seen| match seen.event.outcome() {
        Outcome::Acked(value) => value,
        other => panic!("{other:?} was told nothing"),
    };
    match fault {
        Fault::SameValue { value: same, first, second } => {
            assert!(here(first) && here(second) && first != second);
            assert_eq!((value(first), value(second)), (*same, *same));
        }
        Fault::BelowStart { update } => assert!(here(update) && value(update) < 1),
        Fault::OutOfOrder { earlier, later } => {
            assert!(here(earlier) && here(later) && before(earlier, later) && value(earlier) > value(later));
        }
        Fault::NobodyMade { value: gap, next } => {
            assert!(lanes.iter().flatten().all(|event| event.outcome() != Outcome::Acked(*gap)) && *gap <= found);
            assert!(next.is_none_or(|next| here(&next) && value(&next) > *gap));
        }
        Fault::NoRoom { update, .. } => assert!(here(update) && update.event.outcome() == Outcome::AckedBlind),
        Fault::Final { found: said, least, most, told } => {
            assert_eq!(*said, found);
            assert!(found < 0 || (found as u64) < *least || found as u64 > *most);
            assert!(told.is_none_or(|told| here(&told) && value(&told) > found));
        }
        other => panic!("{other:?} is not of increments"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_scan_agrees_with_trying_every_order((lanes, found) in any_history()) {
        let judgement = judged(&lanes, found);
        prop_assert_eq!(judgement.order == Order::Linearizable, brute(&lanes, Some(found)), "{:?}", judgement);
        holds_together(&judgement);
        if let Order::Violated(witness) = &judgement.order {
            is_true(&witness.fault, &lanes, found);
        }
    }

    #[test]
    fn without_a_final_value_it_asks_whether_any_would_do((lanes, _) in any_history()) {
        let judgement = unread(&lanes);
        prop_assert_eq!(!matches!(judgement.order, Order::Violated(_)), brute(&lanes, None), "{:?}", judgement);
    }

    #[test]
    fn counters_are_judged_apart(one in any_history(), two in any_history()) {
        let moved = |event: &Event, key| Event::new(key, event.begin_ns(), event.end_ns(), event.tries(), event.outcome());
        let mut lanes: Vec<Vec<Event>> = Vec::new();
        for key in 0..2 {
            let from = if key == 0 { &two.0 } else { &one.0 };
            lanes.extend(from.iter().map(|lane| lane.iter().map(|event| moved(event, 1 - key)).collect::<Vec<_>>()));
        }
        let slices: Vec<&[Event]> = lanes.iter().map(Vec::as_slice).collect();
        let both = check(&slices, &[one.1, two.1]);
        let (first, second) = (judged(&one.0, one.1), judged(&two.0, two.1));
        let mut sum = first.ledger;
        sum += second.ledger;
        prop_assert_eq!(both.ledger, sum);
        let violated = [&first, &second].iter().position(|judgement| matches!(judgement.order, Order::Violated(_)));
        match (&both.order, violated) {
            (Order::Violated(witness), Some(key)) => prop_assert_eq!(witness.key, key),
            (order, violated) => prop_assert!(*order == Order::Linearizable && violated.is_none(), "{:?}", both),
        }
    }

    #[test]
    fn absurd_values_break_nothing(
        drafts in prop::collection::vec((prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), -3..9i64], 0..9u8), 0..9),
        found in prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>(), -3..9i64],
    ) {
        let outcome = |&(value, kind): &(i64, u8)| match kind {
            0 => Outcome::AckedBlind,
            1 => Outcome::Unknown,
            2 => Outcome::Refused,
            _ => Outcome::Acked(value),
        };
        let lane: Vec<Event> = (0..).zip(&drafts).map(|(i, draft)| event(i, i + 1, outcome(draft))).collect();
        let judgement = judged(std::slice::from_ref(&lane), found);
        holds_together(&judgement);
        unread(&[lane]);
    }
}

#[test]
fn the_generator_gives_valid_and_invalid_histories_alike() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut valid, cases) = (0, 2_000);
    for _ in 0..cases {
        let (lanes, found) = any_history().new_tree(&mut runner).unwrap().current();
        valid += usize::from(brute(&lanes, Some(found)));
    }
    assert!((cases / 5..cases * 4 / 5).contains(&valid), "{valid} of {cases}");
}

fn fault(lanes: &[Vec<Event>], found: i64) -> Fault {
    match judged(lanes, found).order {
        Order::Violated(witness) => witness.fault,
        order => panic!("{order:?}"),
    }
}

#[test]
fn known_answers() {
    let blind = |begin, end| event(begin, end, Outcome::AckedBlind);
    let unknown = |begin| event(begin, begin, Outcome::Unknown);
    let fine = |lanes: &[Vec<Event>], found| {
        let judgement = judged(lanes, found);
        assert_eq!(judgement.order, Order::Linearizable, "{judgement:?}");
    };
    fine(&[], 0);
    // Touching stamps: two workers' are concurrent, one worker's are not.
    fine(&[vec![told(0, 5, 2)], vec![told(5, 9, 1)]], 2);
    assert!(matches!(fault(&[vec![told(0, 5, 2), told(5, 9, 1)]], 2), Fault::OutOfOrder { .. }));
    // One hand-over is in no order.
    fine(&[vec![told(0, 5, 2), told(0, 5, 1)]], 2);
    // Value 2 was made by an update that told nothing: in time, too late, never begun.
    fine(&[vec![told(0, 1, 1), told(4, 5, 3)], vec![blind(2, 3)]], 3);
    let late = [vec![told(0, 1, 1), told(4, 5, 3)], vec![blind(6, 7)]];
    assert!(matches!(fault(&late, 3), Fault::NobodyMade { value: 2, next: Some(_) }));
    assert_eq!(judge(&judged(&late, 3).ledger), Verdict::Misordered);
    fine(&[vec![told(0, 1, 1), told(4, 5, 3)], vec![unknown(5)]], 3);
    assert!(matches!(
        fault(&[vec![told(0, 1, 1), told(4, 5, 3)], vec![unknown(6)]], 3),
        Fault::NobodyMade { value: 2, .. }
    ));
    // Two blind updates both need the one gap.
    let crowd = [vec![told(0, 1, 1), told(4, 5, 3)], vec![blind(2, 3)], vec![blind(2, 3)], vec![unknown(0)]];
    assert!(matches!(fault(&crowd, 4), Fault::NoRoom { after: Some(1), before: Some(3), .. }));
    // Unknown ones may or may not have happened; refused ones did not.
    fine(&[vec![told(0, 1, 1), unknown(2)]], 1);
    fine(&[vec![told(0, 1, 1), unknown(2)]], 2);
    let phantom = judged(&[vec![told(0, 1, 1), event(2, 3, Outcome::Refused)]], 2);
    assert_eq!((phantom.ledger.phantom, phantom.ledger.doubled, judge(&phantom.ledger)), (1, 0, Verdict::Excess));
    // The end is below what was told; a value no increment makes.
    assert!(matches!(fault(&[vec![told(0, 1, 1), told(2, 3, 2)]], 1), Fault::Final { found: 1, told: Some(_), .. }));
    assert!(matches!(fault(&[vec![told(0, 1, 0)]], 1), Fault::BelowStart { .. }));
}

#[test]
fn accounts_of_mixtures() {
    let blind = |begin, end| event(begin, end, Outcome::AckedBlind);
    // Nobody was told anything: only the count speaks.
    let none = judged(&[vec![blind(0, 1), blind(2, 3), blind(4, 5)]], 1).ledger;
    assert_eq!((none.lost, none.overwritten, none.rolled_back, none.gaps), (2, 0, 0, 1));
    // Two told 2, one blind, and 5 found: 1 lost; 1, 3, 4 and 5 are open, one of them the blind one's.
    let mixed = judged(&[vec![told(0, 1, 2), told(2, 3, 2), blind(4, 5)]], 5).ledger;
    assert_eq!((mixed.lost, mixed.overwritten, mixed.gaps, mixed.doubled), (1, 1, 4, 3));
    // Below the start: all updates are lost, and never more than all, whoever took it there.
    let below = judged(&[vec![blind(0, 1)]], -2).ledger;
    assert_eq!((below.lost, below.rolled_back, judge(&below)), (1, 0, Verdict::Lost));
    // One update of one, however far the counter fell; two that made 2 and 3, and the blind one that made 1.
    let fell = judged(&[vec![told(0, 1, 101)]], 0).ledger;
    assert_eq!((fell.acked, fell.lost, fell.rolled_back), (1, 1, 1));
    let back = judged(&[vec![blind(0, 1), told(2, 3, 2), told(4, 5, 3)]], 0).ledger;
    assert_eq!((back.lost, back.rolled_back, back.gaps), (3, 3, 0));
}

#[test]
fn a_stray_counter_leaves_it_undecided() {
    let lane = [told(0, 1, 1), Event::new(3, 2, 3, 1, Outcome::Acked(1))];
    assert!(matches!(check(&[&lane], &[1]).order, Order::Undecided(_)));
}

/// How a model client updates the model server's counter: its steps are atomic, and anything may come between them.
#[derive(Clone, Copy)]
enum Step {
    /// The update begins, with a GET.
    Get,
    /// A SET of one more than the GET saw, and the update ends.
    Set,
    Begin,
    Incr,
    End,
}

#[derive(Clone, Default)]
struct Client {
    steps: usize,
    begun: u64,
    saw: i64,
    lane: Vec<Event>,
}

/// Walks every schedule of `clients` that each do `update` `updates` times; shows each history with its final value.
fn every_schedule(clients: usize, updates: usize, update: &[Step], show: &mut dyn FnMut(&[Client], i64)) {
    fn walk(
        clients: &mut Vec<Client>,
        (counter, now): (i64, u64),
        updates: usize,
        update: &[Step],
        show: &mut dyn FnMut(&[Client], i64),
    ) {
        let mut all_done = true;
        for i in 0..clients.len() {
            if clients[i].steps == updates * update.len() {
                continue;
            }
            all_done = false;
            let was = clients[i].clone();
            let (client, mut after) = (&mut clients[i], counter);
            match update[client.steps % update.len()] {
                Step::Get => (client.begun, client.saw) = (now, counter),
                Step::Set => {
                    after = client.saw + 1;
                    client.lane.push(told(client.begun, now, after));
                }
                Step::Begin => client.begun = now,
                Step::Incr => (client.saw, after) = (counter + 1, counter + 1),
                Step::End => client.lane.push(told(client.begun, now, client.saw)),
            }
            client.steps += 1;
            walk(clients, (after, now + 1), updates, update, show);
            clients[i] = was;
        }
        if all_done {
            show(clients, counter);
        }
    }
    walk(&mut vec![Client::default(); clients], (0, 0), updates, update, show);
}

fn ledger_of(clients: &[Client], found: i64) -> (Ledger, Order) {
    let lanes: Vec<&[Event]> = clients.iter().map(|client| client.lane.as_slice()).collect();
    let Judgement { ledger, order } = check(&lanes, &[found]);
    (ledger, order)
}

#[test]
fn in_no_schedule_does_incr_lose() {
    for (clients, updates) in [(1, 4), (2, 1), (2, 2), (2, 3), (3, 1)] {
        let mut schedules = 0;
        every_schedule(clients, updates, &[Step::Begin, Step::Incr, Step::End], &mut |clients, found| {
            let (ledger, order) = ledger_of(clients, found);
            assert_eq!((judge(&ledger), order), (Verdict::Exact, Order::Linearizable));
            schedules += 1;
        });
        let expected = [(1, 4, 1), (2, 1, 20), (2, 2, 924), (2, 3, 48_620), (3, 1, 1_680)];
        assert!(expected.contains(&(clients, updates, schedules)), "{clients} {updates} {schedules}");
    }
}

#[test]
fn every_schedule_of_get_set_is_accounted_for_and_the_worst_ends_at_2() {
    // Clients, updates each, the worst final value.
    for (clients, updates, worst) in [(1, 3, 3), (2, 1, 1), (3, 1, 1), (2, 2, 2), (2, 3, 2), (3, 2, 2)] {
        let (mut least, mut exact, mut schedules) = (i64::MAX, 0, 0);
        every_schedule(clients, updates, &[Step::Get, Step::Set], &mut |clients, found| {
            let total = clients.iter().map(|client| client.lane.len() as u64).sum::<u64>();
            let (ledger, order) = ledger_of(clients, found);
            assert_eq!((ledger.acked, ledger.doubled, ledger.gaps), (total, 0, 0));
            assert_eq!(ledger.lost as i64, total as i64 - found);
            assert_eq!(ledger.lost, ledger.overwritten + ledger.rolled_back);
            assert_eq!(ledger.lost == 0, order == Order::Linearizable);
            least = least.min(found);
            exact += usize::from(ledger.lost == 0);
            schedules += 1;
        });
        assert_eq!(least, worst, "{clients} clients, {updates} updates each");
        assert!(clients == 1 || exact < schedules, "it loses in some schedules");
        assert!(exact > 0, "and in some it does not");
    }
}

/// A history as 16 closed-loop clients of one server would have made it: update number n was served at time 10 n.
fn served(updates: usize, mut tell: impl FnMut(i64) -> Outcome) -> Vec<Vec<Event>> {
    let mut lanes: Vec<Vec<Event>> = (0..16).map(|_| Vec::with_capacity(updates / 16 + updates / 64 + 16)).collect();
    let mut random = 88_172_645_463_325_252_u64;
    for n in 1..=updates as i64 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let lane = &mut lanes[(random % 16) as usize];
        let begin = lane.last().map_or(0, Event::end_ns);
        lane.push(event(begin, 10 * n as u64 + random % 10, tell(n)));
    }
    lanes
}

/// `cargo test --release --test it ten_million -- --ignored --nocapture`: time and memory, for people to read.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout)]
fn ten_million_updates() {
    const UPDATES: usize = 10_000_000;
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    let show = |what: &str, lanes: Vec<Vec<Event>>, found: &[i64]| {
        let lanes: Vec<&[Event]> = lanes.iter().map(Vec::as_slice).collect();
        // The processor's time: what else the machine does is not the checker's.
        let clock = || {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
        };
        let (start, wall) = (clock(), std::time::Instant::now());
        let judgement = check(&lanes, found);
        let (took, wall) = (clock() - start, wall.elapsed().as_secs_f64());
        println!(
            "{what:<28} {took:.3} s of CPU, {wall:.3} s by the clock, peak {} MiB so far, {}",
            peak(),
            judgement.order.word()
        );
    };
    let all = UPDATES as i64;
    show("1/10 of INCR", served(UPDATES / 10, Outcome::Acked), &[all / 10]);
    show("INCR", served(UPDATES, Outcome::Acked), &[all]);
    show("GET+SET, half lost", served(UPDATES, |n| Outcome::Acked((n + 1) / 2)), &[all / 2]);
    let some = |n| if n % 100 == 0 { Outcome::Unknown } else { Outcome::Acked(n) };
    show("INCR, 1 % unknown", served(UPDATES, some), &[all]);
    let absurd = |n| Outcome::Acked(if n == 77 { i64::MAX } else { n });
    show("INCR, one absurd value", served(UPDATES, absurd), &[all]);
    let mut keyed = served(UPDATES, Outcome::Acked);
    let mut counts = [0; 64];
    let mut order: Vec<&mut Event> = keyed.iter_mut().flatten().collect();
    order.sort_unstable_by_key(|event| event.end_ns());
    for (n, slot) in order.into_iter().enumerate() {
        counts[n % 64] += 1;
        *slot = Event::new(n % 64, slot.begin_ns(), slot.end_ns(), 1, Outcome::Acked(counts[n % 64]));
    }
    show("INCR over 64 counters", keyed, &counts);
}
