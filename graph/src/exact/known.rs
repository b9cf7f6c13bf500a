//! Which values of a graph are numbers before anything runs, through arithmetic: the pass
//! [`fold`](crate::passes::fold), after which a known number is a constant, comes only after neurons are understood.

use crate::graph::{Graph, NodeId};
use crate::op::Op;

/// The numbers that nodes are everywhere, where they are computed from constants alone.
pub(super) fn known_numbers(graph: &Graph, nodes: &[NodeId]) -> Vec<Option<f64>> {
    let needed = graph.reachable(nodes);
    let mut numbers = vec![None; graph.len()];
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let node = graph.node(id);
        let inputs: Option<Vec<f64>> = node.inputs.iter().map(|input| numbers[input.index()]).collect();
        numbers[id.index()] = value(&node.op, inputs.as_deref());
    }
    nodes.iter().map(|id| numbers[id.index()]).collect()
}

/// The value of an op whose operands are the same number everywhere.
pub(super) fn value(op: &Op, inputs: Option<&[f64]>) -> Option<f64> {
    match (op, inputs?) {
        (Op::Constant(constant), _) => constant.as_scalar(),
        (Op::Broadcast(_) | Op::Reshape(_) | Op::Detach(_), [input]) => Some(*input),
        (Op::WithGradient(_), [value, ..]) => Some(*value),
        (Op::Pointwise(pointwise), inputs) => {
            let mut arguments = [0.0; 3];
            arguments.iter_mut().zip(inputs).for_each(|(argument, input)| *argument = *input);
            Some(pointwise.function.reference(arguments))
        }
        _ => None,
    }
}
