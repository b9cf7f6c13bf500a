//! Random values for the inputs of a model, for runs without data.
//!
//! Values depend on seed and name only. Must never know what a model computes.

use snn_graph::{Events, Input, InputKind, TimeAxis};

use crate::rng::Stream;

/// Probability of a spike at each step of a spiking input.
pub const SPIKE_PROBABILITY: f64 = 0.2;

/// Spikes of a neuron of a spiking input in a sample, on average, without a grid of steps.
pub const SPIKES: f32 = 2.0;

/// Values of one input for a batch, `[step][sample][...]` (no step axis for a static input): uniform in 0..1, or spikes;
/// without a grid of steps the times of spikes, about [`SPIKES`] of each neuron in a sample.
pub fn random_values(input: &Input, time: TimeAxis, batch: usize, seed: u64) -> Vec<f32> {
    let steps = if input.kind == InputKind::Static { 1 } else { time.steps() };
    let len = input.dims.iter().product::<usize>() * steps * batch;
    let draws = Stream::new(seed, "noise", &[]).named(&input.name);
    let value = |index: u64| match input.kind {
        InputKind::Static | InputKind::Frames => draws.uniform_f32(index),
        InputKind::Spikes => f32::from(draws.bernoulli(index, SPIKE_PROBABILITY)),
    };
    match (input.kind, time) {
        (InputKind::Spikes, TimeAxis::Continuous(events)) => trains(len, &events, &draws),
        _ => (0..len as u64).map(value).collect(),
    }
}

/// Trains with gaps of a random length, infinite behind the end of a sample.
fn trains(len: usize, events: &Events, draws: &Stream) -> Vec<f32> {
    let neurons = len / events.max_spikes.max(1);
    let mut now = vec![0.0; neurons];
    let mut values = Vec::with_capacity(len);
    for index in 0..len {
        let Some(now) = now.get_mut(index % neurons.max(1)) else { continue };
        *now += 2.0 / SPIKES * events.duration as f32 * draws.uniform_f32(index as u64);
        values.push(if f64::from(*now) <= events.duration { *now } else { f32::INFINITY });
    }
    values
}

/// Random classes below `classes`, one a sample.
pub fn random_labels(classes: usize, batch: usize, seed: u64) -> Vec<f32> {
    let draws = Stream::new(seed, "noise.labels", &[]);
    (0..batch as u64).map(|index| draws.below(index, classes as u64) as f32).collect()
}

#[cfg(test)]
mod tests {
    use snn_graph::NodeId;

    use super::*;

    const STEPS: TimeAxis = TimeAxis::Steps(10);

    fn input(kind: InputKind) -> Input {
        Input { name: "x".to_owned(), kind, dims: vec![5, 4], node: NodeId(0) }
    }

    #[test]
    fn values_have_the_kind_of_the_input() {
        let image = random_values(&input(InputKind::Static), STEPS, 30, 1);
        let frames = random_values(&input(InputKind::Frames), STEPS, 30, 1);
        let spikes = random_values(&input(InputKind::Spikes), STEPS, 30, 1);
        assert_eq!((image.len(), frames.len(), spikes.len()), (600, 6000, 6000));
        assert!(frames.iter().all(|value| (0.0..1.0).contains(value)));
        let sum: f32 = spikes.iter().sum();
        assert!(spikes.iter().all(|value| *value == 0.0 || *value == 1.0) && (1000.0..1400.0).contains(&sum), "{sum}");
        assert_ne!(image, random_values(&input(InputKind::Static), STEPS, 30, 2));
    }

    #[test]
    fn trains_ascend_and_end() {
        let events = Events { max_spikes: 4, ..Events::lasting(0.2) };
        let trains = random_values(&input(InputKind::Spikes), TimeAxis::Continuous(events), 3, 1);
        assert_eq!(trains.len(), 4 * 3 * 20);
        for (earlier, later) in trains.iter().zip(trains.iter().skip(3 * 20)) {
            assert!(earlier < later || later.is_infinite(), "{earlier} {later}");
        }
        let spikes = trains.iter().filter(|time| **time <= 0.2).count();
        assert!((60..180).contains(&spikes) && spikes + trains.iter().filter(|time| time.is_infinite()).count() == 240);
    }

    #[test]
    fn labels_are_classes() {
        let labels = random_labels(3, 100, 1);
        assert!([0.0, 1.0, 2.0].iter().all(|class| labels.contains(class)));
        assert!(labels.iter().all(|label| (0.0..3.0).contains(label)));
    }
}
