//! What `snnc run` does with a model that has no `train`: one batch of random input.

use snnc::runtime::noise::random_values;
use snnc::{Inference, Model, Result, SessionOptions};

use super::Status;
use super::firing;
use super::table::{Align, Table};
use super::terminal::{say, write};

/// Runs a batch of seeded random input and reports the spikes of each layer and the result.
pub fn simulate(model: &Model, options: SessionOptions) -> Result<Status> {
    let graph = model.graph();
    let values: Vec<(&str, Vec<f32>)> = graph
        .inputs
        .iter()
        .map(|input| (input.name.as_str(), random_values(input, graph.time, options.batch, options.seed)))
        .collect();
    let batch: Vec<(&str, &[f32])> = values.iter().map(|(name, values)| (*name, values.as_slice())).collect();
    let result = model.session(options)?.infer_batch(&batch)?;
    say(format_args!(
        "{} has no `train`: {} of random input, seed {}",
        model.name(),
        firing::length(model),
        options.seed
    ));
    write(&spikes(model, &result));
    write(&summary(&result));
    Ok(Status::Success)
}

fn spikes(model: &Model, result: &Inference) -> String {
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("neurons", Align::Right),
        ("spikes a sample", Align::Right),
        (firing::unit(model), Align::Right),
    ]);
    let graph = &model.graph().graph;
    let counted = if model.graph().time.events().is_some() { 1 } else { graph.steps };
    for (layer, (path, rate)) in model.graph().spikes.iter().zip(&result.firing_rates) {
        let neurons = graph.ty(layer.node).elements();
        let spikes = rate * (neurons * counted) as f64;
        table.row(vec![path.clone(), neurons.to_string(), format!("{spikes:.1}"), format!("{rate:.4}")]);
    }
    if result.firing_rates.is_empty() { String::new() } else { table.render() }
}

fn summary(result: &Inference) -> String {
    let values = &result.output.data;
    let (low, high) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let axes = if result.stepped { "[step, sample, ..]" } else { "[sample, ..]" };
    format!("output {axes} = {:?}: from {low:.4} to {high:.4}, mean {mean:.4}\n", result.output.dims)
}
