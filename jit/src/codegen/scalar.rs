//! The scalar instructions in cranelift's terms: one table for single values and for vectors.
//!
//! Every row gives the bits that `snn_loops::interp` gives. This file must never know statements, buffers or loops.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Type, Value, types};
use cranelift_frontend::FunctionBuilder;
use snn_loops::Scalar;

use crate::value::Types;

/// Emits instructions on single values or, `wide`, on vectors.
pub(super) struct Arithmetic<'e, 'f> {
    /// Where instructions go.
    pub builder: &'e mut FunctionBuilder<'f>,
    /// The program's types.
    pub types: Types,
    /// Whether values are vectors.
    pub wide: bool,
}

impl Arithmetic<'_, '_> {
    /// The instruction on arguments that all have the same form (single or vector).
    pub fn emit(&mut self, op: Scalar, args: &[Value]) -> Option<Value> {
        Some(match (op, args) {
            (Scalar::Add, &[a, b]) => self.builder.ins().fadd(a, b),
            (Scalar::Sub, &[a, b]) => self.builder.ins().fsub(a, b),
            (Scalar::Mul, &[a, b]) => self.builder.ins().fmul(a, b),
            (Scalar::Div, &[a, b]) => self.builder.ins().fdiv(a, b),
            (Scalar::Min, &[a, b]) => {
                let less = self.compare(FloatCC::LessThan, a, b);
                self.select(less, a, b)
            }
            (Scalar::Max, &[a, b]) => {
                // Written as `b < a` because that is the form the x64 back end recognizes as one instruction.
                let greater = self.compare(FloatCC::LessThan, b, a);
                self.select(greater, a, b)
            }
            (Scalar::Neg, &[a]) => self.negate(a),
            (Scalar::Abs, &[a]) => self.absolute(a),
            (Scalar::Sqrt, &[a]) => self.builder.ins().sqrt(a),
            (Scalar::Floor, &[a]) => self.builder.ins().floor(a),
            (Scalar::Pow2, &[a]) => self.power_of_two(a),
            (Scalar::Exponent, &[a]) => self.exponent(a),
            (Scalar::Mantissa, &[a]) => self.mantissa(a),
            (Scalar::Lt, &[a, b]) => self.compare(FloatCC::LessThan, a, b),
            (Scalar::Le, &[a, b]) => self.compare(FloatCC::LessThanOrEqual, a, b),
            (Scalar::Eq, &[a, b]) => self.compare(FloatCC::Equal, a, b),
            (Scalar::And, &[a, b]) => self.builder.ins().band(a, b),
            (Scalar::Or, &[a, b]) => self.builder.ins().bor(a, b),
            (Scalar::Not, &[a]) => self.not(a),
            (Scalar::Select, &[mask, a, b]) => self.select(mask, a, b),
            _ => return None,
        })
    }

    /// A float constant, rounded to the program's type.
    pub fn constant(&mut self, value: f64) -> Value {
        let single = if self.types.size == 4 {
            self.builder.ins().f32const(value as f32)
        } else {
            self.builder.ins().f64const(value)
        };
        if self.wide { self.splat(single) } else { single }
    }

    /// A single float in every lane.
    pub fn splat(&mut self, single: Value) -> Value {
        self.builder.ins().splat(self.types.floats, single)
    }

    /// A single mask (0 or 1) in every lane.
    pub fn splat_mask(&mut self, single: Value) -> Value {
        let ones = self.builder.ins().bmask(self.types.int, single);
        self.builder.ins().splat(self.types.ints, ones)
    }

    /// `if mask { value } else { +0 }` of vectors.
    pub fn keep_where(&mut self, mask: Value, value: Value) -> Value {
        let mask = self.as_float(mask);
        self.builder.ins().band(value, mask)
    }

    /// `if mask { +0 } else { value }` of vectors.
    pub fn clear_where(&mut self, mask: Value, value: Value) -> Value {
        let mask = self.as_float(mask);
        self.builder.ins().band_not(value, mask)
    }

    fn compare(&mut self, condition: FloatCC, a: Value, b: Value) -> Value {
        self.builder.ins().fcmp(condition, a, b)
    }

