//! How the work of a sweep is cut, which its descriptor alone decides, and with it the order of all sums.
//!
//! Must never know how many threads there are, or what trains hold.

use std::ops::Range;

use snn_loops::EventSweep;

use super::lanes::Layer;
use super::needs::bytes_of_lists;

/// Tasks that keep the threads of most machines busy.
pub(super) const TASKS: usize = 32;

/// Bytes of lists that are made together, as far as a single sample's are fewer: what caches hold.
const LISTS: usize = 4 << 20;

/// How often as many bytes as weights take are made together in any case, as each range has sums of their derivatives.
const WEIGHTS: usize = 2;

/// Ranges of samples that are under way side by side, as making the lists of one keeps few threads busy.
pub(super) const ABREAST: usize = 4;

/// Bands of blocks whose derivatives by times have sums of their own, if there are as many blocks.
const BANDS: usize = 8;

/// Samples of a range.
pub(super) fn samples_of_range<const D: usize>(sweep: &EventSweep, layer: &Layer<'_, D>) -> usize {
    let most = layer.packed_len().saturating_mul(WEIGHTS * size_of::<f64>()).max(LISTS);
    let ranges = bytes_of_lists(sweep, layer, sweep.batch, &[]).div_ceil(most).max(1);
    sweep.batch.div_ceil(ranges).max(1)
}

/// The samples of a batch, in ranges whose lists are made together.
pub(super) fn ranges<const D: usize>(sweep: &EventSweep, layer: &Layer<'_, D>) -> Vec<Range<usize>> {
    let (batch, each) = (sweep.batch, samples_of_range(sweep, layer));
    (0..batch).step_by(each).map(|first| first..batch.min(first + each)).collect()
}

/// How many ranges are under way at most.
pub(super) fn abreast<const D: usize>(sweep: &EventSweep, layer: &Layer<'_, D>) -> usize {
    sweep.batch.div_ceil(samples_of_range(sweep, layer)).min(ABREAST)
}

/// Tasks that a range is cut into.
pub(super) fn tasks<const D: usize>(sweep: &EventSweep, layer: &Layer<'_, D>) -> usize {
    TASKS / abreast(sweep, layer).max(1)
}

/// Parts of some samples and pixels, for each of the blocks of lanes that neurons of a pixel make, so that there are about as
/// many tasks: how many, and units of each.
pub(super) fn parts(units: usize, blocks: usize, tasks: usize) -> (usize, usize) {
    let parts = tasks.div_ceil(blocks.max(1)).min(units).max(1);
    let each = units.div_ceil(parts);
    (units.div_ceil(each.max(1)), each)
}

/// The bands that blocks are cut into, those of each one after the other: how many, and blocks of each.
pub(super) fn bands(blocks: usize, wants_times: bool) -> (usize, usize) {
    let each = if wants_times { blocks.div_ceil(BANDS).max(1) } else { 1 };
    (blocks.div_ceil(each), each)
}
