//! Sums over tiles: the products of transformed inputs with transformed gradients of outputs.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use crate::kernels::shared::Shared;
use crate::kernels::vector::{Kernel, Vector, prefetch};

/// Rows of the register block; they divide the lanes of every vector.
pub(crate) const ROWS: usize = 4;

/// Vectors of columns of the register block.
pub(crate) const fn block_vectors<V: Vector>() -> usize {
    if V::LANES == 16 { 4 } else { 3 }
}

/// `sums[row][column] += a[tile][row] * b[tile][column]`, summed over tiles. Both factors are `[vector][tile][lane]`.
pub(crate) struct Correlation<'a> {
    /// The rows.
    pub a: &'a [f32],
    /// The columns.
    pub b: &'a [f32],
    /// Tiles in memory.
    pub tiles: usize,
    /// Tiles to sum over.
    pub depth: usize,
    /// Rows, a multiple of [`ROWS`].
    pub rows: usize,
    /// Vectors of columns.
    pub vectors: usize,
    /// Where to.
    pub sums: Shared<'a>,
    /// Offset of the first sum.
    pub start: usize,
    /// Elements from one row of sums to the next.
    pub row: usize,
    /// Whether to add to the sums that are there.
    pub again: bool,
}

impl Kernel for Correlation<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        assert!(self.depth <= self.tiles && self.rows.is_multiple_of(ROWS));
        assert!(self.a.len() >= self.rows.next_multiple_of(V::LANES) * self.tiles);
        assert!(self.b.len() >= self.vectors * V::LANES * self.tiles);
        for first in (0..self.vectors).step_by(block_vectors::<V>()) {
            // SAFETY: the factors have these rows, columns and tiles, as was checked above; the task that made this has the
            // sums for itself.
            unsafe {
                match (self.vectors - first).min(block_vectors::<V>()) {
                    1 => self.columns::<V, 1>(first),
                    2 => self.columns::<V, 2>(first),
                    3 => self.columns::<V, 3>(first),
                    _ => self.columns::<V, 4>(first),
                }
            }
        }
    }
}

impl Correlation<'_> {
    /// All rows of `N` vectors of columns.
    ///
    /// # Safety
    /// The machine has the vectors, and the factors and sums all rows and columns.
    #[inline(always)]
    unsafe fn columns<V: Vector, const N: usize>(&self, first: usize) {
        for row in (0..self.rows).step_by(ROWS) {
            // SAFETY: the caller vouches for all rows and columns.
            unsafe {
                let a = self.a.as_ptr().add(row / V::LANES * self.tiles * V::LANES + row % V::LANES);
                let b = self.b.as_ptr().add(first * self.tiles * V::LANES);
                let to = self.sums.at(self.start + row * self.row + first * V::LANES);
                let mut sums = [[V::zero(); N]; ROWS];
                if self.again {
                    for i in 0..ROWS {
                        (0..N).for_each(|n| prefetch(to.add(i * self.row + n * V::LANES)));
                    }
                }
                for tile in 0..self.depth {
                    let mut columns = [V::zero(); N];
                    for (n, column) in columns.iter_mut().enumerate() {
                        *column = V::load(b.add((n * self.tiles + tile) * V::LANES));
                    }
                    for (i, sums) in sums.iter_mut().enumerate() {
                        let value = V::splat(*a.add(tile * V::LANES + i));
                        for (sum, column) in sums.iter_mut().zip(columns) {
                            *sum = value.mul_add(column, *sum);
                        }
                    }
                }
                for (i, sums) in sums.into_iter().enumerate() {
                    for (n, sum) in sums.into_iter().enumerate() {
                        let to = to.add(i * self.row + n * V::LANES);
                        let sum = if self.again { sum.add(V::load(to)) } else { sum };
                        sum.store(to);
                    }
                }
            }
        }
    }
}
