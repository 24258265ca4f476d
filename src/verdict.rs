//! Promise, [`Ledger`] and [`Verdict`]: what a strategy promises, what the counter shows, and the verdict. Pure functions.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a strategy promises about its acknowledged updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Promise {
    /// Must not lose or double an update.
    Exact,
    /// Known to be wrong; kept as a control.
    Lossy,
}

/// What a strategy is there for: what a chart or a headline may assume about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// What most services do; always shown among the leading strategies.
    Baseline,
    /// Unprotected GET and SET: the race itself, which [`crate::law`] predicts and others are compared with.
    Race,
    /// One of the usual choices.
    Alternative,
    /// A mistake that people make, kept as a control.
    Mistake,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Baseline => "baseline",
            Self::Race => "race",
            Self::Alternative => "alternative",
            Self::Mistake => "mistake",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Baseline, Self::Race, Self::Alternative, Self::Mistake];
        let found = all.into_iter().find(|role| role.to_string() == text);
        found.ok_or_else(|| format!("role '{text}': expected baseline, race, alternative or mistake"))
    }
}

/// The accounts of one counter, or of several summed: what the clients were told compared with the counter's value.
///
/// All counts are updates. [`crate::history`] says how each is derived from the values that updates returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Asked of the strategy.
    pub attempted: u64,
    /// Reported applied.
    pub acked: u64,
    /// Gave up; nothing changed.
    pub refused: u64,
    /// Ended in an error after which they may or may not have happened.
    pub unknown: u64,
    /// Protocol-level attempts, 1 + retries each.
    pub tries: u64,
    /// What the counter gained, read back after the race by a separate connection.
    pub found: i64,
    /// Acknowledged but missing from the counter: `overwritten + rolled_back`, if updates returned their values.
    pub lost: u64,
    /// Lost because another update returned, and wrote, the same value.
    pub overwritten: u64,
    /// Lost because the counter ended below the largest value that any update returned.
    pub rolled_back: u64,
    /// Increments in the counter that no acknowledged or unknown update explains: applied more than once.
    pub doubled: u64,
    /// Increments that only refused updates can explain.
    pub phantom: u64,
    /// Acknowledged updates that returned the same value as another, beyond the first of each value.
    pub repeated: u64,
    /// Values that the counter passed but no acknowledged update returned.
    pub gaps: u64,
    /// Acknowledged updates that returned a smaller value than an update that had ended before they began.
    pub stale: u64,
}

impl AddAssign for Ledger {
    fn add_assign(&mut self, other: Self) {
        // Destructured, so that a new field cannot be forgotten here. Saturating, as a counter may hold anything.
        let Self {
            attempted,
            acked,
            refused,
            unknown,
            tries,
            found,
            lost,
            overwritten,
            rolled_back,
            doubled,
            phantom,
            repeated,
            gaps,
            stale,
        } = other;
        self.attempted = self.attempted.saturating_add(attempted);
        self.acked = self.acked.saturating_add(acked);
        self.refused = self.refused.saturating_add(refused);
        self.unknown = self.unknown.saturating_add(unknown);
        self.tries = self.tries.saturating_add(tries);
        self.found = self.found.saturating_add(found);
        self.lost = self.lost.saturating_add(lost);
        self.overwritten = self.overwritten.saturating_add(overwritten);
        self.rolled_back = self.rolled_back.saturating_add(rolled_back);
        self.doubled = self.doubled.saturating_add(doubled);
        self.phantom = self.phantom.saturating_add(phantom);
        self.repeated = self.repeated.saturating_add(repeated);
        self.gaps = self.gaps.saturating_add(gaps);
        self.stale = self.stale.saturating_add(stale);
    }
}

/// The outcome of a trial's updates, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every acknowledged update is in the counter once, and every value was returned once and in order.
    Exact,
    /// Unknown outcomes could explain the difference between the counter and the acknowledged updates, or nothing was
    /// acknowledged.
    Unproven,
    /// The count is right and no value was returned twice, but values contradict real time.
    Misordered,
    /// The count is right, but a value was returned twice: a loss and a doubling cancelled out, or replies were mixed up.
    Repeated,
    /// The counter holds more than all updates together can explain.
    Excess,
    /// Acknowledged updates are missing from the counter.
    Lost,
}

impl Verdict {
    /// Whether a strategy that promises exactness has broken its promise.
    pub fn breaks_exactness(self) -> bool {
        !matches!(self, Self::Exact | Self::Unproven)
    }

    /// How it is shown to people: `ok` for a strategy that lost nothing but does not promise to be exact.
    ///
    /// ```
    /// # use redis_lost_updates::verdict::{Promise, Verdict};
    /// assert_eq!(Verdict::Exact.shown(Promise::Exact), "exact");
    /// assert_eq!(Verdict::Exact.shown(Promise::Lossy), "ok");
    /// assert_eq!(Verdict::Lost.shown(Promise::Lossy), "lost");
    /// ```
    pub fn shown(self, promise: Promise) -> String {
        match (self, promise) {
            (Self::Exact, Promise::Lossy) => "ok".to_owned(),
            _ => self.to_string(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Unproven => "unproven",
            Self::Misordered => "misordered",
            Self::Repeated => "repeated",
            Self::Excess => "excess",
            Self::Lost => "lost",
        })
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Exact => "exact",
            Self::Lossy => "lossy",
        })
    }
}

/// The verdict on the accounts of one counter.
///
/// Losses and doublings decide first (`lost`, `excess`), then the returned values (`repeated`, `misordered`): a strategy that
/// loses one update and doubles another leaves the right count and is still caught. Unknown outcomes excuse a surplus up to
/// their own number, never a loss.
///
/// ```
/// use redis_lost_updates::verdict::{Ledger, Verdict, judge};
/// let fine = Ledger { acked: 10, found: 10, ..Ledger::default() };
/// assert_eq!(judge(&fine), Verdict::Exact);
/// assert_eq!(judge(&Ledger { found: 9, lost: 1, ..fine }), Verdict::Lost);
/// assert_eq!(judge(&Ledger { lost: 1, doubled: 1, repeated: 1, ..fine }), Verdict::Repeated);
/// assert_eq!(judge(&Ledger { found: 11, unknown: 1, ..fine }), Verdict::Unproven);
/// ```
pub fn judge(ledger: &Ledger) -> Verdict {
    let added = ledger.doubled.saturating_add(ledger.phantom);
    if ledger.lost > added {
        Verdict::Lost
    } else if ledger.lost < added {
        Verdict::Excess
    } else if ledger.repeated > 0 || ledger.lost > 0 {
        Verdict::Repeated
    } else if ledger.stale > 0 {
        Verdict::Misordered
    } else if ledger.unknown > 0 || ledger.acked == 0 {
        Verdict::Unproven
    } else {
        Verdict::Exact
    }
}
