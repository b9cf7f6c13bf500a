//! What heavy kernels take beside their buffers, from their shapes: bounds for forecasts, within some percent.
//!
//! Follows how the kernels cut their work. Where the number of spikes decides, the kernel that is driven by spikes is
//! assumed. This file must never compute a contraction.

use snn_loops::{Contraction, ContractionKind, Dtype};

use super::block::ROWS;
use super::geometry::Geometry;
use super::panels::Panels;
use super::pool::is_large;
use super::single::{is_for_phases, is_for_winograd, is_read_in_place};
use super::vector::Width;
use super::winograd::strided;
use super::{dots, forward, outer};

/// Parts that the gradient of a weight is computed in, as far as its columns do not make as many.
const PARTS: usize = 16;
/// Columns of such a part.
const COLUMNS: usize = 384;
/// Products of a transformed tile, and matrices of transformed weights.
const PRODUCTS: usize = 36;
/// Products of a tile of a strided gradient, of the phase that has most.
const PHASE_PRODUCTS: usize = 25;
/// Output pixels of a transformed tile, along an axis.
const SIDE: usize = 4;
/// Transformed tiles of a block, and how many blocks are few.
const TILES: usize = 64;
const FEW_BLOCKS: usize = 4;
/// Transformed tiles of a block of a gradient.
const GRADIENT_TILES: usize = 128;
/// Floats that a task driven by spikes keeps at most, beside the sums of weights: sums of a tile of pixels.
const SPIKE_TILE: usize = 512 * 128;
/// Input channels of a gradient's task that is driven by spikes, and its outputs, at most.
const SPIKE_CHANNELS: usize = 256;
const SPIKE_OUTPUTS: usize = 32;
/// The most that a thread that has multiplied matrices keeps for their left operands; less where weights are fewer.
const LEFT_OPERANDS: usize = 1 << 20;

/// Bytes beside the buffers. Kernels hand what they keep on to each other, memory of one type of elements to the next
/// that wants such elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Kept as floats.
    pub floats: Kept,
    /// Kept as words of spikes.
    pub words: Kept,
    /// Kept by every thread of the library that multiplies matrices.
    pub products: usize,
    /// Given back after the kernel.
    pub passing: usize,
    /// Kept by the instance: copies of weights.
    pub copies: usize,
}

/// Bytes that stay with threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Of the thread that runs the program.
    pub once: usize,
    /// Of every thread.
    pub each: usize,
}

impl Kept {
    /// Any thread may run the program: each comes to hold what it does not share with the others.
    pub fn spread(self) -> Kept {
        if is_large(self.once) { self } else { Kept { once: 0, each: self.each.saturating_add(self.once) } }
    }

    fn max(self, other: Kept) -> Kept {
        Kept { once: self.once.max(other.once), each: self.each.max(other.each) }
    }
}

impl Needs {
    /// Of a contraction; the copy of its weights may stay in the instance.
    pub fn of(contraction: &Contraction, dtype: Dtype, copy_stays: bool) -> Needs {
        let Contraction { kind, shape, rows, packed, planes, .. } = contraction;
        let geometry = Geometry::of(shape, *rows);
        let weights = shape.weight_len().saturating_mul(dtype.size());
        let single = dtype == Dtype::F32;
        if *packed && single && geometry.groups == 1 {
            return of_spikes(*kind, &geometry, *planes).with_copy(copy_stays);
        }
        if single && is_for_winograd(false, &geometry) {
            let needs = match kind {
                ContractionKind::Forward => of_tiles(&geometry, PRODUCTS, copy_stays),
                ContractionKind::InputGradient => of_tiles(&geometry.flipped(), PRODUCTS, copy_stays),
                ContractionKind::WeightGradient => of_tiles_gradient(&geometry),
            };
            return needs.with_copy(copy_stays);
        }
        if single && *kind == ContractionKind::InputGradient && is_for_phases(false, &geometry) {
            return of_tiles(&strided::places(&geometry), PHASE_PRODUCTS, copy_stays).with_copy(copy_stays);
        }
        let packs_nothing = match kind {
            ContractionKind::Forward => dots::fits(&geometry),
            ContractionKind::WeightGradient => outer::fits(&geometry),
            ContractionKind::InputGradient => false,
        };
        if single && packs_nothing && !packed {
            return Needs::default();
        }
        if single && is_read_in_place(*kind, &geometry) {
            return Needs { copies: weights, ..Needs::default() }.with_copy(copy_stays);
        }
        let window = shape.weight_len() / shape.cout.max(1);
        let unpacked = if *packed { rows.saturating_mul(shape.input_len()).saturating_mul(dtype.size()) } else { 0 };
        // Weights are packed once where windows are gathered, and parts of them once more by matrix products; their gradient
        // is summed in parts, of which there are the more the smaller it is. Neither is done for gradients of linear maps.
        let passing = match kind {
            ContractionKind::Forward => weights,
            ContractionKind::InputGradient | ContractionKind::WeightGradient if shape.kernel == [1, 1] => 0,
            ContractionKind::InputGradient => weights,
            ContractionKind::WeightGradient => weights.saturating_mul(PARTS.div_ceil(window.div_ceil(COLUMNS).max(1))),
        };
        let is_packed = match kind {
            ContractionKind::Forward => !forward::is_product_of_given(&geometry),
            ContractionKind::InputGradient => !geometry.is_pointwise(),
            ContractionKind::WeightGradient => false,
        };
        let copies = if copy_stays && is_packed { weights } else { 0 };
        let passing = passing.saturating_add(unpacked);
        Needs { products: weights.min(LEFT_OPERANDS), passing, copies, ..Needs::default() }
    }

