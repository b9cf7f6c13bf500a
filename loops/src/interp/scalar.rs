//! What each scalar instruction computes.
//!
//! Must never know loops or memory.

use crate::dtype::Dtype;
use crate::scalar::Scalar;

/// A value inside a kernel. A float holds a value of the program's type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A float.
    Float(f64),
    /// A truth value.
    Mask(bool),
}

/// The result of an instruction; `None` where the arguments have the wrong number or types.
pub fn apply(dtype: Dtype, op: Scalar, arguments: &[Value]) -> Option<Value> {
    use Value::{Float, Mask};
    Some(match (op, arguments) {
        (Scalar::Lt, &[Float(a), Float(b)]) => Mask(a < b),
        (Scalar::Le, &[Float(a), Float(b)]) => Mask(a <= b),
        (Scalar::Eq, &[Float(a), Float(b)]) => Mask(a == b),
        (Scalar::And, &[Mask(a), Mask(b)]) => Mask(a && b),
        (Scalar::Or, &[Mask(a), Mask(b)]) => Mask(a || b),
        (Scalar::Not, &[Mask(a)]) => Mask(!a),
        (Scalar::Select, &[Mask(a), Float(b), Float(c)]) => Float(if a { b } else { c }),
        (_, &[Float(a)]) => Float(unary(dtype, op, a)?),
        (_, &[Float(a), Float(b)]) => Float(binary(dtype, op, a, b)?),
        _ => return None,
    })
}

/// Instructions from a float to a float. Those that cannot round are the same in both types.
fn unary(dtype: Dtype, op: Scalar, a: f64) -> Option<f64> {
    Some(match (op, dtype) {
        (Scalar::Neg, _) => -a,
        (Scalar::Abs, _) => a.abs(),
        (Scalar::Floor, _) => a.floor(),
        (Scalar::Sqrt, Dtype::F32) => f64::from((a as f32).sqrt()),
        (Scalar::Sqrt, Dtype::F64) => a.sqrt(),
        (Scalar::Pow2, _) => pow2(dtype, a),
        (Scalar::Exponent, _) => normal_bits(dtype, a).map_or(f64::NAN, |bits| (bits >> 52) as f64 - 1023.0),
        (Scalar::Mantissa, _) => {
            normal_bits(dtype, a).map_or(f64::NAN, |bits| f64::from_bits(bits & MANTISSA_MASK | ONE_BITS))
        }
        _ => return None,
    })
}

/// Instructions from two floats to a float. Sums and products of f32 are computed in f32, as the hardware does.
fn binary(dtype: Dtype, op: Scalar, a: f64, b: f64) -> Option<f64> {
    let (a32, b32) = (a as f32, b as f32);
    Some(match (op, dtype) {
        (Scalar::Add, Dtype::F32) => f64::from(a32 + b32),
        (Scalar::Add, Dtype::F64) => a + b,
        (Scalar::Sub, Dtype::F32) => f64::from(a32 - b32),
        (Scalar::Sub, Dtype::F64) => a - b,
        (Scalar::Mul, Dtype::F32) => f64::from(a32 * b32),
        (Scalar::Mul, Dtype::F64) => a * b,
        (Scalar::Div, Dtype::F32) => f64::from(a32 / b32),
        (Scalar::Div, Dtype::F64) => a / b,
        // The IEEE minimum and maximum treat NaN and zeros of different sign otherwise.
        (Scalar::Min, _) => {
            if a < b {
                a
            } else {
                b
            }
        }
        (Scalar::Max, _) => {
            if a > b {
                a
            } else {
                b
            }
        }
        _ => return None,
    })
}

const MANTISSA_MASK: u64 = (1 << 52) - 1;
const ONE_BITS: u64 = 1023 << 52;

/// `2^a`, or NaN where the instruction does not say what it gives.
fn pow2(dtype: Dtype, a: f64) -> f64 {
    let (low, high) = match dtype {
        Dtype::F32 => (-126.0, 127.0),
        Dtype::F64 => (-1022.0, 1023.0),
    };
    if a == a.floor() && (low..=high).contains(&a) {
        f64::from_bits(((a as i64 + 1023) as u64) << 52)
    } else {
        f64::NAN
    }
}

/// The bits of a positive normal number of the type.
fn normal_bits(dtype: Dtype, a: f64) -> Option<u64> {
    let smallest = match dtype {
        Dtype::F32 => f64::from(f32::MIN_POSITIVE),
        Dtype::F64 => f64::MIN_POSITIVE,
    };
    (smallest..f64::INFINITY).contains(&a).then(|| a.to_bits())
}
