//! Convolutions as products of gathered windows with the weights; linear layers and 1x1 kernels need no gathering.

use super::gather::gather;
use super::gemm::{Matrix, Tile, for_each_tile};
use super::geometry::Geometry;
use super::pool::with_scratch;
use super::prepared::{Form, Weights};
use super::weights::{self, Packed};
use crate::element::Element;

/// Fewer tasks than this leave threads without work, so that products with few rows are also cut along their columns.
const TASKS: usize = 16;
/// Columns of the narrowest such cut.
const COLUMNS: usize = 64;

/// Whether weights are used so few times that they are multiplied as they are given, `[cout][cin]`.
pub(crate) fn is_product_of_given(geometry: &Geometry) -> bool {
    geometry.is_pointwise() && geometry.pixels() <= geometry.panel_pixels(geometry.cin)
}

/// `out[r,oh,ow,o] = sum x[r,y,x,i] * w[o,i,kh,kw]`
pub(crate) fn run<T: Element>(geometry: &Geometry, x: &[T], weights: Weights<'_, T>, out: &mut [T]) -> Option<()> {
    let given = weights.given;
    if is_product_of_given(geometry) {
        let len = geometry.cout * geometry.cin;
        let matrix = |group: usize| {
            let given = given.get(group * len..(group + 1) * len)?;
            Some(Matrix::new(given, [geometry.cout, geometry.cin], [geometry.cin, 1])?.transposed())
        };
        return pointwise(geometry, x, matrix, out);
    }
    weights.in_form(
        Form::Matrices,
        given.len(),
        |data| weights::by_window(geometry, given, data),
        |data| convolve(geometry, x, Packed::of(data, [geometry.window(), geometry.cout]), out),
    )
}

/// A convolution with packed weights, one matrix of `[window][cout]` a group.
pub(crate) fn convolve<T: Element>(geometry: &Geometry, x: &[T], weights: Packed<'_, T>, out: &mut [T]) -> Option<()> {
    if geometry.is_pointwise() {
        return pointwise(geometry, x, |group| weights.group(group), out);
    }
    let window = geometry.window();
    let height = geometry.panel_pixels(window);
    let columns = geometry.output_channels();
    let pixels = geometry.pixels();
    for_each_tile(out, columns, [height, columns], |mut tile, first, _| {
        let end = pixels.min(first + height);
        with_scratch((end - first) * window, |panel| {
            (0..geometry.groups).try_for_each(|group| {
                gather(geometry, x, group, first..end, 0..window, panel);
                let panel = Matrix::new(panel, [end - first, window], [window, 1])?;
                let mut tile = tile.columns(group * geometry.cout, geometry.cout)?;
                tile.product(false, panel, weights.group(group)?)
            })
        })
    })
}

/// A product of the input as it lies with one matrix of `[cin][cout]` a group.
pub(crate) fn pointwise<'w, T: Element>(
    geometry: &Geometry,
    x: &[T],
    matrix: impl Fn(usize) -> Option<Matrix<'w, T>> + Sync,
    out: &mut [T],
) -> Option<()> {
    let height = geometry.panel_pixels(geometry.cin);
    let channels = geometry.input_channels();
    let pixels = geometry.pixels();
    let rows = |tile_first: usize, group: usize| {
        let from = x.get(tile_first * channels + group * geometry.cin..)?;
        Matrix::new(from, [height.min(pixels - tile_first), geometry.cin], [channels, 1])
    };
    if geometry.groups == 1 {
        let bands = pixels.div_ceil(height);
        let width = geometry.cout.div_ceil(TASKS.div_ceil(bands)).next_multiple_of(COLUMNS);
        return for_each_tile(out, geometry.cout, [height, width], |mut tile: Tile<'_, T>, first, column| {
            let columns = width.min(geometry.cout - column);
            tile.product(false, rows(first, 0)?, matrix(0)?.columns(column, columns)?)
        });
    }
    let columns = geometry.output_channels();
    for_each_tile(out, columns, [height, columns], |mut tile, first, _| {
        (0..geometry.groups).try_for_each(|group| {
            let mut tile = tile.columns(group * geometry.cout, geometry.cout)?;
            tile.product(false, rows(first, group)?, matrix(group)?)
        })
    })
}
