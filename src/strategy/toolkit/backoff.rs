//! Retrying: how long to wait, and when to give up. Shared by all strategies in which another client can win.
//!
//! The wait is drawn uniformly between zero and a limit that doubles with every failure (full jitter, as in
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>). Without jitter, the losers of one
//! round would meet again in the next. Linux would lengthen each sleep by up to 50 µs, about one round trip, but racing
//! threads turn this timer slack off.

use std::fmt;
use std::time::{Duration, Instant};

use redis::RedisResult;

use crate::error::BoxError;
use crate::strategy::toolkit::refused_or_unknown;
use crate::update::Update;

/// After this long an update is given up: nothing changed, and it is refused.
const PATIENCE: Duration = Duration::from_secs(3);

/// The bounds of the wait before a further try, in microseconds.
pub(crate) struct Backoff {
    /// The limit of the first wait.
    pub(crate) first_us: u64,
    /// The limit of any wait.
    pub(crate) most_us: u64,
}

impl Backoff {
    /// Runs `attempt` until it returns a value, fails, or patience ends. `None` means that another client won and
    /// nothing changed.
    pub(crate) fn retry(&self, mut attempt: impl FnMut() -> RedisResult<Option<i64>>) -> Result<Update, BoxError> {
        let since = Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            match attempt() {
                Ok(Some(value)) => return Ok(Update::Applied { value: Some(value), tries }),
                Err(error) => return refused_or_unknown(error, tries),
                Ok(None) => {}
            }
            match self.after(tries, since.elapsed().as_nanos() as u64) {
                Ok(wait) => std::thread::sleep(wait),
                Err(given_up) => return Ok(given_up),
            }
        }
    }

    /// How long to wait after try number `tries` lost to another client, `elapsed_ns` nanoseconds into the update; a
    /// refusal once patience has ended.
    pub(crate) fn after(&self, tries: u32, elapsed_ns: u64) -> Result<Duration, Update> {
        if u128::from(elapsed_ns) > PATIENCE.as_nanos() {
            let reason = format!("gave up after {} s and {tries} tries", PATIENCE.as_secs());
            return Err(Update::Refused { tries, reason });
        }
        let doubled = self.first_us.saturating_mul(1 << tries.saturating_sub(1).min(32));
        Ok(Duration::from_micros(fastrand::u64(0..=doubled.min(self.most_us))))
    }
}

/// As recorded with every run.
impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backoff={}-{}us,jitter=full,give-up={}s", self.first_us, self.most_us, PATIENCE.as_secs())
    }
}
