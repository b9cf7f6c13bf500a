//! Kernels of single precision, and which shapes they are for.
//!
//! The limits are measured: below 16 channels, transforming tiles costs more than it saves; with a stride, gathering windows
//! costs more than reading pixels where they lie, except for 1x1 kernels, which gather nothing.

use snn_loops::ContractionKind;

use super::bits::Bits;
use super::geometry::Geometry;
use super::policy::Policy;
use super::prepared::Weights;
use super::winograd::Images;
use super::{Special, direct, spikes, winograd};

/// Channels, of input and output, from which both pay.
const CHANNELS: usize = 16;

/// Whether a shape has enough channels.
fn is_wide(geometry: &Geometry) -> bool {
    geometry.groups == 1 && geometry.cin >= CHANNELS && geometry.cout >= CHANNELS
}

/// Whether tiles are faster, and wanted.
pub(super) fn is_for_winograd(precise: bool, geometry: &Geometry) -> bool {
    is_wide(geometry) && !precise && winograd::fits(geometry)
}

/// Whether pixels are read where they lie, except for gradients of weights.
pub(super) fn is_read_in_place(geometry: &Geometry) -> bool {
    is_wide(geometry) && geometry.stride != [1, 1] && geometry.taps() > 1
}

/// A contraction by tiles.
fn by_winograd(
    policy: &Policy,
    kind: ContractionKind,
    geometry: &Geometry,
    a: Images<'_>,
    b: Weights<'_, f32>,
    out: &mut [f32],
) -> Option<()> {
    match kind {
        ContractionKind::Forward => winograd::convolve_with(policy.width, geometry, a, b, false, out),
        ContractionKind::InputGradient => winograd::convolve_with(policy.width, &geometry.flipped(), a, b, true, out),
        ContractionKind::WeightGradient => winograd::weight_gradient_with(policy.width, geometry, a, b.given, out),
    }
}

impl Special for f32 {
    fn dense(
        policy: &Policy,
        kind: ContractionKind,
        geometry: &Geometry,
        a: &[f32],
        b: Weights<'_, f32>,
        out: &mut [f32],
    ) -> Option<()> {
        let by_tiles = is_for_winograd(policy.precise, geometry);
        let in_place = is_read_in_place(geometry);
        match kind {
            _ if by_tiles => by_winograd(policy, kind, geometry, Images::Floats(a), b, out),
            ContractionKind::Forward if in_place => direct::convolve_with(policy.width, geometry, a, b, out),
            ContractionKind::InputGradient if in_place => {
                direct::input_gradient_with(policy.width, geometry, a, b, out)
            }
            _ => None,
        }
    }

    fn spikes(
        policy: &Policy,
        kind: ContractionKind,
        geometry: &Geometry,
        words: &[u64],
        b: Weights<'_, f32>,
        out: &mut [f32],
    ) -> Option<()> {
        if geometry.groups != 1 {
            return None;
        }
        let bits = Bits { data: words, channels: geometry.cin, words: geometry.cin.div_ceil(64) };
        let Some(method) = policy.method(kind, geometry, || spikes::popcount(bits)) else {
            let by_tiles = is_for_winograd(policy.precise, geometry);
            return by_tiles.then(|| by_winograd(policy, kind, geometry, Images::Spikes(bits), b, out))?;
        };
        match kind {
            ContractionKind::Forward => spikes::forward_by(policy.width, method, geometry, bits, b, out),
            ContractionKind::WeightGradient => spikes::weight_gradient(policy.width, geometry, bits, b.given, out),
            ContractionKind::InputGradient => None,
        }
    }
}
