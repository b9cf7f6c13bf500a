//! What a sweep takes beside its buffers: lists of arrivals, weights in lanes, and what tasks have found.
//!
//! The number of spikes decides, which no descriptor knows: neurons are taken to spike [`SPIKES`] times, and those with a
//! smaller budget half as often as they may.

use snn_loops::event_sweep::Synapses;
use snn_loops::{EventSweep, SweepPass};

use super::arrivals::{Entry, Event};
use super::block::Spike;
use super::cut::{self, abreast, bands, parts, samples_of_range};
use super::feedback::parts_of_batch;
use super::flow::Step;
use super::lanes::Layer;
use super::{has_feedback, reads_weights};

/// Spikes of a neuron in a sample: as many as networks have whose spikes say when, a few, not how often.
const SPIKES: usize = 2;

/// Bytes beside the buffers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepNeeds {
    /// Sums of derivatives, which are few and large.
    pub sums: usize,
    /// Everything that is allocated in many small pieces and there for all samples.
    pub pieces: usize,
    /// What is allocated so for the samples whose lists are made together.
    pub pieces_of_range: usize,
    /// What a forward pass leaves of its pieces where its adjoint needs none of them: other threads do not find it.
    pub left: usize,
    /// How many such ranges of samples are under way at most; as many as there are threads, if these are fewer.
    pub abreast: usize,
}

impl SweepNeeds {
    /// Of a sweep, with the budgets of the neurons that send to each group of its synapses, as far as they are known.
    pub(crate) fn of(sweep: &EventSweep, budgets: &[Option<usize>]) -> SweepNeeds {
        match sweep.layer.neuron.order {
            1 => of::<1>(sweep, budgets),
            2 => of::<2>(sweep, budgets),
            3 => of::<3>(sweep, budgets),
            4 => of::<4>(sweep, budgets),
            5 => of::<5>(sweep, budgets),
            6 => of::<6>(sweep, budgets),
            7 => of::<7>(sweep, budgets),
            _ => of::<8>(sweep, budgets),
        }
    }

    /// All that is allocated in many small pieces.
    pub fn all_pieces(&self, threads: usize) -> usize {
        let left = if threads > 1 { self.left } else { 0 };
        let of_ranges = self.pieces_of_range.saturating_mul(self.abreast.min(threads));
        self.pieces.saturating_add(left).saturating_add(of_ranges)
    }

    /// All of it.
    pub(crate) fn total(&self) -> usize {
        self.sums.saturating_add(self.all_pieces(1))
    }
}

fn of<const D: usize>(sweep: &EventSweep, budgets: &[Option<usize>]) -> SweepNeeds {
    let Some(layer) = Layer::<D>::of(&sweep.layer) else { return SweepNeeds::default() };
    let has_feedback = has_feedback(sweep);
    let packed = layer.packed_len().saturating_mul(size_of::<f64>());
    let (pieces, left) = if reads_weights(sweep) { (packed, 0) } else { (0, packed) };
    let mut needs = SweepNeeds { sums: 0, pieces, left, pieces_of_range: 0, abreast: abreast(sweep, &layer) };
    let mut samples = sweep.batch;
    if !has_feedback {
        samples = samples_of_range(sweep, &layer);
        needs.pieces_of_range = bytes_of_lists(sweep, &layer, samples, budgets);
    }
    match &sweep.pass {
        SweepPass::Forward { .. } => {
            let spikes = times_spikes(samples.saturating_mul(layer.neurons), sweep.layer.budget);
            let found = grown(spikes, size_of::<Spike>() + layer.memory_width * size_of::<f64>());
            let pieces = if has_feedback { &mut needs.pieces } else { &mut needs.pieces_of_range };
            *pieces = pieces.saturating_add(found);
        }
        SweepPass::Adjoint { .. } if has_feedback => {
            needs.sums = packed.saturating_mul(parts_of_batch(&layer, sweep.batch).0);
        }
        SweepPass::Adjoint { gradients, .. } => {
            let wants_times = gradients.iter().any(|wanted| wanted.train.is_some());
            let (n_bands, _) = bands(layer.n_blocks(), wants_times);
            let (n_parts, _) = parts(samples * layer.pixels, n_bands, cut::tasks(sweep, &layer));
            let events = n_bands.saturating_mul(events(sweep, samples, budgets));
            let times = if wants_times { events.saturating_mul(size_of::<f64>()) } else { 0 };
            // Those of ranges that are under way, and of all before.
            let weights = n_parts * needs.abreast + usize::from(samples * needs.abreast < sweep.batch);
            needs.sums = packed.saturating_mul(weights).saturating_add(times);
        }
    }
    needs
}

