//! Convolutions with one channel a group: sums over few kernel elements, side by side in all channels.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::geometry::{Geometry, blocks};
use super::prepared::{Form, Weights};
use crate::element::Element;

/// Parts of the sum over images of the weights' gradient.
const PARTS: usize = 16;

/// Runs `body` with the weights as `[tap][channel]`.
fn by_tap<T: Element, R>(geometry: &Geometry, weights: Weights<'_, T>, body: impl FnOnce(&[T]) -> R) -> R {
    let (taps, given) = (geometry.taps(), weights.given);
    let make = |to: &mut [T]| {
        let from = (0..taps).flat_map(|tap| given.iter().skip(tap).step_by(taps));
        to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    };
    weights.in_form(Form::Taps, given.len(), make, body)
}

/// `sum += a * b` for all channels of a pixel.
fn add_product<T: Element>(sum: &mut [T], a: &[T], b: &[T]) {
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        *sum += *a * *b;
    }
}

/// Element `at` of pixels of `channels` channels.
fn pixel<T>(data: &[T], at: usize, channels: usize) -> &[T] {
    data.get(at * channels..(at + 1) * channels).unwrap_or_default()
}

/// The kernel elements in order.
fn taps(geometry: &Geometry) -> impl Iterator<Item = (usize, usize, usize)> + use<> {
    let [height, width] = geometry.kernel;
    (0..height * width).map(move |tap| (tap, tap / width, tap % width))
}

/// `out[r,oh,ow,c] = sum x[r,y,x,c] * w[c,kh,kw]`
pub(crate) fn forward<T: Element>(geometry: &Geometry, x: &[T], weights: Weights<'_, T>, out: &mut [T]) -> Option<()> {
    let channels = geometry.groups;
    by_tap(geometry, weights, |weights| {
        out.par_chunks_mut(geometry.output[1] * channels).enumerate().for_each(|(line, out)| {
            let (image, oh) = (line / geometry.output[0], line % geometry.output[0]);
            for (ow, out) in out.chunks_exact_mut(channels).enumerate() {
                out.fill(T::default());
                for (tap, kh, kw) in taps(geometry) {
                    if let (Some(y), Some(column)) = (geometry.source(0, oh, kh), geometry.source(1, ow, kw)) {
                        let at = (image * geometry.input[0] + y) * geometry.input[1] + column;
                        add_product(out, pixel(x, at, channels), pixel(weights, tap, channels));
                    }
                }
            }
        })
    });
    Some(())
}

/// The output along an axis whose window meets input `at` with kernel element `tap`.
fn target(geometry: &Geometry, axis: usize, at: usize, tap: usize) -> Option<usize> {
    let shifted = at as isize + geometry.pad[axis] - (tap * geometry.dilation[axis]) as isize;
    let shifted = usize::try_from(shifted).ok()?;
    let stride = geometry.stride[axis];
    (shifted.is_multiple_of(stride) && shifted / stride < geometry.output[axis]).then_some(shifted / stride)
}

/// `out[r,y,x,c] = sum dy[r,oh,ow,c] * w[c,kh,kw]`
pub(crate) fn input_gradient<T: Element>(
    geometry: &Geometry,
    dy: &[T],
    weights: Weights<'_, T>,
    out: &mut [T],
) -> Option<()> {
    let channels = geometry.groups;
    by_tap(geometry, weights, |weights| {
        out.par_chunks_mut(geometry.input[1] * channels).enumerate().for_each(|(line, out)| {
            let (image, y) = (line / geometry.input[0], line % geometry.input[0]);
            for (column, out) in out.chunks_exact_mut(channels).enumerate() {
                out.fill(T::default());
                for (tap, kh, kw) in taps(geometry) {
                    if let (Some(oh), Some(ow)) = (target(geometry, 0, y, kh), target(geometry, 1, column, kw)) {
                        let at = (image * geometry.output[0] + oh) * geometry.output[1] + ow;
                        add_product(out, pixel(dy, at, channels), pixel(weights, tap, channels));
                    }
                }
            }
        })
    });
    Some(())
}

/// `out[c,kh,kw] = sum x[r,y,x,c] * dy[r,oh,ow,c]`
pub(crate) fn weight_gradient<T: Element>(geometry: &Geometry, x: &[T], dy: &[T], out: &mut [T]) -> Option<()> {
    let channels = geometry.groups;
    let len = geometry.taps() * channels;
    let images: Vec<_> = blocks(geometry.rows, geometry.rows.div_ceil(PARTS)).collect();
    let mut sums = vec![T::default(); images.len() * len];
    sums.par_chunks_mut(len).zip(images).for_each(|(sums, images)| {
        for at in images.start * geometry.image_pixels()..images.end * geometry.image_pixels() {
            let (image, oh, ow) = geometry.place(at);
            for (tap, kh, kw) in taps(geometry) {
                if let (Some(y), Some(column)) = (geometry.source(0, oh, kh), geometry.source(1, ow, kw)) {
                    let from = (image * geometry.input[0] + y) * geometry.input[1] + column;
                    let sum = sums.get_mut(tap * channels..(tap + 1) * channels).unwrap_or_default();
                    add_product(sum, pixel(x, from, channels), pixel(dy, at, channels));
                }
            }
        }
    });
    for (at, out) in out.iter_mut().enumerate() {
        let (channel, tap) = (at / geometry.taps(), at % geometry.taps());
        *out = T::default();
        sums.iter().skip(tap * channels + channel).step_by(len).for_each(|part| *out += *part);
    }
    Some(())
}
