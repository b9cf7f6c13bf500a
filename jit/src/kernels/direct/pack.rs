//! Weights as panels of `[tap][input channel][column]`, for every subset the taps that it has.

#![allow(unsafe_code, reason = "vector instructions and tiles that tasks write side by side have no safe form")]

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::kernels::filters::Filters;
use crate::kernels::lattice::Lattice;
use crate::kernels::panels::Panels;
use crate::kernels::pool::with_scratch;
use crate::kernels::shared::Shared;

/// Elements of the input channels of one output that are copied together, about.
const RUN: usize = 72;

/// The packed weights of a subset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    /// Kernel elements.
    pub taps: usize,
    start: usize,
    size: usize,
}

impl Packed {
    /// Elements of all subsets: every kernel element belongs to one of them.
    pub fn len(filters: &Filters<'_>, panels: Panels) -> usize {
        panels.count() * panels.width() * filters.inputs * filters.taps
    }

    /// Those of some subsets, one after the other.
    pub fn all(filters: &Filters<'_>, lattices: &[Lattice], panels: Panels) -> Vec<Packed> {
        let mut end = 0;
        let next = |lattice: &Lattice| {
            let taps = lattice.taps().len();
            let (start, size) = (end, taps * filters.inputs * panels.width());
            end += size * panels.count();
            Packed { taps, start, size }
        };
        lattices.iter().map(next).collect()
    }

    /// Where a panel starts.
    pub fn panel(&self, panel: usize) -> usize {
        self.start + panel * self.size
    }
}

/// Packs the weights for some subsets, to where [`Packed::all`] has them.
pub(super) fn pack(filters: &Filters<'_>, lattices: &[Lattice], packed: &[Packed], panels: Panels, out: &mut [f32]) {
    let inputs = filters.inputs;
    // Of every tap: where its matrix starts in the first panel, and the distance of panels.
    let mut places = vec![None; filters.taps];
    for (lattice, packed) in lattices.iter().zip(packed) {
        for (at, tap) in lattice.taps().iter().enumerate() {
            if let Some(place) = places.get_mut(*tap) {
                *place = Some((*packed, at));
            }
        }
    }
    assert!(packed.iter().all(|packed| packed.panel(panels.count()) <= out.len()));
    let out = Shared::of(out);
    let depth = (RUN / filters.taps).clamp(1, 32);
    let chunks = inputs.div_ceil(depth);
    (0..panels.count() * chunks).into_par_iter().for_each(|task| {
        let (panel, first) = (task / chunks, task % chunks * depth);
        let channels = first..inputs.min(first + depth);
        let width = panels.columns(panel);
        with_scratch(channels.len() * filters.taps * width, |copy| {
            filters.copy(channels.clone(), panels.channels(panel), copy, width);
            for (at, row) in copy.chunks_exact(width).enumerate() {
                let (channel, tap) = (first + at / filters.taps, at % filters.taps);
                let Some(Some((packed, number))) = places.get(tap).copied() else { continue };
                let to = packed.panel(panel) + (number * inputs + channel) * width;
                // SAFETY: the row lies in its panel, which ends inside of `out` as was checked, and is written once.
                unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), out.at(to), width) };
            }
        });
    });
}
