//! How long a byte is delayed.

use std::time::Duration;

/// The delay of everything sent in one direction. Later bytes never overtake earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Delay {
    /// None: as fast as the proxy forwards.
    #[default]
    None,
    /// The same for all bytes.
    Fixed(Duration),
    /// Drawn uniformly between the two for whatever arrives together; depends on
    /// [`Options::seed`](super::Options::seed), the connection's number and the direction.
    Between(Duration, Duration),
}

impl Delay {
    /// A delay in nanoseconds.
    pub(super) fn draw(self, random: &mut fastrand::Rng) -> u64 {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
        match self {
            Self::None => 0,
            Self::Fixed(time) => ns(time),
            Self::Between(one, other) => random.u64(ns(one.min(other))..=ns(one.max(other))),
        }
    }

    /// Whether nothing is held back at all.
    pub(super) fn is_none(self) -> bool {
        matches!(self, Self::None | Self::Fixed(Duration::ZERO))
    }
}
