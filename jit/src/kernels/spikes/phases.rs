//! Strided convolutions as convolutions of stride 1: every kernel element meets only inputs of one residue, which form a
//! smaller image, and in that image a spike and the gradients it selects lie a constant distance apart. This file must
//! never know bits.

use super::plane::Plane;
use crate::kernels::geometry::Geometry;

/// A kernel element.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tap {
    /// Number of the element, rows first.
    pub index: usize,
    /// Pixels of the plane from an output to the input that it meets.
    pub distance: usize,
}

/// The kernel elements that meet the inputs of one residue.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    /// The inputs. Outputs are the pixels of the plane's upper left corner, so that what is behind them in a row or an
    /// image has no gradient. No row is longer than it takes for that: a spike whose gradient would lie before the first
    /// output of a row finds the padding behind the row before.
    pub plane: Plane,
    /// The elements.
    pub taps: Vec<Tap>,
    /// The largest distance.
    pub reach: usize,
}

/// All phases that have kernel elements.
pub(crate) fn phases(geometry: &Geometry) -> Vec<Phase> {
    let [rows, columns] = geometry.stride;
    let all = (0..rows).flat_map(|row| (0..columns).map(move |column| [row, column]));
    all.filter_map(|residue| phase(geometry, residue)).collect()
}

/// The phase of a residue; `None` if no kernel element meets it.
fn phase(geometry: &Geometry, residue: [usize; 2]) -> Option<Phase> {
    let Geometry { kernel, dilation, stride, pad, output, .. } = *geometry;
    let meeting = |axis: usize| {
        let position = move |tap: usize| tap * dilation[axis];
        let taps = (0..kernel[axis]).filter(move |tap| position(*tap) % stride[axis] == residue[axis]);
        taps.map(move |tap| (tap, position(tap) / stride[axis])).collect::<Vec<_>>()
    };
    let (down, right) = (meeting(0), meeting(1));
    let (reach_down, reach_right) = (down.last()?.1, right.last()?.1);
    let shift = [residue[0] as isize - pad[0], residue[1] as isize - pad[1]];
    let size = |axis: usize, reach: usize| {
        // The first element of the plane that is an input, and the first behind those that are.
        let element = |coordinate: isize| coordinate.max(0).unsigned_abs().div_ceil(stride[axis]);
        let (first, end) = (element(-shift[axis]), element(geometry.input[axis] as isize - shift[axis]));
        (output[axis] + reach.saturating_sub(first)).max(end.min(output[axis] + reach))
    };
    let plane = Plane { size: [size(0, reach_down), size(1, reach_right)], step: stride, shift };
    let tap = |(row, y): (usize, usize), (column, x): (usize, usize)| Tap {
        index: row * kernel[1] + column,
        distance: y * plane.size[1] + x,
    };
    let taps = down.iter().flat_map(|row| right.iter().map(|column| tap(*row, *column))).collect();
    Some(Phase { plane, taps, reach: reach_down * plane.size[1] + reach_right })
}
