//! What a sweep takes beside its buffers: lists of arrivals, weights in lanes, and what tasks have found.
//!
//! The number of spikes decides, which no descriptor knows: neurons are taken to spike [`SPIKES`] times.

use snn_loops::event_sweep::{Source, Synapses};
use snn_loops::{EventSweep, SweepPass};

use super::arrivals::{Entry, Event};
use super::block::Spike;
use super::feedback::parts_of_batch;
use super::flow::Step;
use super::lanes::Layer;
use super::{bands, parts};

/// Spikes of a neuron in a sample: as many as networks have whose spikes say when, a few, not how often.
const SPIKES: usize = 2;

/// Bytes beside the buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepNeeds {
    /// Sums of derivatives, which are few and large.
    pub sums: usize,
    /// Everything that is allocated in many small pieces.
    pub pieces: usize,
}

impl SweepNeeds {
    /// Of a sweep.
    pub(crate) fn of(sweep: &EventSweep) -> SweepNeeds {
        match sweep.layer.neuron.order {
            1 => of::<1>(sweep),
            2 => of::<2>(sweep),
            3 => of::<3>(sweep),
            4 => of::<4>(sweep),
            5 => of::<5>(sweep),
            6 => of::<6>(sweep),
            7 => of::<7>(sweep),
            _ => of::<8>(sweep),
        }
    }

    /// All of it.
    pub(crate) fn total(&self) -> usize {
        self.sums.saturating_add(self.pieces)
    }
}

fn of<const D: usize>(sweep: &EventSweep) -> SweepNeeds {
    let Some(layer) = Layer::<D>::of(&sweep.layer) else { return SweepNeeds::default() };
    let Lists { events, entries, has_feedback } = Lists::of(sweep, &layer);
    let packed = layer.packed_len().saturating_mul(size_of::<f64>());
    let mut needs = SweepNeeds { sums: 0, pieces: packed };
    if !has_feedback {
        let entries = entries.saturating_mul(size_of::<Entry>() + size_of::<Step<D>>());
        needs.pieces = needs.pieces.saturating_add(grown(events, size_of::<Event>())).saturating_add(entries);
    }
    match &sweep.pass {
        SweepPass::Forward { .. } => {
            let spikes = sweep.batch.saturating_mul(layer.neurons).saturating_mul(SPIKES.min(sweep.layer.budget));
            let found = grown(spikes, size_of::<Spike>() + layer.memory_width * size_of::<f64>());
            needs.pieces = needs.pieces.saturating_add(found);
        }
        SweepPass::Adjoint { .. } if has_feedback => {
            needs.sums = packed.saturating_mul(parts_of_batch(&layer, sweep.batch).0);
        }
        SweepPass::Adjoint { gradients, .. } => {
            let wants_times = gradients.iter().any(|wanted| wanted.train.is_some());
            let (n_bands, _) = bands(layer.groups * layer.blocks, wants_times);
            let (n_parts, _) = parts(sweep.batch * layer.pixels, n_bands);
            let times = if wants_times { n_bands.saturating_mul(events).saturating_mul(size_of::<f64>()) } else { 0 };
            needs.sums = packed.saturating_mul(n_parts).saturating_add(times);
        }
    }
    needs
}

/// Bytes of a list that has grown by doubling: half as much again, in the mean.
fn grown(len: usize, each: usize) -> usize {
    len.saturating_mul(each).saturating_mul(3) / 2
}

/// How long the lists of all samples are.
struct Lists {
    events: usize,
    entries: usize,
    has_feedback: bool,
}

impl Lists {
    fn of<const D: usize>(sweep: &EventSweep, layer: &Layer<'_, D>) -> Lists {
        let mut lists = Lists { events: 0, entries: 0, has_feedback: false };
        for synapses in &sweep.layer.synapses {
            let spikes = sweep.batch.saturating_mul(SPIKES.min(synapses.slots(sweep.layer.slots)));
            lists.events = lists.events.saturating_add(spikes.saturating_mul(synapses.senders()));
            lists.entries = lists.entries.saturating_add(spikes.saturating_mul(cells_reached(synapses, layer)));
            lists.has_feedback |= !matches!(synapses.source, Source::Train(_));
        }
        lists
    }
}

/// Cells that a spike of every sender reaches, in all.
fn cells_reached<const D: usize>(synapses: &Synapses, layer: &Layer<'_, D>) -> usize {
    let mut cells = 0usize;
    for sender in 0..synapses.senders() {
        let parts = layer.reached(synapses, sender).len();
        synapses.each_target(sender, &mut |_, _| cells = cells.saturating_add(parts));
    }
    cells
}
