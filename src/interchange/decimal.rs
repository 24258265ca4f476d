//! Decimals as exact fixed-point numbers, so that a counter of money is not judged with rounding errors.

use std::fmt;
use std::str::FromStr;

/// A number with up to nine decimal places, held exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    units: i64,
    places: u8,
}

impl Decimal {
    /// The most places a number may have.
    pub const MAX_PLACES: u8 = 9;

    pub(super) fn places(self) -> u8 {
        self.places
    }

    /// The number in units of 10^-`places`; `None` if it has more places or is too large for that.
    pub(super) fn units(self, places: u8) -> Option<i64> {
        let more = places.checked_sub(self.places)?;
        self.units.checked_mul(10_i64.checked_pow(more.into())?)
    }

    /// Parses a number; `None` if it is not one, has too many places, or is too large.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        // Nearly all are short integers.
        if let 1..=18 = text.len() {
            let (mut units, mut whole) = (0_i64, true);
            for byte in text {
                whole &= byte.is_ascii_digit();
                units = units.wrapping_mul(10).wrapping_add(i64::from(byte.wrapping_sub(b'0')));
            }
            if whole {
                return Some(Self { units, places: 0 });
            }
        }
        Self::parse_any(text)
    }

    fn parse_any(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let (mut units, mut places, mut point, mut any) = (0_i64, 0_u8, false, false);
        let mut zeros = 0;
        for &byte in digits {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    // Trailing zeros of a fraction add no places.
                    if point && byte == b'0' {
                        zeros += 1;
                        continue;
                    }
                    for digit in std::iter::repeat_n(0, zeros).chain([i64::from(byte - b'0')]) {
                        let signed = if negative { -digit } else { digit };
                        units = units.checked_mul(10)?.checked_add(signed)?;
                        places += u8::from(point);
                        if places > Self::MAX_PLACES {
                            return None;
                        }
                    }
                    zeros = 0;
                }
                b'.' if !point => point = true,
                _ => return None,
            }
        }
        any.then_some(Self { units, places })
    }
}

impl From<i64> for Decimal {
    fn from(units: i64) -> Self {
        Self { units, places: 0 }
    }
}

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text.trim().as_bytes()).ok_or(format!("{text:?} is not a number of up to 9 decimal places"))
    }
}

/// A number of units with this many decimal places, displayed as a decimal.
pub(super) struct InPlaces(pub(super) i128, pub(super) u8);

impl fmt::Display for InPlaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(units, places) = *self;
        let scale = 10_i128.pow(places.into());
        let (whole, part) = (units.abs() / scale, units.abs() % scale);
        let sign = if units < 0 { "-" } else { "" };
        if part == 0 {
            return write!(f, "{sign}{whole}");
        }
        let part = format!("{part:0width$}", width = usize::from(places));
        write!(f, "{sign}{whole}.{}", part.trim_end_matches('0'))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        InPlaces(self.units.into(), self.places).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Decimal;

    #[test]
    fn decimals_are_exact() {
        let show = |text: &str| Decimal::parse(text.as_bytes()).map(|number| number.to_string());
        for (text, shown) in
            [("1.5", "1.5"), ("-0.10", "-0.1"), ("7.000", "7"), ("+3", "3"), (".5", "0.5"), ("-9", "-9")]
        {
            assert_eq!(show(text).as_deref(), Some(shown), "{text}");
        }
        assert_eq!(show("0.000000001").as_deref(), Some("0.000000001"));
        assert_eq!(show("1.0000000000").as_deref(), Some("1"));
        assert_eq!(show("-9223372036854775808").as_deref(), Some("-9223372036854775808"));
        for text in ["", "-", ".", "1.2.3", "1e5", "0.0000000001", "9223372036854775808", "one", "1,5", "NaN"] {
            assert_eq!(show(text), None, "{text}");
        }
        let sum = |a: &str, b: &str| {
            let units = |text: &str| Decimal::parse(text.as_bytes()).and_then(|number| number.units(2));
            units(a).zip(units(b)).map(|(a, b)| a + b)
        };
        assert_eq!(sum("0.1", "0.2"), Some(30));
    }
}
