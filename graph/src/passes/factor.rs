//! The pass `factor`: sums lose their factors. What a sum does not run over is multiplied once, behind it, and a large value
//! is not divided by a small one element by element.
//!
//! - `sum(a * b * c)` where `c` is the same along the summed axes becomes `c * sum(a * b)`, signs and quotients alike. Norms
//!   and their gradients then share their sums, which the pass `cse` finds.
//! - `sum(x - mean(x))` over the axes of the mean is 0 (PyTorch's batch norm leaves the term out, too), and
//!   `sum((x - mean(x))^2)` is the deviation of x, which needs no pass over memory of its own.
//! - `a / b` where `b` repeats along an axis of `a` becomes `a * (1 / b)`.
//!
//! All of it changes rounding only. Must never know machines.

use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::pointwise::Function;
use crate::ops::reduce::Reducer;
use crate::ops::{Count, Reduce};
use crate::passes::fold::{known_number, narrow};
use crate::passes::rewrite::{Rewritten, copy, rewrite};
use crate::ty::{Axes, Ty};

/// The graph with factors moved out of sums.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, inputs) {
            (Op::Pointwise(pointwise), [a, b]) if pointwise.function == Function::Div => divide(new, *a, *b, &node.ty),
            (Op::Reduce(reduce), [x]) if reduce.reducer == Reducer::Sum => sum(new, *x, &reduce.axes, &node.ty),
            _ => copy(new, node, inputs),
        }
    })
}

/// `a / b` of a type.
fn divide(graph: &mut Graph, a: NodeId, b: NodeId, ty: &Ty) -> Built {
    let divisor = narrow(graph, b);
    let small = graph.ty(divisor);
    let repeats = (ty.time && !small.time) || (ty.batch && !small.batch) || small.elements() < ty.elements();
    let quotient = if repeats && (ty.time || ty.batch) && known_number(graph, divisor).is_none() {
        let one = graph.constant(1.0)?;
        let inverse = graph.div(one, divisor)?;
        graph.mul(a, inverse)?
    } else {
        graph.div(a, b)?
    };
    graph.broadcast(quotient, ty)
}

/// The factors of a product.
#[derive(Default)]
struct Factors {
    negative: bool,
    /// Those that change along the summed axes.
    inside: Vec<NodeId>,
    /// The others.
    outside: Vec<NodeId>,
    /// Divisors, which do not change either.
    below: Vec<NodeId>,
}

impl Factors {
    /// A sum over axes of a type with the factors that were moved out of it.
    fn around(self, graph: &mut Graph, mut sum: NodeId, axes: &Axes, full: &Ty) -> Built {
        for factor in self.outside {
            let factor = without(graph, factor, axes, full)?;
            sum = graph.mul(sum, factor)?;
        }
        for divisor in self.below {
            let divisor = without(graph, divisor, axes, full)?;
            sum = graph.div(sum, divisor)?;
        }
        if self.negative { graph.neg(sum) } else { Ok(sum) }
    }
}

fn sum(graph: &mut Graph, x: NodeId, axes: &Axes, ty: &Ty) -> Built {
    let full = graph.ty(x).clone();
    let mut factors = Factors::default();
    collect(graph, x, axes, &mut factors);
    if let [factor] = factors.inside[..]
        && centered(graph, factor, axes).is_some()
    {
        let zero = graph.constant(0.0)?;
        return graph.broadcast(zero, ty);
    }
    let moved = factors.negative || !factors.outside.is_empty() || !factors.below.is_empty();
    let wide = factors.inside.iter().any(|id| graph.ty(*id).same_shape(&full));
    if !moved && factors.inside.len() < 2 || !wide {
        return graph.push(Reduce { reducer: Reducer::Sum, axes: axes.clone() }, &[x]);
    }
    if let [first, second] = factors.inside[..]
        && first == second
        && let Some(x) = centered(graph, first, axes)
    {
        let deviation = graph.push(Reduce { reducer: Reducer::Deviation, axes: axes.clone() }, &[x])?;
        return factors.around(graph, deviation, axes, &full);
    }
    // In one order, whatever the order in which they were multiplied: equal sums are then found to be equal.
    factors.inside.sort_unstable();
    let mut product = factors.inside[0];
    for factor in &factors.inside[1..] {
        product = graph.mul(product, *factor)?;
    }
    let sum = graph.push(Reduce { reducer: Reducer::Sum, axes: axes.clone() }, &[product])?;
    factors.around(graph, sum, axes, &full)
}

