//! The derivatives of a layer in one sample: its events once more, the last first.

#![allow(unsafe_code, reason = "vector instructions have no safe form")]

use snn_loops::event_sweep::{Rise, Source};

use super::super::adjoint::back_through;
use super::super::arrivals::{Event, events};
use super::super::block::States;
use super::super::flow::Step;
use super::super::lanes::{LANES, Layer};
use super::super::{Own, Real, Work};
use super::Each;
use super::queue::Queue;
use crate::kernels::vector::{Kernel, Vector};

/// The derivative by the time of an event from outside.
pub(super) struct ByTime {
    pub group: u32,
    pub sender: u32,
    pub slot: u32,
    pub sample: usize,
    pub gradient: f64,
}

/// The derivatives that some samples have given.
pub(super) struct Gradients {
    /// Of each block, as they are packed.
    pub weights: Vec<Vec<f64>>,
    pub delays: Vec<f64>,
    pub trains: Vec<ByTime>,
}

impl Gradients {
    /// Nothing yet.
    pub fn of<const D: usize>(layer: &Layer<'_, D>, weights: &[Vec<f64>]) -> Gradients {
        let delays = vec![0.0; layer.events.synapses.len()];
        Gradients { weights: weights.iter().map(|block| vec![0.0; block.len()]).collect(), delays, trains: Vec::new() }
    }
}

/// A layer in a sample.
pub(super) struct Adjoint<'a, T, const D: usize> {
    pub each: &'a Each<'a, T, D>,
    pub own: &'a Own<'a, T>,
    pub sample: usize,
    pub gradients: &'a mut Gradients,
}

/// A spike of the layer.
struct Spike {
    time: f64,
    /// See [`Rise`].
    rise: f64,
    neuron: usize,
    /// Its place in the layer's train.
    place: usize,
    /// The derivative by its time.
    error: f64,
}

/// The spikes of the layer in their order: those that were lifted come last in their moment, in the order in which they set
/// each other off.
fn spikes<T: Real, const D: usize>(each: &Each<'_, T, D>, own: &Own<'_, T>, sample: usize) -> Vec<Spike> {
    let (n, batch) = (each.work.layer.neurons, each.work.sweep.batch);
    let mut spikes = Vec::new();
    for slot in 0..own.times.len() / (batch * n).max(1) {
        let row = (slot * batch + sample) * n;
        let before = spikes.len();
        for (neuron, time) in own.times.get(row..row + n).unwrap_or_default().iter().enumerate() {
            let (time, place): (f64, usize) = ((*time).into(), row + neuron);
            if time.is_finite() {
                spikes.push(Spike { time, rise: own.rise(place), neuron, place, error: own.error(place) });
            }
        }
        if spikes.len() == before {
            break;
        }
    }
    let lifted = |spike: &Spike| -spike.rise.min(0.0);
    spikes.sort_unstable_by(|a, b| {
        a.time.total_cmp(&b.time).then(lifted(a).total_cmp(&lifted(b))).then(a.place.cmp(&b.place))
    });
    spikes
}

/// What happened.
enum Happening {
    /// Its slot is the cause's place among the spikes where it comes from the layer itself.
    Arrival(Event),
    /// Which of the spikes.
    Spike(usize),
}

/// Everything in its order: arrivals before the spikes that they lift and behind all others of their moment.
fn happenings<T: Real>(mut queue: Queue<'_>, spikes: &[Spike]) -> Vec<Happening> {
    let mut happenings = Vec::new();
    for (at, spike) in spikes.iter().enumerate() {
        let is_lifted = Rise::is_lifted(spike.rise);
        let is_before = |event: &Event| event.time < spike.time || (is_lifted && event.time == spike.time);
        while queue.peek().is_some_and(is_before) {
            happenings.extend(queue.take_until(spike.time).map(Happening::Arrival));
        }
        happenings.push(Happening::Spike(at));
        queue.send::<T>(spike.time, spike.neuron as u32, at as u32);
    }
    while let Some(event) = queue.take_until(f64::INFINITY) {
        happenings.push(Happening::Arrival(event));
    }
    happenings
}

