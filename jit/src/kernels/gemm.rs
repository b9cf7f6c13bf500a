//! Matrix products, and matrices whose tiles threads write side by side.

#![allow(unsafe_code, reason = "the gemm crate takes pointers, and disjoint tiles of one matrix are not slices")]

use std::marker::PhantomData;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::element::Element;

/// A matrix to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// A matrix whose element `(r, c)` is `data[r * strides[0] + c * strides[1]]`; `None` if one lies outside.
    pub fn new(data: &'a [T], [rows, columns]: [usize; 2], strides: [usize; 2]) -> Option<Matrix<'a, T>> {
        let last = rows.saturating_sub(1).checked_mul(strides[0])?;
        let last = columns.saturating_sub(1).checked_mul(strides[1])?.checked_add(last)?;
        let inside = rows == 0 || columns == 0 || last < data.len();
        inside.then_some(Matrix { data, rows, columns, row_stride: strides[0], column_stride: strides[1] })
    }

    /// Columns `begin..begin + columns`.
    pub fn columns(self, begin: usize, columns: usize) -> Option<Matrix<'a, T>> {
        if begin.checked_add(columns)? > self.columns {
            return None;
        }
        let data = self.data.get(begin * self.column_stride..)?;
        Matrix::new(data, [self.rows, columns], [self.row_stride, self.column_stride])
    }

    /// The matrix with rows and columns exchanged.
    pub fn transposed(self) -> Matrix<'a, T> {
        Matrix {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// A rectangle of a matrix with contiguous rows, held exclusively.
pub(crate) struct Tile<'a, T> {
    start: *mut T,
    rows: usize,
    columns: usize,
    row_stride: usize,
    memory: PhantomData<&'a mut [T]>,
}

impl<'a, T: Element> Tile<'a, T> {
    /// A matrix of contiguous rows that fills `data`; `None` if the length is another.
    pub fn whole(data: &'a mut [T], rows: usize, columns: usize) -> Option<Tile<'a, T>> {
        (rows.checked_mul(columns)? == data.len()).then_some(Tile {
            start: data.as_mut_ptr(),
            rows,
            columns,
            row_stride: columns,
            memory: PhantomData,
        })
    }

    /// Columns `begin..begin + columns`, exclusively as long as the result lives.
    pub fn columns(&mut self, begin: usize, columns: usize) -> Option<Tile<'_, T>> {
        if begin.checked_add(columns)? > self.columns {
            return None;
        }
        // SAFETY: the columns lie inside this tile, which is borrowed exclusively.
        let start = unsafe { self.start.add(begin) };
        Some(Tile { start, rows: self.rows, columns, row_stride: self.row_stride, memory: PhantomData })
    }

    /// `self = a * b`, or `self += a * b`; `None` if the sizes do not fit.
    pub fn product(&mut self, accumulate: bool, a: Matrix<'_, T>, b: Matrix<'_, T>) -> Option<()> {
        if [a.rows, a.columns, b.columns] != [self.rows, b.rows, self.columns] {
            return None;
        }
        let old = if accumulate { T::ONE } else { T::default() };
        // SAFETY: the sizes agree; `Matrix::new` checked that all elements of `a` and `b` lie in their slices, this tile
        // holds all of its elements exclusively, so it overlaps neither.
        unsafe {
            gemm::gemm(
                self.rows,
                self.columns,
                a.columns,
                self.start,
                1,
                self.row_stride as isize,
                accumulate,
                a.data.as_ptr(),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr(),
                b.column_stride as isize,
                b.row_stride as isize,
                old,
                T::ONE,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
        Some(())
    }
}

struct Start<T>(*mut T);

// SAFETY: `for_each_tile` hands every element to exactly one task, and elements may move between threads.
unsafe impl<T: Send> Sync for Start<T> {}

impl<T> Start<T> {
    fn pointer(&self) -> *mut T {
        self.0
    }
}

/// Splits a matrix of contiguous rows into tiles of `[height, width]` and runs `body` on each, with its first row and
/// column, in any order on any thread of the pool, or all on the caller where that is in no pool; `None` if the matrix
/// has not `columns` columns or a task gave `None`.
pub(crate) fn for_each_tile<T: Element>(
    data: &mut [T],
    columns: usize,
    [height, width]: [usize; 2],
    body: impl Fn(Tile<'_, T>, usize, usize) -> Option<()> + Sync,
) -> Option<()> {
    if columns == 0 || height == 0 || width == 0 || !data.len().is_multiple_of(columns) {
        return None;
    }
    let rows = data.len() / columns;
    let across = columns.div_ceil(width);
    let start = Start(data.as_mut_ptr());
    let tasks = 0..rows.div_ceil(height) * across;
    let run = |task: usize| {
        let (row, column) = (task / across * height, task % across * width);
        // SAFETY: the tile lies inside `data`, which is borrowed exclusively; tiles of different tasks do not overlap.
        let start = unsafe { start.pointer().add(row * columns + column) };
        let tile = Tile {
            start,
            rows: height.min(rows - row),
            columns: width.min(columns - column),
            row_stride: columns,
            memory: PhantomData,
        };
        body(tile, row, column)
    };
    match rayon::current_thread_index() {
        Some(_) => tasks.into_par_iter().try_for_each(run),
        None => tasks.into_iter().try_for_each(run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_tiles_with_strides() {
        // a is 3x2, read transposed from 2x3; b is 2x4, of which columns 1..4 are used.
        let a = [1.0f64, 2.0, 3.0, 4.0, 5.0, 6.0];
        let b = [9.0f64, 1.0, 0.0, 2.0, 9.0, 0.0, 1.0, 3.0];
        let a = Matrix::new(&a, [2, 3], [3, 1]).expect("inside").transposed();
        let b = Matrix::new(&b[1..], [2, 3], [4, 1]).expect("inside");
        let mut out = [0.5f64; 12];
        let mut tile = Tile::whole(&mut out, 3, 4).expect("sizes");
        tile.columns(1, 3).expect("inside").product(true, a, b).expect("sizes");
        assert!(tile.columns(2, 3).is_none());
        assert!(tile.product(false, a, b).is_none());
        assert_eq!(out, [0.5, 1.5, 4.5, 14.5, 0.5, 2.5, 5.5, 19.5, 0.5, 3.5, 6.5, 24.5]);
        assert!(Matrix::new(&[0.0f32; 5], [2, 3], [3, 1]).is_none());
    }

    #[test]
    fn tiles_cover_everything_once() {
        let mut data = vec![0.0f32; 7 * 5];
        for_each_tile(&mut data, 5, [3, 2], |mut tile, row, column| {
            let ones = vec![1.0f32; tile.rows + tile.columns];
            let a = Matrix::new(&ones, [tile.rows, 1], [1, 1])?;
            let b = Matrix::new(&ones, [1, tile.columns], [1, 1])?;
            assert!(row % 3 == 0 && column % 2 == 0);
            tile.product(true, a, b)
        })
        .expect("sizes");
        assert!(data.iter().all(|x| *x == 1.0), "{data:?}");
    }
}
