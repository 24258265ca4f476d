//! The accounts of a counter in units, in either direction: how often every level was crossed, and how often it should have
//! been. [`super::general`] says what is counted, and why it adds up.

use super::operation::{Action, Counter, Item, Reply};

/// The accounts in units (of the last decimal place, if there are any). None is negative except `deficit`.
///
/// `found - initial = added - removed - taken + set - lost_added + lost_removed + taken_twice - set_twice + surplus -
/// missing + unknown_added - unknown_removed`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Units {
    /// What acknowledged adds of more than zero add up to.
    pub added: i128,
    /// What acknowledged adds of less than zero took away.
    pub removed: i128,
    /// What takes, and sets that were told the value they replaced, took away.
    pub taken: i128,
    /// What sets that were told the value they replaced added.
    pub set: i128,
    /// Acknowledged as added, but missing.
    pub lost_added: i128,
    /// Acknowledged as removed, but still there.
    pub lost_removed: i128,
    /// Taken or set away more often than it was there.
    pub taken_twice: i128,
    /// Set more often than the counter rose.
    pub set_twice: i128,
    /// In the counter, though nothing in the file can have added it.
    pub surplus: i128,
    /// Gone from the counter, though nothing in the file can have removed it.
    pub missing: i128,
    /// Added by operations of unknown outcome, as far as these explain the counter.
    pub unknown_added: i128,
    /// Removed by operations of unknown outcome.
    pub unknown_removed: i128,
    /// What the acknowledged operations should have left, less what was found: a lost +5 and a lost -5 cancel out.
    pub deficit: i128,
}

impl Units {
    /// The sum of both.
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            added: self.added + other.added,
            removed: self.removed + other.removed,
            taken: self.taken + other.taken,
            set: self.set + other.set,
            lost_added: self.lost_added + other.lost_added,
            lost_removed: self.lost_removed + other.lost_removed,
            taken_twice: self.taken_twice + other.taken_twice,
            set_twice: self.set_twice + other.set_twice,
            surplus: self.surplus + other.surplus,
            missing: self.missing + other.missing,
            unknown_added: self.unknown_added + other.unknown_added,
            unknown_removed: self.unknown_removed + other.unknown_removed,
            deficit: self.deficit + other.deficit,
        }
    }

    /// Whether every unit is accounted for.
    pub fn is_clean(&self) -> bool {
        [self.lost_added, self.lost_removed, self.taken_twice, self.set_twice, self.surplus, self.missing] == [0; 6]
    }

    /// The accounts of one counter that ended at `found`; `None` if a take or set was told no value, so that how much
    /// it took away is unknown.
    pub(super) fn of(items: &[Item], counter: &Counter, found: i128) -> Option<Self> {
        let mut units = Self::default();
        let mut crossings = Crossings::default();
        let (mut may, mut must) = (Both::default(), Both::default());
        for item in items {
            match (item.op.action, item.op.reply) {
                (Action::Read, _) | (_, Reply::Failed | Reply::Denied) => {}
                (Action::Add(amount), reply) => {
                    let amount = i128::from(amount);
                    match reply {
                        Reply::Told(to) => crossings.push(i128::from(to) - amount, to.into(), false),
                        Reply::Done => must.add(amount),
                        _ => may.add(amount),
                    }
                    if reply != Reply::Unknown {
                        units.added += amount.max(0);
                        units.removed += (-amount).max(0);
                    }
                }
                (action, Reply::Told(was)) => {
                    let to = if let Action::Set(to) = action { i128::from(to) } else { 0 };
                    let was = i128::from(was);
                    units.taken += (was - to).max(0);
                    units.set += (to - was).max(0);
                    crossings.push(was, to, true);
                }
                (Action::Take | Action::Set(_), _) => return None,
            }
        }
        let initial = i128::from(counter.initial);
        let net = units.added - units.removed - units.taken + units.set;
        units.deficit = initial + net - found;
        crossings.balance(&mut units, initial, found, must, may);
        Some(units)
    }
}

/// Units up and units down.
#[derive(Clone, Copy, Default)]
struct Both {
    up: i128,
    down: i128,
}

impl Both {
    fn add(&mut self, amount: i128) {
        self.up += amount.max(0);
        self.down += (-amount).max(0);
    }
}

/// Where told operations start and stop crossing levels: the place, and by how much each of the four counts changes
/// there.
#[derive(Default)]
struct Crossings(Vec<(i128, [i64; 4])>);

const ADD_UP: usize = 0;
const ADD_DOWN: usize = 1;
const SET_UP: usize = 2;
const SET_DOWN: usize = 3;

impl Crossings {
    fn push(&mut self, from: i128, to: i128, resets: bool) {
        let way = match (resets, to > from) {
            (false, true) => ADD_UP,
            (false, false) => ADD_DOWN,
            (true, true) => SET_UP,
            (true, false) => SET_DOWN,
        };
        let change = |by| std::array::from_fn(|i| if i == way { by } else { 0 });
        self.0.push((from.min(to), change(1)));
        self.0.push((from.max(to), change(-1)));
    }

    /// Compares, level by level, what was told with what leads from `initial` to `found`.
    fn balance(mut self, units: &mut Units, initial: i128, found: i128, must: Both, may: Both) {
        self.0.push((initial, [0; 4]));
        self.0.push((found, [0; 4]));
        self.0.sort_unstable_by_key(|&(place, _)| place);
        // Levels that rose too often or too seldom, by what crossed them: adds, takes and sets, nothing recorded.
        let (mut over, mut under) = ([0_i128; 3], [0_i128; 3]);
        let mut counts = [0_i64; 4];
        for pair in self.0.windows(2) {
            let (place, changes) = pair[0];
            counts.iter_mut().zip(changes).for_each(|(count, change)| *count += change);
            let height = pair[1].0 - place;
            let net = i64::from(initial <= place && place < found) - i64::from(found <= place && place < initial);
            let more = counts[ADD_UP] + counts[SET_UP] - counts[ADD_DOWN] - counts[SET_DOWN] - net;
            let (parts, add, set) =
                if more > 0 { (&mut over, ADD_UP, SET_UP) } else { (&mut under, ADD_DOWN, SET_DOWN) };
            let by_adds = more.abs().min(counts[add]);
            let by_sets = (more.abs() - by_adds).min(counts[set]);
            for (part, levels) in parts.iter_mut().zip([by_adds, by_sets, more.abs() - by_adds - by_sets]) {
                *part += i128::from(levels) * height;
            }
        }
        // Adds that were told no value explain what they can: acknowledged adds first, and levels without a record
        // first.
        let (left_up, may_up) = (explain(&mut under, must.up), explain(&mut under, may.up));
        let (left_down, may_down) = (explain(&mut over, must.down), explain(&mut over, may.down));
        let both = left_up.min(left_down);
        let (lone_up, lone_down) = (left_up - both, left_down - both);
        let (up_undone, down_undone) = (lone_up.min(may_down), lone_down.min(may_up));
        units.unknown_added = may.up - may_up + down_undone;
        units.unknown_removed = may.down - may_down + up_undone;
        units.lost_added = over[0] + lone_up - up_undone;
        units.lost_removed = under[0] + lone_down - down_undone;
        (units.set_twice, units.taken_twice) = (over[1], under[1]);
        (units.missing, units.surplus) = (over[2], under[2]);
    }
}

/// Subtracts up to `units` from `parts`, the last part first; returns the units left over.
fn explain(parts: &mut [i128; 3], mut units: i128) -> i128 {
    for part in parts.iter_mut().rev() {
        let taken = units.min(*part);
        *part -= taken;
        units -= taken;
    }
    units
}
