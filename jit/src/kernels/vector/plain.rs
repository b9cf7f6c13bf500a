//! The vector that every machine has: an array, which the compiler keeps in whatever registers there are.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use super::Vector;

/// Eight floats that the compiler may or may not keep in vectors.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(crate) struct Plain([f32; 8]);

impl Vector for Plain {
    const LANES: usize = 8;
    const IS_FUSED: bool = false;
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn zero() -> Self {
        Plain([0.0; 8])
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Plain([value; 8])
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn from_bits(bits: u64) -> Self {
        Plain(std::array::from_fn(|i| (bits >> i & 1) as f32))
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for eight elements.
        Plain(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for eight elements.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn add(self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + b.0[i]))
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn sub(self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] - b.0[i]))
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn mul(self, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] * b.0[i]))
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn add_where(self, bits: u64, b: Self) -> Self {
        Plain(std::array::from_fn(|i| self.0[i] + if bits >> i & 1 == 1 { b.0[i] } else { 0.0 }))
    }
    /// # Safety
    /// As in [`Vector`].
    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let [a, b, c, d] = std::array::from_fn(|i| self.0[i] + self.0[i + 4]);
        (a + c) + (b + d)
    }
}