/// Bytes of the lists of so many samples of a layer without feedback.
pub(super) fn bytes_of_lists<const D: usize>(
    sweep: &EventSweep,
    layer: &Layer<'_, D>,
    samples: usize,
    budgets: &[Option<usize>],
) -> usize {
    let groups = sweep.layer.synapses.iter().enumerate();
    let heard = groups.map(|(group, synapses)| {
        spikes(sweep, synapses, samples.saturating_mul(cells_reached(synapses, layer)), of_group(budgets, group))
    });
    let entries = heard.fold(0, usize::saturating_add).saturating_mul(size_of::<Entry>() + size_of::<Step<D>>());
    grown(events(sweep, samples, budgets), size_of::<Event>()).saturating_add(entries)
}

/// Bytes of a list that has grown by doubling: half as much again, in the mean.
fn grown(len: usize, each: usize) -> usize {
    len.saturating_mul(each).saturating_mul(3) / 2
}

/// Events of so many samples.
fn events(sweep: &EventSweep, samples: usize, budgets: &[Option<usize>]) -> usize {
    let groups = sweep.layer.synapses.iter().enumerate();
    let sent = groups.map(|(group, synapses)| {
        spikes(sweep, synapses, samples.saturating_mul(synapses.senders()), of_group(budgets, group))
    });
    sent.fold(0, usize::saturating_add)
}

fn of_group(budgets: &[Option<usize>], group: usize) -> Option<usize> {
    budgets.get(group).copied().flatten()
}

/// Spikes of so many senders.
fn spikes(sweep: &EventSweep, synapses: &Synapses, senders: usize, budget: Option<usize>) -> usize {
    match budget {
        Some(budget) => times_spikes(senders, budget),
        None => senders.saturating_mul(SPIKES.min(synapses.slots(sweep.layer.slots))),
    }
}

/// Spikes of so many neurons with a budget.
fn times_spikes(neurons: usize, budget: usize) -> usize {
    neurons.saturating_mul(budget.min(2 * SPIKES)) / 2
}

/// Cells that a spike of every sender reaches, in all.
fn cells_reached<const D: usize>(synapses: &Synapses, layer: &Layer<'_, D>) -> usize {
    let s = &synapses.shape;
    // Outputs and elements of the kernel that meet an input, along an axis; all of a window count as one input.
    let along = |axis: usize| {
        let meets = |output: usize, tap: usize| {
            let place = (output * s.stride[axis] + tap * s.dilation[axis]).checked_sub(s.pad[axis]);
            usize::from(place.is_some_and(|place| place < s.input[axis]))
        };
        let of_output = |output: usize| (0..s.kernel[axis]).map(|tap| meets(output, tap)).sum::<usize>();
        (0..s.output[axis]).map(of_output).sum::<usize>().saturating_mul(synapses.pool[axis])
    };
    let channels = (0..s.cin).map(|channel| layer.reached(synapses, channel).len()).fold(0, usize::saturating_add);
    along(0).saturating_mul(along(1)).saturating_mul(channels)
}

#[cfg(test)]
mod tests {
    use snn_loops::event_sweep::Source;
    use snn_loops::events::LinearNeuron;
    use snn_loops::{ConvShape, EventLayer};

    use super::*;

    #[test]
    fn reached_cells_are_counted_as_senders_reach_them() {
        let neuron = LinearNeuron {
            order: 1,
            flow: vec![-1.0],
            drive: vec![0.0],
            inject: vec![vec![1.0]],
            threshold: vec![1.0],
            theta: 1.0,
            reset: vec![0.0],
            kick: vec![0.0],
            start: vec![0.0],
        };
        let image = ConvShape { cin: 4, cout: 6, input: [9, 7], pad: [2, 1], ..ConvShape::linear(1, 1) };
        let shapes = [
            ConvShape { kernel: [5, 3], output: [9, 7], ..image },
            ConvShape { kernel: [5, 3], stride: [2, 3], output: [5, 3], ..image },
            ConvShape { kernel: [3, 2], dilation: [3, 2], groups: 2, output: [7, 7], ..image },
            ConvShape::linear(11, 20),
        ];
        for shape in shapes {
            for pool in [[1, 1], [2, 3]] {
                // One row and column more than the windows hold, which nobody hears.
                let image = [0, 1].map(|axis| shape.input[axis] * pool[axis] + usize::from(pool[axis] > 1));
                let synapses = Synapses { image, pool, ..Synapses::new(shape, 0, Source::Train(1)) };
                let events = EventLayer {
                    neuron: neuron.clone(),
                    synapses: vec![synapses.clone()],
                    slots: 1,
                    budget: 1,
                    duration: 1.0,
                    slope_min: 0.0,
                };
                let layer = Layer::<1>::of(&events).unwrap();
                let mut cells = 0;
                for sender in 0..synapses.senders() {
                    let parts = layer.reached(&synapses, sender).len();
                    synapses.each_target(sender, &mut |_, _| cells += parts);
                }
                assert!(cells > 0);
                assert_eq!(cells_reached(&synapses, &layer), cells, "{synapses:?}");
            }
        }
    }
}
