//! What a folder says about a strategy besides its rows: its batch size and its role.
//!
//! Facts `batch.NAME` and `role.NAME` of `machine.csv`, so that any writer can state them for any strategy. Folders of
//! version 0.1.0 lack them: there a batch shows as `1/16` in the round trips, and two strategies are known by name.

use super::Machine;
use crate::verdict::{Promise, Role};

impl Machine {
    /// Updates a client of this strategy hands over at once; 1 if the folder does not say.
    pub fn batch(&self, strategy: &str) -> usize {
        let stated = self.get(&format!("batch.{strategy}")).and_then(|batch| batch.parse().ok());
        let earlier = || self.get(&format!("round_trips.{strategy}"))?.strip_prefix("1/")?.parse().ok();
        stated.or_else(earlier).filter(|&batch| batch > 0).unwrap_or(1)
    }

    /// This strategy's role; if the folder does not say, the likely one for its promise.
    pub fn role(&self, strategy: &str, promise: Promise) -> Role {
        let stated = self.get(&format!("role.{strategy}")).and_then(|role| role.parse().ok());
        stated.unwrap_or(match (strategy, promise) {
            ("get-set", _) => Role::Race,
            ("pooled-incr", _) => Role::Baseline,
            (_, Promise::Exact) => Role::Alternative,
            (_, Promise::Lossy) => Role::Mistake,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stated_counts_and_an_earlier_folder_is_read_as_before() {
        let mut earlier = Machine::default();
        earlier.add("round_trips.pipelined", "1/16");
        earlier.add("round_trips.mutex-batch", "2");
        assert_eq!(["pipelined", "mutex-batch", "other"].map(|name| earlier.batch(name)), [16, 1, 1]);
        let of = |machine: &Machine, name| machine.role(name, Promise::Exact);
        assert_eq!(
            ["get-set", "pooled-incr", "x"].map(|n| of(&earlier, n)),
            [Role::Race, Role::Baseline, Role::Alternative]
        );
        assert_eq!(earlier.role("x", Promise::Lossy), Role::Mistake);
        for (fact, value) in [("batch.mutex-batch", "100"), ("role.x", "race"), ("batch.y", "0"), ("role.y", "king")] {
            earlier.add(fact, value);
        }
        assert_eq!(["mutex-batch", "y"].map(|name| earlier.batch(name)), [100, 1]);
        assert_eq!(["x", "y"].map(|name| of(&earlier, name)), [Role::Race, Role::Alternative]);
    }
}
