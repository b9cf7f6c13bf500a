//! What text is written for: an architecture, the precision of products, the type of the program.
//!
//! Must never know whether such a device is there.

use snn_loops::Dtype;

/// Instructions that text may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// Any device of compute capability 8.0 or later: `mma.sync`, `cp.async`.
    Sm80,
    /// Hopper, 9.0: bulk copies and barriers in shared memory besides.
    Sm90,
    /// Hopper's own instructions besides: `wgmma`. Text for it runs on 9.0 alone.
    Sm90a,
}

impl Arch {
    /// Every choice.
    pub const ALL: [Arch; 3] = [Arch::Sm80, Arch::Sm90, Arch::Sm90a];

    /// What compilers call it: `sm_80`, `sm_90`, `sm_90a`.
    pub fn name(self) -> &'static str {
        match self {
            Arch::Sm80 => "sm_80",
            Arch::Sm90 => "sm_90",
            Arch::Sm90a => "sm_90a",
        }
    }
}

/// How products of heavy kernels round their operands, and what holds large temporary values. Weights, optimizer, states and
/// sums are single precision in all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Precision {
    /// Single precision throughout.
    #[default]
    F32,
    /// Operands of products are rounded to 10 bits of mantissa; memory stays single precision.
    Tf32,
    /// Operands of products and results of contractions in bfloat16.
    Bf16,
    /// Operands of products and results of contractions in half precision; losses are scaled.
    F16,
}

impl Precision {
    /// Every choice.
    pub const ALL: [Precision; 4] = [Precision::F32, Precision::Tf32, Precision::Bf16, Precision::F16];

    /// A name: `f32`, `tf32`, `bf16` or `f16`.
    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Tf32 => "tf32",
            Precision::Bf16 => "bf16",
            Precision::F16 => "f16",
        }
    }
}

/// What text is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// The device's architecture.
    pub arch: Arch,
    /// The type of the program; products of `F64` programs are always exact to it.
    pub dtype: Dtype,
    /// How products are rounded.
    pub precision: Precision,
}
