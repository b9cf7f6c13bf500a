//! How values of a nest look in cranelift: types, and uniform values against values with lanes.
//!
//! This file must never know statements or buffers.

use cranelift_codegen::ir::{Type, Value, types};
use snn_loops::Dtype;

/// Bytes of a vector register: what cranelift offers on every machine it knows.
const VECTOR_BYTES: usize = 16;

/// The cranelift types that a program's [`Dtype`] maps to, and the layout of its floats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Types {
    /// One float.
    pub float: Type,
    /// The integer of the same width.
    pub int: Type,
    /// A vector of floats.
    pub floats: Type,
    /// A vector of integers of the same width: also a vector of masks, all ones or all zeros.
    pub ints: Type,
    /// Floats in a vector.
    pub lanes: usize,
    /// Bytes of one float.
    pub size: i64,
    /// Explicit bits of the mantissa.
    pub mantissa_bits: u32,
    /// What the stored exponent is ahead of the true one.
    pub exponent_bias: u32,
}

impl Types {
    /// The types of a program of this type.
    pub fn of(dtype: Dtype) -> Types {
        let lanes = VECTOR_BYTES / dtype.size();
        let size = dtype.size() as i64;
        match dtype {
            Dtype::F32 => Types {
                float: types::F32,
                int: types::I32,
                floats: types::F32X4,
                ints: types::I32X4,
                lanes,
                size,
                mantissa_bits: 23,
                exponent_bias: 127,
            },
            Dtype::F64 => Types {
                float: types::F64,
                int: types::I64,
                floats: types::F64X2,
                ints: types::I64X2,
                lanes,
                size,
                mantissa_bits: 52,
                exponent_bias: 1023,
            },
        }
    }
}

/// What a [`Val`](snn_loops::Val) of a nest is in the code.
#[derive(Clone, Debug)]
pub(crate) enum Slot {
    /// The same for all lanes (or there are none): a scalar float, or a mask as 0 or 1 in eight bits.
    Uniform(Value),
    /// One vector for each unrolled copy: floats, or masks as integers of all ones or all zeros.
    Lanes(Vec<Value>),
}
