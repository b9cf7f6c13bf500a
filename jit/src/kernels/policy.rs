//! What decides which kernel computes a contraction.
//!
//! For contractions of spikes it is the number of spikes, counted before every call, held against a table of crossovers. For
//! numbers in planes it is the number of bits that are set: what costs something where bits are added. Look-up tables cost as
//! much for every plane. The table of crossovers belongs to a kind of machine; it is part of what a run's bits depend on, so whoever resumes a run gives it again.

use snn_loops::ContractionKind;

use super::geometry::Geometry;
use super::spikes::{Method, masked};
use crate::kernels::vector::Width;
use crate::options::{Crossovers, SpikeKernels};

/// The choice that belongs to an executable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Policy {
    /// The vectors of the kernels.
    pub width: Width,
    /// Only kernels whose errors are those of plain sums.
    pub precise: bool,
    /// How spikes are taken.
    pub spikes: SpikeKernels,
    /// From which density another kernel is faster.
    pub crossovers: Crossovers,
}

/// Fewer output pixels do not pay for the tables.
pub(crate) const TABLE_PIXELS: usize = 256;

impl Policy {
    /// The method for a contraction of an input with so many `planes` and, in all of them, `spikes`; none where a dense
    /// kernel is to do it.
    pub fn method(
        &self,
        kind: ContractionKind,
        geometry: &Geometry,
        planes: usize,
        spikes: impl FnOnce() -> usize,
    ) -> Option<Method> {
        match self.spikes {
            SpikeKernels::Dense => return None,
            SpikeKernels::Sparse => return Some(Method::Gather),
            SpikeKernels::Auto => {}
        }
        let inputs = geometry.rows * geometry.input_len();
        let percent = spikes() as f64 * 100.0 / inputs.max(1) as f64;
        if planes == 1 && masked::fits(geometry) {
            // Nothing else is needed beside: with every bit set, these kernels do what dense ones do.
            let [forward, weight_gradient] = self.crossovers.masked;
            let limit = if kind == ContractionKind::Forward { forward } else { weight_gradient };
            return Some(if percent >= f64::from(limit) { Method::Masked } else { Method::Gather });
        }
        let at = class(geometry);
        let limit = |limits: &[u8; 3]| limits.get(at).map_or(100.0, |limit| f64::from(*limit));
        if kind == ContractionKind::WeightGradient {
            let limit = limit(&self.crossovers.weight_gradient);
            return (percent < limit).then_some(Method::Gather);
        }
        let table = limit(&self.crossovers.table);
        let dense = limit(&self.crossovers.forward);
        if percent >= dense {
            None
        } else if percent >= table * planes as f64 && geometry.pixels() >= TABLE_PIXELS {
            Some(Method::Table)
        } else {
            Some(Method::Gather)
        }
    }
}

/// Which row of the table a shape belongs to, by the dense kernel that it competes with.
fn class(geometry: &Geometry) -> usize {
    match (geometry.kernel, geometry.stride) {
        ([3, 3], [1, 1]) => 0,
        (kernel, _) if kernel != [1, 1] => 1,
        _ => 2,
    }
}
