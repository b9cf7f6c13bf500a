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

impl Special for f32 {
    fn dense(
        policy: &Policy,
        kind: ContractionKind,
        geometry: &Geometry,
        a: &[f32],
        b: &[f32],
        out: &mut [f32],
    ) -> Option<()> {
        let is_wide = geometry.groups == 1 && geometry.cin >= CHANNELS && geometry.cout >= CHANNELS;
        let by_tiles = is_wide && !policy.precise && winograd::fits(geometry);
        let in_place = is_wide && geometry.stride != [1, 1] && geometry.taps() > 1;
        match kind {
            ContractionKind::Forward if by_tiles => winograd::convolve_with(policy.width, geometry, a, b, false, out),
            ContractionKind::InputGradient if by_tiles => {
                winograd::convolve_with(policy.width, &geometry.flipped(), a, b, true, out)
            }
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
