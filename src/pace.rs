//! When updates are sent: closed loop, or open loop by a [`Schedule`]. Pure arithmetic; no clock.
//!
//! In a *closed* loop a client sends its next update when the last one is acknowledged. A server that stalls also stalls
//! its clients, so the updates that would have been sent in the meantime appear in no percentile: *coordinated omission*
//! (Gil Tene, "How not to measure latency"; his wrk2 and HdrHistogram correct for it, <https://github.com/giltene/wrk2>).
//! In an *open* loop every update has an intended instant that does not depend on the server. A late client sends at once,
//! and the latency of its update counts from the intended instant.

use std::time::Duration;

use crate::error::{Error, Result};

/// The highest rate that can be asked for, in updates per second: more than any one server takes.
pub const MAX_RATE: u64 = 10_000_000;

/// The most updates one schedule may hold: each is recorded in 24 bytes.
const MOST: u64 = 100_000_000;

/// The longest a schedule may be.
const LONGEST: Duration = Duration::from_secs(600);

/// What decides when the next update is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pace {
    /// The acknowledgement of the last one.
    #[default]
    Closed,
    /// A schedule of this many updates per second, over all clients.
    Rate(u64),
}

impl Pace {
    /// The updates per second offered; `None` in a closed loop, where the server decides.
    pub fn offered_per_s(self) -> Option<u64> {
        match self {
            Self::Closed => None,
            Self::Rate(per_s) => Some(per_s),
        }
    }
}

/// When each update of each client is due: update number `i` of client `w` at `(i * clients + w) / rate` seconds after
/// the start, so that all clients together offer one update every `1 / rate` seconds.
///
/// ```
/// use redis_lost_updates::pace::Schedule;
/// let schedule = Schedule::of_updates(1_000, 8, 3).unwrap();
/// assert_eq!((0..3).map(|client| schedule.updates_of(client)).collect::<Vec<_>>(), [3, 3, 2]);
/// assert_eq!(schedule.intended_ns(1, 2), 7_000_000);
/// assert_eq!(schedule.length_ns(), 8_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    per_s: u64,
    updates: u64,
    clients: u64,
}

impl Schedule {
    /// `updates` updates in all, by `clients` clients, `per_s` a second.
    ///
    /// # Errors
    /// A usage error: the rate is out of range, or there would be no update, or they would take over ten minutes.
    pub fn of_updates(per_s: u64, updates: u64, clients: usize) -> Result<Self> {
        if per_s == 0 || per_s > MAX_RATE {
            return Err(Error::usage(format!("rate: expected 1 to {MAX_RATE} updates per second in total")));
        }
        let schedule = Self { per_s, updates, clients: clients as u64 };
        if updates == 0 {
            return Err(Error::usage(format!(
                "rate: {per_s} updates per second are less than one per trial; use a longer --duration"
            )));
        }
        if updates > MOST || schedule.length_ns() > LONGEST.as_nanos() as u64 {
            return Err(Error::usage(format!(
                "rate: {updates} updates at {per_s} per second are too many for a trial: at most {MOST} in {} s",
                LONGEST.as_secs()
            )));
        }
        Ok(schedule)
    }

    /// As many updates as are due within `duration`.
    ///
    /// # Errors
    /// As [`Schedule::of_updates`].
    pub fn of_duration(per_s: u64, duration: Duration, clients: usize) -> Result<Self> {
        let updates = u128::from(per_s) * duration.as_nanos() / 1_000_000_000;
        Self::of_updates(per_s, u64::try_from(updates).unwrap_or(u64::MAX), clients)
    }

    /// Updates per second, over all clients.
    pub fn per_s(&self) -> u64 {
        self.per_s
    }

    /// Updates of all clients together.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Updates of client number `client`.
    pub fn updates_of(&self, client: usize) -> u64 {
        (self.updates + self.clients - 1).saturating_sub(client as u64) / self.clients
    }

    /// When update number `index` of a client is due, in nanoseconds after the start.
    pub fn intended_ns(&self, client: usize, index: u64) -> u64 {
        self.instant_ns(index * self.clients + client as u64)
    }

    /// How long the schedule is: when the update after its last would be due.
    pub fn length_ns(&self) -> u64 {
        self.instant_ns(self.updates)
    }

    /// When the update at this place is due. 128 bits hold any product of a place and a second in nanoseconds.
    fn instant_ns(&self, place: u64) -> u64 {
        u64::try_from(u128::from(place) * 1_000_000_000 / u128::from(self.per_s)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clients_together_offer_one_update_every_interval() {
        let schedule = Schedule::of_duration(3_000, Duration::from_millis(10), 4).unwrap();
        assert_eq!(schedule.updates(), 30);
        let mut due: Vec<u64> = (0..4)
            .flat_map(|client| (0..schedule.updates_of(client)).map(move |i| schedule.intended_ns(client, i)))
            .collect();
        due.sort_unstable();
        let expected: Vec<u64> = (0..30).map(|place| place * 1_000_000_000 / 3_000).collect();
        assert_eq!(due, expected);
        assert_eq!(schedule.length_ns(), 10_000_000);
    }

    #[test]
    fn clients_without_a_place_have_no_updates() {
        let schedule = Schedule::of_updates(10, 2, 5).unwrap();
        assert_eq!((0..5).map(|client| schedule.updates_of(client)).collect::<Vec<_>>(), [1, 1, 0, 0, 0]);
    }

    #[test]
    fn what_cannot_be_offered_is_a_usage_error() {
        let second = Duration::from_secs(1);
        assert!(Schedule::of_duration(0, second, 1).is_err());
        assert!(Schedule::of_duration(MAX_RATE + 1, second, 1).is_err());
        assert!(Schedule::of_duration(10, Duration::from_millis(99), 1).is_err(), "not one update");
        assert!(Schedule::of_updates(1, 601, 1).is_err(), "ten minutes and a second");
        assert_eq!(Schedule::of_duration(u64::MAX / 2, second, 1).unwrap_err().to_string().lines().count(), 1);
    }
}
