//! The pass `fold`: computes what is known, and drops what does nothing, in the graph and in the bodies of scans.
//!
//! Only rules that leave every bit of an f64 evaluation as it was are here, with two exceptions:
//!
//! - `x + 0` becomes `x`, so that a result may be -0 where it was 0 (the two compare equal);
//! - `0 x` becomes 0 only where the kind of `x` says that it is finite (spikes, scaled spikes, counts): a real value
//!   may be infinite or NaN, and a NaN must not be hidden.
//!
//! Broadcasts move behind element-wise functions: `f(broadcast(x), y)` is `f(x, y)` where `y` is wide itself, else
//! `broadcast(f(x, y))`, so that a narrow value is computed once.

use std::collections::BTreeMap;

use crate::build::Built;
use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::pointwise::Function;
use crate::passes::rewrite::{Rewritten, copy, copy_with_body, rewrite};
use crate::ty::{Kind, Ty};

/// The graph with constants folded and trivial algebra done.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    let mut truths = Truths::new();
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, inputs) {
            (Op::Pointwise(pointwise), _) => fold_pointwise(new, &mut truths, node, pointwise.function, inputs),
            (Op::Broadcast(broadcast), [input]) => widen(new, *input, &broadcast.ty),
            (Op::Reshape(_), [input]) => fold_reshape(new, node, *input),
            (Op::Detach(_), [input]) if known_number(new, *input).is_some() => Ok(*input),
            _ => copy_with_body(new, node, inputs, &graph),
        }
    })
}

/// Truth values that are known; they cannot be written as constants.
type Truths = BTreeMap<NodeId, f64>;

/// The number that a node is everywhere, if it is a constant, whatever its shape.
pub fn known_number(graph: &Graph, mut id: NodeId) -> Option<f64> {
    loop {
        let node = graph.node(id);
        match (&node.op, node.inputs.as_slice()) {
            (Op::Constant(constant), _) => return constant.as_scalar(),
            (Op::Broadcast(_) | Op::Reshape(_), [input]) => id = *input,
            _ => return None,
        }
    }
}

/// A number in the shape of a type.
fn number(graph: &mut Graph, value: f64, ty: &Ty) -> Built {
    let constant = graph.constant(value)?;
    graph.broadcast(constant, ty)
}

/// What a node repeats, if it is a broadcast; else the node.
pub(super) fn narrow(graph: &Graph, mut id: NodeId) -> NodeId {
    while let (Op::Broadcast(_), [input]) = (&graph.node(id).op, graph.node(id).inputs.as_slice()) {
        id = *input;
    }
    id
}

/// A value broadcast to the shape of a type, with a single broadcast at most.
fn widen(graph: &mut Graph, id: NodeId, ty: &Ty) -> Built {
    if graph.ty(id).same_shape(ty) {
        return Ok(id);
    }
    let source = narrow(graph, id);
    graph.broadcast(source, ty)
}

fn fold_reshape(graph: &mut Graph, node: &Node, input: NodeId) -> Built {
    if let Some(value) = known_number(graph, input) {
        return number(graph, value, &node.ty);
    }
    let mut source = input;
    while let (Op::Reshape(_), [before]) = (&graph.node(source).op, graph.node(source).inputs.as_slice()) {
        source = *before;
    }
    if graph.ty(source).same_shape(&node.ty) { Ok(source) } else { copy(graph, node, &[source]) }
}

