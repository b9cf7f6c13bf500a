//! Splitting an evaluation into what is computed once and what is computed for every batch.
//!
//! Folded weights, the scales and shifts of norms, decays of learned time constants: whatever depends on parameters,
//! moving averages and constants alone changes only when the weights do. [`split`] moves it into a graph of its own,
//! whose results the other graph reads as inputs. The operations are the same, so the results are, to the bit.

use std::collections::BTreeMap;

use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::InputOp;
use crate::passes::dce;
use crate::passes::rewrite::{copy, copy_with_body, rewrite};
use crate::training::TrainStep;
use crate::ty::Kind;

/// An evaluation in two parts.
#[derive(Clone, Debug)]
pub struct Split {
    /// What depends on parameters and averages alone. Its results are called `setup:<k>`; there may be none.
    pub setup: TrainStep,
    /// The rest, with the inputs `setup:<k>` and the results of the whole.
    pub step: TrainStep,
}

/// Splits the graph of an evaluation.
pub fn split(whole: &TrainStep) -> Result<Split, ShapeError> {
    let graph = &whole.graph;
    let roots: Vec<NodeId> = whole.outputs.iter().map(|(_, id)| *id).collect();
    let moved = frontier(graph, &roots);
    let first =
        rewrite(graph, &moved, &mut |new, id, inputs| copy_with_body(new, graph.node(id), inputs, &dce::graph))?;
    let mut results = Vec::with_capacity(moved.len());
    let mut names = BTreeMap::new();
    for (k, id) in moved.iter().enumerate() {
        let name = format!("setup:{k}");
        results.push((name.clone(), first.node(*id)?));
        names.insert(*id, name);
    }
    let second = rewrite(graph, &roots, &mut |new, id, inputs| {
        let node = graph.node(id);
        match names.get(&id) {
            Some(name) => new.push(InputOp { name: name.clone(), ty: node.ty.clone() }, &[]),
            None => copy(new, node, inputs),
        }
    })?;
    let roots = second.nodes(&roots)?;
    let rest = dce::graph(&second.graph, &roots)?;
    let outputs = whole.outputs.iter().map(|(name, _)| name.clone()).zip(rest.nodes(&roots)?).collect();
    Ok(Split {
        setup: TrainStep { graph: first.graph, outputs: results },
        step: TrainStep { graph: rest.graph, outputs },
    })
}

/// The last values on the way from the weights that are the same for all data, in order.
fn frontier(graph: &Graph, roots: &[NodeId]) -> Vec<NodeId> {
    let fixed = fixed(graph);
    let mut wanted = vec![false; graph.len()];
    for root in roots {
        wanted[root.index()] = true;
    }
    let mut moved = Vec::new();
    for id in graph.ids().rev() {
        if !wanted[id.index()] {
            continue;
        }
        let node = graph.node(id);
        if fixed[id.index()] && is_worth_keeping(node) {
            moved.push(id);
            continue;
        }
        for input in &node.inputs {
            wanted[input.index()] = true;
        }
    }
    moved.reverse();
    moved
}

/// Flags for what depends on parameters, averages and constants alone.
fn fixed(graph: &Graph) -> Vec<bool> {
    let mut fixed = vec![false; graph.len()];
    for id in graph.ids() {
        let node = graph.node(id);
        fixed[id.index()] = match &node.op {
            Op::InputOp(_) | Op::Random(_) | Op::Training(_) | Op::Running(_) | Op::Dynamics(_) => false,
            _ => node.inputs.iter().all(|input| fixed[input.index()]),
        };
    }
    fixed
}

/// Whether a fixed value has a place of its own in memory. Sources have one already; repeating a value costs nothing
/// where it is used; truth values have no place in memory, and what changes with time is read step by step.
fn is_worth_keeping(node: &Node) -> bool {
    let is_cheap = matches!(
        node.op,
        Op::ParamOp(_)
            | Op::AverageOp(_)
            | Op::Constant(_)
            | Op::IndexOp(_)
            | Op::Count(_)
            | Op::Broadcast(_)
            | Op::Scan(_)
    );
    !is_cheap && !node.ty.time && !node.ty.batch && node.ty.kind != Kind::Truth
}
