//! Scalar instructions and constants as expressions.
//!
//! Must never know where a value comes from.

use snn_loops::{Dtype, Scalar, Val};

/// An instruction over named values.
pub(super) fn expression(op: Scalar, args: &[Val]) -> String {
    let arg = |at: usize| args.get(at).map_or_else(String::new, |val| format!("v{}", val.0));
    let (a, b, c) = (arg(0), arg(1), arg(2));
    match op {
        Scalar::Add => format!("{a} + {b}"),
        Scalar::Sub => format!("{a} - {b}"),
        Scalar::Mul => format!("{a} * {b}"),
        Scalar::Div => format!("{a} / {b}"),
        Scalar::Min => format!("{a} < {b} ? {a} : {b}"),
        Scalar::Max => format!("{a} > {b} ? {a} : {b}"),
        Scalar::Neg => format!("-{a}"),
        Scalar::Abs => format!("sn_abs({a})"),
        Scalar::Sqrt => format!("sn_sqrt({a})"),
        Scalar::Floor => format!("sn_floor({a})"),
        Scalar::Pow2 => format!("sn_pow2({a})"),
        Scalar::Exponent => format!("sn_exponent({a})"),
        Scalar::Mantissa => format!("sn_mantissa({a})"),
        Scalar::Lt => format!("{a} < {b}"),
        Scalar::Le => format!("{a} <= {b}"),
        Scalar::Eq => format!("{a} == {b}"),
        Scalar::And => format!("{a} && {b}"),
        Scalar::Or => format!("{a} || {b}"),
        Scalar::Not => format!("!{a}"),
        Scalar::Select => format!("{a} ? {b} : {c}"),
    }
}

/// A number of a type, exactly.
pub(crate) fn constant(value: f64, dtype: Dtype) -> String {
    match dtype {
        Dtype::F32 => {
            let value = value as f32;
            if value.is_finite() { format!("{value:?}f") } else { format!("sn_bits32(0x{:08x}u)", value.to_bits()) }
        }
        Dtype::F64 if value.is_finite() => format!("{value:?}"),
        Dtype::F64 => format!("sn_bits64(0x{:016x}ull)", value.to_bits()),
    }
}

/// What a type is called.
pub(crate) fn type_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "float",
        Dtype::F64 => "double",
    }
}