fn fold_pointwise(graph: &mut Graph, truths: &mut Truths, node: &Node, function: Function, inputs: &[NodeId]) -> Built {
    let known = |id: &NodeId| truths.get(&narrow(graph, *id)).copied().or_else(|| known_number(graph, *id));
    let values: Vec<Option<f64>> = inputs.iter().map(known).collect();
    if let Some(value) = evaluate(function, &values) {
        if node.ty.kind != Kind::Truth {
            return number(graph, value, &node.ty);
        }
        let truth = sink(graph, node, inputs)?;
        truths.insert(narrow(graph, truth), value);
        return Ok(truth);
    }
    if let Some(same) = simplify(graph, function, inputs, &values) {
        return widen(graph, same, &node.ty);
    }
    let product_with_zero = function == Function::Mul && values.contains(&Some(0.0));
    if product_with_zero && inputs.iter().all(|id| is_finite(graph, *id)) {
        return number(graph, 0.0, &node.ty);
    }
    if let (Function::Div, [x, _], [_, Some(divisor)]) = (function, inputs, values.as_slice())
        && is_power_of_two(*divisor)
    {
        // Both are exact, and a product takes a fraction of a quotient's time.
        let inverse = graph.constant(1.0 / divisor)?;
        let product = graph.mul(narrow(graph, *x), inverse)?;
        return graph.broadcast(product, &node.ty);
    }
    sink(graph, node, inputs)
}

/// Whether a number is a power of two of either sign whose inverse no type of float loses.
fn is_power_of_two(value: f64) -> bool {
    let (smallest, largest) = (f64::from(f32::MIN_POSITIVE), 1.0 / f64::from(f32::MIN_POSITIVE));
    const MANTISSA: u64 = (1 << (f64::MANTISSA_DIGITS - 1)) - 1;
    value.to_bits() & MANTISSA == 0 && (smallest..=largest).contains(&value.abs())
}

/// The value of a function of known arguments.
fn evaluate(function: Function, values: &[Option<f64>]) -> Option<f64> {
    let mut arguments = [0.0; 3];
    for (argument, value) in arguments.iter_mut().zip(values) {
        *argument = (*value)?;
    }
    Some(function.reference(arguments))
}

/// Whether a value can be neither infinite nor NaN.
fn is_finite(graph: &Graph, id: NodeId) -> bool {
    match known_number(graph, id) {
        Some(value) => value.is_finite(),
        None => matches!(graph.ty(id).kind, Kind::Spikes | Kind::Scaled | Kind::Counts),
    }
}

/// The operand (or operand's operand) that a function gives back, if it does.
fn simplify(graph: &Graph, function: Function, inputs: &[NodeId], values: &[Option<f64>]) -> Option<NodeId> {
    const ZERO: Option<f64> = Some(0.0);
    const ONE: Option<f64> = Some(1.0);
    match (function, inputs, values) {
        (Function::Add | Function::Sub, [x, _], [_, value]) if *value == ZERO => Some(*x),
        (Function::Add, [_, x], [value, _]) if *value == ZERO => Some(*x),
        (Function::Mul | Function::Div, [x, _], [_, value]) if *value == ONE => Some(*x),
        (Function::Mul, [_, x], [value, _]) if *value == ONE => Some(*x),
        (Function::Powi(1), [x], _) => Some(*x),
        (Function::Neg, [x], _) => {
            let inner = graph.node(narrow(graph, *x));
            match (&inner.op, inner.inputs.as_slice()) {
                (Op::Pointwise(pointwise), [x]) if pointwise.function == Function::Neg => Some(*x),
                _ => None,
            }
        }
        (Function::Where, [_, x, y], [condition, ..]) => match condition {
            Some(condition) => Some(if *condition != 0.0 { *x } else { *y }),
            None => (narrow(graph, *x) == narrow(graph, *y)).then_some(*x),
        },
        // A known operand of `and` and `or` either decides or drops out.
        (Function::And | Function::Or, [x, y], [a, b]) => {
            let decides = if function == Function::And { ZERO } else { ONE };
            match (a, b) {
                (Some(_), _) => Some(if *a == decides { *x } else { *y }),
                (_, Some(_)) => Some(if *b == decides { *y } else { *x }),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Appends an element-wise function of what its operands repeat, and repeats the result instead.
fn sink(graph: &mut Graph, node: &Node, inputs: &[NodeId]) -> Built {
    let narrow: Vec<NodeId> = inputs.iter().map(|id| narrow(graph, *id)).collect();
    let result = graph.push(node.op.clone(), &narrow)?;
    let kind = &mut graph.node_mut(result).ty.kind;
    *kind = (*kind).min(node.ty.kind);
    graph.broadcast(result, &node.ty)
}
