//! Kernels written by hand: what a general loop nest cannot make fast.
//!
//! A contraction becomes matrix products (the `gemm` crate, one thread each) over panels that a thread gathers into its
//! own scratch memory. Panels, blocks and the order of sums depend on shapes only, so the number of threads changes no bit.

mod bits;
mod block;
#[cfg(test)]
mod dense_tests;
pub(crate) mod depthwise;
mod direct;
mod dots;
pub(crate) mod draw;
pub(crate) mod events;
mod filters;
pub(crate) mod forward;
pub(crate) mod gather;
pub(crate) mod gemm;
pub(crate) mod geometry;
pub(crate) mod input_gradient;
mod lattice;
pub(crate) mod needs;
mod outer;
mod panels;
pub(crate) mod policy;
pub(crate) mod pool;
pub(crate) mod prepared;
mod shared;
mod single;
mod spikes;
pub(crate) mod vector;
pub(crate) mod weight_gradient;
pub(crate) mod weights;
mod winograd;

use snn_loops::{Contraction, ContractionKind, ConvShape};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use crate::element::Element;
use bits::Bits;
use geometry::Geometry;
use policy::Policy;
use prepared::Weights;

/// Multiplications of a contraction that is not worth another thread.
const SMALL: usize = 1 << 15;

/// Whether a contraction is computed on the calling thread, without asking which threads there are: a small linear map of
/// floats. It must agree with what [`gemm::for_each_tile`] and [`dots::forward`] do; kernels for packed spikes and the others
/// of [`Special::dense`] may always ask for threads.
pub(crate) fn is_one_task(contraction: &Contraction) -> bool {
    let geometry = Geometry::of(&contraction.shape, contraction.rows);
    let products = geometry.pixels().saturating_mul(geometry.cin).saturating_mul(geometry.cout);
    !contraction.packed
        && contraction.kind == ContractionKind::Forward
        && geometry.groups == 1
        && forward::is_product_of_given(&geometry)
        && products <= SMALL
}

/// How many bits of a contraction's packed pixels are set, in all planes.
pub(crate) fn spikes(contraction: &Contraction, words: &[u64]) -> usize {
    spikes::popcount(Bits::of(&contraction.shape, contraction.planes, words))
}

/// Kernels that only one type of floats has; `None` where none is meant for a shape. The second operand of all kernels is
/// called weights: it is what they pack, and it is that but for gradients of weights.
pub(crate) trait Special: Element + From<u8> {
    /// A contraction of floats.
    fn dense(
        policy: &Policy,
        kind: ContractionKind,
        geometry: &Geometry,
        a: &[Self],
        b: Weights<'_, Self>,
        out: &mut [Self],
    ) -> Option<()>;

    /// A contraction whose first operand is packed.
    fn spikes(
        policy: &Policy,
        kind: ContractionKind,
        geometry: &Geometry,
        spikes: Bits<'_>,
        b: Weights<'_, Self>,
        out: &mut [Self],
    ) -> Option<()>;
}

impl Special for f64 {
    fn dense(
        _: &Policy,
        _: ContractionKind,
        _: &Geometry,
        _: &[f64],
        _: Weights<'_, f64>,
        _: &mut [f64],
    ) -> Option<()> {
        None
    }

    fn spikes(
        _: &Policy,
        _: ContractionKind,
        _: &Geometry,
        _: Bits<'_>,
        _: Weights<'_, f64>,
        _: &mut [f64],
    ) -> Option<()> {
        None
    }
}

/// Pixels that one task unpacks.
const UNPACKED: usize = 1024;

/// Computes a contraction whose first operand is packed.
pub(crate) fn contract_spikes<T: Special>(
    policy: &Policy,
    contraction: &Contraction,
    spikes: &[u64],
    mut b: Weights<'_, T>,
    out: &mut [T],
) -> Option<()> {
    let Contraction { kind, shape, rows, planes, .. } = contraction;
    if out.is_empty() || spikes.is_empty() || b.given.is_empty() {
        out.fill(T::default());
        return Some(());
    }
    let bits = Bits::of(shape, *planes, spikes);
    if let Some(done) = T::spikes(policy, *kind, &Geometry::of(shape, *rows), bits, b.again(), out) {
        return Some(done);
    }
    let mut dense = vec![T::default(); rows * shape.input_len()];
    dense.par_chunks_mut(UNPACKED * shape.cin).enumerate().for_each(|(block, out)| {
        spikes::unpack(bits, block * UNPACKED..block * UNPACKED + out.len() / shape.cin, out);
    });
    contract(policy, *kind, shape, *rows, &dense, b, out)
}

/// Computes a contraction of slices with exactly its lengths; `None` if they have not.
pub(crate) fn contract<T: Special>(
    policy: &Policy,
    kind: ContractionKind,
    shape: &ConvShape,
    rows: usize,
    a: &[T],
    mut b: Weights<'_, T>,
    out: &mut [T],
) -> Option<()> {
    let geometry = Geometry::of(shape, rows);
    if out.is_empty() {
        return Some(());
    }
    if a.is_empty() || b.given.is_empty() {
        out.fill(T::default());
        return Some(());
    }
    if geometry.is_depthwise() {
        return match kind {
            ContractionKind::Forward => depthwise::forward(&geometry, a, b, out),
            ContractionKind::InputGradient => depthwise::input_gradient(&geometry, a, b, out),
            ContractionKind::WeightGradient => depthwise::weight_gradient(&geometry, a, b.given, out),
        };
    }
    if let Some(done) = T::dense(policy, kind, &geometry, a, b.again(), out) {
        return Some(done);
    }
    match kind {
        ContractionKind::Forward => forward::run(&geometry, a, b, out),
        ContractionKind::InputGradient => input_gradient::run(&geometry, a, b, out),
        ContractionKind::WeightGradient => weight_gradient::run(&geometry, a, b.given, out),
    }
}
