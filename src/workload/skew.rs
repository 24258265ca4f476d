//! How updates choose among several counters.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How updates choose among several counters.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Skew {
    /// Every counter equally.
    #[default]
    Even,
    /// Counter number k (from 1) is chosen in proportion to 1/k^s.
    Zipf(f64),
}

impl Skew {
    /// The exponent; `None` if all counters are equally likely.
    fn exponent(self) -> Option<f64> {
        match self {
            Self::Even => None,
            Self::Zipf(s) => Some(s),
        }
    }
}

// Exponents are positive numbers, whose bits are in the order of their values.
impl PartialEq for Skew {
    fn eq(&self, other: &Self) -> bool {
        self.exponent().map(f64::to_bits) == other.exponent().map(f64::to_bits)
    }
}

impl Eq for Skew {}

impl PartialOrd for Skew {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Skew {
    fn cmp(&self, other: &Self) -> Ordering {
        self.exponent().map(f64::to_bits).cmp(&other.exponent().map(f64::to_bits))
    }
}

impl Hash for Skew {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.exponent().map(f64::to_bits).hash(state);
    }
}

impl TryFrom<String> for Skew {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Skew> for String {
    fn from(skew: Skew) -> Self {
        skew.to_string()
    }
}

impl FromStr for Skew {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "even" {
            return Ok(Self::Even);
        }
        text.strip_prefix("zipf:")
            .and_then(|s| s.parse::<f64>().ok())
            .filter(|s| s.is_finite() && *s > 0.0)
            .map(Self::Zipf)
            .ok_or_else(|| {
                Error::usage(format!("skew '{text}': expected even, or zipf:S with S above 0, such as zipf:1.0"))
            })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Even => f.write_str("even"),
            Self::Zipf(s) => write!(f, "zipf:{s}"),
        }
    }
}
