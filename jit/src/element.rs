//! The two float types that memory can hold.

use std::ops::{AddAssign, Mul};

use snn_loops::Dtype;

use crate::kernels::pool::Pooled;

/// A float type of programs. Every bit pattern is a value, zero bits are 0.
pub(crate) trait Element: Pooled + Send + Sync + AddAssign + Mul<Output = Self> {
    /// The type's name in programs.
    const DTYPE: Dtype;
    /// 1
    const ONE: Self;

    /// The nearest value.
    fn round(value: f64) -> Self;

    /// Whether it is 0, of either sign.
    fn is_zero(self) -> bool;
}

macro_rules! element {
    ($ty:ty, $dtype:ident) => {
        impl Element for $ty {
            const DTYPE: Dtype = Dtype::$dtype;
            const ONE: $ty = 1.0;

            fn round(value: f64) -> $ty {
                value as $ty
            }

            fn is_zero(self) -> bool {
                self == 0.0
            }
        }
    };
}

element!(f32, F32);
element!(f64, F64);
