//! What is reported of layers on events, and the remedy for neurons that never spike.

use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::model::Model;
use crate::op::{Op, ShapeError};
use crate::ops::SpikeTimes;
use crate::ops::pointwise::Function;
use crate::ops::reduce::Reducer;
use crate::ty::{Axes, Ty};

/// Results `silent:<path>` and `counters:<path>` of each layer on events.
pub(super) fn outputs(graph: &mut Graph, model: &Model) -> Result<Vec<(String, NodeId)>, ShapeError> {
    let mut outputs = Vec::new();
    for layer in &model.spikes {
        let Some(id) = layer_of(graph, layer.node) else { continue };
        graph.current_name = Some(layer.path.as_str().into());
        let silent = silent(graph, id)?;
        let dims = (0..graph.ty(silent).dims.len()).collect();
        let share = graph.mean(silent, &Axes { dims, ..Axes::default() })?;
        outputs.push((format!("silent:{}", layer.path), share));
        outputs.push((format!("counters:{}", layer.path), graph.project(id, SpikeTimes::COUNTERS)?));
    }
    graph.current_name = None;
    Ok(outputs)
}

/// A weight after its update; where the model asks for it, those of neurons that no sample made spike are raised.
pub(super) fn woken(graph: &mut Graph, model: &Model, weight: NodeId, updated: NodeId) -> Built {
    let wake = model.time.events().map_or(0.0, |events| events.wake);
    if wake == 0.0 {
        return Ok(updated);
    }
    let layers = model.spikes.iter().filter_map(|layer| layer_of(graph, layer.node));
    let layers: Vec<NodeId> = layers.filter(|id| graph.node(*id).inputs.contains(&weight)).collect();
    let mut updated = updated;
    for id in layers {
        let silent = silent(graph, id)?;
        // Of a convolution's channels those are raised of which no neuron spikes.
        let inner: Vec<usize> = (1..graph.ty(silent).dims.len()).collect();
        let all = graph.extremum(Reducer::Min, silent, &Axes { dims: inner, ..Axes::default() })?;
        let step = graph.scale(all, wake)?;
        updated = graph.add(updated, step)?;
    }
    Ok(updated)
}

/// 1 for each neuron that no sample made spike, 0 for the others.
fn silent(graph: &mut Graph, layer: NodeId) -> Built {
    let times = graph.project(layer, SpikeTimes::TIMES)?;
    let first = graph.extremum(Reducer::Min, times, &Axes { time: true, batch: true, dims: Vec::new() })?;
    let never = graph.constant(f64::INFINITY)?;
    let fired = graph.pointwise(Function::Lt, &[first, never])?;
    let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
    let silent = graph.select(fired, zero, one)?;
    let ty = Ty::fixed(&graph.ty(times).dims.clone());
    graph.broadcast(silent, &ty)
}

/// The layer on events whose spikes a node counts.
pub(super) fn layer_of(graph: &Graph, spikes: NodeId) -> Option<NodeId> {
    let node = graph.node(spikes);
    match (&node.op, node.inputs.as_slice()) {
        (Op::WithGradient(_), [_, times, _]) => layer_of(graph, *times),
        (Op::Project(_), [layer]) => matches!(graph.node(*layer).op, Op::SpikeTimes(_)).then_some(*layer),
        _ => None,
    }
}
