//! Kernels written by hand: what a general loop nest cannot make fast.
//!
//! A contraction becomes matrix products (the `gemm` crate, one thread each) over panels that a thread gathers into its
//! own scratch memory. Panels, blocks and the order of sums depend on shapes only, so the number of threads changes no bit.

pub(crate) mod depthwise;
pub(crate) mod draw;
pub(crate) mod forward;
pub(crate) mod gather;
pub(crate) mod gemm;
pub(crate) mod geometry;
pub(crate) mod input_gradient;
pub(crate) mod weight_gradient;
pub(crate) mod weights;

use snn_loops::{Contraction, ContractionKind, ConvShape};

use crate::element::Element;
use geometry::Geometry;

/// Multiplications of a contraction that is not worth another thread.
const SMALL: usize = 1 << 15;

/// Whether a contraction is computed on the calling thread, without asking which threads there are: a small linear map of
/// floats. It must agree with what [`gemm::for_each_tile`] does; kernels for packed spikes may always ask for threads.
pub(crate) fn is_one_task(contraction: &Contraction) -> bool {
    let geometry = Geometry::of(&contraction.shape, contraction.rows);
    let products = geometry.pixels().saturating_mul(geometry.cin).saturating_mul(geometry.cout);
    !contraction.packed
        && contraction.kind == ContractionKind::Forward
        && geometry.is_pointwise()
        && geometry.groups == 1
        && geometry.pixels() <= geometry.panel_pixels(geometry.cin)
        && products <= SMALL
}

/// How many spikes there are in packed pixels.
pub(crate) fn spikes(shape: &ConvShape, words: &[u64]) -> u64 {
    let in_last = shape.cin % 64;
    let last = if in_last == 0 { u64::MAX } else { (1 << in_last) - 1 };
    let pixels = words.chunks_exact(shape.cin.div_ceil(64).max(1));
    let of_pixel = |pixel: &[u64]| match pixel.split_last() {
        Some((tail, whole)) => {
            u64::from((tail & last).count_ones()) + whole.iter().map(|word| u64::from(word.count_ones())).sum::<u64>()
        }
        None => 0,
    };
    pixels.map(of_pixel).sum()
}

/// Computes a contraction whose first operand is packed spikes.
pub(crate) fn contract_spikes<T: Element>(
    kind: ContractionKind,
    shape: &ConvShape,
    rows: usize,
    spikes: &[u64],
    b: &[T],
    out: &mut [T],
) -> Option<()> {
    let words = shape.cin.div_ceil(64);
    let mut dense = vec![T::default(); rows * shape.input_len()];
    for (pixel, row) in dense.chunks_exact_mut(shape.cin.max(1)).enumerate() {
        for (channel, out) in row.iter_mut().enumerate() {
            let word = spikes.get(pixel * words + channel / 64)?;
            *out = if word >> (channel % 64) & 1 == 1 { T::ONE } else { T::default() };
        }
    }
    contract(kind, shape, rows, &dense, b, out)
}

/// Computes a contraction of slices with exactly its lengths; `None` if they have not.
pub(crate) fn contract<T: Element>(
    kind: ContractionKind,
    shape: &ConvShape,
    rows: usize,
    a: &[T],
    b: &[T],
    out: &mut [T],
) -> Option<()> {
    let geometry = Geometry::of(shape, rows);
    if out.is_empty() {
        return Some(());
    }
    if a.is_empty() || b.is_empty() {
        out.fill(T::default());
        return Some(());
    }
    if geometry.is_depthwise() {
        return match kind {
            ContractionKind::Forward => depthwise::forward(&geometry, a, b, out),
            ContractionKind::InputGradient => depthwise::input_gradient(&geometry, a, b, out),
            ContractionKind::WeightGradient => depthwise::weight_gradient(&geometry, a, b, out),
        };
    }
    match kind {
        ContractionKind::Forward => forward::run(&geometry, a, b, out),
        ContractionKind::InputGradient => input_gradient::run(&geometry, a, b, out),
        ContractionKind::WeightGradient => weight_gradient::run(&geometry, a, b, out),
    }
}
