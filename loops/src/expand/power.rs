//! `pow` and `powi`.
//!
//! Must never know who uses it.

use super::Emit;
use super::exponential::exp;
use super::logarithm::log;
use crate::nest::{NestBuilder, Val};
use crate::scalar::Scalar;

/// `x^y`; the special cases are documented at [`super::pow`].
pub(super) fn pow(e: &mut Emit, x: Val, y: Val) -> Val {
    let magnitude = e.unary(Scalar::Abs, x);
    let logarithm = log(e, magnitude);
    let product = e.mul(y, logarithm);
    let power = exp(e, product);
    let (one, nan) = (e.constant(1.0), e.constant(f64::NAN));
    // 0 * inf and 0 * NaN are no logarithm of 1.
    let is_unit = e.binary(Scalar::Eq, magnitude, one);
    let is_constant = e.is(y, 0.0);
    let is_one = e.binary(Scalar::Or, is_unit, is_constant);
    let power = e.select(is_one, one, power);
    let signed = signed_power(e, y, power, nan);
    let is_negative = e.is_below(x, 0.0);
    e.select(is_negative, signed, power)
}

/// What a negative base makes of the power of its magnitude: `-power` for odd `y`, `nan` for fractions.
fn signed_power(e: &mut Emit, y: Val, power: Val, nan: Val) -> Val {
    let whole = e.unary(Scalar::Floor, y);
    let is_integer = e.binary(Scalar::Eq, whole, y);
    let half = e.scale(y, 0.5);
    let whole_half = e.unary(Scalar::Floor, half);
    let is_even = e.binary(Scalar::Eq, whole_half, half);
    let flipped = e.unary(Scalar::Neg, power);
    let signed = e.select(is_even, power, flipped);
    e.select(is_integer, signed, nan)
}

/// `x^n` by repeated squaring.
pub(super) fn powi(b: &mut NestBuilder, x: Val, n: i32) -> Val {
    let mut bits = n.unsigned_abs();
    let mut square = x;
    let mut product = None;
    while bits > 0 {
        if bits & 1 == 1 {
            product = Some(match product {
                Some(product) => b.scalar(Scalar::Mul, &[product, square]),
                None => square,
            });
        }
        bits >>= 1;
        if bits > 0 {
            square = b.scalar(Scalar::Mul, &[square, square]);
        }
    }
    match product {
        None => b.constant(1.0),
        Some(product) if n < 0 => {
            let one = b.constant(1.0);
            b.scalar(Scalar::Div, &[one, product])
        }
        Some(product) => product,
    }
}
