//! A batch of random input and random labels, for whatever needs no data: checks, simulations, measurements.
//!
//! Must never know what the batch is for.

use snn_graph::Model as Graph;
use snn_runtime::noise::{random_labels, random_values};

use crate::model::Model;

/// Number of classes of random labels, where neither data nor result tell.
const CLASSES: usize = 10;

/// Random values for all inputs and targets of a model, by name: `[step][sample][...]` where they change with time and
/// `[sample][...]` where they do not.
pub fn random_batch(model: &Model, samples: usize, seed: u64) -> Vec<(String, Vec<f32>)> {
    let graph = model.graph();
    let classes = model.recipe().and_then(|recipe| recipe.classes).unwrap_or_else(|| outputs(graph));
    let inputs = graph.inputs.iter().map(|input| (input.name.clone(), random_values(input, graph.time, samples, seed)));
    let targets = graph.targets.iter().map(|target| {
        let values = match target.dims.is_empty() {
            true => random_labels(classes, samples, seed),
            false => random_values(target, graph.time, samples, seed),
        };
        (target.name.clone(), values)
    });
    inputs.chain(targets).collect()
}

fn outputs(graph: &Graph) -> usize {
    graph.graph.ty(graph.output).dims.first().copied().unwrap_or(CLASSES)
}
