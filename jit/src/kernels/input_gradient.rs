//! The gradient of a convolution's input.
//!
//! With stride 1 it is usually a convolution of the output's gradient with the flipped kernel. Otherwise every output pixel's
//! gradient times the weights is what its window receives, and windows are added up, image by image.

use std::ops::Range;

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::forward;
use super::gather::scatter_add;
use super::gemm::{Matrix, Tile};
use super::geometry::{Geometry, blocks};
use super::pool::with_scratch;
use super::prepared::{Form, Weights};
use super::weights::{self, Packed};
use crate::element::Element;

/// Output pixels that one task handles at least, as whole images: smaller products are slow.
const PIXELS: usize = 64;

/// With fewer input channels, products that give one pixel's channels are too narrow, and windows are added up instead.
const CHANNELS: usize = 8;

/// `out[r,y,x,i] = sum dy[r,oh,ow,o] * w[o,i,kh,kw]`
pub(crate) fn run<T: Element>(geometry: &Geometry, dy: &[T], weights: Weights<'_, T>, out: &mut [T]) -> Option<()> {
    let given = weights.given;
    if geometry.is_pointwise() {
        let len = geometry.cout * geometry.cin;
        let matrix = |group: usize| {
            let given = given.get(group * len..(group + 1) * len)?;
            Matrix::new(given, [geometry.cout, geometry.cin], [geometry.cin, 1])
        };
        return forward::pointwise(&geometry.flipped(), dy, matrix, out);
    }
    if geometry.stride == [1, 1] && geometry.cin >= CHANNELS {
        return weights.in_form(
            Form::Matrices,
            given.len(),
            |data| weights::flipped(geometry, given, data),
            |data| {
                let weights = Packed::of(data, [geometry.taps() * geometry.cout, geometry.cin]);
                forward::convolve(&geometry.flipped(), dy, weights, out)
            },
        );
    }
    weights.in_form(
        Form::Matrices,
        given.len(),
        |data| weights::by_output(geometry, given, data),
        |data| by_windows(geometry, dy, Packed::of(data, [geometry.cout, geometry.window()]), out),
    )
}

/// The sum of what all windows receive, with weights of `[cout][window]`.
fn by_windows<T: Element>(geometry: &Geometry, dy: &[T], weights: Packed<'_, T>, out: &mut [T]) -> Option<()> {
    let images = PIXELS.div_ceil(geometry.image_pixels());
    out.par_chunks_mut(images * geometry.input_len()).enumerate().try_for_each(|(task, out)| {
        out.fill(T::default());
        let first = task * images;
        let last = geometry.rows.min(first + images);
        (0..geometry.groups).try_for_each(|group| add_windows(geometry, dy, weights, group, first..last, out))
    })
}

/// Adds what the windows of some images receive from one group of channels.
fn add_windows<T: Element>(
    geometry: &Geometry,
    dy: &[T],
    weights: Packed<'_, T>,
    group: usize,
    images: Range<usize>,
    out: &mut [T],
) -> Option<()> {
    let window = geometry.window();
    let channels = geometry.output_channels();
    let start = images.start * geometry.image_pixels();
    blocks(images.len() * geometry.image_pixels(), geometry.panel_pixels(window)).try_for_each(|block| {
        let pixels = start + block.start..start + block.end;
        let from = dy.get(pixels.start * channels + group * geometry.cout..)?;
        let dy = Matrix::new(from, [pixels.len(), geometry.cout], [channels, 1])?;
        with_scratch(pixels.len() * window, |panel| {
            Tile::whole(panel, pixels.len(), window)?.product(false, dy, weights.group(group)?)?;
            scatter_add(geometry, out, images.start, group, pixels, panel);
            Some(())
        })
    })
}
