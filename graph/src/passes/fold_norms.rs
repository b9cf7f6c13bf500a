//! The pass `fold_norms`: in evaluation, moves scales for each output channel into the weights of the linear map or
//! convolution before them.
//!
//! What follows a contraction and is linear in it with numbers that all samples and steps share, one for each output
//! channel, is a scale and a shift: a bias, a norm that reads its moving averages, a threshold that is taken off. It
//! becomes `contract(x, w * scale) + shift`, one addition for each channel at most, which fuses into whoever uses it.
//! The new weights and shifts depend on no data, so that they are computed once ([`setup`](crate::setup)).
//!
//! A value in the middle that something else reads ends the chain; without a scale nothing changes. In the bodies of
//! scans nothing changes either: there the weights would be scaled anew at each step. Only roundings change.

use std::collections::BTreeMap;

use crate::build::Built;
use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::pointwise::Function;
use crate::passes::rewrite::{Rewritten, copy, rewrite};
use crate::ty::{Kind, Ty};
use snn_loops::ContractionKind;

/// The graph with scales folded into weights.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    let chains = chains(old, roots);
    let links: BTreeMap<NodeId, Link> = chains.values().flatten().map(|link| (link.node, *link)).collect();
    // Operands in the new graph of contractions and links.
    let mut operands: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        operands.insert(id, inputs.to_vec());
        let Some(chain) = links.get(&id).and_then(|link| chains.get(&link.contraction)) else {
            return copy(new, node, inputs);
        };
        if chain.last().map(|link| link.node) != Some(id) {
            return copy(new, node, inputs);
        }
        let mut affine = Affine::default();
        for link in chain {
            let other = link.other.and_then(|place| operands.get(&link.node)?.get(place).copied());
            affine.follow(new, link, other)?;
        }
        let contraction = chain.first().map_or(id, |link| link.contraction);
        let [x, w] = operands.get(&contraction).map(Vec::as_slice).unwrap_or_default() else {
            return Err(ShapeError::new("a contraction without its operands"));
        };
        affine.apply(new, old, contraction, [*x, *w])
    })
}

/// One element-wise function in the chain behind a contraction.
#[derive(Clone, Copy)]
struct Link {
    contraction: NodeId,
    node: NodeId,
    function: Function,
    /// Which operand is not the chain itself.
    other: Option<usize>,
}

/// The chains that hold a scale, by contraction.
fn chains(graph: &Graph, roots: &[NodeId]) -> BTreeMap<NodeId, Vec<Link>> {
    let users = only_users(graph, roots);
    let mut chains = BTreeMap::new();
    for id in graph.ids() {
        let Op::Contract(contract) = &graph.node(id).op else { continue };
        if contract.kind != ContractionKind::Forward {
            continue;
        }
        let mut chain: Vec<Link> = Vec::new();
        let mut at = id;
        while let Some(link) = users.get(&at).and_then(|user| link(graph, id, at, *user)) {
            at = link.node;
            chain.push(link);
        }
        if chain.iter().any(|link| matches!(link.function, Function::Mul | Function::Div | Function::Neg)) {
            chains.insert(id, chain);
        }
    }
    chains
}

/// The user of each node that has a single one and is no root itself.
fn only_users(graph: &Graph, roots: &[NodeId]) -> BTreeMap<NodeId, NodeId> {
    let needed = graph.reachable(roots);
    let mut uses = vec![0usize; graph.len()];
    let mut users = BTreeMap::new();
    for root in roots {
        // As if somebody else read it.
        uses[root.index()] += 2;
    }
    for id in graph.ids().filter(|id| needed[id.index()]) {
        for input in &graph.node(id).inputs {
            uses[input.index()] += 1;
            users.insert(*input, id);
        }
    }
    users.retain(|id, _| uses[id.index()] == 1);
    users
}

/// `user` as a link behind `at`, if it is one.
fn link(graph: &Graph, contraction: NodeId, at: NodeId, user: NodeId) -> Option<Link> {
    let node = graph.node(user);
    let Op::Pointwise(pointwise) = &node.op else { return None };
    let y = graph.ty(contraction);
    if !node.ty.same_shape(y) {
        return None;
    }
    let function = pointwise.function;
    let other = match (function, node.inputs.as_slice()) {
        (Function::Neg, _) => None,
        (Function::Add | Function::Sub | Function::Mul, [a, b]) if a != b => Some(usize::from(*a == at)),
        (Function::Div, [a, _]) if *a == at => Some(1),
        _ => return None,
    };
    let fits = other.and_then(|place| node.inputs.get(place)).is_none_or(|id| is_per_channel(graph.ty(*id), y));
    fits.then_some(Link { contraction, node: user, function, other })
}

/// Whether it is one number, or one for each output channel, the same for all samples and steps.
fn is_per_channel(ty: &Ty, y: &Ty) -> bool {
    let channels = |(axis, extent): (usize, &usize)| *extent == 1 || axis == 0 && y.dims.first() == Some(extent);
    !ty.time && !ty.batch && ty.kind != Kind::Truth && ty.dims.iter().enumerate().all(channels)
}

/// `scale * y + shift`.
#[derive(Default)]
struct Affine {
    scale: Option<NodeId>,
    shift: Option<NodeId>,
}

impl Affine {
    /// The chain with one more link.
    fn follow(&mut self, graph: &mut Graph, link: &Link, other: Option<NodeId>) -> Result<(), ShapeError> {
        match (link.function, other) {
            (Function::Mul, Some(by)) => {
                self.scale = Some(self.scale.map_or(Ok(by), |scale| graph.mul(scale, by))?);
                self.shift = self.shift.map(|shift| graph.mul(shift, by)).transpose()?;
            }
            (Function::Div, Some(by)) => {
                let scale = self.scale.map_or_else(|| graph.constant(1.0), Ok)?;
                self.scale = Some(graph.div(scale, by)?);
                self.shift = self.shift.map(|shift| graph.div(shift, by)).transpose()?;
            }
            (Function::Add, Some(by)) => {
                self.shift = Some(self.shift.map_or(Ok(by), |shift| graph.add(shift, by))?);
            }
            (Function::Sub, Some(by)) if link.other == Some(1) => {
                self.shift = Some(match self.shift {
                    Some(shift) => graph.sub(shift, by)?,
                    None => graph.neg(by)?,
                });
            }
            (Function::Sub, Some(from)) => {
                self.negate(graph)?;
                self.shift = Some(self.shift.map_or(Ok(from), |shift| graph.add(from, shift))?);
            }
            _ => self.negate(graph)?,
        }
        Ok(())
    }

    fn negate(&mut self, graph: &mut Graph) -> Result<(), ShapeError> {
        self.scale = Some(match self.scale {
            Some(scale) => graph.neg(scale)?,
            None => graph.constant(-1.0)?,
        });
        self.shift = self.shift.map(|shift| graph.neg(shift)).transpose()?;
        Ok(())
    }

    /// The contraction with scaled weights, and the shift.
    fn apply(&self, graph: &mut Graph, old: &Graph, contraction: NodeId, [x, w]: [NodeId; 2]) -> Built {
        let node = old.node(contraction);
        let of_chain = (graph.current_name.clone(), graph.current_origin);
        (graph.current_name, graph.current_origin) = (node.name.clone(), node.origin);
        let w = self.scale.map_or(Ok(w), |scale| graph.mul(w, scale))?;
        let y = copy(graph, node, &[x, w])?;
        (graph.current_name, graph.current_origin) = of_chain;
        self.shift.map_or(Ok(y), |shift| graph.add(y, shift))
    }
}