impl<T: Real, const D: usize> Kernel for Adjoint<'_, T, D> {
    type Output = ();

    /// # Safety
    /// As for [`Kernel::run`].
    #[inline(always)]
    unsafe fn run<V: Vector>(self) {
        let Adjoint { each, own, sample, gradients } = self;
        let Work { sweep, layer, weights, .. } = *each.work;
        let outer = events(layer, &each.operands.trains, sweep.batch, sample);
        let mut spikes = spikes(each, own, sample);
        let Some(end) = spikes.last().map(|spike| spike.time) else { return };
        let happenings = happenings::<T>(Queue::new(&sweep.layer, each.delays, &outer), &spikes);
        let mut walk = Walk {
            layer,
            weights,
            blocks: vec![Back::at(end); layer.pixels * weights.len()],
            dt: 0.0,
            step: layer.flow.step(0.0),
            gradients,
        };
        for happening in happenings.iter().rev() {
            match happening {
                Happening::Spike(at) => walk.spike(own, &spikes[*at]),
                // Nothing that arrives behind the last spike has an effect.
                Happening::Arrival(event) if event.time > end => {}
                Happening::Arrival(event) => {
                    let gradient = walk.arrival(event);
                    let Event { group, sender, slot, .. } = *event;
                    match layer.events.synapses[group as usize].source {
                        Source::Train(_) => {
                            walk.gradients.trains.push(ByTime { group, sender, slot, sample, gradient })
                        }
                        Source::Own(_) => {
                            spikes[slot as usize].error += gradient;
                            // A delay below 0 counts as 0, whatever it is.
                            if each.delays[group as usize] >= 0.0 {
                                walk.gradients.delays[group as usize] += gradient;
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The adjoint of a block.
#[derive(Clone)]
struct Back<const D: usize> {
    lambda: States<D>,
    since: f64,
    /// Errors of spikes that the arrivals before them have lifted.
    caused: [f64; LANES],
}

impl<const D: usize> Back<D> {
    fn at(since: f64) -> Back<D> {
        Back { lambda: [[0.0; LANES]; D], since, caused: [0.0; LANES] }
    }
}

/// All neurons on their way back.
struct Walk<'a, const D: usize> {
    layer: &'a Layer<'a, D>,
    weights: &'a [Vec<f64>],
    /// Of all pixels, the blocks of each side by side.
    blocks: Vec<Back<D>>,
    /// The last stretch of time and the flow over it, which is the same for most blocks.
    dt: f64,
    step: Step<D>,
    gradients: &'a mut Gradients,
}

impl<const D: usize> Walk<'_, D> {
    #[inline(always)]
    fn back_to(&mut self, block: usize, time: f64) {
        let target = &mut self.blocks[block];
        if time >= target.since {
            return;
        }
        let dt = target.since - time;
        if dt != self.dt {
            (self.dt, self.step) = (dt, self.layer.flow.step(dt));
        }
        let mut lambda = [[0.0; LANES]; D];
        for (i, from) in target.lambda.iter().enumerate() {
            for (j, sum) in lambda.iter_mut().enumerate() {
                let entry = self.step.matrix[i][j];
                for lane in 0..LANES {
                    sum[lane] += entry * from[lane];
                }
            }
        }
        (target.lambda, target.since) = (lambda, time);
    }

    fn spike<T: Real>(&mut self, own: &Own<'_, T>, spike: &Spike) {
        let (block, lane) = self.layer.lane_of(spike.neuron);
        self.back_to(block, spike.time);
        let target = &mut self.blocks[block];
        let mut lambda: [f64; D] = std::array::from_fn(|at| target.lambda[at][lane]);
        if let Some(moved) = back_through(self.layer, own, spike.place, spike.error, &mut lambda) {
            target.caused[lane] += moved;
        }
        target.lambda.iter_mut().zip(lambda).for_each(|(states, value)| states[lane] = value);
    }

    /// Adds the derivatives by the weights that a spike arrives through, and gives that by its time.
    #[inline(always)]
    fn arrival(&mut self, event: &Event) -> f64 {
        let layer = self.layer;
        let port = layer.events.synapses[event.group as usize].port;
        let (inject, drift) = (layer.inject[port], layer.drift[port]);
        let mut by_time = 0.0;
        layer.each_block(event, &mut |at, block, row| {
            self.back_to(at, event.time);
            let target = &mut self.blocks[at];
            let rows = row..row + LANES;
            let (Some(weights), Some(sums)) =
                (self.weights[block].get(rows.clone()), self.gradients.weights[block].get_mut(rows))
            else {
                return;
            };
            let (mut along, mut moved) = ([0.0; LANES], [0.0; LANES]);
            for (lambda, (inject, drift)) in target.lambda.iter().zip(inject.iter().zip(&drift)) {
                for lane in 0..LANES {
                    along[lane] += lambda[lane] * inject;
                    moved[lane] += lambda[lane] * drift;
                }
            }
            sums.iter_mut().zip(along).for_each(|(sum, along)| *sum += along);
            for ((moved, weight), caused) in moved.iter().zip(weights).zip(&mut target.caused) {
                by_time += std::mem::take(caused) - moved * weight;
            }
        });
        by_time
    }
}
