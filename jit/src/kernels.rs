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

/// Whether a contraction is computed on the calling thread: a small linear map. It must agree with what
/// [`gemm::for_each_tile`] does.
pub(crate) fn is_one_task(contraction: &Contraction) -> bool {
    let geometry = Geometry::of(&contraction.shape, contraction.rows);
    let products = geometry.pixels().saturating_mul(geometry.cin).saturating_mul(geometry.cout);
    contraction.kind == ContractionKind::Forward
        && geometry.is_pointwise()
        && geometry.groups == 1
        && geometry.pixels() <= geometry.panel_pixels(geometry.cin)
        && products <= SMALL
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
