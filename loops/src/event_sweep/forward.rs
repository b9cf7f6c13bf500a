//! The spikes of a layer in one sample, one event after the other.
//!
//! Every neuron has states as of its own last event, and the time at which it will spike if nothing more arrives. The
//! earliest of what may happen next happens: an arrival changes the states of the neurons that it reaches, a spike resets
//! its neuron.

use super::sample::{Arrivals, Sample};
use super::{COUNTERS, EventLayer, Rise, Source};
use crate::events::{Solver, Unsolvable};

/// What a layer makes of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Spikes {
    /// `[slots][neurons]`
    pub times: Vec<f64>,
    /// `[slots][neurons][width]`
    pub memory: Vec<f64>,
    /// Neurons out of budget, slopes below the floor.
    pub counters: [f64; COUNTERS],
}

/// A neuron on its way.
#[derive(Clone)]
struct Neuron {
    /// The states at its last event.
    x: Vec<f64>,
    /// When that was.
    since: f64,
    /// Whether its potential was below the threshold since it last spiked.
    is_armed: bool,
    /// Whether it was when the moment of its last event began.
    was_below: bool,
    /// When it will spike if nothing arrives; infinite if never.
    next: f64,
    /// Whether arrivals have just lifted it over the threshold.
    is_lifted: bool,
    /// Its spikes so far.
    count: usize,
    /// Whether it has used up its budget.
    is_done: bool,
}

/// Runs a sample.
///
/// # Errors
/// If the neuron cannot be solved.
pub fn forward(layer: &EventLayer, sample: &Sample) -> Result<Spikes, Unsolvable> {
    let solver = Solver::new(&layer.neuron)?;
    let n = layer.neurons();
    let width = layer.memory_width();
    let mut spikes = Spikes {
        times: vec![f64::INFINITY; layer.slots * n],
        memory: vec![0.0; layer.slots * n * width],
        counters: [0.0; COUNTERS],
    };
    let rest = Neuron {
        x: layer.neuron.start.clone(),
        since: 0.0,
        is_armed: false,
        was_below: false,
        next: f64::INFINITY,
        is_lifted: false,
        count: 0,
        is_done: false,
    };
    let mut neurons = vec![rest; n];
    for neuron in &mut neurons {
        neuron.is_armed = solver.is_below(&neuron.x);
        neuron.was_below = neuron.is_armed;
        neuron.predict(layer, &solver);
    }
    let mut arrivals = Arrivals::of(layer, sample);
    // The moment, and arrivals from the layer itself in it.
    let (mut now, mut n_own) = (0.0, 0);
    loop {
        let (at, time) = earliest(&neurons);
        let moment = arrivals.next_time().map_or(time, |arrival| arrival.min(time));
        if moment > now {
            (now, n_own) = (moment, 0);
        }
        match arrivals.next_time() {
            Some(arrival) if arrival <= time => {
                if let Some(arrival) = arrivals.take() {
                    let synapses = &layer.synapses[arrival.group];
                    n_own += usize::from(!matches!(synapses.source, Source::Train(_)));
                    synapses.each_target(arrival.sender, &mut |pixel, tap| {
                        for channel in synapses.channels(arrival.sender) {
                            let weight = sample.weights[arrival.group][channel * synapses.window() + tap];
                            let target = &mut neurons[pixel * synapses.shape.cout + channel];
                            // What rounding puts before its cause acts with it.
                            target.receive(layer, &solver, now, synapses.port, weight);
                        }
                    });
                }
            }
            _ if time <= layer.duration => {
                let neuron = &mut neurons[at];
                if neuron.count == layer.budget {
                    neuron.is_done = true;
                    neuron.next = f64::INFINITY;
                    spikes.counters[0] += 1.0;
                    continue;
                }
                let place = neuron.count * n + at;
                arrivals.send(time, at, neuron.count);
                spikes.times[place] = time;
                let memory = &mut spikes.memory[place * width..(place + 1) * width];
                spikes.counters[1] += neuron.spike(layer, &solver, n_own, memory);
            }
            _ => return Ok(spikes),
        }
    }
}

/// The neuron that will spike first, and when.
fn earliest(neurons: &[Neuron]) -> (usize, f64) {
    let mut first = (0, f64::INFINITY);
    for (at, neuron) in neurons.iter().enumerate() {
        if neuron.next < first.1 {
            first = (at, neuron.next);
        }
    }
    first
}

impl Neuron {
    fn advance(&mut self, solver: &Solver, time: f64) {
        if time > self.since {
            solver.propagator(time - self.since).advance(&mut self.x);
            self.since = time;
        }
    }

    fn predict(&mut self, layer: &EventLayer, solver: &Solver) {
        let limit = layer.duration - self.since;
        let wait = match self.is_armed {
            true => solver.first_crossing(&self.x, limit),
            false => solver.first_return(&self.x, limit),
        };
        self.next = wait.map_or(f64::INFINITY, |wait| self.since + wait);
    }

    fn receive(&mut self, layer: &EventLayer, solver: &Solver, time: f64, port: usize, weight: f64) {
        if self.is_done {
            return;
        }
        if time > self.since {
            self.advance(solver, time);
            self.was_below = solver.is_below(&self.x);
            self.is_armed |= self.was_below;
        }
        layer.neuron.receive(&mut self.x, port, weight);
        self.predict(layer, solver);
        self.is_lifted = self.was_below && solver.excess(&self.x) >= 0.0;
    }

    /// Spikes, after so many arrivals from its layer in the same moment, and is reset; gives 1 if the slope is below the
    /// floor.
    fn spike(&mut self, layer: &EventLayer, solver: &Solver, n_own: usize, memory: &mut [f64]) -> f64 {
        self.advance(solver, self.next);
        let slope = layer.neuron.slope(&self.x);
        let is_flat = !self.is_lifted && slope < layer.slope_min;
        let rise = if self.is_lifted { Rise::Lifted(n_own) } else { Rise::Slope(slope.max(layer.slope_min)) };
        memory[0] = rise.to_number();
        memory[1..].iter_mut().zip(&self.x).for_each(|(kept, state)| *kept = *state);
        layer.neuron.spike(&mut self.x);
        self.count += 1;
        self.is_lifted = false;
        self.is_armed = solver.is_below(&self.x);
        self.was_below = self.is_armed;
        self.predict(layer, solver);
        if is_flat { 1.0 } else { 0.0 }
    }
}
