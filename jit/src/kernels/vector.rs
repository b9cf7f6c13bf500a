//! Vectors of f32, so that a kernel is written once for every width.
//!
//! A kernel is a `#[inline(always)]` function generic over [`Vector`]; [`dispatch`] runs it inside a function that is
//! compiled for the instructions the machine has. The plain form is an array, which the compiler turns into whatever every
//! machine of the architecture has (SSE2 on x86-64, NEON on aarch64). Fused and separate multiply-adds differ in the last
//! bit, so results belong to a kind of machine. This file must never know what is computed.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

mod plain;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use plain::Plain;
#[cfg(target_arch = "x86_64")]
use x86::{Avx2, Avx512};

/// Some f32 side by side. The methods that touch memory need `LANES` elements there, at any address.
pub(crate) trait Vector: Copy {
    /// How many.
    const LANES: usize;
    /// Whether multiplying and adding is one instruction, as fast as adding.
    const IS_FUSED: bool;
    /// Zeros.
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn zero() -> Self;
    /// One value in every lane.
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn splat(value: f32) -> Self;
    /// One in the lanes whose bits are set, zero in the others; the lowest bit is the first lane.
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn from_bits(bits: u64) -> Self;
    /// Elements from memory.
    ///
    /// # Safety
    /// The machine must have the vectors, and memory `LANES` elements there.
    unsafe fn load(from: *const f32) -> Self;
    /// Elements to memory.
    ///
    /// # Safety
    /// The machine must have the vectors, and memory `LANES` elements there.
    unsafe fn store(self, to: *mut f32);
    /// `self + b`
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn add(self, b: Self) -> Self;
    /// `self - b`
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn sub(self, b: Self) -> Self;
    /// `self * b`
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn mul(self, b: Self) -> Self;
    /// `self * b + c`, rounded once where the machine can.
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn mul_add(self, b: Self, c: Self) -> Self;
    /// `self + b` in the lanes whose bits are set, `self` in the others; the lowest bit is the first lane. A lane of -0 may
    /// become 0.
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn add_where(self, bits: u64, b: Self) -> Self;
    /// The sum of all lanes: the upper half is added to the lower one until one lane is left.
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn sum(self) -> f32;
    /// Transposes a square of 16 by 16: element `k` of source `i` becomes element `i` of target `k`. All have 16 elements.
    ///
    /// # Safety
    /// The machine must have the vectors, and memory the elements.
    #[inline(always)]
    unsafe fn transpose(from: &[*const f32; 16], to: &[*mut f32; 16]) {
        for (i, from) in from.iter().enumerate() {
            for (k, to) in to.iter().enumerate() {
                // SAFETY: the caller vouches for the elements.
                unsafe { to.add(i).write(from.add(k).read()) };
            }
        }
    }
    /// The first `count < LANES` lanes from memory, zeros in the others.
    ///
    /// # Safety
    /// The machine must have the vectors, and memory the elements.
    #[inline(always)]
    unsafe fn load_some(from: *const f32, count: usize) -> Self {
        let mut lanes = [0.0f32; WIDEST];
        // SAFETY: the caller vouches for `count` elements, and no vector has more than `WIDEST` lanes.
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            Self::load(lanes.as_ptr())
        }
    }
    /// The first `count < LANES` lanes to memory.
    ///
    /// # Safety
    /// The machine must have the vectors, and memory the elements.
    #[inline(always)]
    unsafe fn store_some(self, to: *mut f32, count: usize) {
        let mut lanes = [0.0f32; WIDEST];
        // SAFETY: the caller vouches for `count` elements, and no vector has more than `WIDEST` lanes.
        unsafe {
            self.store(lanes.as_mut_ptr());
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
}

/// Lanes of the widest vector.
pub(crate) const WIDEST: usize = 16;

/// The vectors to compute with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Width {
    /// 512 bits (AVX-512 F).
    Avx512,
    /// 256 bits (AVX2 and FMA).
    Avx2,
    /// What every machine of the architecture has.
    Plain,
}

impl Width {
    /// The widest that this machine has.
    pub fn native() -> Width {
        #[cfg(target_arch = "x86_64")]
        {
            let bits = std::is_x86_feature_detected!("bmi1")
                && std::is_x86_feature_detected!("bmi2")
                && std::is_x86_feature_detected!("popcnt");
            let avx2 = bits && std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
            if avx2 && std::is_x86_feature_detected!("avx512f") {
                return Width::Avx512;
            }
            if avx2 {
                return Width::Avx2;
            }
        }
        Width::Plain
    }

    /// A name for people.
    pub fn name(self) -> &'static str {
        match self {
            Width::Avx512 => "AVX-512",
            Width::Avx2 => "AVX2",
            Width::Plain => "baseline",
        }
    }

    /// Elements of a vector.
    pub fn lanes(self) -> usize {
        match self {
            Width::Avx512 => 16,
            Width::Avx2 | Width::Plain => 8,
        }
    }
}

/// Asks for the cache line of an address, which need not exist.
#[inline(always)]
pub(crate) fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Something to compute with vectors of one width.
pub(crate) trait Kernel {
    /// What it gives.
    type Output;
    /// Computes; must be `#[inline(always)]`.
    ///
    /// # Safety
    /// The machine must have the vectors.
    unsafe fn run<V: Vector>(self) -> Self::Output;
}

/// Runs a kernel with vectors of a width, which must come from [`Width::native`] or be narrower.
#[inline]
pub(crate) fn dispatch<K: Kernel>(width: Width, kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    {
        /// # Safety
        /// The machine must have the instructions.
        #[target_feature(enable = "avx512f,avx2,fma,bmi1,bmi2,popcnt")]
        unsafe fn avx512<K: Kernel>(kernel: K) -> K::Output {
            // SAFETY: compiled for these instructions.
            unsafe { kernel.run::<Avx512>() }
        }
        /// # Safety
        /// The machine must have the instructions.
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        unsafe fn avx2<K: Kernel>(kernel: K) -> K::Output {
            // SAFETY: compiled for these instructions.
            unsafe { kernel.run::<Avx2>() }
        }
        match width {
            // SAFETY: `Width::native` found the instructions.
            Width::Avx512 => return unsafe { avx512(kernel) },
            // SAFETY: as above.
            Width::Avx2 => return unsafe { avx2(kernel) },
            Width::Plain => {}
        }
    }
    let _ = width;
    // SAFETY: the plain vectors need nothing.
    unsafe { kernel.run::<Plain>() }
}
