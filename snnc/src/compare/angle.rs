//! Two gradients of the same parameters: the angle between them, and how their lengths compare.
//!
//! Must never know how they came about.

use super::measure::Gradients;

/// A gradient against the exact one.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The parameter's path; `total` for all of them.
    pub path: String,
    /// The angle in degrees; `None` where one of the two is 0 everywhere.
    pub angle: Option<f64>,
    /// The length over that of the exact one; `None` where the exact one is 0 everywhere.
    pub ratio: Option<f64>,
}

/// The differences of each parameter that both know, and of all together.
pub(super) fn differences(exact: &Gradients, other: &Gradients) -> (Vec<Difference>, Difference) {
    let pairs = || exact.iter().filter_map(|(path, exact)| Some((path, exact, other.get(path)?)));
    let rows = pairs().map(|(path, exact, other)| difference(path, exact, other)).collect();
    let all = |pick: fn(&[f64], &[f64]) -> Vec<f64>| pairs().flat_map(|(_, a, b)| pick(a, b)).collect::<Vec<f64>>();
    (rows, difference("total", &all(|exact, _| exact.to_vec()), &all(|_, other| other.to_vec())))
}

fn difference(path: &str, exact: &[f64], other: &[f64]) -> Difference {
    let lengths = (norm(exact), norm(other));
    let ratio = (lengths.0 > 0.0).then(|| lengths.1 / lengths.0);
    Difference { path: path.to_owned(), angle: angle(exact, other, lengths), ratio }
}

/// The angle between two vectors of known lengths, in degrees. Unlike the arc cosine of their product this is exact for
/// small angles, too (Kahan).
fn angle(a: &[f64], b: &[f64], (norm_a, norm_b): (f64, f64)) -> Option<f64> {
    let apart = |sign: f64| a.iter().zip(b).map(|(a, b)| (a / norm_a + sign * b / norm_b).powi(2)).sum::<f64>().sqrt();
    (norm_a > 0.0 && norm_b > 0.0).then(|| 2.0 * apart(-1.0).atan2(apart(1.0)).to_degrees())
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_and_ratios_are_those_of_geometry() {
        let cases: [(&[f64], &[f64], f64, f64); 5] = [
            (&[3.0, 4.0], &[3.0, 4.0], 0.0, 1.0),
            (&[1.0, 0.0], &[0.0, 2.0], 90.0, 2.0),
            (&[1.0, 1.0], &[-0.5, -0.5], 180.0, 0.5),
            (&[1.0, 0.0], &[3.0, 3.0], 45.0, 18f64.sqrt()),
            (&[1.0, 0.0], &[1.0, 1e-9], 1e-9f64.to_degrees(), 1.0),
        ];
        for (exact, other, angle, ratio) in cases {
            let found = difference("w", exact, other);
            assert!((found.angle.unwrap() - angle).abs() <= 1e-12 * (1.0 + angle), "{found:?} {angle}");
            assert!((found.ratio.unwrap() - ratio).abs() < 1e-12, "{found:?} {ratio}");
        }
    }

    #[test]
    fn a_gradient_of_zero_has_no_direction() {
        let zero = difference("w", &[0.0, 0.0], &[1.0, 0.0]);
        assert_eq!((zero.angle, zero.ratio), (None, None));
        let zero = difference("w", &[1.0, 0.0], &[0.0, 0.0]);
        assert_eq!((zero.angle, zero.ratio), (None, Some(0.0)));
    }

    #[test]
    fn the_total_is_that_of_all_parameters_side_by_side() {
        let of =
            |a: [f64; 1], b: [f64; 1]| Gradients::from([("a".to_owned(), a.to_vec()), ("b".to_owned(), b.to_vec())]);
        let (rows, total) = differences(&of([1.0], [0.0]), &of([1.0], [1.0]));
        assert_eq!(rows.iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((rows[0].angle, rows[1].angle), (Some(0.0), None));
        assert!((total.angle.unwrap() - 45.0).abs() < 1e-12 && total.path == "total");
    }
}