    /// The same where the copy of the weights stays, or is kept for the next kernel like anything else.
    fn with_copy(mut self, stays: bool) -> Needs {
        if !stays {
            self.floats.once = self.floats.once.saturating_add(std::mem::take(&mut self.copies));
        }
        self
    }

    /// Of a kernel after another.
    pub fn max(self, other: Needs) -> Needs {
        Needs {
            floats: self.floats.max(other.floats),
            words: self.words.max(other.words),
            products: self.products.max(other.products),
            passing: self.passing.max(other.passing),
            copies: self.copies.saturating_add(other.copies),
        }
    }
}

/// Transformed weights with one block of tiles a thread; or all tiles with, unless all weights stay, one panel of weights a
/// thread.
fn of_tiles(geometry: &Geometry, products: usize, copy_stays: bool) -> Needs {
    let panels = Panels::of(Width::native(), geometry.cout);
    let tiles = geometry.rows * geometry.output.map(|len| len.div_ceil(SIDE)).iter().product::<usize>();
    let blocks = tiles.div_ceil(TILES).max(1);
    let longest = tiles.div_ceil(blocks).next_multiple_of(ROWS);
    let bytes = |floats: usize, matrices: usize| floats.saturating_mul(matrices * size_of::<f32>());
    let (panel, block) = (geometry.cin * panels.width(), longest * panels.whole_vectors(geometry.cin));
    let sums = longest * panels.width();
    let all = bytes(panels.count() * panel, PRODUCTS);
    let (floats, copies) = if blocks < FEW_BLOCKS && panels.count() > blocks {
        let (panel, all) = if copy_stays { (0, all) } else { (panel, 0) };
        (Kept { once: bytes(blocks * block, products), each: bytes(panel, PRODUCTS) + bytes(sums, products) }, all)
    } else {
        (Kept { once: 0, each: bytes(block + sums, products) }, all)
    };
    Needs { floats, copies, ..Needs::default() }
}

/// Sums at all points, with a block of tiles of input and output.
fn of_tiles_gradient(geometry: &Geometry) -> Needs {
    let channels = geometry.cin + geometry.cout;
    let floats = (geometry.cin * geometry.cout).saturating_add(channels * GRADIENT_TILES);
    let floats = Kept { once: floats.saturating_mul(PRODUCTS * size_of::<f32>()), each: 0 };
    Needs { floats, ..Needs::default() }
}

/// The spikes in another order and, forward, all weights in whole vectors.
fn of_spikes(kind: ContractionKind, geometry: &Geometry, planes: usize) -> Needs {
    let words = planes * geometry.cin.div_ceil(u64::BITS as usize);
    let plane = |axis: usize| {
        let pad = usize::try_from(geometry.pad[axis]).unwrap_or_default();
        geometry.input[axis].saturating_add(pad.saturating_mul(2))
    };
    let factors = [plane(0), plane(1), words, size_of::<u64>()];
    let spikes = factors.into_iter().fold(geometry.rows, usize::saturating_mul);
    let tile = SPIKE_TILE * size_of::<f32>();
    let (each, copies, words) = if kind == ContractionKind::Forward {
        let outputs = Panels::of(Width::native(), geometry.cout).whole_vectors(geometry.cout);
        let weights = outputs.saturating_mul(geometry.window() * size_of::<f32>());
        (tile, weights, spikes)
    } else {
        let sums = geometry.cin.min(SPIKE_CHANNELS) * geometry.taps() * SPIKE_OUTPUTS * size_of::<f32>();
        (tile + sums, 0, spikes.saturating_mul(2))
    };
    Needs { floats: Kept { once: 0, each }, words: Kept { once: words, each: 0 }, copies, ..Needs::default() }
}

#[cfg(test)]
mod tests {
    use snn_loops::{BufferId, ConvShape, Operand};

    use super::*;

    /// The needs of the gradient of an input of 128 channels, where 256 channels of half the size are the output.
    fn strided(rows: usize, copy_stays: bool) -> Needs {
        let shape = ConvShape {
            input: [32, 32],
            kernel: [3, 3],
            stride: [2, 2],
            pad: [1, 1],
            output: [16, 16],
            ..ConvShape::linear(128, 256)
        };
        let [a, b, out] = [0, 1, 2].map(|buffer| Operand::whole(BufferId(buffer)));
        let kind = ContractionKind::InputGradient;
        let gradient = Contraction {
            name: "gradient".into(),
            kind,
            shape,
            rows,
            packed: false,
            planes: 1,
            weights: snn_loops::WeightValues::Any,
            a,
            b,
            out,
        };
        Needs::of(&gradient, Dtype::F32, copy_stays)
    }

    #[test]
    fn strided_gradients_take_tiles_at_25_points_and_36_matrices_of_weights() {
        let float = size_of::<f32>();
        let panel = Panels::of(Width::native(), 128).width();
        // 8 blocks of 64 tiles, in register blocks of 6.
        let each = 66 * (256 + panel) * 25 * float;
        let weights = 36 * 256 * 128 * float;
        let kept = strided(32, true);
        assert_eq!((kept.floats, kept.copies), (Kept { once: 0, each }, weights));
        let passing = strided(32, false);
        assert_eq!((passing.floats, passing.copies), (Kept { once: weights, each }, 0));
    }

    #[test]
    fn no_rows_take_no_tiles() {
        assert_eq!(strided(0, true), Needs { copies: 9 * 256 * 128 * size_of::<f32>(), ..Needs::default() });
    }
}
