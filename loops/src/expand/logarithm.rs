//! `log`.
//!
//! `x = 2^k (1 + f)` with `1 + f` in `[sqrt(1/2), sqrt(2)]`, and with `s = f / (2 + f)`
//! `log(1 + f) = 2 atanh s = f - f^2 / 2 + s (f^2 / 2 + z p(z))`, `z = s^2`. Must never know who uses it.

use super::Emit;
use crate::nest::Val;
use crate::scalar::Scalar;

/// `p` with `2 atanh s = 2 s + s z p(z)`, for `z = s^2 < 0.02945`.
const ATANH_F32: &[f64] = &[0.6666677652871625, 0.3997752142759073, 0.2987231644246311];
const ATANH_F64: &[f64] = &[
    0.6666666666666735,
    0.3999999999941313,
    0.28571428742766414,
    0.22222198531110596,
    0.18183566669606335,
    0.1531398678046528,
    0.14796624287805463,
];

/// The natural logarithm.
pub(super) fn log(e: &mut Emit, x: Val) -> Val {
    let (mantissa, k) = split(e, x);
    let f = e.offset(mantissa, -1.0);
    let finite = log_of_split(e, f, k);
    special_cases(e, x, finite)
}

/// `(1 + f, k)` with `x = 2^k (1 + f)` for a positive finite `x`.
fn split(e: &mut Emit, x: Val) -> (Val, Val) {
    let (smallest_normal, bits) = e.pick((f64::from(f32::MIN_POSITIVE), 24), (f64::MIN_POSITIVE, 53));
    let is_subnormal = e.is_below(x, smallest_normal);
    let scaled = e.scale(x, (1i64 << bits) as f64);
    let normal = e.select(is_subnormal, scaled, x);
    let mantissa = e.unary(Scalar::Mantissa, normal);
    let exponent = e.unary(Scalar::Exponent, normal);
    let lowered = e.offset(exponent, -f64::from(bits));
    let exponent = e.select(is_subnormal, lowered, exponent);
    let sqrt2 = e.constant(std::f64::consts::SQRT_2);
    let is_large = e.binary(Scalar::Lt, sqrt2, mantissa);
    let (half, next) = (e.scale(mantissa, 0.5), e.offset(exponent, 1.0));
    (e.select(is_large, half, mantissa), e.select(is_large, next, exponent))
}

/// `k log 2 + log(1 + f)`
fn log_of_split(e: &mut Emit, f: Val, k: Val) -> Val {
    let (high, low) = e.log2_parts();
    let two_plus_f = e.offset(f, 2.0);
    let s = e.div(f, two_plus_f);
    let z = e.mul(s, s);
    let p = e.polynomial(e.pick(ATANH_F32, ATANH_F64), z);
    let zp = e.mul(z, p);
    let half_f = e.scale(f, 0.5);
    let half_square = e.mul(half_f, f);
    let inner = e.add(half_square, zp);
    let inner = e.mul(s, inner);
    let (high, low) = (e.scale(k, high), e.scale(k, low));
    // Smallest parts first: the sum loses no more than its last rounding or so.
    let tail = e.add(inner, low);
    let tail = e.sub(half_square, tail);
    let tail = e.sub(tail, f);
    e.sub(high, tail)
}

/// `finite` for a positive finite `x`, else what the logarithm is there.
fn special_cases(e: &mut Emit, x: Val, finite: Val) -> Val {
    let (zero, infinity) = (e.constant(0.0), e.constant(f64::INFINITY));
    let (minus_infinity, nan) = (e.constant(f64::NEG_INFINITY), e.constant(f64::NAN));
    let is_zero = e.is(x, 0.0);
    let not_positive = e.select(is_zero, minus_infinity, nan);
    let is_infinite = e.binary(Scalar::Eq, x, infinity);
    let positive = e.select(is_infinite, infinity, finite);
    let is_positive = e.binary(Scalar::Lt, zero, x);
    e.select(is_positive, positive, not_positive)
}
