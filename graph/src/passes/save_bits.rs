//! The pass `save_bits`: a backward time loop reads bits that the forward loop saved, where these are all that it needs.
//!
//! A backward scan computes the body of its forward scan once more, from the states before every step and from the signals;
//! lowering runs the forward loop again for the states (`lower/replay.rs`), for which it reads all of its signals again. But
//! the gradient of many a neuron needs no number of the forward pass: with a surrogate that takes two values (the rectangle
//! of Wu et al. 2019) and a reset without membrane potential in its gradient (a detached one, or a subtraction), it needs
//! whether the potential was near the threshold and whether there was a spike. Then the forward scan yields these as bits,
//! which lie in packed buffers, and the backward scan reads neither signals nor states.
//!
//! **What can be saved.** In the backward body a value *repeats* the forward pass if it is computed from states, signals
//! and constants of the forward scan alone. Seen from the results of the backward body, the first values that repeat the
//! forward pass and are truth values or spikes are where the body is *cut*; what is made of them (a surrogate that is
//! chosen by a truth value) is computed from the bit. If a state is reached beside the cut, as by a smooth surrogate, by
//! a reset with a gradient of its own or by a learned time constant, its number is needed, so nothing is gained and
//! everything stays as it was. No surrogate and no neuron is known by name.
//!
//! **What it costs.** A bit that is new is written and read, one that the forward scan yields anyway (its spikes) is read;
//! against that stand the operands of the forward scan that the backward scan does not read any more. Bytes decide: rows
//! too short to be packed, or currents that do not change with time, are read again. The membrane of a loop that nothing
//! but the backward pass would run stays there, and so do bodies with tensor ops, whose states lie in memory.
//!
//! The values are the same bits, because the forward scan runs the operations that the backward scan would have. This
//! comes last, when bodies are simplified and declared derivatives are gone; equal values and what nothing reads any
//! longer are left to `cse` and `scan_prune`.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::build::Built;
use crate::graph::{Graph, Node, NodeId};
use crate::lower::storage::bits;
use crate::op::{Op, ShapeError};
use crate::ops::scan::Body;
use crate::ops::{Project, Scan};
use crate::passes::cse;
use crate::passes::fold::narrow;
use crate::passes::rewrite::{Rewritten, copy, copy_as, rewrite, rewrite_body, with_inputs};
use crate::ty::{Kind, Ty};

/// The graph with bits saved for backward scans.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    let plan = Plan::of(old)?;
    let mut placed: BTreeMap<NodeId, NodeId> = BTreeMap::new();
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, node.inputs.first()) {
            (Op::Scan(scan), _) => match (plan.yields.get(&id), plan.reads.get(&id)) {
                (Some(body), _) => {
                    let body = Rc::new(body.clone());
                    let scan = copy_as(new, node, Scan { body, reverse: scan.reverse }.into(), inputs)?;
                    placed.insert(id, scan);
                    Ok(scan)
                }
                (None, Some(saved)) => reading(old, new, node, scan, inputs, saved, &placed),
                (None, None) => copy(new, node, inputs),
            },
            (Op::Project(project), Some(scan)) => {
                let index = plan.renumbered(old, *scan, project.index);
                copy_as(new, node, Project { index }.into(), inputs)
            }
            _ => copy(new, node, inputs),
        }
    })
}

/// A value of a forward scan, by scan and number of the result.
type Saved = (NodeId, usize);

/// What is saved, and for whom.
#[derive(Default)]
struct Plan {
    /// The bodies of forward scans that yield more than before.
    yields: BTreeMap<NodeId, Body>,
    /// For each backward scan, the values of its body that it reads from now on.
    reads: BTreeMap<NodeId, BTreeMap<NodeId, Saved>>,
}

impl Plan {
    fn of(graph: &Graph) -> Result<Plan, ShapeError> {
        let heard = heard(graph);
        let mut plan = Plan::default();
        for reader in graph.ids() {
            for source in sources(graph, reader) {
                // A scan whose own body is cut already is not planned upon.
                let is_free = !plan.yields.contains_key(&reader) && !plan.reads.contains_key(&source);
                if !is_free || !heard.contains(&source) {
                    continue;
                }
                let pair = Pair::new(graph, plan.yields.get(&source), source, reader);
                if let Some(Saving { body, results }) = pair.map_or(Ok(None), |pair| pair.saving())? {
                    let saved = results.into_iter().map(|(value, place)| (value, (source, place)));
                    plan.reads.entry(reader).or_default().extend(saved);
                    plan.yields.insert(source, body);
                }
            }
        }
        Ok(plan)
    }

    /// The number that a scan's result has from now on: what a scan yields comes before its states.
    fn renumbered(&self, old: &Graph, scan: NodeId, index: usize) -> usize {
        match (self.yields.get(&scan), &old.node(scan).op) {
            (Some(body), Op::Scan(before)) if index >= before.body.ys.len() => {
                index + body.ys.len() - before.body.ys.len()
            }
            _ => index,
        }
    }
}

