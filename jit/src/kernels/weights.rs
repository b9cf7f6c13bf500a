//! Weights as matrices that panels are multiplied with.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::gemm::Matrix;
use super::geometry::Geometry;
use crate::element::Element;

/// Packed matrices, one a group, of `rows` times `columns`.
pub(crate) struct Packed<T> {
    data: Vec<T>,
    rows: usize,
    columns: usize,
}

impl<T: Element> Packed<T> {
    /// The matrix of a group.
    pub fn group(&self, group: usize) -> Option<Matrix<'_, T>> {
        let len = self.rows * self.columns;
        Matrix::new(self.data.get(group * len..(group + 1) * len)?, [self.rows, self.columns], [self.columns, 1])
    }

    /// Fills row `(group, row)` by `element(group, row, column)`.
    fn fill(groups: usize, rows: usize, columns: usize, element: impl Fn(usize, usize, usize) -> T + Sync) -> Packed<T> {
        let mut data = vec![T::default(); groups * rows * columns];
        data.par_chunks_mut(columns.max(1)).enumerate().with_min_len(64).for_each(|(at, out)| {
            let (group, row) = (at / rows, at % rows);
            for (column, out) in out.iter_mut().enumerate() {
                *out = element(group, row, column);
            }
        });
        Packed { data, rows, columns }
    }
}

/// Element `w[o, i, tap]` of a group; weights are `[cout][cin / groups][kh][kw]`.
fn element<T: Element>(geometry: &Geometry, weights: &[T], group: usize, [o, i, tap]: [usize; 3]) -> T {
    let at = ((group * geometry.cout + o) * geometry.cin + i) * geometry.taps() + tap;
    weights.get(at).copied().unwrap_or_default()
}

/// `[window][cout]`: a window times it is an output pixel.
pub(crate) fn by_window<T: Element>(geometry: &Geometry, weights: &[T]) -> Packed<T> {
    Packed::fill(geometry.groups, geometry.window(), geometry.cout, |group, row, o| {
        element(geometry, weights, group, [o, row % geometry.cin, row / geometry.cin])
    })
}

/// `[flipped window of the output][cin]`: a window of the output's gradient times it is a pixel of the input's gradient.
pub(crate) fn flipped<T: Element>(geometry: &Geometry, weights: &[T]) -> Packed<T> {
    let taps = geometry.taps();
    Packed::fill(geometry.groups, taps * geometry.cout, geometry.cin, |group, row, i| {
        element(geometry, weights, group, [row % geometry.cout, i, taps - 1 - row / geometry.cout])
    })
}

/// `[cout][window]`: a pixel of the output's gradient times it is what its window receives.
pub(crate) fn by_output<T: Element>(geometry: &Geometry, weights: &[T]) -> Packed<T> {
    Packed::fill(geometry.groups, geometry.cout, geometry.window(), |group, o, column| {
        element(geometry, weights, group, [o, column % geometry.cin, column / geometry.cin])
    })
}
