//! Closing a loop: from nodes that read a placeholder for a state to a [`Scan`](crate::ops::Scan).
//!
//! The front end writes a neuron or a feedback block as ordinary stepped nodes that read a placeholder (an
//! [`InputOp`](crate::ops::InputOp)) where the state stands. [`Graph::close_loop`] moves exactly the nodes that depend on a
//! placeholder and that a next state needs into the body of a scan; whatever the loop does not go through, before or behind
//! it, stays outside and is computed for all steps at once. Scans that were closed inside (neurons in a feedback loop) are flattened: their states become states of this
//! loop. What must know all steps at once cannot depend on the state of one.

use std::collections::BTreeMap;

use crate::graph::{Graph, Node, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::scan::{Body, Scan};
use crate::ops::{Broadcast, InputOp};
use crate::ty::Ty;

/// A state of a loop that is being closed.
#[derive(Clone, Copy, Debug)]
pub struct LoopState {
    /// The stepped input that reads as the value after the last step.
    pub placeholder: NodeId,
    /// The value before the first step; static, broadcasts to the placeholder's shape.
    pub init: NodeId,
    /// The value after each step; broadcasts to the placeholder's shape.
    pub next: NodeId,
}

impl Graph {
    /// Moves everything that depends on the placeholders into a scan and gives, for each of `results`, the node that now
    /// stands for it (itself, if it does not depend on a state).
    pub fn close_loop(&mut self, states: &[LoopState], results: &[NodeId]) -> Result<Vec<NodeId>, ShapeError> {
        let depends = self.depends(states);
        let next: Vec<NodeId> = states.iter().map(|state| state.next).collect();
        let within = |flags: Vec<bool>| -> Vec<bool> { depends.iter().zip(flags).map(|(a, b)| *a && b).collect() };
        // The loop itself, and what is computed behind it from its values.
        let mut region = within(self.reachable(&next));
        // A scan inside the loop is flattened, so all of its results come from inside.
        for id in self.ids() {
            let node = self.node(id);
            region[id.index()] |=
                matches!(node.op, Op::Project(_)) && node.inputs.iter().any(|scan| region[scan.index()]);
        }
        let behind: Vec<NodeId> = {
            let needed = within(self.reachable(results));
            self.ids().filter(|id| needed[id.index()] && !region[id.index()]).collect()
        };
        let mut closing = Closing::new(self);
        for state in states {
            let input = closing.state(&closing.outer.ty(state.placeholder).clone(), state.init)?;
            closing.map.insert(state.placeholder, input);
        }
        for id in self.ids().filter(|id| region[id.index()]) {
            closing.absorb(id)?;
        }
        for state in states {
            let next = closing.inside(state.next)?;
            let ty = step_ty(self.ty(state.placeholder));
            let next = closing.body.graph.broadcast(next, &ty)?;
            closing.body.next.push(next);
        }
        closing.body.next.append(&mut closing.hoisted_next);
        // Values of the loop that are read behind it or wanted as they are become results of the scan.
        let is_placeholder = |id: &NodeId| states.iter().any(|state| state.placeholder == *id);
        let read_behind = behind.iter().flat_map(|id| self.node(*id).inputs.iter()).chain(results);
        let mut yielded: Vec<NodeId> =
            read_behind.copied().filter(|id| region[id.index()] || is_placeholder(id)).collect();
        yielded.sort_unstable();
        yielded.dedup();
        // A scan that was flattened is read through its projections only.
        yielded.retain(|id| !matches!(self.node(*id).op, Op::Scan(_)));
        for id in &yielded {
            let y = closing.inside(*id)?;
            closing.body.ys.push(y);
        }
        let Closing { body, inits, xs, consts, .. } = closing;
        if body.ys.is_empty() {
            // Nothing reads the loop: there is nothing to compute.
            return Ok(results.to_vec());
        }
        let scan = self.scan(body, false, &inits, &xs, &consts)?;
        let mut stands_for: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for (at, id) in yielded.into_iter().enumerate() {
            stands_for.insert(id, self.project(scan, at)?);
        }
        for id in behind {
            let moved = self.append_again(id, &stands_for)?;
            stands_for.insert(id, moved);
        }
        Ok(results.iter().map(|result| stands_for.get(result).copied().unwrap_or(*result)).collect())
    }

    /// The same node once more, with operands replaced.
    fn append_again(&mut self, id: NodeId, stands_for: &BTreeMap<NodeId, NodeId>) -> Result<NodeId, ShapeError> {
        let Node { op, inputs, name, origin, grad, .. } = self.node(id).clone();
        let inputs: Vec<NodeId> = inputs.iter().map(|input| stands_for.get(input).copied().unwrap_or(*input)).collect();
        let saved = (self.current_name.clone(), self.current_origin, self.current_grad);
        (self.current_name, self.current_origin, self.current_grad) = (name, origin, grad);
        let moved = self.push(op, &inputs);
        (self.current_name, self.current_origin, self.current_grad) = saved;
        moved
    }

    /// Flags for the nodes that depend on a placeholder.
    fn depends(&self, states: &[LoopState]) -> Vec<bool> {
        let mut depends = vec![false; self.len()];
        for id in self.ids() {
            let reads = |input: &NodeId| depends[input.index()] || states.iter().any(|s| s.placeholder == *input);
            depends[id.index()] = self.node(id).inputs.iter().any(reads);
        }
        depends
    }
}

struct Closing<'g> {
    outer: &'g Graph,
    body: Body,
    /// From outer nodes to body nodes.
    map: BTreeMap<NodeId, NodeId>,
    /// Results of scans that were flattened: (outer scan, result) to body node.
    inner_results: BTreeMap<(NodeId, usize), NodeId>,
    inits: Vec<NodeId>,
    xs: Vec<NodeId>,
    consts: Vec<NodeId>,
    hoisted_next: Vec<NodeId>,
}