/// Scans that would run without any backward scan: more is read of them than their states before every step.
fn heard(graph: &Graph) -> BTreeSet<NodeId> {
    let reads = |id: NodeId| match state_before(graph, id) {
        Some(_) => None,
        None => graph.node(id).inputs.first().copied().filter(|_| matches!(graph.node(id).op, Op::Project(_))),
    };
    graph.ids().filter_map(reads).collect()
}

/// The scan and the number of the state that a node is, before every step.
fn state_before(graph: &Graph, id: NodeId) -> Option<(NodeId, usize)> {
    let node = graph.node(id);
    let (Op::Project(project), [source]) = (&node.op, node.inputs.as_slice()) else { return None };
    let Op::Scan(scan) = &graph.node(*source).op else { return None };
    Some((*source, project.index.checked_sub(scan.states_before(0))?))
}

/// The scans whose states a scan reads.
fn sources(graph: &Graph, reader: NodeId) -> BTreeSet<NodeId> {
    let node = graph.node(reader);
    match &node.op {
        Op::Scan(_) => node.inputs.iter().filter_map(|id| state_before(graph, *id)).map(|(scan, _)| scan).collect(),
        _ => BTreeSet::new(),
    }
}

/// A forward scan and a scan that computes its body again.
struct Pair<'g> {
    graph: &'g Graph,
    /// The forward body, with what it yields for others already.
    forward: &'g Body,
    forward_operands: &'g [NodeId],
    backward: &'g Body,
    backward_operands: &'g [NodeId],
    /// Inputs of the backward body and the inputs of the forward body that have the same value.
    same: BTreeMap<NodeId, NodeId>,
    /// The shape of both loops.
    full: Ty,
}

/// Where a backward body is cut.
struct Cut {
    /// What is saved, ascending.
    bits: Vec<NodeId>,
    /// Flags for what the backward scan still computes or reads.
    reached: Vec<bool>,
}

/// A forward body with bits among what it yields.
struct Saving {
    body: Body,
    /// For each value of the backward body that is saved, its number among the results.
    results: BTreeMap<NodeId, usize>,
}

