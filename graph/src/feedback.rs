//! Closing a loop: from nodes that read a placeholder for a state to a [`Scan`](crate::ops::Scan).
//!
//! The front end writes a neuron or a feedback block as ordinary stepped nodes that read a placeholder (an
//! [`InputOp`](crate::ops::InputOp)) where the state stands. [`Graph::close_loop`] moves exactly the nodes that depend on a
//! placeholder into the body of a scan; whatever does not depend on the state stays outside and is computed for all steps
//! at once. Scans that were closed inside (neurons in a feedback loop) are flattened: their states become states of this
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
        let region = self.region(states, results);
        let mut closing = Closing {
            outer: self,
            body: Body {
                graph: Graph::step_body(self.steps),
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
        };
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
        let mut positions = Vec::with_capacity(results.len());
        for result in results {
            let depends = region[result.index()] || states.iter().any(|s| s.placeholder == *result);
            positions.push(depends.then_some(closing.body.ys.len()));
            if depends {
                let y = closing.inside(*result)?;
                closing.body.ys.push(y);
            }
        }
        let Closing { body, inits, xs, consts, .. } = closing;
        let scan = self.scan(body, false, &inits, &xs, &consts)?;
        results
            .iter()
            .zip(positions)
            .map(|(result, position)| match position {
                Some(position) => self.project(scan, position),
                None => Ok(*result),
            })
            .collect()
    }

    /// Flags for the nodes that depend on a placeholder and that a next state or a result needs.
    fn region(&self, states: &[LoopState], results: &[NodeId]) -> Vec<bool> {
        let mut depends = vec![false; self.len()];
        for id in self.ids() {
            let inputs = &self.node(id).inputs;
            let reads = |input: &NodeId| depends[input.index()] || states.iter().any(|s| s.placeholder == *input);
            depends[id.index()] = inputs.iter().any(reads);
        }
        let wanted: Vec<NodeId> = states.iter().map(|s| s.next).chain(results.iter().copied()).collect();
        let needed = self.reachable(&wanted);
        depends.iter().zip(needed).map(|(depends, needed)| *depends && needed).collect()
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

impl Closing<'_> {
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
