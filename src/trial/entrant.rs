//! One line of a plan: a strategy, what drives its clients, and what breaks the servers while they race.

use std::sync::atomic::AtomicBool;

use crate::condition::{Condition, NO_FAULT, entrant_name};
use crate::driver::{Driver, Library};
use crate::error::Result;
use crate::record::Record;
use crate::strategy::Strategy;
use crate::target::Target;
use crate::verdict::Promise;
use crate::workload::Workload;

use super::Trial;

/// One line of a plan: a strategy, and what drives its clients.
#[derive(Clone, Copy)]
pub struct Entrant<'a> {
    /// How its clients update a counter.
    pub strategy: &'a dyn Strategy,
    /// What drives the clients.
    pub driver: &'a dyn Driver,
    /// What breaks the servers while they race, if anything does.
    pub breaker: Option<&'a dyn Breaker>,
}

/// Breaks servers while clients race. Its trials use servers or proxies of their own, because broken servers are unfit
/// for other trials.
pub trait Breaker {
    /// The name of its fault, as in a [`Condition`].
    fn fault(&self) -> String;

    /// The condition under this fault, from that of a trial on healthy servers.
    fn condition(&self, healthy: Condition) -> Condition;

    /// What a strategy promises under this fault.
    fn promise(&self, strategy: &dyn Strategy) -> Promise;

    /// Runs one trial, with the clients of this load, on servers like `server`. `trial` is its number and its seed. The
    /// inner error says why the trial cannot be run.
    ///
    /// # Errors
    /// It cannot be measured, or the run must end.
    fn trial(
        &self,
        server: &Target,
        strategy: &dyn Strategy,
        load: &Workload,
        trial: (u32, u64),
        stop: &AtomicBool,
    ) -> Result<std::result::Result<Trial, String>>;
}

impl Entrant<'_> {
    /// Its name in the plan: that of the strategy, and those of the client library and the fault if there are any.
    pub fn name(&self) -> String {
        let Library { name, settings, .. } = self.driver.library();
        let fault = self.breaker.map_or_else(|| NO_FAULT.to_owned(), Breaker::fault);
        entrant_name(self.strategy.info().name, self.driver.kind(), &name, &settings, &fault)
    }

    /// Why it cannot be measured on this server; `None` if it can.
    pub(super) fn unavailable(&self, server: &Target) -> Result<Option<String>> {
        match self.driver.refuses(server, self.strategy) {
            Some(why) => Ok(Some(why)),
            // A breaker's trials have servers of their own, which are checked once they run.
            None if self.breaker.is_some() => Ok(None),
            None => self.strategy.unavailable(server),
        }
    }

    /// The row, with the condition and the promise under its fault, if it has one.
    pub(super) fn row(&self, row: Record) -> Record {
        let Some(breaker) = self.breaker else { return row };
        Record { condition: breaker.condition(row.condition), promise: breaker.promise(self.strategy), ..row }
    }
}
