//! The samples that all models see, and how they look on a grid.
//!
//! Must never know how a model is run.

use std::path::Path;

use snn_graph::{InputKind, Model as Graph};
use snn_runtime::data::batch::BatchPlan;
use snn_runtime::feed::Feed;

use super::Settings;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::random::random_batch;

/// Where samples come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Inputs<'a> {
    /// They are drawn.
    Random,
    /// The first ones of the test data that the program names; the folder takes the place of the program's path.
    Data(Option<&'a Path>),
}

/// The values of one sample's inputs and targets by name.
pub(super) type Sample = Vec<(String, Vec<f32>)>;

/// The samples for the model without a grid, and what they are in words.
pub(super) fn samples(model: &Model, settings: &Settings<'_>) -> Result<(String, Vec<Sample>)> {
    if let Some(input) = model.graph().inputs.iter().find(|input| input.kind == InputKind::Frames) {
        return Err(Error::new(
            format!("`{}` has a new value at each step, and without a grid there are no steps", input.name),
            "declare it as one value, or as `spikes[...]`",
        ));
    }
    let seed = model.options().seed;
    match settings.inputs {
        Inputs::Random => {
            let draw = |number: usize| random_batch(model, 1, seed.wrapping_add(number as u64));
            Ok(("drawn at random".to_owned(), (0..settings.samples).map(draw).collect()))
        }
        Inputs::Data(folder) => {
            let data = model.data(folder)?;
            if data.test.len() < settings.samples {
                let message = format!("`{}` has only {} test samples", data.name, data.test.len());
                return Err(Error::new(message, "compare fewer samples"));
            }
            let mut feed = Feed::new(model.graph(), &data.test, 1)?;
            let mut samples = Vec::with_capacity(settings.samples);
            for batch in BatchPlan::evaluation(settings.samples, 1).batches() {
                feed.load(&data.test, &batch, None)?;
                samples
                    .push(feed.values().into_iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect());
            }
            Ok((format!("the first of the test data `{}`", data.name), samples))
        }
    }
}

/// A sample on a grid of steps: times of spikes become spikes at the steps that hold them, all else stays.
pub(super) fn on_grid(model: &Graph, sample: &Sample, steps: usize, dt: f64) -> Sample {
    let convert = |(name, values): &(String, Vec<f32>)| {
        let input = model.inputs.iter().find(|input| input.name == *name && input.kind == InputKind::Spikes);
        let values = match input {
            Some(input) => spikes_at(values, input.dims.iter().product(), steps, dt),
            None => values.clone(),
        };
        (name.clone(), values)
    };
    sample.iter().map(convert).collect()
}

/// `[slot][neuron]` times in seconds to `[step][neuron]` spikes.
fn spikes_at(times: &[f32], neurons: usize, steps: usize, dt: f64) -> Vec<f32> {
    let mut spikes = vec![0.0; steps * neurons];
    for (at, time) in times.iter().enumerate() {
        let step = (f64::from(*time) / dt).floor();
        if step >= 0.0
            && step < steps as f64
            && let Some(spike) = spikes.get_mut(step as usize * neurons + at % neurons.max(1))
        {
            *spike = 1.0;
        }
    }
    spikes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spikes_fall_into_the_steps_that_hold_them() {
        let never = f32::INFINITY;
        let spikes = spikes_at(&[0.0, 0.25, 0.125, never, 0.75, -1.0], 2, 3, 0.25);
        assert_eq!(spikes, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
    }
}