    fn select(&mut self, mask: Value, a: Value, b: Value) -> Value {
        if self.wide {
            let mask = self.as_float(mask);
            self.builder.ins().bitselect(mask, a, b)
        } else {
            self.builder.ins().select(mask, a, b)
        }
    }

    fn not(&mut self, mask: Value) -> Value {
        if self.wide {
            self.builder.ins().bnot(mask)
        } else {
            let one = self.builder.ins().iconst(types::I8, 1);
            self.builder.ins().bxor(mask, one)
        }
    }

    fn negate(&mut self, a: Value) -> Value {
        let (sign, a) = (self.sign_bit(), self.as_int(a));
        let flipped = self.builder.ins().bxor(a, sign);
        self.as_float(flipped)
    }

    fn absolute(&mut self, a: Value) -> Value {
        // A constant mask is hoisted out of loops; cranelift's own `fabs` rebuilds its mask every time.
        let (rest, a) = (self.int_constant(self.sign_value() - 1), self.as_int(a));
        let cleared = self.builder.ins().band(a, rest);
        self.as_float(cleared)
    }

    /// Adding `1.5 * 2^mantissa_bits + bias` leaves `a + bias` in the low bits, which the shift makes the exponent.
    fn power_of_two(&mut self, a: Value) -> Value {
        let magic = 1.5 * (1u64 << self.types.mantissa_bits) as f64 + f64::from(self.types.exponent_bias);
        let magic = self.constant(magic);
        let sum = self.builder.ins().fadd(a, magic);
        let bits = self.as_int(sum);
        let shift = self.shift_amount();
        let shifted = self.builder.ins().ishl(bits, shift);
        self.as_float(shifted)
    }

    /// The stored exponent `e` under the exponent of `2^mantissa_bits` reads `2^mantissa_bits + e`; the rest is exact.
    fn exponent(&mut self, a: Value) -> Value {
        let base = (1u64 << self.types.mantissa_bits) as f64;
        let bits = self.as_int(a);
        let shift = self.shift_amount();
        let stored = self.builder.ins().ushr(bits, shift);
        let scale = self.int_constant(self.float_bits(base));
        let number = self.builder.ins().bor(stored, scale);
        let number = self.as_float(number);
        let bias = self.constant(base + f64::from(self.types.exponent_bias));
        self.builder.ins().fsub(number, bias)
    }

    fn mantissa(&mut self, a: Value) -> Value {
        let low = self.int_constant((1u64 << self.types.mantissa_bits) - 1);
        let one = self.int_constant(self.float_bits(1.0));
        let bits = self.as_int(a);
        let bits = self.builder.ins().band(bits, low);
        let bits = self.builder.ins().bor(bits, one);
        self.as_float(bits)
    }

    fn shift_amount(&mut self) -> Value {
        self.builder.ins().iconst(types::I32, i64::from(self.types.mantissa_bits))
    }

    fn sign_value(&self) -> u64 {
        1 << (self.types.size * 8 - 1)
    }

    fn sign_bit(&mut self) -> Value {
        self.int_constant(self.sign_value())
    }

    fn float_bits(&self, value: f64) -> u64 {
        if self.types.size == 4 { u64::from((value as f32).to_bits()) } else { value.to_bits() }
    }

    fn int_constant(&mut self, bits: u64) -> Value {
        let single = self.builder.ins().iconst(self.types.int, bits as i64);
        if self.wide { self.builder.ins().splat(self.types.ints, single) } else { single }
    }

    fn as_int(&mut self, a: Value) -> Value {
        let to = if self.wide { self.types.ints } else { self.types.int };
        self.bitcast(to, a)
    }

    fn as_float(&mut self, a: Value) -> Value {
        let to = if self.wide { self.types.floats } else { self.types.float };
        self.bitcast(to, a)
    }

    fn bitcast(&mut self, to: Type, a: Value) -> Value {
        let flags = MemFlagsData::new().with_endianness(Endianness::Little);
        self.builder.ins().bitcast(to, flags, a)
    }
}
