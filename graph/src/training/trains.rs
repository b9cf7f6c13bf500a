//! Spikes of every layer beside the gradients, for comparing a model with itself by another method.

use super::{TrainStep, health, labeled_gradients, mean_loss};
use crate::model::Model;
use crate::op::ShapeError;
use crate::ops::SpikeTimes;
use crate::passes;

/// The gradients of the mean loss over the batch, and when the neurons spiked.
///
/// Results: `loss`; `grad:<path>` for each parameter the loss depends on; `train:<path>` of each layer of neurons, on a
/// grid whether they spike at each step, without one the times of their spikes in seconds, ascending, infinite in empty
/// slots; then also `counters:<path>` ([`SpikeTimes`]).
pub fn gradients_and_trains(model: &Model) -> Result<TrainStep, ShapeError> {
    let mut graph = model.graph.clone();
    let loss = mean_loss(&mut graph, model)?;
    let wrt: Vec<_> = model.parameters.iter().map(|p| (p.path.as_str(), p.node)).collect();
    let mut outputs = vec![("loss".to_owned(), loss)];
    outputs.extend(labeled_gradients(&mut graph, loss, &wrt)?);
    for layer in &model.spikes {
        let train = format!("train:{}", layer.path);
        if model.time.events().is_none() {
            outputs.push((train, layer.node));
            continue;
        }
        let id = health::layer_of(&graph, layer.node)
            .ok_or_else(|| ShapeError::new("the spikes of this layer have no times").at(&[layer.node]))?;
        outputs.push((train, graph.project(id, SpikeTimes::TIMES)?));
        outputs.push((format!("counters:{}", layer.path), graph.project(id, SpikeTimes::COUNTERS)?));
    }
    TrainStep::new(&graph, outputs, passes::finish)
}
