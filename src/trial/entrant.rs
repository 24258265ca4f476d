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
    /// How they update.
    pub strategy: &'a dyn Strategy,
    /// What drives them.
    pub driver: &'a dyn Driver,
    /// What breaks the servers while they race, if anything does.
    pub breaker: Option<&'a dyn Breaker>,
}

/// What breaks servers while clients race. Its trials bring their own servers or proxies, because what is broken is no
/// place for other trials.
pub trait Breaker {
    /// The name of its fault, as a [`Condition`] has it.
    fn fault(&self) -> String;

    /// What the condition of a trial on healthy servers becomes.
    fn condition(&self, healthy: Condition) -> Condition;

    /// What a strategy promises under this fault.
    fn promise(&self, strategy: &dyn Strategy) -> Promise;

    /// One trial, by the clients of this load, on servers like this one. The inner error is why they cannot run it.
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
    /// Its name in the plan: the strategy's name, and that of the client library if there is one.
    pub fn name(&self) -> String {
        let Library { name, settings, .. } = self.driver.library();
        let fault = self.breaker.map_or_else(|| NO_FAULT.to_owned(), Breaker::fault);
        entrant_name(self.strategy.info().name, self.driver.kind(), &name, &settings, &fault)
    }

    /// Why it cannot be measured on this server, if it cannot.
    pub(super) fn unavailable(&self, server: &Target) -> Result<Option<String>> {
        match self.driver.refuses(server, self.strategy) {
            Some(why) => Ok(Some(why)),
            // A breaker's trials have servers of their own, which are asked when they are there.
            None if self.breaker.is_some() => Ok(None),
            None => self.strategy.unavailable(server),
        }
    }

    /// A row of it as its fault makes it.
    pub(super) fn row(&self, row: Record) -> Record {
        let Some(breaker) = self.breaker else { return row };
        Record { condition: breaker.condition(row.condition), promise: breaker.promise(self.strategy), ..row }
    }
}
