//! The real branches of the Lambert W function, the inverse of `w e^w` (Corless, Gonnet, Hare, Jeffrey, Knuth 1996).
//!
//! Relative error below 1e-15 (measured, in the tests). Knows nothing of neurons.

/// `e` in two parts: together they have twice the digits of one float.
const E: (f64, f64) = (std::f64::consts::E, 1.445_646_891_729_250_2e-16);

/// Below this the series about the branch point is used: above it `w e^w - z` says enough about `w`.
const SERIES: f64 = 0.4;

/// Coefficients of `w` in powers of `sqrt(2 (e z + 1))`, from -1 on; the branch -1 has the odd ones with the other sign.
const BRANCH_POINT: [f64; 32] = [
    -1.0,
    1.0,
    -0.3333333333333333,
    0.1527777777777778,
    -0.07962962962962963,
    0.044502314814814814,
    -0.02598471487360376,
    0.01563563253233392,
    -0.009616892024299432,
    0.006014543252956118,
    -0.0038112980348919993,
    0.0024408779911439826,
    -0.0015769303446867841,
    0.0010262633205076071,
    -0.0006720616311561362,
    0.0004424730618146209,
    -0.00029267722472962746,
    0.00019438727605453933,
    -0.00012957426685274883,
    8.665035805208128e-05,
    -5.811360750441382e-05,
    3.907668486743905e-05,
    -2.63380647472311e-05,
    1.7790345805079586e-05,
    -1.2040352739559977e-05,
    8.163531982496613e-06,
    -5.544203208567359e-06,
    3.7710949611072535e-06,
    -2.5687050390550955e-06,
    1.7520067268263412e-06,
    -1.1964453089157258e-06,
    8.179940565280035e-07,
];

/// The principal branch: `w >= -1` with `w e^w = z`. NaN below `-1/e`.
pub(super) fn principal(z: f64) -> f64 {
    let square = 2.0 * libm::fma(E.0, z, 1.0) + 2.0 * E.1 * z;
    if square < 0.0 {
        return f64::NAN;
    }
    if z == 0.0 || z == f64::INFINITY || z.is_nan() {
        return z;
    }
    let p = square.sqrt();
    if p < SERIES {
        return series(p);
    }
    let guess = if z < 1.0 {
        // The first terms of the series at 0 and at the branch point, blended.
        (1.0 + (0.5 * p - 0.4) * z).max(0.2) * z / (1.0 + z)
    } else {
        let log = libm::log(z);
        log - libm::log(log.max(0.6))
    };
    polish(z, guess.max(-0.7))
}

/// The branch -1: `w <= -1` with `w e^w = z`, for `-1/e <= z < 0`; NaN elsewhere.
pub(super) fn lower(z: f64) -> f64 {
    let square = 2.0 * libm::fma(E.0, z, 1.0) + 2.0 * E.1 * z;
    if square < 0.0 || z >= 0.0 || z.is_nan() {
        return f64::NAN;
    }
    let p = square.sqrt();
    if p < SERIES {
        return series(-p);
    }
    let log = libm::log(-z);
    let mut w = log - libm::log(-log);
    // By logarithms, because e^w loses its digits where w is large: w + log(-w) = log(-z).
    for _ in 0..8 {
        let step = (log - w - libm::log(-w)) * w / (1.0 + w);
        w += step;
        if step.abs() <= 1e-10 * w.abs() {
            break;
        }
    }
    polish(z, w)
}

fn series(p: f64) -> f64 {
    BRANCH_POINT.iter().rev().fold(0.0, |sum, coefficient| sum * p + coefficient)
}

/// Halley's method until it stands still.
fn polish(z: f64, mut w: f64) -> f64 {
    for _ in 0..20 {
        // Both z and e^w may be near the ends of the range; their quotient is not.
        let ratio = z / libm::exp(w);
        let newton = (w - ratio) / (1.0 + w);
        let step = newton / (1.0 - 0.5 * newton * (w + 2.0) / (1.0 + w));
        w -= step;
        if step.abs() <= 1e-9 * w.abs() {
            break;
        }
    }
    w
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(f: fn(f64) -> f64, table: &[(f64, f64)]) {
        for (z, expected) in table {
            let error = (f(*z) / expected - 1.0).abs();
            assert!(error < 1e-15, "W({z:e}) = {} instead of {expected}: {error:e}", f(*z));
        }
    }

    #[test]
    fn the_principal_branch_to_fifty_digits() {
        check(
            principal,
            &[
                (-0.36787944117144133, -0.9999999267562402),
                (-0.36787944117044236, -0.9999976683981106),
                (-0.3678, -0.9793607149578305),
                (-0.36, -0.8060843159708176),
                (-0.33, -0.6032666497551331),
                (-0.3, -0.4894022271802149),
                (-0.25, -0.3574029561813889),
                (-0.1, -0.11183255915896297),
                (-1e-05, -1.0000100001500027e-05),
                (-1e-300, -1e-300),
                (1e-300, 1e-300),
                (1e-08, 9.999999900000002e-09),
                (0.1, 0.09127652716086226),
                (0.5, 0.35173371124919584),
                (1.0, 0.5671432904097838),
                (std::f64::consts::E, 1.0),
                (10.0, 1.7455280027406994),
                (1000.0, 5.249602852401596),
                (10000000000.0, 20.028685413304952),
                (1e+100, 224.8431064451185),
                (1e+300, 684.2472086297608),
            ],
        );
        assert_eq!(principal(0.0), 0.0);
        assert!(principal(-0.37).is_nan() && principal(f64::NAN).is_nan());
        assert_eq!(principal(f64::INFINITY), f64::INFINITY);
    }

    #[test]
    fn the_lower_branch_to_fifty_digits() {
        check(
            lower,
            &[
                (-0.36787944117144133, -1.0000000732437635),
                (-0.36787944117044236, -1.0000023316055138),
                (-0.3678, -1.0209272394094255),
                (-0.36, -1.2227701339785062),
                (-0.33, -1.541268224332639),
                (-0.3, -1.7813370234216277),
                (-0.25, -2.15329236411035),
                (-0.1, -3.577152063957297),
                (-0.01, -6.472775124394005),
                (-1e-05, -14.163600815810183),
                (-1e-10, -26.295238819246926),
                (-1e-100, -235.72115887568532),
                (-1e-300, -697.3227762954601),
            ],
        );
        assert!(lower(0.0).is_nan() && lower(-0.37).is_nan() && lower(1.0).is_nan());
    }

    #[test]
    fn both_branches_invert_w_e_w() {
        for k in 1..2000 {
            let w = -1.0 + f64::from(k) * 0.003;
            let z = w * libm::exp(w);
            assert!((principal(z) - w).abs() < 3e-8, "{w}");
            let w = -1.0 - f64::from(k) * 0.05;
            let z = w * libm::exp(w);
            assert!((lower(z) - w).abs() < 3e-8 * w.abs(), "{w}");
        }
    }
}
