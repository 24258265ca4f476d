//! The search for an order, for histories that no single pass decides. It is bounded, and says so when it gives up.
//!
//! It places one operation after another, each when nothing unplaced must come before it, and backtracks when nothing fits.
//! Three rules keep it short. A read or a denied add that fits is placed at once, because it changes nothing. Of operations
//! with the same effect, only the first to end is tried (if their outcome is unknown, the first to begin), because the
//! others can take its place. A state that was left without success is not entered again.

use std::collections::HashSet;

use super::Seen;
use super::one_way::clamp;
use super::operation::{Action, Counter, Item, Reply};
use super::witness::Fault;

/// Steps that are taken before the search gives up, beyond those that every history needs.
const PATIENCE: usize = 2_000_000;
/// States remembered, about a hundred bytes each.
const MEMORY: usize = 400_000;
/// How many of the operations that could not come next are named.
const NAMED: usize = 3;

/// The result of the search.
pub(super) enum Found {
    Order,
    NoOrder(Fault),
    GaveUp(String),
}

/// A state that led nowhere: the definite operations placed, the unknown ones, and what the counter held.
#[derive(PartialEq, Eq, Hash)]
struct State {
    base: usize,
    value: i128,
    beyond: Box<[u32]>,
    unknown: Box<[u32]>,
}

#[derive(Clone, Copy)]
enum Move {
    Definite(usize),
    Unknown(usize),
}

struct Frame {
    moves: Vec<Move>,
    next: usize,
    state: Option<State>,
    made: Option<(Move, i128, usize)>,
}

struct Search<'a> {
    counter: &'a Counter,
    definite: Vec<Item>,
    unknown: Vec<Item>,
    placed: Vec<bool>,
    happened: Vec<bool>,
    /// The first definite operation not placed.
    base: usize,
    count: usize,
    value: i128,
    steps: usize,
}

/// Searches for an order of `items` that explains everything.
pub(super) fn search(items: &[Item], counter: &Counter) -> Found {
    let of = |unknown: bool| {
        let mut items: Vec<Item> =
            items.iter().filter(|item| (item.op.reply == Reply::Unknown) == unknown).copied().collect();
        items.sort_by_key(|item| (item.op.begin_ns, item.op.end_ns, item.worker, item.index));
        items
    };
    let (definite, unknown) = (of(false), of(true));
    let search = Search {
        counter,
        placed: vec![false; definite.len()],
        happened: vec![false; unknown.len()],
        definite,
        unknown,
        base: 0,
        count: 0,
        value: counter.initial.into(),
        steps: 0,
    };
    search.run()
}

