//! A batch of random input and random labels, for whatever needs no data: checks, simulations, measurements.
//!
//! Must never know what the batch is for.

use snn_graph::{Input, InputKind, Model as Graph};
use snn_runtime::noise::{random_labels, random_times, random_values};

use crate::model::Model;

/// Number of classes of random labels, where neither data nor result tell.
const CLASSES: usize = 10;

/// Random values for all inputs and targets of a model, by name: `[step][sample][...]` where they change with time and
/// `[sample][...]` where they do not. Without a grid of steps, inputs of spikes are times.
pub fn random_batch(model: &Model, samples: usize, seed: u64) -> Vec<(String, Vec<f32>)> {
    let graph = model.graph();
    let classes = model.recipe().and_then(|recipe| recipe.classes).unwrap_or_else(|| outputs(graph));
    let steps = graph.graph.steps;
    let values = |input: &Input| match (graph.time.events(), input.kind) {
        (Some(events), InputKind::Spikes) => random_times(input, steps, samples, events.duration, seed),
        _ => random_values(input, steps, samples, seed),
    };
    let inputs = graph.inputs.iter().map(|input| (input.name.clone(), values(input)));
    let targets = graph.targets.iter().map(|target| {
        let values = match target.dims.is_empty() {
            true => random_labels(classes, samples, seed),
            false => random_values(target, steps, samples, seed),
        };
        (target.name.clone(), values)
    });
    inputs.chain(targets).collect()
}

fn outputs(graph: &Graph) -> usize {
    graph.graph.ty(graph.output).dims.first().copied().unwrap_or(CLASSES)
}
