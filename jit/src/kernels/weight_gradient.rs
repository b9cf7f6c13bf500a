//! The gradient of a convolution's weights: products of gathered windows with the output's gradient, over all pixels.
//!
//! The sum over pixels is cut into parts that depend on the shape only; a task computes one part of some columns, and the
//! parts are added in order.

use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::gather::gather;
use super::gemm::{Matrix, Tile, for_each_tile};
use super::geometry::{Geometry, blocks};
use super::pool::with_scratch;
use crate::element::Element;

/// Columns of the window that a task computes, if the window is that long.
const COLUMNS: usize = 384;
/// Tasks that keep the threads of most machines busy.
const TASKS: usize = 16;

/// How the work is cut.
struct Cut {
    /// Columns of a block.
    columns: usize,
    /// Pixels of a part.
    pixels: usize,
    /// Parts.
    parts: usize,
}

impl Cut {
    fn of(geometry: &Geometry) -> Cut {
        let window = geometry.window();
        // Equal blocks, in whole cache lines: a narrow last one would be slow.
        let columns = window.div_ceil(window.div_ceil(COLUMNS)).next_multiple_of(16);
        let tasks = geometry.groups * window.div_ceil(columns);
        let panels = geometry.pixels().div_ceil(geometry.panel_pixels(columns));
        let parts = TASKS.div_ceil(tasks).min(panels).max(1);
        let pixels = geometry.pixels().div_ceil(parts);
        Cut { columns, pixels, parts: geometry.pixels().div_ceil(pixels) }
    }
}

/// `out[o,i,kh,kw] = sum x[r,y,x,i] * dy[r,oh,ow,o]`
pub(crate) fn run<T: Element>(geometry: &Geometry, x: &[T], dy: &[T], out: &mut [T]) -> Option<()> {
    let cut = Cut::of(geometry);
    let (window, cout) = (geometry.window(), geometry.cout);
    let pixels_of = |part: usize| part * cut.pixels..geometry.pixels().min((part + 1) * cut.pixels);
    if geometry.taps() == 1 && cut.parts == 1 && geometry.groups == 1 {
        return for_each_tile(out, window, [cout, cut.columns], |mut tile, _, column| {
            let columns = column..window.min(column + cut.columns);
            accumulate(geometry, x, dy, 0, pixels_of(0), columns, &mut tile)
        });
    }
    // One matrix of `[cout][window]` for every part and group.
    let mut sums = vec![T::default(); cut.parts * geometry.groups * cout * window];
    let across: Vec<Range<usize>> = blocks(window, cut.columns).collect();
    sums.par_chunks_mut((cout * window).max(1)).enumerate().try_for_each(|(at, sums)| {
        let (part, group) = (at / geometry.groups, at % geometry.groups);
        for_each_tile(sums, window, [cout, cut.columns], |mut tile, _, column| {
            let columns = across.get(column / cut.columns)?.clone();
            accumulate(geometry, x, dy, group, pixels_of(part), columns, &mut tile)
        })
    })?;
    combine(geometry, &sums, out);
    Some(())
}

/// `tile = dy' * windows` over some pixels, panel by panel.
fn accumulate<T: Element>(
    geometry: &Geometry,
    x: &[T],
    dy: &[T],
    group: usize,
    pixels: Range<usize>,
    columns: Range<usize>,
    tile: &mut Tile<'_, T>,
) -> Option<()> {
    let width = columns.len();
    let channels = geometry.output_channels();
    // Where nothing is gathered, the product itself sees to the caches.
    let height = if geometry.is_pointwise() { pixels.len() } else { geometry.panel_pixels(width) };
    blocks(pixels.len(), height).try_for_each(|block| {
        let here = pixels.start + block.start..pixels.start + block.end;
        let from = dy.get(here.start * channels + group * geometry.cout..)?;
        let dy = Matrix::new(from, [here.len(), geometry.cout], [channels, 1])?.transposed();
        let again = block.start > 0;
        if geometry.is_pointwise() {
            let channels = geometry.input_channels();
            let from = x.get(here.start * channels + group * geometry.cin + columns.start..)?;
            return tile.product(again, dy, Matrix::new(from, [here.len(), width], [channels, 1])?);
        }
        with_scratch(here.len() * width, |panel| {
            gather(geometry, x, group, here.clone(), columns.clone(), panel);
            tile.product(again, dy, Matrix::new(panel, [here.len(), width], [width, 1])?)
        })
    })
}

/// Adds the parts in order, into the order of weights.
fn combine<T: Element>(geometry: &Geometry, sums: &[T], out: &mut [T]) {
    let (window, taps) = (geometry.window(), geometry.taps());
    let matrix = geometry.output_channels() * window;
    out.par_chunks_mut(window.max(1)).enumerate().with_min_len(8).for_each(|(o, out)| {
        for (at, out) in out.iter_mut().enumerate() {
            let column = at % taps * geometry.cin + at / taps;
            let parts = sums.iter().skip(o * window + column).step_by(matrix.max(1));
            let mut sum = T::default();
            parts.for_each(|part| sum += *part);
            *out = sum;
        }
    });
}
