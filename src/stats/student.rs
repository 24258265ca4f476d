//! Quantiles of Student's t for any degrees of freedom, fractions and very many included.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The distribution; `None` if there is none with so many degrees of freedom.
pub(super) fn student(freedom: f64) -> Option<StudentsT> {
    // Beyond a billion it is the normal distribution to nine digits, and the crate's cdf has none left.
    StudentsT::new(0.0, 1.0, if freedom > 1e9 { 1e9 } else { freedom }).ok()
}

/// Student's t beyond which 2.5 % lie on each side; infinite if there is no such distribution.
pub(super) fn student_975(freedom: f64) -> f64 {
    student_quantile(freedom, 0.975)
}

/// The quantile of Student's t at `part` (over a half); infinite if there is no such distribution.
///
/// By bisection, one bit per step: the crate's own inverse iterates without bound for many degrees of freedom.
pub(super) fn student_quantile(freedom: f64, part: f64) -> f64 {
    let Some(student) = student(freedom) else { return f64::INFINITY };
    let (mut low, mut high) = (0.0, 1.0);
    while student.cdf(high) < part && high < f64::MAX / 2.0 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..36 {
        let middle = f64::midpoint(low, high);
        if student.cdf(middle) < part { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_t_is_found_for_any_degrees_of_freedom() {
        // SciPy 1.17.
        let table = [
            (1.0, 12.706_204_736_174_694),
            (1.5, 6.016_663_104_427_929),
            (2.0, 4.302_652_729_749_462),
            (3.0, 3.182_446_305_283_707_8),
            (4.0, 2.776_445_105_197_793_4),
            (10.0, 2.228_138_851_986_274),
            (99.5, 1.984_093_610_990_623_8),
            (1_000.0, 1.962_339_080_826_408_3),
            (1e5, 1.959_987_707_534_609_5),
            (1e7, 1.959_964_221_767_205),
        ];
        for (freedom, t) in table {
            assert!((student_975(freedom) - t).abs() < 1e-6 * t, "{freedom}: {}", student_975(freedom));
        }
        assert!((student_975(1e300) - 1.959_963_985).abs() < 1e-6);
        assert_eq!(student_975(f64::NAN), f64::INFINITY);
        assert_eq!(student_975(0.0), f64::INFINITY);
    }

    #[test]
    fn degrees_of_freedom_below_one_have_a_t_of_their_own() {
        // mpmath's incomplete beta function, inverted with 40 digits.
        for (freedom, t) in [(0.5, 164.557_673_480_488_5), (0.1, 1_682_362_288_745.028)] {
            assert!((student_975(freedom) - t).abs() < 1e-9 * t, "{freedom}: {}", student_975(freedom));
        }
        assert!(student(2e9).is_some() && student(-1.0).is_none());
    }
}
