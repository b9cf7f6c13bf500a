//! The derivatives of a layer in one sample: its events once more, the last first.

use std::cmp::Ordering;

use super::sample::{Arrival, Arrivals, Sample};
use super::{EventLayer, Rise};
use crate::events::{Solver, SpikeAdjoint, Unsolvable};

/// The derivatives, one entry for each group of synapses.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleGradients {
    /// By the times of input spikes; like the trains, 0 for slots without a spike.
    pub trains: Vec<Vec<f64>>,
    /// By the weights.
    pub weights: Vec<Vec<f64>>,
    /// By the delays.
    pub delays: Vec<f64>,
}

/// What happened.
#[derive(Clone, Copy)]
enum Event {
    Arrival(Arrival),
    Spike { time: f64, neuron: usize, slot: usize },
}

/// A spike of the layer.
struct OwnSpike {
    time: f64,
    /// See [`Rise`].
    rise: f64,
    slot: usize,
    neuron: usize,
}

impl OwnSpike {
    /// Spikes that were lifted come last in their moment, in the order in which they set each other off.
    fn order(&self, other: &OwnSpike) -> Ordering {
        let lifted = |spike: &OwnSpike| spike.rise.min(0.0);
        let rank = lifted(other).total_cmp(&lifted(self));
        self.time.total_cmp(&other.time).then(rank).then((self.slot, self.neuron).cmp(&(other.slot, other.neuron)))
    }
}

/// The events of a sample in their order: arrivals before the spikes that they lift and behind all others of their moment,
/// but never before their own cause.
fn events(layer: &EventLayer, sample: &Sample, times: &[f64], memory: &[f64]) -> Vec<Event> {
    let (n, width) = (layer.neurons(), layer.memory_width());
    let spike =
        |(at, time): (usize, &f64)| OwnSpike { time: *time, rise: memory[at * width], slot: at / n, neuron: at % n };
    let mut spikes: Vec<OwnSpike> = times.iter().enumerate().filter(|(_, time)| time.is_finite()).map(spike).collect();
    spikes.sort_by(OwnSpike::order);
    let mut arrivals = Arrivals::of(layer, sample);
    let mut events = Vec::new();
    for OwnSpike { time, rise, neuron, slot } in spikes {
        let is_lifted = Rise::is_lifted(rise);
        while arrivals.next_time().is_some_and(|arrival| arrival < time || (is_lifted && arrival == time)) {
            events.extend(arrivals.take().map(Event::Arrival));
        }
        events.push(Event::Spike { time, neuron, slot });
        arrivals.send(time, neuron, slot);
    }
    while let Some(arrival) = arrivals.take() {
        events.push(Event::Arrival(arrival));
    }
    events
}

/// The adjoint of a neuron on its way back.
#[derive(Clone)]
struct Adjoint {
    lambda: Vec<f64>,
    since: f64,
    /// The error of a spike that the arrivals before it have lifted.
    caused: f64,
}

impl Adjoint {
    fn back_to(&mut self, solver: &Solver, time: f64) {
        if time < self.since {
            solver.propagator(self.since - time).advance_adjoint(&mut self.lambda);
        }
        self.since = time;
    }
}

/// Runs a sample backwards. `times` and `memory` are those of the forward pass, `errors` the loss's derivatives by the
/// times, all `[slots][neurons]`.
///
/// # Errors
/// If the neuron cannot be solved.
pub fn adjoint(
    layer: &EventLayer,
    sample: &Sample,
    times: &[f64],
    memory: &[f64],
    errors: &[f64],
) -> Result<SampleGradients, Unsolvable> {
    let solver = Solver::new(&layer.neuron)?;
    let (n, width, order) = (layer.neurons(), layer.memory_width(), layer.neuron.order);
    let spike_adjoint = SpikeAdjoint::new(&layer.neuron);
    let mut errors = errors.to_vec();
    let zeros = |parts: &[Vec<f64>]| parts.iter().map(|part| vec![0.0; part.len()]).collect::<Vec<Vec<f64>>>();
    let mut gradients = SampleGradients {
        trains: zeros(&sample.trains),
        weights: zeros(&sample.weights),
        delays: vec![0.0; layer.synapses.len()],
    };
    let mut adjoints = vec![Adjoint { lambda: vec![0.0; order], since: layer.duration, caused: 0.0 }; n];
    for event in events(layer, sample, times, memory).into_iter().rev() {
        match event {
            Event::Spike { time, neuron, slot } => {
                let place = slot * n + neuron;
                let target = &mut adjoints[neuron];
                target.back_to(&solver, time);
                let memory = &memory[place * width..(place + 1) * width];
                let moved = spike_adjoint.moved(&target.lambda, &memory[1..], errors[place]);
                let is_lifted = Rise::is_lifted(memory[0]);
                spike_adjoint.back(&mut target.lambda, moved, (!is_lifted).then_some(memory[0]));
                if is_lifted {
                    target.caused += moved;
                }
            }
            Event::Arrival(Arrival { time, group, sender, slot }) => {
                let synapses = &layer.synapses[group];
                let inject = &layer.neuron.inject[synapses.port];
                let mut drift = vec![0.0; order];
                layer.neuron.flow_of(inject, &mut drift);
                let mut by_time = 0.0;
                synapses.each_target(sender, &mut |pixel, tap| {
                    for channel in synapses.channels(sender) {
                        let place = channel * synapses.window() + tap;
                        let target = &mut adjoints[pixel * synapses.shape.cout + channel];
                        target.back_to(&solver, time);
                        let along = |direction: &[f64]| -> f64 {
                            target.lambda.iter().zip(direction).map(|(a, b)| a * b).sum()
                        };
                        gradients.weights[group][place] += along(inject);
                        by_time -= sample.weights[group][place] * along(&drift);
                        by_time += std::mem::take(&mut target.caused);
                    }
                });
                match gradients.trains[group].get_mut(slot * synapses.senders() + sender) {
                    Some(gradient) => *gradient += by_time,
                    None => {
                        errors[slot * n + sender] += by_time;
                        // A delay below 0 counts as 0, whatever it is.
                        if sample.delays.get(group).is_some_and(|delay| *delay >= 0.0) {
                            gradients.delays[group] += by_time;
                        }
                    }
                }
            }
        }
    }
    Ok(gradients)
}
