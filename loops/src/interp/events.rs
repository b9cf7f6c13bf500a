//! Layers of neurons on events: every sample by itself, as [`event_sweep`](crate::event_sweep) says.
//!
//! Must never know loop nests.

use super::heavy::offset;
use super::memory::Memory;
use crate::dtype::Dtype;
use crate::event_sweep::{EventSweep, Sample, SweepPass, adjoint, forward};
use crate::program::Operand;

/// Runs a sweep over all samples.
pub(super) fn sweep(sweep: &EventSweep, dtype: Dtype, memory: &mut Memory, step: i64) -> Result<(), String> {
    let mut io = Io { sweep, dtype, memory, step };
    for (out, len) in sweep.writes() {
        io.store(out, 0, &vec![0.0; len])?;
    }
    (0..sweep.batch).try_for_each(|at| {
        let sample = io.sample(at)?;
        match &sweep.pass {
            SweepPass::Forward { times, memory, counters } => {
                let spikes = forward(&sweep.layer, &sample).map_err(|error| error.to_string())?;
                io.scatter(times, at, io.neurons(1), &spikes.times)?;
                if let Some(memory) = memory {
                    io.scatter(memory, at, io.neurons(sweep.layer.memory_width()), &spikes.memory)?;
                }
                counters.as_ref().map_or(Ok(()), |counters| io.add(counters, &spikes.counters))
            }
            SweepPass::Adjoint { times, memory, errors, gradients } => {
                let slots = sweep.layer.slots;
                let times = io.gather(times, at, slots, io.neurons(1))?;
                let memory = io.gather(memory, at, slots, io.neurons(sweep.layer.memory_width()))?;
                let errors = io.gather(errors, at, slots, io.neurons(1))?;
                let found =
                    adjoint(&sweep.layer, &sample, &times, &memory, &errors).map_err(|error| error.to_string())?;
                for (group, wanted) in gradients.iter().enumerate() {
                    if let Some(train) = &wanted.train {
                        io.scatter(train, at, sweep.layer.synapses[group].senders(), &found.trains[group])?;
                    }
                    if let Some(weight) = &wanted.weight {
                        io.add(weight, &found.weights[group])?;
                    }
                    if let Some(delay) = &wanted.delay {
                        io.add(delay, &found.delays[group..=group])?;
                    }
                }
                Ok(())
            }
        }
    })
}

/// Where the operands of a sweep are read and written.
struct Io<'a> {
    sweep: &'a EventSweep,
    dtype: Dtype,
    memory: &'a mut Memory,
    step: i64,
}

impl Io<'_> {
    /// Numbers of a slot of a sample.
    fn neurons(&self, width: usize) -> usize {
        self.sweep.layer.neurons() * width
    }

    fn sample(&self, at: usize) -> Result<Sample, String> {
        let mut sample = Sample::new(self.dtype);
        for (synapses, operands) in self.sweep.layer.synapses.iter().zip(&self.sweep.synapses) {
            sample.trains.push(match &operands.train {
                Some(train) => self.gather(train, at, synapses.slots(self.sweep.layer.slots), synapses.senders())?,
                None => Vec::new(),
            });
            sample.weights.push(self.load(&operands.weight, 0, synapses.shape.weight_len())?);
            sample.delays.push(match &operands.delay {
                Some(delay) => self.load(delay, 0, 1)?[0],
                None => 0.0,
            });
        }
        Ok(sample)
    }

    fn load(&self, from: &Operand, first: usize, len: usize) -> Result<Vec<f64>, String> {
        let start = offset(from, self.step)? + first as i64;
        (0..len).map(|at| self.memory.load(from.buffer, start + at as i64)).collect()
    }

    fn store(&mut self, to: &Operand, first: usize, values: &[f64]) -> Result<(), String> {
        let start = offset(to, self.step)? + first as i64;
        let mut places = values.iter().enumerate();
        places.try_for_each(|(at, value)| self.memory.store(to.buffer, start + at as i64, self.dtype.round(*value)))
    }

    /// Adds to what is there.
    fn add(&mut self, to: &Operand, values: &[f64]) -> Result<(), String> {
        let before = self.load(to, 0, values.len())?;
        let sums: Vec<f64> = before.iter().zip(values).map(|(before, value)| before + value).collect();
        self.store(to, 0, &sums)
    }

    /// What belongs to a sample in `[slots][batch][each]`.
    fn gather(&self, from: &Operand, sample: usize, slots: usize, each: usize) -> Result<Vec<f64>, String> {
        let mut all = Vec::with_capacity(slots * each);
        for slot in 0..slots {
            all.extend(self.load(from, (slot * self.sweep.batch + sample) * each, each)?);
        }
        Ok(all)
    }

    fn scatter(&mut self, to: &Operand, sample: usize, each: usize, values: &[f64]) -> Result<(), String> {
        for (slot, values) in values.chunks(each.max(1)).enumerate() {
            self.store(to, (slot * self.sweep.batch + sample) * each, values)?;
        }
        Ok(())
    }
}
