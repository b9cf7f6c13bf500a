//! The derivatives of a layer in one sample: its events once more, the last first.

use super::EventLayer;
use super::sample::{Arrival, Arrivals, Sample};
use crate::events::{Solver, Unsolvable};

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

/// The events of a sample in their order: an arrival before a spike at the same time, but never before its own cause.
fn events(layer: &EventLayer, sample: &Sample, times: &[f64]) -> Vec<Event> {
    let n = layer.neurons();
    let spike = |(at, time): (usize, &f64)| (*time, at % n, at / n);
    let mut spikes: Vec<(f64, usize, usize)> =
        times.iter().enumerate().filter(|(_, time)| time.is_finite()).map(spike).collect();
    spikes.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| (a.2, a.1).cmp(&(b.2, b.1))));
    let mut arrivals = Arrivals::of(layer, sample);
    let mut events = Vec::new();
    for (time, neuron, slot) in spikes {
        while arrivals.next_time().is_some_and(|arrival| arrival <= time) {
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
    /// The error of a spike that the arrival before it has caused.
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
    let (commutator, steady) = (layer.neuron.commutator(), layer.neuron.steady_change());
    let mut errors = errors.to_vec();
    let zeros = |parts: &[Vec<f64>]| parts.iter().map(|part| vec![0.0; part.len()]).collect::<Vec<Vec<f64>>>();
    let mut gradients = SampleGradients {
        trains: zeros(&sample.trains),
        weights: zeros(&sample.weights),
        delays: vec![0.0; layer.synapses.len()],
    };
    let mut adjoints = vec![Adjoint { lambda: vec![0.0; order], since: layer.duration, caused: 0.0 }; n];
    for event in events(layer, sample, times).into_iter().rev() {
        match event {
            Event::Spike { time, neuron, slot } => {
                let place = slot * n + neuron;
                let target = &mut adjoints[neuron];
                target.back_to(&solver, time);
                let memory = &memory[place * width..(place + 1) * width];
                // `f+ - reset f-`
                let mut change = steady.clone();
                for (change, row) in change.iter_mut().zip(commutator.chunks_exact(order)) {
                    *change += memory[1..].iter().zip(row).map(|(state, entry)| state * entry).sum::<f64>();
                }
                let along: f64 = target.lambda.iter().zip(&change).map(|(lambda, change)| lambda * change).sum();
                // Of moving the spike alone, everything else staying where it is.
                let moved = errors[place] - along;
                layer.neuron.reset_adjoint(&mut target.lambda);
                if memory[0].is_infinite() {
                    target.caused += moved;
                    continue;
                }
                for (lambda, threshold) in target.lambda.iter_mut().zip(&layer.neuron.threshold) {
                    *lambda -= threshold * moved / memory[0];
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
                        gradients.delays[group] += by_time;
                    }
                }
            }
        }
    }
    Ok(gradients)
}
