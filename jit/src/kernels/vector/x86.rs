//! Vectors of x86-64 registers.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use std::arch::x86_64::*;

use super::Vector;

macro_rules! x86_vector {
    ($name:ident, $raw:ty, $lanes:literal, $zero:ident, $splat:ident, $bits:ident, $load:ident, $store:ident, $add:ident, $sub:ident, $mul:ident, $fma:ident, $add_where:ident, $sum:ident, {$($more:item)*}) => {
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
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn add_where(self, bits: u64, b: Self) -> Self {
                // SAFETY: as above.
                $name(unsafe { $add_where(self.0, bits, b.0) })
            }
            /// # Safety
            /// As in [`Vector`].
            #[inline(always)]
            unsafe fn sum(self) -> f32 {
                // SAFETY: as above.
                unsafe { $sum(self.0) }
            }
            $($more)*
        }
    };
}

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
    add_where_512,
    sum_512,
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
    add_where_256,
    sum_256,
    {}
);

/// Ones where bits are set.
///
/// # Safety
/// The machine must have the vectors.
#[inline(always)]
unsafe fn ones_512(bits: u64) -> __m512 {
    // SAFETY: only functions compiled for AVX-512 call this.
    unsafe { _mm512_maskz_mov_ps(bits as u16, _mm512_set1_ps(1.0)) }
}

/// Ones where bits are set.
///
/// # Safety
/// The machine must have the vectors.
#[inline(always)]
unsafe fn ones_256(bits: u64) -> __m256 {
    // SAFETY: only functions compiled for AVX2 call this.
    unsafe { _mm256_and_ps(mask_256(bits), _mm256_set1_ps(1.0)) }
}

/// All bits of the lanes whose bits are set.
///
/// # Safety
/// The machine must have the vectors.
#[inline(always)]
unsafe fn mask_256(bits: u64) -> __m256 {
    // SAFETY: only functions compiled for AVX2 call this.
    unsafe {
        let lanes = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
        let set = _mm256_and_si256(_mm256_set1_epi32(bits as i32), lanes);
        _mm256_castsi256_ps(_mm256_cmpeq_epi32(set, lanes))
    }
}

/// The sum where bits are set.
///
/// # Safety
/// The machine must have the vectors.
#[inline(always)]
unsafe fn add_where_512(a: __m512, bits: u64, b: __m512) -> __m512 {
    // SAFETY: only functions compiled for AVX-512 call this.
    unsafe { _mm512_mask_add_ps(a, bits as u16, a, b) }
}

/// The sum where bits are set.
///
/// # Safety
/// The machine must have the vectors.
#[inline(always)]
unsafe fn add_where_256(a: __m256, bits: u64, b: __m256) -> __m256 {
    // SAFETY: only functions compiled for AVX2 call this.
    unsafe { _mm256_add_ps(a, _mm256_and_ps(mask_256(bits), b)) }
}

/// The sum of all lanes by halves.
///
/// # Safety
/// The machine must have the vectors.
#[inline(always)]
unsafe fn sum_512(a: __m512) -> f32 {
    // SAFETY: only functions compiled for AVX-512 call this, which have AVX2, too.
    unsafe {
        let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(a)));
        sum_256(_mm256_add_ps(_mm512_castps512_ps256(a), upper))
    }
}

/// The sum of all lanes by halves.
///
/// # Safety
/// The machine must have the vectors.
#[inline(always)]
unsafe fn sum_256(a: __m256) -> f32 {
    // SAFETY: only functions compiled for AVX2 call this.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
    }
}

/// [`Vector::transpose`] in registers: pairs of rows are interleaved by single and double elements, then quarters change
/// places.
///
/// # Safety
/// As for [`Vector::transpose`].
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
