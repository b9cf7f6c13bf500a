//! The gradient of a scan: backpropagation through time as another scan.
//!
//! The backward scan runs in the other direction. Its states are the gradients of the forward states and one accumulator
//! for each constant that needs a gradient; at each step it reads the saved states and the signals, recomputes the body and
//! appends the body's own gradient. In an element-wise body, constants and signals that are narrower than the loop are
//! first broadcast outside, so that the body stays element-wise and their sums are taken once, behind the loop.

use crate::autodiff::{self, Backward};
use crate::graph::{Graph, NodeId};
use crate::op::ShapeError;
use crate::ops::InputOp;
use crate::ops::scan::{Body, Scan};
use crate::ty::{Kind, Ty};

/// An operand of the forward scan as the backward scan sees it.
struct Operand {
    /// Its node in the outer graph, broadcast if need be.
    outer: NodeId,
    /// Its node in the backward body.
    inner: NodeId,
    /// Whether its gradient is wanted.
    wanted: bool,
}

pub(super) fn gradient(
    scan: &Scan,
    backward: &mut Backward<'_>,
    node: NodeId,
) -> Result<Vec<Option<NodeId>>, ShapeError> {
    let body = &*scan.body;
    let (n_ys, n_states, n_xs) = (body.ys.len(), body.states.len(), body.xs.len());
    let inputs = backward.graph.node(node).inputs.clone();
    let widen = body.fused_ty();
    let mut inner = Graph::step_body(body.graph.steps);
    inner.current_grad = true;
    let mut map = vec![None; body.graph.len()];

    // States before the step, signals, constants.
    let mut before = Vec::with_capacity(n_states);
    let mut before_upstreams = Vec::with_capacity(n_states);
    for (i, state) in body.states.iter().enumerate() {
        let saved = backward.graph.project(node, scan.states_before(i))?;
        let ty = body.graph.ty(*state);
        let input = declare(&mut inner, "state", ty)?;
        map[state.index()] = Some(input);
        before.push((saved, input));
        before_upstreams.push(match backward.result(node, scan.states_before(i)) {
            Some(upstream) => Some((upstream, gradient_of(&mut inner, "upstream", ty)?)),
            None => None,
        });
    }
    let mut operands = Vec::with_capacity(n_xs + body.consts.len());
    for (position, own) in body.xs.iter().chain(&body.consts).enumerate() {
        let outer = inputs[n_states + position];
        let wanted = backward.wants(outer);
        let mut ty = body.graph.ty(*own).clone();
        if let (Some(full), true) = (&widen, wanted) {
            ty = full.with_kind(ty.kind);
        }
        let wide = Ty { time: position < n_xs, ..ty.clone() };
        let outer = backward.graph.broadcast(outer, &wide)?;
        let input = declare(&mut inner, if position < n_xs { "signal" } else { "constant" }, &ty)?;
        map[own.index()] = Some(input);
        operands.push(Operand { outer, inner: input, wanted });
    }

    // The body once more, then its own gradient, seeded by the gradients of what it gave.
    let gave: Vec<NodeId> = body.next.iter().chain(&body.ys).copied().collect();
    inner.import(&body.graph, &mut map, &gave)?;
    let mapped = |id: &NodeId| map[id.index()].ok_or_else(|| ShapeError::new("a scan's body lost a value"));
    let mut seeds = Vec::new();
    let mut later = Vec::with_capacity(n_states);
    for next in &body.next {
        let next = mapped(next)?;
        let ty = inner.ty(next).clone();
        let seed = gradient_of(&mut inner, "later", &ty)?;
        seeds.push((next, seed));
        later.push(seed);
    }
    let mut upstreams = Vec::new();
    for (i, y) in body.ys.iter().enumerate() {
        if let Some(upstream) = backward.result(node, i) {
            let y = mapped(y)?;
            let ty = inner.ty(y).clone();
            let upstream = backward.graph.broadcast(upstream, &Ty { time: true, ..ty.clone() })?;
            let seed = gradient_of(&mut inner, "upstream", &ty)?;
            seeds.push((y, seed));
            upstreams.push((upstream, seed));
        }
    }
    let wrt: Vec<NodeId> = before
        .iter()
        .map(|(_, inner)| *inner)
        .chain(operands.iter().filter(|operand| operand.wanted).map(|operand| operand.inner))
        .collect();
    let parts = autodiff::gradients(&mut inner, &seeds, &wrt)?;

    assemble(scan, backward, node, inner, Parts { before, before_upstreams, operands, later, upstreams, parts, n_ys, n_xs })
}

