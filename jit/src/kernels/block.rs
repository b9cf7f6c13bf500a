//! The register block of dense products: some rows of A times a panel of B, summed in registers.
//!
//! Rows of A lie anywhere, one pointer each, so that they may be pixels of an image. A panel of B is `[depth][columns]`
//! with as many columns as some vectors have lanes.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use crate::kernels::vector::Vector;

/// Vectors of the widest panel: with [`ROWS`] rows their sums and one vector of every column fill the registers.
pub(crate) const fn panel_vectors<V: Vector>() -> usize {
    if V::LANES == 16 { 4 } else { 2 }
}

/// Rows of a block.
pub(crate) const ROWS: usize = 6;

/// Columns of the widest panel of any width of vectors.
pub(crate) const WIDEST_PANEL: usize = 64;

/// Sums of a block.
pub(crate) type Sums<V, const M: usize, const N: usize> = [[V; N]; M];

/// Sums of nothing.
///
/// # Safety
/// The machine has the vectors.
#[inline(always)]
pub(crate) unsafe fn zeros<V: Vector, const M: usize, const N: usize>() -> Sums<V, M, N> {
    // SAFETY: the caller vouches for the vectors.
    [[unsafe { V::zero() }; N]; M]
}

/// `sums += a[..][..depth] * b`
///
/// # Safety
/// Every row of `a` has `depth` elements, and `b` has `depth * N` vectors.
#[inline(always)]
pub(crate) unsafe fn accumulate<V: Vector, const M: usize, const N: usize>(
    sums: &mut Sums<V, M, N>,
    a: &[*const f32; M],
    depth: usize,
    b: *const f32,
) {
    for k in 0..depth {
        // SAFETY: the caller vouches for `depth` elements of every row and of every column.
        unsafe {
            let row = b.add(k * N * V::LANES);
            let mut columns = [V::zero(); N];
            for (n, column) in columns.iter_mut().enumerate() {
                *column = V::load(row.add(n * V::LANES));
            }
            for (sums, a) in sums.iter_mut().zip(a) {
                let value = V::splat(*a.add(k));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = value.mul_add(column, *sum);
                }
            }
        }
    }
}
