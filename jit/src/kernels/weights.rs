//! Weights as matrices that panels are multiplied with: how each is written, and how it is read.

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::gemm::Matrix;
use super::geometry::{Geometry, blocks};
use crate::element::Element;

/// Packed matrices, one a group, of `rows` times `columns`.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
}

impl<'a, T: Element> Packed<'a, T> {
    /// Those that fill `data`.
    pub fn of(data: &'a [T], [rows, columns]: [usize; 2]) -> Packed<'a, T> {
        Packed { data, rows, columns }
    }

    /// The matrix of a group.
    pub fn group(&self, group: usize) -> Option<Matrix<'a, T>> {
        let len = self.rows * self.columns;
        Matrix::new(self.data.get(group * len..(group + 1) * len)?, [self.rows, self.columns], [self.columns, 1])
    }
}

/// Fills row `(group, row)` of matrices of `rows` times `columns` by `element(group, row, column)`.
fn fill<T: Element>(data: &mut [T], [rows, columns]: [usize; 2], element: impl Fn(usize, usize, usize) -> T + Sync) {
    data.par_chunks_mut(columns.max(1)).enumerate().with_min_len(64).for_each(|(at, out)| {
        let (group, row) = (at / rows, at % rows);
        for (column, out) in out.iter_mut().enumerate() {
            *out = element(group, row, column);
        }
    });
}

/// Element `w[o, i, tap]` of a group; weights are `[cout][cin / groups][kh][kw]`.
fn element<T: Element>(geometry: &Geometry, weights: &[T], group: usize, [o, i, tap]: [usize; 3]) -> T {
    let at = ((group * geometry.cout + o) * geometry.cin + i) * geometry.taps() + tap;
    weights.get(at).copied().unwrap_or_default()
}

/// Input channels, and output channels, of the blocks in which weights are transposed: a cache line each way.
const BLOCK: usize = 16;

/// `[window][cout]`: a window times it is an output pixel.
pub(crate) fn by_window<T: Element>(geometry: &Geometry, weights: &[T], data: &mut [T]) {
    let (cin, cout, taps) = (geometry.cin, geometry.cout, geometry.taps());
    for (weights, packed) in weights.chunks(cout * cin * taps).zip(data.chunks_mut(taps * cin * cout)) {
        // A block of input channels is one piece of every tap's matrix.
        let mut blocks: Vec<Vec<&mut [T]>> = Vec::new();
        blocks.resize_with(cin.div_ceil(BLOCK), Vec::new);
        for matrix in packed.chunks_mut(cin * cout) {
            for (block, piece) in blocks.iter_mut().zip(matrix.chunks_mut(BLOCK * cout)) {
                block.push(piece);
            }
        }
        blocks.into_par_iter().enumerate().for_each(|(block, mut pieces)| {
            let first = block * BLOCK * taps;
            transpose_block(weights, [cout, cin * taps], first, &mut pieces);
        });
    }
}

/// `pieces[tap][i * cout + o] = weights[o * row + first + i * taps + tap]`, some outputs at a time.
fn transpose_block<T: Element>(weights: &[T], [cout, row]: [usize; 2], first: usize, pieces: &mut [&mut [T]]) {
    let taps = pieces.len();
    for outputs in blocks(cout, BLOCK) {
        for (tap, piece) in pieces.iter_mut().enumerate() {
            for (i, line) in piece.chunks_exact_mut(cout).enumerate() {
                let line = line.get_mut(outputs.clone()).unwrap_or_default();
                let from = weights.iter().skip(outputs.start * row + first + i * taps + tap).step_by(row);
                for (to, from) in line.iter_mut().zip(from) {
                    *to = *from;
                }
            }
        }
    }
}

/// `[flipped window of the output][cin]`: a window of the output's gradient times it is a pixel of the input's gradient.
pub(crate) fn flipped<T: Element>(geometry: &Geometry, weights: &[T], data: &mut [T]) {
    let taps = geometry.taps();
    fill(data, [taps * geometry.cout, geometry.cin], |group, row, i| {
        element(geometry, weights, group, [row % geometry.cout, i, taps - 1 - row / geometry.cout])
    })
}

/// `[cout][window]`: a pixel of the output's gradient times it is what its window receives.
pub(crate) fn by_output<T: Element>(geometry: &Geometry, weights: &[T], data: &mut [T]) {
    fill(data, [geometry.cout, geometry.window()], |group, o, column| {
        element(geometry, weights, group, [o, column % geometry.cin, column / geometry.cin])
    })
}