impl<'g> Pair<'g> {
    /// Two fused scans over the same space. `yielding` is the forward body with what it yields for others.
    fn new(graph: &'g Graph, yielding: Option<&'g Body>, source: NodeId, reader: NodeId) -> Option<Pair<'g>> {
        let (source_node, reader_node) = (graph.node(source), graph.node(reader));
        let (Op::Scan(before), Op::Scan(after)) = (&source_node.op, &reader_node.op) else { return None };
        let (forward, backward) = (yielding.unwrap_or(&before.body), &*after.body);
        let full = forward.fused_ty()?;
        backward.fused_ty().filter(|ty| ty.same_shape(&full))?;
        let forward_operands = source_node.inputs.get(forward.states.len()..)?;
        let backward_operands = reader_node.inputs.get(backward.states.len()..)?;
        let mut pair =
            Pair { graph, forward, forward_operands, backward, backward_operands, same: BTreeMap::new(), full };
        let inputs = backward.xs.iter().chain(&backward.consts).zip(backward_operands);
        pair.same = inputs.filter_map(|(own, outer)| Some((*own, pair.counterpart(source, *outer)?))).collect();
        Some(pair)
    }

    /// The input of the forward body that has the value of a node outside.
    fn counterpart(&self, source: NodeId, outer: NodeId) -> Option<NodeId> {
        if let Some((scan, state)) = state_before(self.graph, outer) {
            return if scan == source { self.forward.states.get(state).copied() } else { None };
        }
        let is_same = |operand: &NodeId| narrow(self.graph, *operand) == narrow(self.graph, outer);
        let position = self.forward_operands.iter().position(is_same)?;
        self.forward.xs.iter().chain(&self.forward.consts).nth(position).copied()
    }

    /// For each node of the backward body, whether it repeats the forward pass, and then whether it changes from step to
    /// step.
    fn repeats(&self) -> Vec<Option<bool>> {
        let graph = &self.backward.graph;
        let mut repeats: Vec<Option<bool>> = vec![None; graph.len()];
        for id in graph.ids() {
            let node = graph.node(id);
            repeats[id.index()] = match (&node.op, self.same.get(&id)) {
                (_, Some(input)) => Some(!self.forward.consts.contains(input)),
                (Op::InputOp(_), None) => None,
                _ => {
                    let mut changes = node.inputs.iter().map(|input| repeats[input.index()]);
                    changes.try_fold(false, |any, changes| Some(any | changes?))
                }
            };
        }
        repeats
    }

    /// Where the backward body is cut; `None` if it needs more of the states than bits.
    fn cut(&self) -> Option<Cut> {
        let graph = &self.backward.graph;
        let repeats = self.repeats();
        let is_bit = |id: NodeId| {
            let node = graph.node(id);
            let is_input = matches!(node.op, Op::InputOp(_));
            let is_two_valued = matches!(node.ty.kind, Kind::Truth | Kind::Spikes);
            !is_input && is_two_valued && repeats[id.index()] == Some(true) && node.ty.same_shape(&self.full)
        };
        let mut cut = Cut { bits: Vec::new(), reached: vec![false; graph.len()] };
        for id in self.backward.next.iter().chain(&self.backward.ys) {
            cut.reached[id.index()] = true;
        }
        for id in graph.ids().rev() {
            if !cut.reached[id.index()] {
                continue;
            }
            if is_bit(id) {
                cut.bits.push(id);
                continue;
            }
            for input in &graph.node(id).inputs {
                cut.reached[input.index()] = true;
            }
        }
        cut.bits.reverse();
        let needs_state =
            |(own, theirs): (&NodeId, &NodeId)| cut.reached[own.index()] && self.forward.states.contains(theirs);
        if self.same.iter().any(needs_state) { None } else { Some(cut) }
    }

    /// What is saved; `None` if numbers are needed or cheaper.
    fn saving(&self) -> Result<Option<Saving>, ShapeError> {
        let Some(cut) = self.cut() else { return Ok(None) };
        let saving = self.yielding(&cut.bits)?;
        Ok(saving.filter(|saving| self.cost(saving) < self.spared(&cut)))
    }

    /// The forward scan with the bits among its results. `None` if one is not known to be a bit there.
    fn yielding(&self, bits: &[NodeId]) -> Result<Option<Saving>, ShapeError> {
        let again = &self.backward.graph;
        let mut body = self.forward.clone();
        let mut map = vec![None; again.len()];
        for (own, theirs) in &self.same {
            map[own.index()] = Some(*theirs);
        }
        body.graph.import(again, &mut map, bits)?;
        for bit in bits {
            let Some(value) = map[bit.index()] else { return Ok(None) };
            let value = body.graph.broadcast(value, &self.full)?;
            if body.graph.ty(value).kind != again.ty(*bit).kind {
                return Ok(None);
            }
            body.ys.push(value);
        }
        let mut body = rewrite_body(&body, &cse::graph)?;
        let mut results = BTreeMap::new();
        for (bit, value) in bits.iter().zip(body.ys.split_off(self.forward.ys.len())) {
            let place = body.ys.iter().position(|known| *known == value).unwrap_or(body.ys.len());
            if place == body.ys.len() {
                body.ys.push(value);
            }
            results.insert(*bit, place);
        }
        Ok(Some(Saving { body, results }))
    }

    /// Bits of memory, written and read, that saving takes.
    fn cost(&self, saving: &Saving) -> usize {
        let body = &saving.body;
        let ty = |place: usize| body.ys.get(place).map(|id| Ty { time: true, ..body.graph.ty(*id).clone() });
        let size = |place: usize| ty(place).map_or(0, |ty| self.size(&ty));
        let read: usize = saving.results.values().map(|place| size(*place)).sum();
        let written: usize = (self.forward.ys.len()..body.ys.len()).map(size).sum();
        read + written
    }

    /// Bits of memory that the backward scan does not read any more: operands of the forward scan.
    fn spared(&self, cut: &Cut) -> usize {
        let inputs = self.backward.xs.iter().chain(&self.backward.consts).zip(self.backward_operands);
        let still: BTreeSet<NodeId> =
            inputs.filter(|(own, _)| cut.reached[own.index()]).map(|(_, outer)| narrow(self.graph, *outer)).collect();
        let read: BTreeSet<NodeId> = self.forward_operands.iter().map(|outer| narrow(self.graph, *outer)).collect();
        read.difference(&still).map(|id| self.size(self.graph.ty(*id))).sum()
    }

    /// Bits of memory that a sample's part of a value takes. What all samples share is read from caches.
    fn size(&self, ty: &Ty) -> usize {
        let steps = if ty.time { self.graph.steps } else { 1 };
        if ty.batch { bits(ty).saturating_mul(steps) } else { 0 }
    }
}

/// A backward scan that reads what was saved.
fn reading(
    old: &Graph,
    new: &mut Graph,
    node: &Node,
    scan: &Scan,
    inputs: &[NodeId],
    saved: &BTreeMap<NodeId, Saved>,
    placed: &BTreeMap<NodeId, NodeId>,
) -> Built {
    let values: Vec<NodeId> = saved.keys().copied().collect();
    let (mut body, fresh) = with_inputs(&scan.body, &values, "saved")?;
    let consts = body.states.len() + body.xs.len();
    body.xs.extend(fresh);
    let mut operands = inputs.to_vec();
    let mut bits = Vec::with_capacity(saved.len());
    for (forward, result) in saved.values() {
        let source = placed.get(forward).copied();
        let source = source.ok_or_else(|| ShapeError::new("a bit is read before the loop that saves it"))?;
        let bit = new.project(source, *result)?;
        let (Node { name, origin, .. }, saved) = (old.node(*forward), new.node_mut(bit));
        (saved.name, saved.origin, saved.grad) = (name.clone(), *origin, false);
        bits.push(bit);
    }
    operands.splice(consts..consts, bits);
    copy_as(new, node, Scan { body: Rc::new(body), reverse: scan.reverse }.into(), &operands)
}