/// Everything the backward scan is assembled from.
struct Parts {
    /// Saved states: outer and inner node.
    before: Vec<(NodeId, NodeId)>,
    /// Gradients of the saved states themselves, where the loss reads them.
    before_upstreams: Vec<Option<(NodeId, NodeId)>>,
    operands: Vec<Operand>,
    later: Vec<NodeId>,
    upstreams: Vec<(NodeId, NodeId)>,
    parts: Vec<Option<NodeId>>,
    n_ys: usize,
    n_xs: usize,
}

fn assemble(
    scan: &Scan,
    backward: &mut Backward<'_>,
    node: NodeId,
    mut inner: Graph,
    parts: Parts,
) -> Result<Vec<Option<NodeId>>, ShapeError> {
    let Parts { before, before_upstreams, operands, later, upstreams, parts, n_ys, n_xs } = parts;
    let n_states = before.len();
    let mut body_states = later.clone();
    let mut next = Vec::new();
    let mut inits = Vec::new();
    for (i, seed) in later.iter().enumerate() {
        let ty = inner.ty(*seed).clone();
        let seen = before_upstreams[i].map(|(_, inner)| inner);
        next.push(match (parts[i], seen) {
            (Some(part), Some(seen)) => inner.add(part, seen)?,
            (Some(part), None) | (None, Some(part)) => part,
            (None, None) => zero(&mut inner, &ty)?,
        });
        inits.push(match backward.result(node, n_ys + i) {
            Some(upstream) => backward.graph.broadcast(upstream, &ty)?,
            None => zero(backward.graph, &ty)?,
        });
    }
    let mut ys = Vec::new();
    // For each operand: the result of the backward scan that holds its gradient.
    let mut sources = Vec::with_capacity(operands.len());
    let mut wanted = parts[n_states..].iter();
    for (position, operand) in operands.iter().enumerate() {
        let part = if operand.wanted { wanted.next().copied().flatten() } else { None };
        let Some(part) = part else {
            sources.push(None);
            continue;
        };
        if position < n_xs {
            sources.push(Some((true, ys.len())));
            ys.push(part);
        } else {
            let ty = inner.ty(part).clone();
            let sum = gradient_of(&mut inner, "sum", &ty)?;
            next.push(inner.add(sum, part)?);
            sources.push(Some((false, body_states.len())));
            body_states.push(sum);
            inits.push(zero(backward.graph, &ty)?);
        }
    }
    let xs = before.iter().copied().chain(operands[..n_xs].iter().map(|o| (o.outer, o.inner))).chain(upstreams)
        .chain(before_upstreams.into_iter().flatten());
    let (outer_xs, inner_xs): (Vec<NodeId>, Vec<NodeId>) = xs.unzip();
    let (outer_consts, inner_consts) = operands[n_xs..].iter().map(|o| (o.outer, o.inner)).unzip::<_, _, Vec<_>, Vec<_>>();
    let n_out = ys.len();
    let body = Body { graph: inner, states: body_states, xs: inner_xs, consts: inner_consts, next, ys };
    let reverse = backward.graph.scan(body, !scan.reverse, &inits, &outer_xs, &outer_consts)?;

    let inputs = backward.graph.node(node).inputs.clone();
    let mut gradients = Vec::with_capacity(inputs.len());
    for i in 0..n_states {
        gradients.push(Some(backward.graph.project(reverse, n_out + i)?));
    }
    for (source, input) in sources.into_iter().zip(&inputs[n_states..]) {
        gradients.push(match source {
            None => None,
            Some((stepped, index)) => {
                let result = backward.graph.project(reverse, if stepped { index } else { n_out + index })?;
                let ty = backward.graph.ty(*input).clone();
                Some(backward.graph.sum_to(result, &ty)?)
            }
        });
    }
    Ok(gradients)
}

fn declare(graph: &mut Graph, name: &str, ty: &Ty) -> Result<NodeId, ShapeError> {
    graph.push(InputOp { name: name.into(), ty: Ty { time: false, ..ty.clone() } }, &[])
}

/// Declares the gradient of a value of a type: a number, whatever is known of the value.
fn gradient_of(graph: &mut Graph, name: &str, ty: &Ty) -> Result<NodeId, ShapeError> {
    declare(graph, name, &ty.with_kind(Kind::Real))
}

fn zero(graph: &mut Graph, ty: &Ty) -> Result<NodeId, ShapeError> {
    let zero = graph.constant(0.0)?;
    graph.broadcast(zero, ty)
}
