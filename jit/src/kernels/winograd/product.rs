//! The matrix products at the points: transformed tiles times a panel of transformed weights.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use crate::kernels::block::{ROWS, accumulate, zeros};
use crate::kernels::vector::{Kernel, Vector};

/// Multiplies matrices of `[rows][depth]` with those of a panel, `[depth][column]`.
pub(crate) struct Product<'a> {
    /// The numbers of the matrices that meet, of tiles and of the panel.
    pub pairs: &'a [[usize; 2]],
    /// Transformed tiles.
    pub a: &'a [f32],
    /// Elements from one tile to the next.
    pub a_row: usize,
    /// Elements from one matrix of tiles to the next.
    pub a_plane: usize,
    /// Tiles, a multiple of [`ROWS`].
    pub rows: usize,
    /// Input channels.
    pub depth: usize,
    /// The panel.
    pub b: &'a [f32],
    /// Elements from one matrix of the panel to the next.
    pub b_plane: usize,
    /// Columns, whole vectors.
    pub columns: usize,
    /// Where to: rows of `columns` elements.
    pub out: &'a mut [f32],
    /// Elements from one matrix of `out` to the next.
    pub out_plane: usize,
}

impl Kernel for Product<'_> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        // SAFETY: the caller of `run` vouches for the vectors.
        unsafe {
            match self.columns / V::LANES {
                1 => self.planes::<V, 1>(),
                2 => self.planes::<V, 2>(),
                3 => self.planes::<V, 3>(),
                _ => self.planes::<V, 4>(),
            }
        }
    }
}

impl Product<'_> {
    /// All products, with panels of `N` vectors.
    ///
    /// # Safety
    /// The machine has the vectors.
    #[inline(always)]
    unsafe fn planes<V: Vector, const N: usize>(self) {
        assert!(self.columns == N * V::LANES && self.rows.is_multiple_of(ROWS) && self.depth <= self.a_row);
        for (product, [tiles, weights]) in self.pairs.iter().copied().enumerate() {
            assert!(self.out.len() >= product * self.out_plane + self.rows * self.columns);
            assert!(self.a.len() >= tiles * self.a_plane + self.rows * self.a_row);
            assert!(self.b.len() >= weights * self.b_plane + self.depth * self.columns);
            for row in (0..self.rows).step_by(ROWS) {
                // SAFETY: all three have these rows of the matrices, as was checked above.
                unsafe {
                    let a = self.a.as_ptr().add(tiles * self.a_plane + row * self.a_row);
                    let b = self.b.as_ptr().add(weights * self.b_plane);
                    let out = self.out.as_mut_ptr().add(product * self.out_plane + row * self.columns);
                    let rows: [*const f32; ROWS] = std::array::from_fn(|i| a.add(i * self.a_row));
                    let mut sums = zeros::<V, ROWS, N>();
                    accumulate(&mut sums, &rows, self.depth, b);
                    for (i, sums) in sums.into_iter().enumerate() {
                        for (n, sum) in sums.into_iter().enumerate() {
                            sum.store(out.add(i * self.columns + n * V::LANES));
                        }
                    }
                }
            }
        }
    }
}
