//! What products multiply: types of elements in slices, and what memory or a spike must be brought to.
//!
//! Must never know shapes.

use snn_loops::Dtype;

use crate::emit::Storage;
use crate::target::{Precision, Target};

/// What products multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operands {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Half precision on tensor cores.
    F16,
    /// bfloat16 on tensor cores.
    Bf16,
    /// Floats of 10 bits of mantissa on tensor cores.
    Tf32,
    /// Whole numbers of 8 bits on tensor cores, added up as whole numbers; spikes and the multiples of their weights.
    Int8,
}

impl Operands {
    /// Those of a target.
    pub(crate) fn of(target: &Target) -> Operands {
        match (target.dtype, target.precision) {
            (Dtype::F64, _) => Operands::F64,
            (Dtype::F32, Precision::F32) => Operands::F32,
            (Dtype::F32, Precision::Tf32) => Operands::Tf32,
            (Dtype::F32, Precision::Bf16) => Operands::Bf16,
            (Dtype::F32, Precision::F16) => Operands::F16,
        }
    }

    /// What templates call the type of an element in a slice.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Operands::F32 => "float",
            Operands::F64 => "double",
            Operands::F16 => "sn_f16",
            Operands::Bf16 => "sn_bf16",
            Operands::Tf32 => "sn_tf32",
            Operands::Int8 => "sn_s8",
        }
    }

    /// Whether tensor cores multiply them.
    pub(crate) fn is_tensor(self) -> bool {
        !matches!(self, Operands::F32 | Operands::F64)
    }

    /// Bytes of an element.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Operands::F64 => 8,
            Operands::F32 | Operands::Tf32 => 4,
            Operands::F16 | Operands::Bf16 => 2,
            Operands::Int8 => 1,
        }
    }

    /// How memory holds what slices hold, where it can.
    pub(crate) fn storage(self) -> Option<Storage> {
        match self {
            Operands::F32 | Operands::F64 => Some(Storage::Float),
            Operands::F16 => Some(Storage::F16),
            Operands::Bf16 => Some(Storage::Bf16),
            Operands::Tf32 | Operands::Int8 => None,
        }
    }

    /// A spike that has been taken out of a word, as a number.
    pub(crate) fn spike(self) -> f64 {
        match self {
            Operands::F32 | Operands::F64 | Operands::Int8 => 1.0,
            Operands::F16 => 0.5_f64.powi(7),
            Operands::Bf16 => 0.5_f64.powi(63),
            Operands::Tf32 => 2.0,
        }
    }
}