impl Search<'_> {
    fn run(mut self) -> Found {
        let patience = PATIENCE + 16 * self.definite.len();
        let mut seen = HashSet::new();
        let (mut deepest, mut stuck) = (0, (self.value, Vec::new()));
        let mut frames = vec![self.frame(&seen)];
        while let Some(frame) = frames.last_mut() {
            if let Some((back, value, base)) = frame.made.take() {
                self.unmake(back, value, base);
            }
            if self.is_done() {
                return Found::Order;
            }
            let Some(&next) = frame.moves.get(frame.next) else {
                if self.count >= deepest {
                    (deepest, stuck) = (self.count, (self.value, self.ready().0));
                }
                if let Some(state) = frames.pop().and_then(|frame| frame.state)
                    && seen.len() < MEMORY
                {
                    seen.insert(state);
                }
                continue;
            };
            frame.next += 1;
            frame.made = Some((next, self.value, self.base));
            self.make(next);
            if self.is_done() {
                return Found::Order;
            }
            if self.steps > patience {
                let (all, steps) = (self.definite.len(), self.steps);
                return Found::GaveUp(format!(
                    "a history of these operations needs a search for an order, which gave up after {steps} \
                     steps: {deepest} of {all} operations can be put in order"
                ));
            }
            let frame = self.frame(&seen);
            frames.push(frame);
        }
        let (value, ready) = stuck;
        let next = ready.iter().take(NAMED).map(|&i| Seen::from(&self.definite[i])).collect();
        Found::NoOrder(Fault::NoOrder { placed: deepest as u64, holds: clamp(value - self.initial()), next })
    }

    fn initial(&self) -> i128 {
        self.counter.initial.into()
    }

    fn is_done(&self) -> bool {
        self.base == self.definite.len() && self.counter.last.is_none_or(|last| i128::from(last) == self.value)
    }

    /// What can come next here; nothing if this state led nowhere before.
    fn frame(&mut self, seen: &HashSet<State>) -> Frame {
        let moves = self.moves();
        // Where there is no choice, remembering the state would save nothing.
        let state = (moves.len() > 1).then(|| self.state());
        let known = state.as_ref().is_some_and(|state| seen.contains(state));
        Frame { moves: if known { Vec::new() } else { moves }, next: 0, state: state.filter(|_| !known), made: None }
    }

    fn state(&self) -> State {
        let beyond: Vec<u32> =
            self.window().filter(|&i| self.placed[i]).map(|i| u32::try_from(i).unwrap_or(u32::MAX)).collect();
        let unknown = (0..).zip(&self.happened).filter(|&(_, &happened)| happened).map(|(i, _)| i).collect();
        State { base: self.base, value: self.value, beyond: beyond.into(), unknown }
    }

    /// From the first unplaced operation to the first that begins after one of them has ended.
    fn window(&self) -> impl Iterator<Item = usize> {
        let mut least = u64::MAX;
        (self.base..self.definite.len()).take_while(move |&i| {
            let item = &self.definite[i];
            let inside = item.begin() <= least;
            if !self.placed[i] {
                least = least.min(item.end());
            }
            inside
        })
    }

    /// The definite operations that no unplaced one must precede, the least end of the unplaced ones, and how many of
    /// these there are.
    fn ready(&self) -> (Vec<usize>, u64, usize) {
        let open: Vec<usize> = self.window().filter(|&i| !self.placed[i]).collect();
        let least = open.iter().map(|&i| self.definite[i].end()).min().unwrap_or(u64::MAX);
        let touching: Vec<usize> = open.iter().copied().filter(|&i| self.definite[i].end() == least).collect();
        let free = |&i: &usize| {
            let item = &self.definite[i];
            // If it begins at `least`, only operations that end then can still precede it, by a worker's own order.
            item.begin() < least || !touching.iter().any(|&j| j != i && self.definite[j].before(item))
        };
        let work = open.len();
        (open.into_iter().filter(free).collect(), least, work)
    }

    fn moves(&mut self) -> Vec<Move> {
        let (ready, least, work) = self.ready();
        self.steps += 1 + work / 8;
        let fits: Vec<usize> = ready.into_iter().filter(|&i| self.after(&self.definite[i]).is_some()).collect();
        let still =
            |&&i: &&usize| self.definite[i].op.action == Action::Read || self.definite[i].op.reply == Reply::Denied;
        if let Some(&i) = fits.iter().find(still) {
            return vec![Move::Definite(i)];
        }
        let mut moves: Vec<usize> = Vec::new();
        for &i in &fits {
            let item = &self.definite[i];
            let same = |j: &usize| {
                let other = &self.definite[*j];
                (other.op.action, other.op.reply) == (item.op.action, item.op.reply)
            };
            let first = |j: &usize| self.definite[*j].end() >= item.end();
            if moves.iter().any(|j| same(j) && !first(j)) {
                continue;
            }
            moves.retain(|j| !same(j) || self.definite[*j].end() == item.end());
            moves.push(i);
        }
        let blind = |&i: &usize| (self.definite[i].op.reply == Reply::Done, self.definite[i].end());
        moves.sort_by_key(blind);
        let unknown = self.unknown_moves(least);
        self.steps += unknown.len();
        moves.into_iter().map(Move::Definite).chain(unknown).collect()
    }

    fn unknown_moves(&self, least: u64) -> Vec<Move> {
        let mut tried: Vec<Action> = Vec::new();
        let mut moves = Vec::new();
        let touching: Vec<usize> =
            self.window().filter(|&i| !self.placed[i] && self.definite[i].end() == least).collect();
        for (i, item) in self.unknown.iter().enumerate() {
            if item.begin() > least {
                break;
            }
            let free = !self.happened[i] && !touching.iter().any(|&j| self.definite[j].before(item));
            if free && !tried.contains(&item.op.action) && self.after(item).is_some() {
                tried.push(item.op.action);
                moves.push(Move::Unknown(i));
            }
        }
        moves
    }

    /// What the counter holds if `item` comes next; `None` if it cannot.
    fn after(&self, item: &Item) -> Option<i128> {
        let value = self.value;
        let saw = |told: Option<i128>| told.is_none_or(|told| told == value);
        match (item.op.action, item.op.reply) {
            (Action::Read, _) => saw(item.told()).then_some(value),
            (Action::Add(amount), Reply::Denied) => {
                (!self.counter.allows(amount, value + i128::from(amount))).then_some(value)
            }
            (Action::Add(amount), _) => {
                let to = value + i128::from(amount);
                (item.told().is_none_or(|told| told == to) && self.counter.allows(amount, to)).then_some(to)
            }
            (Action::Take, _) => saw(item.told()).then_some(0),
            (Action::Set(to), _) => saw(item.told()).then_some(to.into()),
        }
    }

    fn make(&mut self, next: Move) {
        let item = match next {
            Move::Definite(i) => self.definite[i],
            Move::Unknown(i) => self.unknown[i],
        };
        self.value = self.after(&item).unwrap_or(self.value);
        match next {
            Move::Definite(i) => (self.placed[i], self.count) = (true, self.count + 1),
            Move::Unknown(i) => self.happened[i] = true,
        }
        while self.placed.get(self.base) == Some(&true) {
            self.base += 1;
        }
    }

    fn unmake(&mut self, back: Move, value: i128, base: usize) {
        match back {
            Move::Definite(i) => (self.placed[i], self.count) = (false, self.count - 1),
            Move::Unknown(i) => self.happened[i] = false,
        }
        (self.value, self.base) = (value, base);
    }
}
