//! States of time loops that are computed twice instead of being kept.
//!
//! A backward scan reads the states of its forward scan as they were before every step. Kept in memory they would be the
//! largest part of what training saves; but the forward loop's signals are saved anyway and its body is short, so the
//! backward kernel runs the forward loop once more, each neuron into scratch of its own, and then walks back (Wu et al. 2018,
//! eq. 3-5, need nothing else). The values are the same bits. Must never know machines.

use std::collections::BTreeMap;

use snn_loops::{Access, BufferId, Extent, Ix, LoopKind, Program, Reg, Role, Val};

use crate::graph::{Graph, NodeId};
use crate::lower::LowerError;
use crate::lower::emit::Emission;
use crate::lower::region::Region;
use crate::lower::time_loop::{Operands, StepEmission, narrow, operands};
use crate::op::{Lowering, Op, OpRule, Point};
use crate::ops::scan::Scan;
use crate::ty::Ty;

/// The most scratch of a neuron, in floats.
const SCRATCH: usize = 256;
/// The most nodes of a body that is worth running twice.
const BODY: usize = 64;

/// Which nodes, all of them states of fused scans, are computed anew by the fused scans that read them.
pub(super) fn replayed(graph: &Graph, needed: &[bool], is_output: &dyn Fn(NodeId) -> bool) -> Vec<bool> {
    let mut readers: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
    for id in graph.ids().filter(|id| needed[id.index()]) {
        for input in &graph.node(id).inputs {
            readers.entry(*input).or_default().push(id);
        }
    }
    let mut replayed = vec![false; graph.len()];
    for id in graph.ids().filter(|id| needed[id.index()] && !is_output(*id)) {
        let Some((scan, full, _)) = source(graph, id) else { continue };
        let inputs = graph.node(id).inputs.first().map_or(&[] as &[NodeId], |source| &graph.node(*source).inputs);
        let is_small = scan.body.states.len() * graph.steps <= SCRATCH && scan.body.graph.len() <= BODY;
        let is_first = !inputs.iter().any(|input| replayed[input.index()]);
        let taken = readers.get(&id).map_or(&[] as &[NodeId], Vec::as_slice);
        replayed[id.index()] = is_small && is_first && taken.iter().all(|reader| takes(graph, *reader, id, &full));
    }
    replayed
}

/// Which nodes are time loops that nothing but replayed states is read of: they are never launched.
pub(super) fn silent(graph: &Graph, needed: &[bool], replayed: &[bool]) -> Vec<bool> {
    let mut silent = vec![false; graph.len()];
    let mut heard = vec![false; graph.len()];
    for id in graph.ids().filter(|id| needed[id.index()]) {
        for input in &graph.node(id).inputs {
            let result = if replayed[id.index()] { &mut silent } else { &mut heard };
            result[input.index()] = true;
        }
    }
    silent.iter_mut().zip(heard).for_each(|(silent, heard)| *silent &= !heard);
    silent
}

/// The fused scan, its shape and the state behind a node that is a state before every step.
fn source(graph: &Graph, id: NodeId) -> Option<(&Scan, Ty, usize)> {
    let node = graph.node(id);
    let Lowering::Project(index) = node.op.lower() else { return None };
    let Op::Scan(scan) = &graph.node(*node.inputs.first()?).op else { return None };
    let state = index.checked_sub(scan.states_before(0))?;
    Some((scan, scan.body.fused_ty()?, state))
}

/// Whether a node is a fused scan of the same shape that reads a value as a signal only.
fn takes(graph: &Graph, reader: NodeId, value: NodeId, full: &Ty) -> bool {
    let node = graph.node(reader);
    let Op::Scan(scan) = &node.op else { return false };
    let (states, xs) = (scan.body.states.len(), scan.body.xs.len());
    let as_signal = |(at, input): (usize, &NodeId)| *input != value || (states..states + xs).contains(&at);
    scan.body.fused_ty().is_some_and(|ty| ty.same_shape(full)) && node.inputs.iter().enumerate().all(as_signal)
}

/// The scratch in which a kernel finds replayed states.
pub(super) struct Replay {
    /// For each replayed node its scratch.
    pub scratch: BTreeMap<NodeId, BufferId>,
}

impl Replay {
    /// Scratch for every signal of a scan that is replayed.
    pub fn plan(region: &Region<'_>, program: &mut Program, xs: &[NodeId]) -> Replay {
        let mut scratch = BTreeMap::new();
        for id in xs.iter().filter(|id| region.is_replayed(**id)) {
            let steps = region.graph.steps;
            scratch.entry(*id).or_insert_with(|| program.add_buffer(region.label(*id), steps, Role::Scratch));
        }
        Replay { scratch }
    }

    /// Runs the loops that make the states, at a point of the kernel.
    pub fn emit(&self, region: &Region<'_>, emission: &mut Emission<'_, '_>, at: &Point) -> Result<(), LowerError> {
        let mut loops: BTreeMap<NodeId, Vec<(usize, BufferId)>> = BTreeMap::new();
        for (id, buffer) in &self.scratch {
            let scan = region.graph.node(*id).inputs.first().copied();
            if let (Some(scan), Some((_, _, state))) = (scan, source(region.graph, *id)) {
                loops.entry(scan).or_default().push((state, *buffer));
            }
        }
        loops.iter().try_for_each(|(scan, states)| run_again(region, emission, *scan, states, at))
    }
}

fn run_again(
    region: &Region<'_>,
    emission: &mut Emission<'_, '_>,
    id: NodeId,
    wanted: &[(usize, BufferId)],
    at: &Point,
) -> Result<(), LowerError> {
    let Op::Scan(scan) = &region.graph.node(id).op else { return Err(LowerError::new("only time loops run again")) };
    let body = &*scan.body;
    let Operands { inits, xs, consts } = operands(region, id, body)?;
    let mut values: BTreeMap<NodeId, Val> = BTreeMap::new();
    for (own, outer) in body.consts.iter().zip(&consts) {
        values.insert(*own, emission.value(*outer, &narrow(region.graph.ty(*outer), at)));
    }
    let regs: Vec<Reg> = body.states.iter().map(|_| emission.builder.fresh_reg()).collect();
    for (reg, init) in regs.iter().zip(&inits) {
        let start = emission.value(*init, &narrow(region.graph.ty(*init), at));
        emission.builder.set(*reg, start);
    }
    let steps = region.graph.steps;
    let time = emission.var(steps);
    let kind = if scan.reverse { LoopKind::Reverse } else { LoopKind::Serial };
    emission.builder.open(time, Extent::Fixed(steps), kind);
    emission.enter();
    let now = Point { time: Ix::var(time), ..at.clone() };
    for (state, reg) in body.states.iter().zip(&regs) {
        let val = emission.builder.get(*reg);
        values.insert(*state, val);
    }
    for (state, buffer) in wanted {
        let val = body.states.get(*state).and_then(|state| values.get(state).copied());
        let val = val.ok_or_else(|| LowerError::new("a time loop lost a state"))?;
        emission.builder.store(Access::new(*buffer, Ix::var(time)), val);
    }
    for (own, outer) in body.xs.iter().zip(&xs) {
        let val = emission.value(*outer, &narrow(region.graph.ty(*outer), &now));
        values.insert(*own, val);
    }
    let next = StepEmission { emission, body, values }.compute(&body.next)?;
    for (reg, val) in regs.iter().zip(&next) {
        emission.builder.set(*reg, *val);
    }
    emission.leave();
    emission.builder.close();
    Ok(())
}
