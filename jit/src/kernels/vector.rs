//! Vectors of f32, so that a kernel is written once for every width.
//!
//! A kernel is a `#[inline(always)]` function generic over [`Vector`]; [`dispatch`] runs it inside a function that is
//! compiled for the instructions the machine has. The plain form is an array, which the compiler turns into whatever every
//! machine of the architecture has (SSE2 on x86-64, NEON on aarch64). Fused and separate multiply-adds differ in the last
//! bit, so results belong to a kind of machine. This file must never know what is computed.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

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
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86_vector {
    ($name:ident, $raw:ty, $lanes:literal, $zero:ident, $splat:ident, $bits:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $fma:ident, {$($more:item)*}) => {
        /// Floats of one register of this width.
        #[derive(Clone, Copy)]
        pub(crate) struct $name($raw);

        impl Vector for $name {
            const LANES: usize = $lanes;
            const IS_FUSED: bool = true;
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: only functions that `dispatch` compiled for these instructions use this type.
                $name(unsafe { $zero() })
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn splat(value: f32) -> Self {
                // SAFETY: as above.
                $name(unsafe { $splat(value) })
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn from_bits(bits: u64) -> Self {
                // SAFETY: as above.
                $name(unsafe { $bits(bits) })
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn load(from: *const f32) -> Self {
                // SAFETY: as above, and the caller vouches for the elements.
                $name(unsafe { $load(from) })
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn store(self, to: *mut f32) {
                // SAFETY: as above, and the caller vouches for the elements.
                unsafe { $store(to, self.0) }
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn add(self, b: Self) -> Self {
                // SAFETY: as above.
                $name(unsafe { $add(self.0, b.0) })
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn sub(self, b: Self) -> Self {
                // SAFETY: as above.
                $name(unsafe { $sub(self.0, b.0) })
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn mul(self, b: Self) -> Self {
                // SAFETY: as above.
                $name(unsafe { $mul(self.0, b.0) })
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn mul_add(self, b: Self, c: Self) -> Self {
                // SAFETY: as above.
                $name(unsafe { $fma(self.0, b.0, c.0) })
            }
            $($more)*
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86_vector!(
    Avx512,
    __m512,
    16,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    ones_512,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_fmadd_ps,
    {
        /// # Safety
        /// As in [`Vector`].
        #[inline(always)]
        unsafe fn transpose(from: &[*const f32; 16], to: &[*mut f32; 16]) {
            // SAFETY: as above, and the caller vouches for the elements.
            unsafe { transpose_512(from, to) }
        }
    }
);
#[cfg(target_arch = "x86_64")]
x86_vector!(
    Avx2,
    __m256,
    8,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    ones_256,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_fmadd_ps,
    {}
);

/// Ones where bits are set.
///
/// # Safety
/// The machine must have the vectors.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn ones_512(bits: u64) -> __m512 {
    // SAFETY: only functions compiled for AVX-512 call this.
    unsafe { _mm512_maskz_mov_ps(bits as u16, _mm512_set1_ps(1.0)) }
}

/// Ones where bits are set.
///
/// # Safety
/// The machine must have the vectors.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn ones_256(bits: u64) -> __m256 {
    // SAFETY: only functions compiled for AVX2 call this.
    unsafe {
        let lanes = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        let set = _mm256_and_si256(_mm256_set1_epi32(bits as i32), lanes);
        _mm256_and_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lanes)), _mm256_set1_ps(1.0))
    }
}

/// [`Vector::transpose`] in registers: pairs of rows are interleaved by single and double elements, then quarters change
/// places.
///
/// # Safety
/// As for [`Vector::transpose`].
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn transpose_512(from: &[*const f32; 16], to: &[*mut f32; 16]) {
    // SAFETY: only functions compiled for AVX-512 call this, and the caller vouches for the elements.
    unsafe {
        let rows: [__m512; 16] = std::array::from_fn(|i| _mm512_loadu_ps(from[i]));
        let singles: [__m512; 16] = std::array::from_fn(|i| {
            let (a, b) = (rows[i / 2 * 2], rows[i / 2 * 2 + 1]);
            if i % 2 == 0 { _mm512_unpacklo_ps(a, b) } else { _mm512_unpackhi_ps(a, b) }
        });
        let doubles: [__m512; 16] = std::array::from_fn(|i| {
            let (four, column) = (i / 4 * 4, i % 4);
            let a = _mm512_castps_pd(singles[four + column / 2]);
            let b = _mm512_castps_pd(singles[four + column / 2 + 2]);
            _mm512_castpd_ps(if column % 2 == 0 { _mm512_unpacklo_pd(a, b) } else { _mm512_unpackhi_pd(a, b) })
        });
        for column in 0..4 {
            let [a, b, c, d] = std::array::from_fn(|four| doubles[four * 4 + column]);
            let (ab_even, ab_odd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let (cd_even, cd_odd) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
            _mm512_storeu_ps(to[column], _mm512_shuffle_f32x4::<0x88>(ab_even, cd_even));
            _mm512_storeu_ps(to[column + 4], _mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd));
            _mm512_storeu_ps(to[column + 8], _mm512_shuffle_f32x4::<0xdd>(ab_even, cd_even));
            _mm512_storeu_ps(to[column + 12], _mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd));
        }
    }
}

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
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
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
