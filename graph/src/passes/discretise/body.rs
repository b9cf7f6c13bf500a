//! Equations inside the body of a loop: their states become states of the loop.

use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::InputOp;
use crate::ops::scan::Body;
use crate::passes::discretise::step;
use crate::passes::rewrite::{body_roots, copy, remap_body, rewrite};

/// A body without equations, and the operands of its scan.
pub(super) struct Absorbed {
    pub body: Body,
    pub inputs: Vec<NodeId>,
}

/// Whether a body holds equations.
pub(super) fn has_equations(body: &Body) -> bool {
    body.graph.ids().any(|id| matches!(body.graph.node(id).op, Op::Dynamics(_)))
}

/// Replaces the equations in a body by their steps. `inputs` are the scan's operands in `outer`, the graph the scan
/// will stand in; the initial values of the new states are computed there.
pub(super) fn absorb(outer: &mut Graph, body: &Body, inputs: &[NodeId], dt: f64) -> Result<Absorbed, ShapeError> {
    let (inits, operands) = inputs.split_at(body.states.len());
    let (mut states, mut initial, mut later) = (Vec::new(), Vec::new(), Vec::new());
    let rewritten = rewrite(&body.graph, &body_roots(body), &mut |new, id, arguments| {
        let node = body.graph.node(id);
        let Op::Dynamics(dynamics) = &node.op else { return copy(new, node, arguments) };
        let flow = &*dynamics.flow;
        let n = flow.states.len();
        let mut own = Vec::with_capacity(n);
        for (name, init) in flow.states.iter().zip(&node.inputs) {
            own.push(new.push(InputOp { name: name.clone(), ty: flow.state_ty.clone() }, &[])?);
            let init = outside(outer, body, operands, *init)?;
            initial.push(outer.broadcast(init, &flow.state_ty)?);
        }
        let (signals, constants) = arguments[n..].split_at(flow.n_signals);
        let after = step(new, flow, dt, &own, signals, constants)?;
        states.extend(own);
        later.extend(after.next);
        new.broadcast(after.value, &flow.state_ty)
    })?;
    let mut new = remap_body(body, rewritten)?;
    new.states.extend(states);
    new.next.extend(later);
    Ok(Absorbed { body: new, inputs: [inits, &initial, operands].concat() })
}

/// An initial value that is computed in the body, computed in the outer graph instead.
fn outside(outer: &mut Graph, body: &Body, operands: &[NodeId], init: NodeId) -> Result<NodeId, ShapeError> {
    let needed = body.graph.reachable(&[init]);
    if body.states.iter().chain(&body.xs).any(|id| needed[id.index()]) {
        return Err(ShapeError::new("the initial value of a neuron inside a feedback loop depends on the loop")
            .help("a state begins once, before the first step; let it begin with a value that does not change"));
    }
    let mut map = vec![None; body.graph.len()];
    for (inner, operand) in body.consts.iter().zip(operands.iter().skip(body.xs.len())) {
        map[inner.index()] = Some(*operand);
    }
    outer.import(&body.graph, &mut map, &[init])?;
    map[init.index()].ok_or_else(|| ShapeError::new("an initial value without definition"))
}
