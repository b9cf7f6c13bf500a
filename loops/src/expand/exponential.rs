//! `exp`, and `tanh` and `sigmoid` on top of it.
//!
//! `x = n log 2 + r` with `|r| <= log(2) / 2`, so `e^x = 2^n e^r`. Must never know who uses it.

use super::Emit;
use crate::nest::Val;
use crate::scalar::Scalar;

/// `q` with `e^r = 1 + r + r^2 q(r)` for `|r| < 0.3475`.
const EXP_F32: &[f64] =
    &[0.4999999812571528, 0.16666542350850805, 0.04166720529448852, 0.008366691625095783, 0.0013882492509103227];
const EXP_F64: &[f64] = &[
    0.5000000000000006,
    0.16666666666666588,
    0.0416666666665749,
    0.008333333333390737,
    0.00138888889322251,
    0.00019841269717065386,
    2.480150442891899e-5,
    2.7557408494578852e-6,
    2.7626391251327694e-7,
    2.5053770808451953e-8,
];

/// `(n, r)` with `x = n log 2 + r`.
fn reduce(e: &mut Emit, x: Val) -> (Val, Val) {
    let (high, low) = e.log2_parts();
    let n = e.scale(x, std::f64::consts::LOG2_E);
    let n = e.round(n);
    let (high, low) = (e.scale(n, high), e.scale(n, low));
    let r = e.sub(x, high);
    (n, e.sub(r, low))
}

/// `e^r - 1` for a reduced `r`.
fn reduced_exp_minus_one(e: &mut Emit, r: Val) -> Val {
    let q = e.polynomial(e.pick(EXP_F32, EXP_F64), r);
    let square = e.mul(r, r);
    let tail = e.mul(square, q);
    e.add(r, tail)
}

/// `e^x`.
pub(super) fn exp(e: &mut Emit, x: Val) -> Val {
    // Just outside of the arguments whose results are finite and not zero.
    let (low, high) = e.pick((-104.0, 89.0), (-746.0, 710.0));
    let x = e.clamp(x, low, high);
    let (n, r) = reduce(e, x);
    let mantissa = reduced_exp_minus_one(e, r);
    let mantissa = e.offset(mantissa, 1.0);
    // 2^n alone may be too large or subnormal; its halves never are, and the last product rounds just once.
    let half = e.scale(n, 0.5);
    let half = e.unary(Scalar::Floor, half);
    let rest = e.sub(n, half);
    let (half, rest) = (e.unary(Scalar::Pow2, half), e.unary(Scalar::Pow2, rest));
    let product = e.mul(mantissa, half);
    e.mul(product, rest)
}

/// `e^x` for an `x` that is a NaN or of such a size that neither `e^x` nor its reciprocal leave the normal numbers.
pub(super) fn moderate_exp(e: &mut Emit, x: Val) -> Val {
    let (n, r) = reduce(e, x);
    let mantissa = reduced_exp_minus_one(e, r);
    let mantissa = e.offset(mantissa, 1.0);
    let power = e.unary(Scalar::Pow2, n);
    e.mul(mantissa, power)
}

/// `tanh x = (e^2x - 1) / (e^2x + 1)`, with `e^2x - 1 = 2^n (e^r - 1) + (2^n - 1)` so that nothing cancels near 0.
pub(super) fn tanh(e: &mut Emit, x: Val) -> Val {
    // Beyond, the result is 1 to the last bit.
    let limit = e.pick(20.0, 40.0);
    let double = e.add(x, x);
    let double = e.clamp(double, -limit, limit);
    let (n, r) = reduce(e, double);
    let minus_one = reduced_exp_minus_one(e, r);
    let power = e.unary(Scalar::Pow2, n);
    let scaled = e.mul(power, minus_one);
    let power_minus_one = e.offset(power, -1.0);
    let numerator = e.add(scaled, power_minus_one);
    let denominator = e.offset(numerator, 2.0);
    e.div(numerator, denominator)
}

/// `1 / (1 + e^-x)`
pub(super) fn sigmoid(e: &mut Emit, x: Val) -> Val {
    let negative = e.unary(Scalar::Neg, x);
    let power = exp(e, negative);
    let denominator = e.offset(power, 1.0);
    let one = e.constant(1.0);
    e.div(one, denominator)
}
