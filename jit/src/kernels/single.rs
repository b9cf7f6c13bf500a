//! Kernels of single precision, and which shapes they are for.
//!
//! The limits are measured: below 16 channels, transforming tiles costs more than it saves; with a stride, gathering windows
//! costs more than reading pixels where they lie, except for 1x1 kernels, which gather nothing.

use snn_loops::ContractionKind;

use super::bits::Bits;
use super::geometry::Geometry;
use super::policy::Policy;
use super::{Special, direct, spikes, winograd};

/// Channels, of input and output, from which both pay.
const CHANNELS: usize = 16;

/// Kernels that are not matrix products of gathered windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dense {
    /// Transformed tiles.
    Tiles,
    /// Pixels are read where they lie.
    InPlace,
}

/// Which of them is meant for a shape.
pub(crate) fn dense_kernel(kind: ContractionKind, geometry: &Geometry, precise: bool) -> Option<Dense> {
    let is_wide = geometry.groups == 1 && geometry.cin >= CHANNELS && geometry.cout >= CHANNELS;
    if !is_wide || kind == ContractionKind::WeightGradient {
        None
    } else if !precise && winograd::fits(geometry) {
        Some(Dense::Tiles)
    } else {
        (geometry.stride != [1, 1] && geometry.taps() > 1).then_some(Dense::InPlace)
    }
}

impl Special for f32 {
    fn dense(
        policy: &Policy,
        kind: ContractionKind,
        geometry: &Geometry,
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
    ) -> Option<()> {
        let is_forward = kind == ContractionKind::Forward;
        match dense_kernel(kind, geometry, policy.precise)? {
            Dense::Tiles if is_forward => winograd::convolve_with(policy.width, geometry, a, b, false, out),
            Dense::Tiles => winograd::convolve_with(policy.width, &geometry.flipped(), a, b, true, out),
            Dense::InPlace if is_forward => direct::convolve_with(policy.width, geometry, a, b, out),
            Dense::InPlace => direct::input_gradient_with(policy.width, geometry, a, b, out),
        }
    }

    fn spikes(
        policy: &Policy,
        kind: ContractionKind,
        geometry: &Geometry,
        words: &[u64],
        b: &[f32],
        out: &mut [f32],
    ) -> Option<()> {
        if geometry.groups != 1 {
            return None;
        }
        let bits = Bits { data: words, channels: geometry.cin, words: geometry.cin.div_ceil(64) };
        let method = policy.method(kind, geometry, || spikes::popcount(bits))?;
        match kind {
            ContractionKind::Forward => spikes::forward_by(policy.width, method, geometry, bits, b, out),
            ContractionKind::WeightGradient => spikes::weight_gradient(policy.width, geometry, bits, b, out),
            ContractionKind::InputGradient => None,
        }
    }
}