impl<'g> Closing<'g> {
    fn new(outer: &'g Graph) -> Closing<'g> {
        Closing {
            outer,
            body: Body {
                graph: Graph::step_body(outer.steps),
                states: Vec::new(),
                xs: Vec::new(),
                consts: Vec::new(),
                next: Vec::new(),
                ys: Vec::new(),
            },
            map: BTreeMap::new(),
            inner_results: BTreeMap::new(),
            inits: Vec::new(),
            xs: Vec::new(),
            consts: Vec::new(),
            hoisted_next: Vec::new(),
        }
    }

    fn state(&mut self, ty: &Ty, init: NodeId) -> Result<NodeId, ShapeError> {
        let input = self.body.graph.push(InputOp { name: "state".into(), ty: step_ty(ty) }, &[])?;
        self.body.states.push(input);
        self.inits.push(init);
        Ok(input)
    }

    /// The body node for an outer node: absorbed already, a copied constant, or a new signal or constant of the loop.
    fn inside(&mut self, id: NodeId) -> Result<NodeId, ShapeError> {
        if let Some(inner) = self.map.get(&id) {
            return Ok(*inner);
        }
        let node = self.outer.node(id);
        let inner = match &node.op {
            Op::Constant(constant) if constant.as_scalar().is_some() => self.body.graph.push(node.op.clone(), &[])?,
            _ => {
                let name = node.name.as_deref().unwrap_or("value").to_owned();
                let input = self.body.graph.push(InputOp { name, ty: step_ty(&node.ty) }, &[])?;
                let (inner, outer) = if node.ty.time {
                    (&mut self.body.xs, &mut self.xs)
                } else {
                    (&mut self.body.consts, &mut self.consts)
                };
                inner.push(input);
                outer.push(id);
                input
            }
        };
        self.map.insert(id, inner);
        Ok(inner)
    }

    fn absorb(&mut self, id: NodeId) -> Result<(), ShapeError> {
        let node = self.outer.node(id);
        match &node.op {
            Op::Scan(scan) => return self.flatten(id, scan),
            Op::Project(project) => {
                let scan = node.inputs.first().copied().unwrap_or(id);
                let inner = self.inner_results.get(&(scan, project.index)).copied();
                let inner = inner.ok_or_else(|| whole_time(id, "the final state of a loop"))?;
                self.map.insert(id, inner);
                return Ok(());
            }
            Op::Reduce(reduce) if reduce.axes.time => return Err(whole_time(id, "a reduction over time")),
            _ => {}
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(self.inside(*input)?);
        }
        self.enter(node);
        let op = match &node.op {
            Op::Broadcast(broadcast) => Broadcast { ty: step_ty(&broadcast.ty) }.into(),
            op => op.clone(),
        };
        let inner =
            self.body.graph.push(op, &inputs).map_err(|error| ShapeError { inputs: node.inputs.clone(), ..error })?;
        self.map.insert(id, inner);
        Ok(())
    }

    fn enter(&mut self, node: &Node) {
        self.body.graph.current_name = node.name.clone();
        self.body.graph.current_origin = node.origin;
        self.body.graph.current_grad = node.grad;
    }

    /// A scan inside the loop: one step of it becomes part of the body, its states become states of the loop.
    fn flatten(&mut self, id: NodeId, scan: &Scan) -> Result<(), ShapeError> {
        let inner = &*scan.body;
        let node = self.outer.node(id);
        let (n_states, n_xs) = (inner.states.len(), inner.xs.len());
        if scan.reverse || node.inputs[..n_states].iter().any(|init| self.map.contains_key(init)) {
            return Err(whole_time(id, "an initial state that depends on the loop"));
        }
        let mut map = vec![None; inner.graph.len()];
        let mut states = Vec::with_capacity(n_states);
        for (state, init) in inner.states.iter().zip(&node.inputs) {
            let input = self.state(inner.graph.ty(*state), *init)?;
            map[state.index()] = Some(input);
            states.push(input);
        }
        for (own, outer) in inner.xs.iter().chain(&inner.consts).zip(&node.inputs[n_states..]) {
            map[own.index()] = Some(self.inside(*outer)?);
        }
        debug_assert!(node.inputs.len() == n_states + n_xs + inner.consts.len());
        self.enter(node);
        let wanted: Vec<NodeId> = inner.next.iter().chain(&inner.ys).copied().collect();
        self.body.graph.import(&inner.graph, &mut map, &wanted)?;
        let mapped = |own: &NodeId| map[own.index()].ok_or_else(|| whole_time(id, "a value without definition"));
        for (i, y) in inner.ys.iter().enumerate() {
            self.inner_results.insert((id, i), mapped(y)?);
        }
        for (i, state) in states.into_iter().enumerate() {
            self.inner_results.insert((id, scan.states_before(i)), state);
        }
        for next in &inner.next {
            self.hoisted_next.push(mapped(next)?);
        }
        Ok(())
    }
}

fn step_ty(ty: &Ty) -> Ty {
    Ty { time: false, ..ty.clone() }
}

fn whole_time(id: NodeId, what: &str) -> ShapeError {
    ShapeError {
        inputs: vec![id],
        ..ShapeError::new(format!("{what} cannot stand inside a feedback loop: it needs all time steps at once"))
    }
    .help("move it behind the loop, or feed back a value of the same step")
}