/// Takes a product apart.
fn collect(graph: &Graph, id: NodeId, axes: &Axes, factors: &mut Factors) {
    let source = narrow(graph, id);
    if is_fixed(graph.ty(source), axes) {
        factors.outside.push(source);
        return;
    }
    let node = graph.node(source);
    let function = match &node.op {
        Op::Pointwise(pointwise) => Some(pointwise.function),
        _ => None,
    };
    match (function, node.inputs.as_slice()) {
        (Some(Function::Mul), [a, b]) => {
            collect(graph, *a, axes, factors);
            collect(graph, *b, axes, factors);
        }
        (Some(Function::Powi(2)), [a]) => {
            collect(graph, *a, axes, factors);
            collect(graph, *a, axes, factors);
        }
        (Some(Function::Neg), [a]) => {
            factors.negative = !factors.negative;
            collect(graph, *a, axes, factors);
        }
        (Some(Function::Div), [a, b]) if is_fixed(graph.ty(narrow(graph, *b)), axes) => {
            collect(graph, *a, axes, factors);
            factors.below.push(narrow(graph, *b));
        }
        _ => factors.inside.push(source),
    }
}

/// Whether a value is the same along all axes.
fn is_fixed(ty: &Ty, axes: &Axes) -> bool {
    !(axes.time && ty.time || axes.batch && ty.batch)
        && axes.dims.iter().all(|axis| ty.dims.get(*axis).is_none_or(|extent| *extent == 1))
}

/// A value that is the same along the axes, without them.
fn without(graph: &mut Graph, id: NodeId, axes: &Axes, full: &Ty) -> Built {
    let dims = graph.ty(id).dims.clone();
    let kept: Vec<usize> = (0..full.dims.len())
        .filter(|axis| !axes.dims.contains(axis))
        .map(|axis| dims.get(axis).copied().unwrap_or(1))
        .collect();
    // Trailing extents of 1 are implied.
    let rank = kept.iter().rposition(|extent| *extent != 1).map_or(0, |last| last + 1);
    graph.reshape(id, &kept[..rank])
}

/// The x of a value `x - mean(x)` with the mean over exactly these axes.
fn centered(graph: &Graph, id: NodeId, axes: &Axes) -> Option<NodeId> {
    let node = graph.node(id);
    let (Op::Pointwise(pointwise), [x, mean]) = (&node.op, node.inputs.as_slice()) else { return None };
    if pointwise.function != Function::Sub {
        return None;
    }
    let mut mean = *mean;
    while let (Op::Reshape(_) | Op::Broadcast(_), [source]) = (&graph.node(mean).op, graph.node(mean).inputs.as_slice())
    {
        mean = *source;
    }
    let quotient = graph.node(mean);
    let (Op::Pointwise(divide), [total, count]) = (&quotient.op, quotient.inputs.as_slice()) else { return None };
    let total = graph.node(*total);
    let is_total = matches!(&total.op, Op::Reduce(reduce) if reduce.reducer == Reducer::Sum && reduce.axes == *axes)
        && total.inputs.first() == Some(x);
    let is_mean = divide.function == Function::Div && is_total && is_count(graph, *count, graph.ty(*x), axes);
    is_mean.then_some(*x)
}

/// Whether a value is the number of elements that a sum of a type over some axes covers.
fn is_count(graph: &Graph, id: NodeId, ty: &Ty, axes: &Axes) -> bool {
    let dims: f64 = axes.dims.iter().map(|axis| ty.dims.get(*axis).copied().unwrap_or(1) as f64).product();
    let expected = if axes.time { dims * graph.steps as f64 } else { dims };
    match &graph.node(narrow(graph, id)).op {
        Op::Count(Count { factor }) => axes.batch && *factor == expected,
        _ => !axes.batch && known_number(graph, id) == Some(expected),
    }
}
