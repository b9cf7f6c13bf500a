//! Transcendental functions written as scalar instructions.
//!
//! Back ends know no mathematics library: what a user calls `exp` is a fixed list of [`Scalar`] instructions, so every back
//! end gives the same bits. The lists are short and free of branches because they run inside vectorized kernels: range
//! reduction, a polynomial (coefficients fitted with the Remez algorithm for this file), and selects for the special cases.
//!
//! Largest error in units in the last place (ulp), measured and enforced against `libm` by `tests/expand.rs`:
//!
//! | function | f32 | f64 | where |
//! | --- | --- | --- | --- |
//! | [`exp`] | 1 | 1 | everywhere; subnormal results are rounded, not flushed |
//! | [`log`] | 1 | 1 | everywhere, subnormal arguments too |
//! | [`sin`], [`cos`] | 2.5 | 2.5 | to 1e5 (or 1e-9 absolute for f32, 1e-18 for f64, where that is more); beyond, only that the result lies in -1 to 1 |
//! | [`tanh`] | 3 | 3 | everywhere |
//! | [`sigmoid`] | 3 | 3 | everywhere, but results below the smallest normal number are flushed towards 0 |
//! | [`erf`] | 1.5 | 1.5 | everywhere |
//! | [`pow`] | | | see there |
//!
//! A NaN argument gives a NaN everywhere except as `pow` says. The sign of a zero result is unspecified.
//!
//! This module must never know which op asked, nor which machine will run the list.

mod circular;
mod error_function;
mod exponential;
mod logarithm;
mod power;

use crate::dtype::Dtype;
use crate::nest::{NestBuilder, Val};
use crate::scalar::Scalar;

/// `e^x`: inf above the largest finite result, 0 below half of the smallest subnormal number.
pub fn exp(b: &mut NestBuilder, dtype: Dtype, x: Val) -> Val {
    exponential::exp(&mut Emit { b, dtype }, x)
}

/// The natural logarithm: `-inf` at zeros of either sign, NaN below.
pub fn log(b: &mut NestBuilder, dtype: Dtype, x: Val) -> Val {
    logarithm::log(&mut Emit { b, dtype }, x)
}

/// The sine of `x` radians, for `|x| <= 1e5`; NaN at infinities.
pub fn sin(b: &mut NestBuilder, dtype: Dtype, x: Val) -> Val {
    circular::sin(&mut Emit { b, dtype }, x)
}

/// The cosine of `x` radians, for `|x| <= 1e5`; NaN at infinities.
pub fn cos(b: &mut NestBuilder, dtype: Dtype, x: Val) -> Val {
    circular::cos(&mut Emit { b, dtype }, x)
}

/// The hyperbolic tangent.
pub fn tanh(b: &mut NestBuilder, dtype: Dtype, x: Val) -> Val {
    exponential::tanh(&mut Emit { b, dtype }, x)
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(b: &mut NestBuilder, dtype: Dtype, x: Val) -> Val {
    exponential::sigmoid(&mut Emit { b, dtype }, x)
}

/// The error function `2 / sqrt(pi) * integral of e^(-t^2) from 0 to x`.
pub fn erf(b: &mut NestBuilder, dtype: Dtype, x: Val) -> Val {
    error_function::erf(&mut Emit { b, dtype }, x)
}

/// `x^y` for any exponent, through `e^(y log |x|)`.
///
/// The relative error is at most `3 + 2 |y log |x||` halves of an epsilon: it grows with the size of the result's logarithm.
/// [`powi`] is exact enough for constant integers. `x^0 = 1` and `1^y = 1` even for NaN; a zero of either sign counts as
/// +0, so `0^y` is 0 for `y > 0` and inf for `y < 0`; a negative `x` gives NaN unless `y` is an integer, whose parity then
/// decides the sign.
pub fn pow(b: &mut NestBuilder, dtype: Dtype, x: Val, y: Val) -> Val {
    power::pow(&mut Emit { b, dtype }, x, y)
}

/// `x^n` by repeated multiplication; a negative `n` gives the reciprocal of the positive power, so it is 0 where that
/// overflows. `x^0 = 1`.
pub fn powi(b: &mut NestBuilder, x: Val, n: i32) -> Val {
    power::powi(b, x, n)
}

/// Short names for the instructions, so that the formulas below read like formulas.
struct Emit<'a> {
    b: &'a mut NestBuilder,
    dtype: Dtype,
}

impl Emit<'_> {
    /// The entry of a table of two for the type at hand.
    fn pick<T>(&self, f32: T, f64: T) -> T {
        match self.dtype {
            Dtype::F32 => f32,
            Dtype::F64 => f64,
        }
    }

    /// log 2 as a sum whose first part has so few bits that its product with any exponent is exact.
    fn log2_parts(&self) -> (f64, f64) {
        self.pick((0.693145751953125, 1.4286068203094173e-6), (0.6931471805592082, 7.371002565167799e-13))
    }

    fn constant(&mut self, value: f64) -> Val {
        self.b.constant(value)
    }

    fn unary(&mut self, op: Scalar, a: Val) -> Val {
        self.b.scalar(op, &[a])
    }

    fn binary(&mut self, op: Scalar, a: Val, b: Val) -> Val {
        self.b.scalar(op, &[a, b])
    }

    fn add(&mut self, a: Val, b: Val) -> Val {
        self.binary(Scalar::Add, a, b)
    }

    fn sub(&mut self, a: Val, b: Val) -> Val {
        self.binary(Scalar::Sub, a, b)
    }

    fn mul(&mut self, a: Val, b: Val) -> Val {
        self.binary(Scalar::Mul, a, b)
    }

    fn div(&mut self, a: Val, b: Val) -> Val {
        self.binary(Scalar::Div, a, b)
    }

    /// `a + constant`
    fn offset(&mut self, a: Val, constant: f64) -> Val {
        let constant = self.constant(constant);
        self.add(a, constant)
    }

    /// `a * constant`
    fn scale(&mut self, a: Val, constant: f64) -> Val {
        let constant = self.constant(constant);
        self.mul(a, constant)
    }

    /// `a` limited to `low..=high`; a NaN stays a NaN, because `Min` and `Max` give their second argument then.
    fn clamp(&mut self, a: Val, low: f64, high: f64) -> Val {
        let (low, high) = (self.constant(low), self.constant(high));
        let a = self.binary(Scalar::Max, low, a);
        self.binary(Scalar::Min, high, a)
    }

    /// The nearest integer; halves go up.
    fn round(&mut self, a: Val) -> Val {
        let a = self.offset(a, 0.5);
        self.unary(Scalar::Floor, a)
    }

    /// `a == constant`
    fn is(&mut self, a: Val, constant: f64) -> Val {
        let constant = self.constant(constant);
        self.binary(Scalar::Eq, a, constant)
    }

    /// `a < constant`
    fn is_below(&mut self, a: Val, constant: f64) -> Val {
        let constant = self.constant(constant);
        self.binary(Scalar::Lt, a, constant)
    }

    fn select(&mut self, condition: Val, then: Val, otherwise: Val) -> Val {
        self.b.scalar(Scalar::Select, &[condition, then, otherwise])
    }

    /// `coefficients[0] + coefficients[1] x + ...` by Horner's rule.
    fn polynomial(&mut self, coefficients: &[f64], x: Val) -> Val {
        let mut rest = coefficients.iter().rev();
        let mut sum = self.constant(rest.next().copied().unwrap_or(0.0));
        for coefficient in rest {
            let product = self.mul(sum, x);
            sum = self.offset(product, *coefficient);
        }
        sum
    }
}
