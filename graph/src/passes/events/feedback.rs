//! Feedback loops on events: a layer whose spikes reach itself.
//!
//! A loop on a grid is a scan whose state is the layer's spikes of the step before. Without a grid the state is the layer's
//! own train, which acts at once, strictly after its cause, or after a delay.

use std::collections::BTreeMap;

use crate::build::Built;
use crate::exact;
use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::Scan;
use crate::passes::events::current::{Sender, Signal};
use crate::passes::events::trace::{Signals, linear};
use crate::passes::events::{Layer, append};
use crate::passes::fold::known_number;
use crate::passes::rewrite::copy;

/// Whether a loop goes around neurons given by equations.
pub fn is_feedback(scan: &Scan) -> bool {
    scan.body.graph.ids().any(|id| matches!(scan.body.graph.node(id).op, Op::Dynamics(_)))
}

/// Appends the layer that a loop goes around and gives its train. `signals` are those of the old graph, `operands` the
/// scan's operands there and `inputs` in the new one.
pub fn layer(
    graph: &mut Graph,
    signals: &Signals,
    scan: &Scan,
    operands: &[NodeId],
    inputs: &[NodeId],
    layer: &Layer<'_>,
) -> Built {
    let body = &*scan.body;
    let neurons: Vec<NodeId> =
        body.graph.ids().filter(|id| matches!(body.graph.node(*id).op, Op::Dynamics(_))).collect();
    let ([neuron], [state], [next]) = (&neurons[..], &body.states[..], &body.next[..]) else {
        return Err(unsupported("it goes around one layer of neurons, whose spikes are its only state"));
    };
    if through_broadcasts(&body.graph, *next) != *neuron
        || body.ys.iter().any(|y| through_broadcasts(&body.graph, *y) != *neuron)
    {
        return Err(unsupported("its state and its value are the spikes of its neurons"));
    }
    if inputs.first().and_then(|init| known_number(graph, *init)) != Some(0.0) {
        return Err(unsupported("no spikes come before the first"));
    }
    let own = &body.graph;
    let mut inner = Signals::new();
    let mut values: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    let dims = own.ty(*state).dims.clone();
    inner.insert(*state, Signal::Spikes { from: Sender::Own(None), dims, pool: [1, 1], is_flat: false });
    let outer = body.xs.iter().chain(&body.consts).zip(operands.iter().zip(inputs).skip(1));
    for (input, (operand, value)) in outer {
        values.insert(*input, *value);
        if let Some(signal) = signals.get(operand) {
            inner.insert(*input, signal.clone());
        }
    }
    let needed = own.reachable(&[*neuron]);
    for id in own.ids().filter(|id| needed[id.index()]) {
        let node = own.node(id);
        if id == *neuron {
            return append(graph, &inner, exact::neuron_of(own, id)?, node, layer);
        }
        if values.contains_key(&id) || inner.contains_key(&id) {
            continue;
        }
        let inputs: Vec<Option<NodeId>> = node.inputs.iter().map(|input| values.get(input).copied()).collect();
        let known: Vec<NodeId> = inputs.iter().map(|input| input.unwrap_or(NodeId(0))).collect();
        if let Some(signal) = linear(graph, &inner, node, &known)? {
            inner.insert(id, signal);
        } else if inputs.iter().all(Option::is_some) {
            values.insert(id, copy(graph, node, &known)?);
        } else {
            return Err(unsupported("spikes are fed back through linear maps and delays"));
        }
    }
    Err(unsupported("it goes around one layer of neurons"))
}

fn through_broadcasts(graph: &Graph, id: NodeId) -> NodeId {
    match (&graph.node(id).op, &graph.node(id).inputs[..]) {
        (Op::Broadcast(_), [input]) => through_broadcasts(graph, *input),
        _ => id,
    }
}

fn unsupported(rule: &str) -> ShapeError {
    ShapeError::new(format!("this feedback loop has no exact spike times: {rule}"))
        .help("feed the spikes of a layer back to itself, `state s: [n] = 0.0`, `(x -> Linear(n)) + (s -> Linear(n))`, or train it on a grid of steps")
}
