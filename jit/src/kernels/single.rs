//! Kernels of single precision, and which shapes they are for.
//!
//! The limits are measured: below 16 channels, transforming tiles costs more than it saves; with a stride, gathering windows
//! costs more than reading pixels where they lie, except for 1x1 kernels, which gather nothing. Tiles of a strided gradient
//! pay from ten full ones on: at 256 to 512 channels 32 images of 14x14 pixels take 14.3 ms in place of 16.2, and of 10x10,
//! whose tiles are 40 % full, 13.5 in place of 8.2.

use snn_loops::ContractionKind;

use super::bits::Bits;
use super::geometry::Geometry;
use super::policy::Policy;
use super::prepared::Weights;
use super::winograd::Images;
use super::{Special, direct, dots, outer, spikes, winograd};

/// Channels, of input and output, from which both pay.
const CHANNELS: usize = 16;

/// Channels of a pixel from which it is faster read where it lies than gathered, with a stride of 1.
const PIXEL: usize = 64;

/// Channels of a gradient of an input from which half of a vector or more is used.
const COLUMNS: usize = 8;

/// What a tile of a strided gradient costs, of 16 places, in places that are computed by sums.
const TILE: usize = 10;

/// What transforming the weights of a strided gradient costs, in such places.
const WEIGHTS: usize = 60;

/// Whether a shape has enough channels.
fn is_wide(geometry: &Geometry) -> bool {
    geometry.groups == 1 && geometry.cin >= CHANNELS && geometry.cout >= CHANNELS
}

/// Whether tiles are faster, and wanted.
pub(super) fn is_for_winograd(precise: bool, geometry: &Geometry) -> bool {
    is_wide(geometry) && !precise && winograd::fits(geometry)
}

/// Whether pixels are read where they lie, by a forward convolution or a gradient of an input.
pub(super) fn is_read_in_place(kind: ContractionKind, geometry: &Geometry) -> bool {
    if geometry.groups != 1 || geometry.taps() == 1 {
        return false;
    }
    match (kind, geometry.stride) {
        (ContractionKind::WeightGradient, _) => false,
        (ContractionKind::Forward, [1, 1]) => geometry.cin >= PIXEL,
        (ContractionKind::InputGradient, [1, 1]) => geometry.cin >= COLUMNS && geometry.cout >= CHANNELS,
        _ => is_wide(geometry),
    }
}

/// Whether a gradient of an input is faster by tiles of phases, and that is wanted.
pub(super) fn is_for_phases(precise: bool, geometry: &Geometry) -> bool {
    is_wide(geometry) && !precise && winograd::strided::fits(geometry) && fills_tiles(geometry)
}

/// Whether pixels fill enough of enough tiles: per tile and for the weights, these many places cost as much without tiles.
fn fills_tiles(geometry: &Geometry) -> bool {
    let places = winograd::strided::places(geometry);
    winograd::tiles(&places).saturating_mul(TILE).saturating_add(WEIGHTS) <= places.pixels()
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
        let in_place = is_read_in_place(kind, geometry);
        match kind {
            _ if by_tiles => by_winograd(policy, kind, geometry, Images::Floats(a), b, out),
            ContractionKind::Forward if in_place => direct::convolve_with(policy.width, geometry, a, b, out),
            ContractionKind::Forward if dots::fits(geometry) => dots::forward(policy.width, geometry, a, b.given, out),
            ContractionKind::WeightGradient if outer::fits(geometry) => {
                outer::weight_gradient(policy.width, geometry, a, b.given, out)
            }
            ContractionKind::InputGradient if is_for_phases(policy.precise, geometry) => {
                winograd::strided::input_gradient_with(policy.width, geometry, a, b, out)
            }
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
        bits: Bits<'_>,
        b: Weights<'_, f32>,
        out: &mut [f32],
    ) -> Option<()> {
        if geometry.groups != 1 {
            return None;
        }
        let Some(method) = policy.method(kind, geometry, bits.planes, || spikes::popcount(bits)) else {
            let by_tiles = is_for_winograd(policy.precise, geometry);
            return by_tiles.then(|| by_winograd(policy, kind, geometry, Images::Spikes(bits), b, out))?;
        };
        match kind {
            ContractionKind::Forward => spikes::forward_by(policy.width, method, geometry, bits, b, out),
            ContractionKind::WeightGradient => {
                spikes::weight_gradient_by(policy.width, method, geometry, bits, b.given, out)
            }
            ContractionKind::InputGradient => None,
        }
    }
}
