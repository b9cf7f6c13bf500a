//! The two float types that memory can hold.

use std::cell::Cell;
use std::ops::{AddAssign, Mul};

use snn_loops::Dtype;

/// A float type of programs. Every bit pattern is a value, zero bits are 0.
pub(crate) trait Element: Copy + Send + Sync + Default + AddAssign + Mul<Output = Self> + 'static {
    /// The type's name in programs.
    const DTYPE: Dtype;
    /// 1
    const ONE: Self;

    /// The nearest value.
    fn round(value: f64) -> Self;

    /// Whether it is 0, of either sign.
    fn is_zero(self) -> bool;

    /// This thread's scratch memory, which is given back by [`Element::put_scratch`] so that the next kernel need not
    /// allocate; empty when it is in use.
    fn take_scratch() -> Vec<Self>;

    /// Keeps scratch memory for the next kernel of this thread.
    fn put_scratch(scratch: Vec<Self>);
}

/// Runs `body` with `len` scratch elements of this thread, of any content.
pub(crate) fn with_scratch<T: Element, R>(len: usize, body: impl FnOnce(&mut [T]) -> R) -> R {
    let mut scratch = T::take_scratch();
    if scratch.len() < len {
        scratch.resize(len, T::default());
    }
    let result = body(scratch.get_mut(..len).unwrap_or_default());
    T::put_scratch(scratch);
    result
}

macro_rules! element {
    ($ty:ty, $dtype:ident, $scratch:ident) => {
        thread_local! {
            static $scratch: Cell<Vec<$ty>> = const { Cell::new(Vec::new()) };
        }

        impl Element for $ty {
            const DTYPE: Dtype = Dtype::$dtype;
            const ONE: $ty = 1.0;

            fn round(value: f64) -> $ty {
                value as $ty
            }

            fn is_zero(self) -> bool {
                self == 0.0
            }

            fn take_scratch() -> Vec<$ty> {
                $scratch.take()
            }

            fn put_scratch(scratch: Vec<$ty>) {
                $scratch.set(scratch);
            }
        }
    };
}

element!(f32, F32, SCRATCH_F32);
element!(f64, F64, SCRATCH_F64);
