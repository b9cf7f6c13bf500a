//! The pass `hoist`: computes once, before a time loop, what is costly and the same at every step of it.
//!
//! A decay `exp(-dt / tau)` with a learned `tau`, or the matrix of a neuron's exact flow, depends on constants of the
//! loop only. Cheap arithmetic on such values stays in the body: every constant of a loop costs a load, and in the
//! backward pass a sum over all steps.

use std::rc::Rc;

use crate::build::Built;
use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::Scan;
use crate::ops::pointwise::Function;
use crate::ops::scan::Body;
use crate::passes::rewrite::{Rewritten, copy, copy_as, rewrite, with_inputs};
use crate::ty::Kind;

/// What a value must cost, in additions, to be worth a constant of the loop.
const WORTH: usize = 8;

/// The graph with costly values that do not change in a loop moved before it.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match &node.op {
            Op::Scan(scan) => hoist(new, node, scan, inputs),
            _ => copy(new, node, inputs),
        }
    })
}

fn hoist(new: &mut Graph, node: &Node, scan: &Scan, inputs: &[NodeId]) -> Built {
    let body = &*scan.body;
    let moved = frontier(body);
    if moved.is_empty() {
        return copy(new, node, inputs);
    }
    let mut map = vec![None; body.graph.len()];
    let operands = inputs.iter().skip(body.states.len() + body.xs.len());
    for (inner, outer) in body.consts.iter().zip(operands) {
        map[inner.index()] = Some(*outer);
    }
    new.import(&body.graph, &mut map, &moved)?;
    let mut operands = inputs.to_vec();
    operands.extend(moved.iter().filter_map(|id| map[id.index()]));
    let (mut body, fresh) = with_inputs(body, &moved, "constant")?;
    body.consts.extend(fresh);
    copy_as(new, node, Scan { body: Rc::new(body), reverse: scan.reverse }.into(), &operands)
}

/// The values to move. Of two answers the one with fewer values is taken: the last costly operations on the way from
/// the loop's constants, or everything that a costly operation lies behind.
fn frontier(body: &Body) -> Vec<NodeId> {
    let (costly, all) = (worth_moving(body, false), worth_moving(body, true));
    if costly.len() < all.len() { costly } else { all }
}

/// Values that change in no step, are worth it, and are used by something left in the body. What a value costs includes
/// what it is computed from; where that is moved itself, only if `whole` is set.
fn worth_moving(body: &Body, whole: bool) -> Vec<NodeId> {
    let graph = &body.graph;
    let results: Vec<NodeId> = body.next.iter().chain(&body.ys).copied().collect();
    let needed = graph.reachable(&results);
    // `None` for a value that changes from step to step.
    let mut cost: Vec<Option<usize>> = vec![None; graph.len()];
    let mut is_moved = vec![false; graph.len()];
    for id in &body.consts {
        cost[id.index()] = Some(0);
    }
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let node = graph.node(id);
        let Some(own) = own_cost(node) else { continue };
        let behind = node.inputs.iter().map(|input| cost[input.index()]);
        let Some(total) = behind.sum::<Option<usize>>().map(|behind| (own + behind).min(WORTH)) else { continue };
        // Truth values have no place in memory.
        is_moved[id.index()] = node.ty.kind != Kind::Truth && total >= WORTH;
        cost[id.index()] = Some(if is_moved[id.index()] && !whole { 0 } else { total });
    }
    let mut used = vec![false; graph.len()];
    for id in &results {
        used[id.index()] = true;
    }
    for id in graph.ids().filter(|id| needed[id.index()] && !is_moved[id.index()]) {
        for input in &graph.node(id).inputs {
            used[input.index()] = true;
        }
    }
    graph.ids().filter(|id| is_moved[id.index()] && used[id.index()]).collect()
}

/// Cost in additions of computing a node once, roughly; `None` for what must stay in the body. A broadcast stays: it
/// costs nothing there, and memory outside.
fn own_cost(node: &Node) -> Option<usize> {
    match &node.op {
        Op::Constant(_) | Op::ParamOp(_) | Op::AverageOp(_) | Op::Count(_) | Op::Detach(_) => Some(0),
        Op::WithGradient(_) | Op::Reshape(_) => Some(1),
        Op::Pointwise(pointwise) => Some(match pointwise.function {
            Function::Add
            | Function::Sub
            | Function::Mul
            | Function::Neg
            | Function::Abs
            | Function::Floor
            | Function::Powi(_)
            | Function::Minimum
            | Function::Maximum
            | Function::Lt
            | Function::Le
            | Function::Eq
            | Function::And
            | Function::Or
            | Function::Not
            | Function::Where => 1,
            Function::Div
            | Function::Sqrt
            | Function::Exp
            | Function::Log
            | Function::Sin
            | Function::Cos
            | Function::Tanh
            | Function::Sigmoid
            | Function::Erf
            | Function::Pow => WORTH,
        }),
        Op::IndexOp(_)
        | Op::Reduce(_)
        | Op::Windows(_)
        | Op::Fold(_)
        | Op::Planes(_)
        | Op::Contract(_)
        | Op::ArgMax(_) => Some(WORTH),
        Op::InputOp(_)
        | Op::Broadcast(_)
        | Op::Random(_)
        | Op::Training(_)
        | Op::Running(_)
        | Op::Scan(_)
        | Op::Project(_)
        | Op::Dynamics(_)
        | Op::SpikeAt(_)
        | Op::TimesOf(_)
        | Op::SpikeTimes(_)
        | Op::SpikeTimesGradient(_) => None,
    }
}
