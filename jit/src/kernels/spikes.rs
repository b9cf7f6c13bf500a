//! Kernels that are driven by spikes: work that is done for bits that are set, not for every input.
//!
//! Small whole numbers, as sums of spikes are, lie in several planes of bits. A bit of plane `k` adds `2^k` times what a
//! spike adds, by a fused multiply-add in place of an addition: the product is exact. So a kernel visits the planes of a word
//! one after the other, with the same weights or gradients, which are in a cache, and the same sums, which are in registers.
//!
//! Bits behind the last channel may have any value. The results of all methods differ by rounding only, and no result
//! depends on the number of threads or on the width of vectors. This file must never know programs.

#![allow(unsafe_code, reason = "vectors, and disjoint tiles of one output that tasks write side by side")]

mod forward;
mod gather;
pub(crate) mod masked;
mod masks;
mod pack;
mod phases;
mod plane;
mod rows;
mod select;
mod table;
#[cfg(test)]
mod tests;
mod unpack;
mod weight_gradient;

use snn_loops::MAX_PLANES;

use crate::kernels::bits::Bits;
use crate::kernels::geometry::Geometry;
use crate::kernels::prepared::Weights;
use crate::kernels::vector::Width;

pub(crate) use unpack::{popcount, unpack};

/// How a forward convolution adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// One addition a spike; best for few spikes.
    Gather,
    /// One addition for any four channels; best for many spikes and pixels.
    Table,
    /// One addition for any sixteen channels of an output; best for few outputs. Of spikes alone.
    Masked,
}

/// Convolves packed spikes with weights `[cout][cin][kernel]` to `out`, channels last, by a method. `None`, and nothing is
/// written, if the geometry has groups, does not suit the method, or a length does not fit.
pub(crate) fn forward_by(
    width: Width,
    method: Method,
    geometry: &Geometry,
    bits: Bits,
    weights: Weights<'_, f32>,
    out: &mut [f32],
) -> Option<()> {
    check(geometry, bits, weights.given.len(), out.len())?;
    match method {
        Method::Masked if bits.planes > 1 || !masked::fits(geometry) => return None,
        Method::Masked => masked::forward(width, geometry, bits, weights.given, out),
        Method::Gather | Method::Table => {
            forward::run(width, method == Method::Table, geometry, bits, weights, out);
        }
    }
    Some(())
}

/// The gradient of weights `[cout][cin][kernel]` of a convolution of packed spikes, whose output has the gradients
/// `gradients`, channels last; look-up tables are not for gradients, spikes are taken one by one then. `None`, and nothing is
/// written, if the geometry has groups, does not suit the method, or a length does not fit.
pub(crate) fn weight_gradient_by(
    width: Width,
    method: Method,
    geometry: &Geometry,
    bits: Bits,
    gradients: &[f32],
    out: &mut [f32],
) -> Option<()> {
    check(geometry, bits, out.len(), gradients.len())?;
    match method {
        Method::Masked if bits.planes > 1 || !masked::fits(geometry) => return None,
        Method::Masked => masked::weight_gradient(width, geometry, bits, gradients, out),
        Method::Gather | Method::Table => weight_gradient::run(width, geometry, bits, gradients, out),
    }
    Some(())
}

/// Whether kernels may rely on these lengths, of weights and of the output.
fn check(geometry: &Geometry, bits: Bits, weights: usize, output: usize) -> Option<()> {
    let Geometry { rows, groups, cin, cout, input, kernel, stride, .. } = *geometry;
    let product = |factors: &[usize]| factors.iter().try_fold(1usize, |all, factor| all.checked_mul(*factor));
    let words = product(&[rows, input[0], input[1], bits.pixel()])?;
    let plane = forward::words(geometry, bits)?;
    let fits = groups == 1
        && bits.channels == cin
        && bits.words == cin.div_ceil(64)
        && (1..=MAX_PLANES).contains(&bits.planes)
        && bits.data.len() == words
        && plane < u32::MAX as usize
        && product(&[cout, cin, kernel[0], kernel[1]])? == weights
        && product(&[rows, geometry.output[0], geometry.output[1], cout])? == output
        && weights > 0
        && output > 0
        && stride.iter().all(|stride| *stride > 0);
    fits.then_some(())
}
