//! What a forward pass writes: times, what the adjoint needs, and counters.
//!
//! Must never know how spikes are found.

use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSliceMut;
use snn_loops::event_sweep::COUNTERS;

use super::block::Found;
use super::{Real, Work};

/// Elements that a task fills.
const FILLED: usize = 1 << 16;

/// The results, as far as they are written.
pub(super) struct Results<'o, T> {
    times: &'o mut [T],
    memory: Option<&'o mut [T]>,
    counters: Option<&'o mut [T]>,
    counted: [f64; COUNTERS],
    batch: usize,
    neurons: usize,
    memory_width: usize,
}

impl<'o, T: Real> Results<'o, T> {
    /// No spikes yet; `None` if an operand is missing.
    pub fn of<const D: usize>(
        work: &Work<'_, D>,
        writes: Vec<&'o mut [T]>,
        wants_memory: bool,
        wants_counters: bool,
    ) -> Option<Results<'o, T>> {
        let mut writes = writes.into_iter();
        let times = writes.next()?;
        let mut memory = if wants_memory { Some(writes.next()?) } else { None };
        let counters = if wants_counters { Some(writes.next()?) } else { None };
        fill(times, T::round(f64::INFINITY));
        if let Some(memory) = memory.as_deref_mut() {
            fill(memory, T::default());
        }
        let (neurons, memory_width) = (work.layer.neurons, work.layer.memory_width);
        Some(Results {
            times,
            memory,
            counters,
            counted: [0.0; COUNTERS],
            batch: work.sweep.batch,
            neurons,
            memory_width,
        })
    }

    /// Writes what tasks have found.
    pub fn write(&mut self, found: &[Found]) -> Option<()> {
        let width = self.memory_width;
        for found in found {
            for (at, spike) in found.spikes.iter().enumerate() {
                let row = spike.slot as usize * self.batch + spike.sample as usize;
                let place = row * self.neurons + spike.neuron as usize;
                *self.times.get_mut(place)? = T::round(spike.time);
                if let Some(memory) = self.memory.as_deref_mut() {
                    let kept = found.memory.get(at * width..(at + 1) * width)?;
                    let slots = memory.get_mut(place * width..(place + 1) * width)?;
                    slots.iter_mut().zip(kept).for_each(|(slot, value)| *slot = T::round(*value));
                }
            }
            self.counted.iter_mut().zip(found.counters).for_each(|(sum, count)| *sum += count as f64);
        }
        Some(())
    }

    /// Writes the counters, behind everything else.
    pub fn finish(self) {
        if let Some(counters) = self.counters {
            counters.iter_mut().zip(self.counted).for_each(|(counter, count)| *counter = T::round(count));
        }
    }
}

/// Fills slots, which are mostly empty.
fn fill<T: Real>(slots: &mut [T], value: T) {
    slots.par_chunks_mut(FILLED).for_each(|slots| slots.fill(value));
}
