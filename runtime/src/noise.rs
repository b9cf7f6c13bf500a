//! Random values for the inputs of a model, for runs without data.
//!
//! Values depend on seed and name only. Must never know what a model computes.

use snn_graph::{Input, InputKind};

use crate::rng::Stream;

/// Probability of a spike at each step of a spiking input.
pub const SPIKE_PROBABILITY: f64 = 0.2;

/// Values of one input for a batch, `[step][sample][...]` (no step axis for a static input): uniform in 0..1, or spikes.
pub fn random_values(input: &Input, steps: usize, batch: usize, seed: u64) -> Vec<f32> {
    let steps = if input.kind == InputKind::Static { 1 } else { steps };
    let len = input.dims.iter().product::<usize>() * steps * batch;
    let draws = Stream::new(seed, "noise", &[]).named(&input.name);
    let value = |index: u64| match input.kind {
        InputKind::Static | InputKind::Frames => draws.uniform_f32(index),
        InputKind::Spikes => f32::from(draws.bernoulli(index, SPIKE_PROBABILITY)),
    };
    (0..len as u64).map(value).collect()
}

/// Times of spikes of one input without a grid, `[slot][sample][...]`: seconds, ascending, one in each slot.
pub fn random_times(input: &Input, slots: usize, batch: usize, duration: f64, seed: u64) -> Vec<f32> {
    let per_slot = input.dims.iter().product::<usize>() * batch;
    let draws = Stream::new(seed, "noise", &[]).named(&input.name);
    let time = |index: usize| {
        let slot = index / per_slot.max(1);
        (duration * (slot as f64 + draws.uniform(index as u64)) / slots as f64) as f32
    };
    (0..per_slot * slots).map(time).collect()
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

    fn input(kind: InputKind) -> Input {
        Input { name: "x".to_owned(), kind, dims: vec![5, 4], node: NodeId(0) }
    }

    #[test]
    fn values_have_the_kind_of_the_input() {
        let image = random_values(&input(InputKind::Static), 10, 30, 1);
        let frames = random_values(&input(InputKind::Frames), 10, 30, 1);
        let spikes = random_values(&input(InputKind::Spikes), 10, 30, 1);
        assert_eq!((image.len(), frames.len(), spikes.len()), (600, 6000, 6000));
        assert!(frames.iter().all(|value| (0.0..1.0).contains(value)));
        let sum: f32 = spikes.iter().sum();
        assert!(spikes.iter().all(|value| *value == 0.0 || *value == 1.0) && (1000.0..1400.0).contains(&sum), "{sum}");
        assert_ne!(image, random_values(&input(InputKind::Static), 10, 30, 2));
    }

    #[test]
    fn times_ascend_within_the_duration() {
        let (slots, per_slot) = (4, 60);
        let times = random_times(&input(InputKind::Spikes), slots, 3, 0.2, 1);
        assert_eq!(times.len(), slots * per_slot);
        assert!(times.iter().all(|time| (0.0..=0.2).contains(time)));
        assert!(times.iter().zip(&times[per_slot..]).all(|(earlier, later)| earlier < later));
    }

    #[test]
    fn labels_are_classes() {
        let labels = random_labels(3, 100, 1);
        assert!([0.0, 1.0, 2.0].iter().all(|class| labels.contains(class)));
        assert!(labels.iter().all(|label| (0.0..3.0).contains(label)));
    }
}
