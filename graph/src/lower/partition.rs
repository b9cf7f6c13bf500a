//! Which nodes are kept in memory, and which kept nodes share a kernel.
//!
//! Heavy kernels, reductions and time loops always keep their results. An element-wise node is recomputed inside every
//! kernel that uses it unless it is an output, a heavy kernel reads it, or recomputing costs more than reading: it is
//! dear and used by several kernels, it is used at more points than it has elements, or it has grown too large.

use std::collections::BTreeSet;

use snn_loops::Ix;

use crate::graph::NodeId;
use crate::lower::LowerError;
use crate::lower::region::Region;
use crate::lower::storage::{Layout, Storage};
use crate::lower::sums;
use crate::op::{Lowering, Op, OpRule, Point};
use crate::ops::pointwise::Function;
use crate::ty::Axes;

/// Nodes that become one kernel.
pub(super) enum Group {
    /// Element-wise nodes over the same space.
    Map(Vec<NodeId>),
    /// Reductions of the same space over the same axes.
    Reduce(Vec<NodeId>),
    /// A time loop, and behind it the sums that it takes along.
    Loop(Vec<NodeId>),
    /// Anything else.
    Single(NodeId),
}

impl Group {
    /// What its kernel puts into memory.
    pub fn nodes(&self) -> &[NodeId] {
        match self {
            Group::Map(nodes) | Group::Reduce(nodes) | Group::Loop(nodes) => nodes,
            Group::Single(id) => std::slice::from_ref(id),
        }
    }
}

/// A node whose computation is dearer than this many simple instructions is not repeated in several kernels: a read and
/// a write of memory cost about as much.
const DEAR: usize = 12;
/// A node that is used at more points than it has elements is not repeated from this many on.
const REPEATED: usize = 4;
/// Beyond this many instructions a kernel is cut, so that its registers and its compile time stay small.
const LARGE: usize = 256;
/// The most results of one kernel.
const MAX_RESULTS: usize = 8;

/// Splits a region into kernels, in launch order.
pub(super) fn groups(region: &Region<'_>) -> Result<Vec<Group>, LowerError> {
    let kept = kept(region);
    let depth = depths(region, &kept);
    let mut open: Vec<(usize, Group, BTreeSet<NodeId>)> = Vec::new();
    for id in region.graph.ids().filter(|id| kept[id.index()] && !region.is_stored(*id)) {
        let node = region.graph.node(id);
        if matches!(node.op, Op::Project(_)) || region.is_replay_only(id) {
            continue;
        }
        let leaves = leaves(region, &kept, id);
        if let Some(scan) = taken_along(region, &depth, id, &leaves) {
            let is_scan = |group: &&mut Group| group.nodes().first() == Some(&scan);
            if let Some(Group::Loop(nodes)) = open.iter_mut().map(|(_, group, _)| group).find(is_scan)
                && nodes.len() <= MAX_RESULTS
            {
                nodes.push(id);
                continue;
            }
        }
        if let Some((_, Group::Map(nodes), of)) =
            open.iter_mut().find(|open| continues(region, &kept, &depth, id, &leaves, open))
        {
            nodes.push(id);
            of.extend(leaves);
            continue;
        }
        let joins = |(at, group, of): &&mut (usize, Group, BTreeSet<NodeId>)| {
            *at == depth[id.index()] && !of.is_disjoint(&leaves) && shares_space(region, group, id)
        };
        match open.iter_mut().rev().find(joins) {
            Some((_, Group::Map(nodes) | Group::Reduce(nodes), of)) => {
                nodes.push(id);
                of.extend(leaves);
            }
            _ => {
                let group = match node.op.lower() {
                    Lowering::Point(_) | Lowering::Window(_) => Group::Map(vec![id]),
                    Lowering::Reduce(_) => Group::Reduce(vec![id]),
                    Lowering::Scan(_) => Group::Loop(vec![id]),
                    Lowering::Contract(..)
                    | Lowering::Draw(..)
                    | Lowering::SpikeTimes(_)
                    | Lowering::SpikeTimesGradient(_)
                    | Lowering::Project(_)
                    | Lowering::Stored
                    | Lowering::Unlowered(_) => Group::Single(id),
                };
                open.push((depth[id.index()], group, leaves));
            }
        }
    }
    open.sort_by_key(|(depth, ..)| *depth);
    Ok(open.into_iter().map(|(_, group, _)| group).collect())
}

/// Whether a kernel of element-wise nodes can compute one more, of what it computes: element by element, with everything else
/// there before it runs.
fn continues(
    region: &Region<'_>,
    kept: &[bool],
    depth: &[usize],
    id: NodeId,
    leaves: &BTreeSet<NodeId>,
    (at, group, _): &(usize, Group, BTreeSet<NodeId>),
) -> bool {
    let Group::Map(nodes) = group else { return false };
    let (own, others): (Vec<NodeId>, Vec<NodeId>) = leaves.iter().partition(|leaf| nodes.contains(leaf));
    // What was postponed stays where it is: computing it early would keep it in memory for nothing.
    let is_next = depth[id.index()] == at + 1;
    is_next
        && !own.is_empty()
        && shares_space(region, group, id)
        && others.iter().all(|leaf| region.is_stored(*leaf) || depth[leaf.index()] < *at)
        && reads_in_place(region, kept, id, &own)
}

/// Whether a node reads these kept nodes at its own points only.
fn reads_in_place(region: &Region<'_>, kept: &[bool], id: NodeId, of: &[NodeId]) -> bool {
    let graph = region.graph;
    let space = graph.ty(id);
    // Nodes that are computed on the way, and whether that is at the point of the result.
    let mut open = vec![(id, true)];
    let mut seen = BTreeSet::new();
    while let Some((node, in_place)) = open.pop() {
        let in_place = in_place && matches!(graph.node(node).op, Op::Pointwise(_));
        for input in &graph.node(node).inputs {
            let in_place = in_place && graph.ty(*input).same_shape(space);
            if of.contains(input) && !in_place {
                return false;
            }
            if !kept[input.index()] && seen.insert((*input, in_place)) {
                open.push((*input, in_place));
            }
        }
    }
    true
}

/// The fused scan that a sum can be taken along by: one of its leaves is made by it, the others are there before it runs.
fn taken_along(region: &Region<'_>, depth: &[usize], id: NodeId, leaves: &BTreeSet<NodeId>) -> Option<NodeId> {
    if !region.sums_along {
        return None;
    }
    let makers = leaves.iter().filter_map(|leaf| sums::maker(region.graph, *leaf));
    let (scan, _, made) = makers.max_by_key(|(scan, ..)| depth[scan.index()])?;
    let full = made.body.fused_ty()?;
    let is_there = |leaf: &NodeId| {
        let made = sums::maker(region.graph, *leaf).is_some_and(|(of, ..)| of == scan);
        made || region.is_stored(*leaf) || depth[leaf.index()] < depth[scan.index()]
    };
    let is_next = depth[id.index()] == depth[scan.index()] + 1;
    (is_next && sums::is_sum_along(region, id, &full) && leaves.iter().all(is_there)).then_some(scan)
}

/// Whether a node can join a group: the same op class over the same space, and room for another result.
fn shares_space(region: &Region<'_>, group: &Group, id: NodeId) -> bool {
    let graph = region.graph;
    match (group, graph.node(id).op.lower()) {
        (Group::Map(nodes), Lowering::Point(_) | Lowering::Window(_)) => {
            nodes.len() < MAX_RESULTS && nodes.first().is_some_and(|first| graph.ty(*first).same_shape(graph.ty(id)))
        }
        (Group::Reduce(nodes), Lowering::Reduce(reduce)) => {
            let space = |id: NodeId| graph.node(id).inputs.first().map(|input| graph.ty(*input));
            let axes = |id: NodeId| -> Option<&Axes> {
                match &graph.node(id).op {
                    Op::Reduce(reduce) => Some(&reduce.axes),
                    _ => None,
                }
            };
            nodes.len() < MAX_RESULTS
                && nodes.first().is_some_and(|first| {
                    let same = space(*first).zip(space(id)).is_some_and(|(a, b)| a.same_shape(b));
                    same && axes(*first) == Some(&reduce.axes)
                })
        }
        _ => false,
    }
}

/// Whether a scan runs as one fused kernel.
pub(super) fn is_fused(op: &Op) -> bool {
    matches!(op, Op::Scan(scan) if scan.body.fused_ty().is_some())
}

fn kept(region: &Region<'_>) -> Vec<bool> {
    let graph = region.graph;
    let needed = |id: &NodeId| region.needed[id.index()];
    let mut kept = vec![false; graph.len()];
    for id in graph.ids().filter(needed) {
        let node = graph.node(id);
        let reads_memory = match node.op.lower() {
            Lowering::Contract(..)
            | Lowering::Window(_)
            | Lowering::SpikeTimes(_)
            | Lowering::SpikeTimesGradient(_) => true,
            Lowering::Scan(_) => !is_fused(&node.op),
            Lowering::Stored
            | Lowering::Point(_)
            | Lowering::Reduce(_)
            | Lowering::Draw(..)
            | Lowering::Project(_)
            | Lowering::Unlowered(_) => false,
        };
        kept[id.index()] |= region.is_stored(id)
            || region.is_assigned(id)
            || !matches!(node.op.lower(), Lowering::Point(_) | Lowering::Window(_))
            || scrambles(region, id);
        if reads_memory {
            for input in &node.inputs {
                kept[input.index()] = true;
            }
        }
    }
    let cost = costs(region, &kept);
    // Backwards: by the time a node is looked at, it is known which kernels its users end up in.
    let mut roots: Vec<BTreeSet<NodeId>> = vec![BTreeSet::new(); graph.len()];
    let mut spread = vec![false; graph.len()];
    for id in graph.ids().rev().filter(needed) {
        let free = cost[id.index()] == 0;
        if !kept[id.index()] && !free {
            let several = roots[id.index()].len() > 1 && cost[id.index()] > DEAR;
            let repeated = spread[id.index()] && cost[id.index()] >= REPEATED;
            kept[id.index()] = several || repeated || cost[id.index()] > LARGE;
        }
        let own: BTreeSet<NodeId> = match kept[id.index()] && !region.is_replay_only(id) {
            true => BTreeSet::from([id]),
            false => std::mem::take(&mut roots[id.index()]),
        };
        let node = graph.node(id);
        let elements = region.len(&graph.ty(id).clone());
        for input in &node.inputs {
            let fewer = region.len(&graph.ty(*input).clone()) < elements;
            // A reduction or loop visits its operand once per element; a broadcast use visits it more often.
            spread[input.index()] |= fewer && matches!(node.op.lower(), Lowering::Point(_));
            spread[input.index()] |= spread[id.index()] && !kept[id.index()];
            if roots[input.index()].len() < 4 {
                roots[input.index()].extend(own.iter().copied());
            }
        }
    }
    kept
}

/// Instructions that computing a node anew takes, given what is kept for certain.
fn costs(region: &Region<'_>, kept: &[bool]) -> Vec<usize> {
    let mut cost = vec![0usize; region.graph.len()];
    for id in region.graph.ids().filter(|id| region.needed[id.index()]) {
        let node = region.graph.node(id);
        let own = match &node.op {
            Op::Pointwise(pointwise) => match pointwise.function {
                Function::Div | Function::Sqrt => 4,
                Function::Exp | Function::Log | Function::Sin | Function::Cos => 12,
                Function::Tanh | Function::Sigmoid | Function::Erf | Function::Pow => 16,
                Function::Powi(n) => 1 + n.unsigned_abs() as usize / 2,
                _ => 1,
            },
            Op::Fold(_) | Op::Windows(_) | Op::ArgMax(_) => 8,
            _ => 0,
        };
        // Only operand 0 of a declared gradient is computed.
        let operands = if matches!(node.op, Op::WithGradient(_)) { &node.inputs[..1] } else { &node.inputs[..] };
        let elements = region.len(&node.ty);
        let inlined = operands.iter().filter(|input| {
            // What is used at more points than it has elements is kept, see `kept`.
            let repeated = cost[input.index()] >= REPEATED && region.len(region.graph.ty(**input)) < elements;
            !kept[input.index()] && !repeated
        });
        cost[id.index()] = inlined.fold(own, |sum, input| sum.saturating_add(cost[input.index()]));
    }
    cost
}

/// Whether reading a reshaped value needs divisions for every element: then it is copied once.
fn scrambles(region: &Region<'_>, id: NodeId) -> bool {
    let node = region.graph.node(id);
    let (Op::Reshape(_), Some(input)) = (&node.op, node.inputs.first()) else { return false };
    let (from, to) = (&region.graph.ty(*input).dims, &node.ty.dims);
    let extents = to.clone();
    let extent = move |var: snn_loops::Var| extents.get(var.0 as usize).copied();
    let at: Vec<Ix> = (0..to.len()).map(|axis| Ix::var(snn_loops::Var(axis as u32))).collect();
    let at = crate::ops::reshape::source_index(from, to, &at, &extent);
    let layout = Layout::of(region.graph.ty(*input));
    let strides = layout.strides(from).into_iter().map(|s| s as i64).collect();
    let storage =
        Storage { buffer: snn_loops::BufferId(0), time: None, batch: None, dims: strides, offset: Ix::constant(0) };
    let index = storage.index(&Point { time: Ix::constant(0), batch: Ix::constant(0), dims: at });
    index.terms().iter().any(|(atom, _)| !matches!(atom, snn_loops::Atom::Var(_)))
}

/// Length of the longest chain of kept nodes that each node waits for.
fn depths(region: &Region<'_>, kept: &[bool]) -> Vec<usize> {
    let mut depth = vec![0usize; region.graph.len()];
    for id in region.graph.ids().filter(|id| region.needed[id.index()]) {
        let node = region.graph.node(id);
        let waits = node.inputs.iter().map(|input| depth[input.index()]).max().unwrap_or(0);
        let is_part = matches!(node.op, Op::Project(_)) || region.is_replay_only(id);
        let own = kept[id.index()] && !region.is_stored(id) && !is_part;
        depth[id.index()] = waits + usize::from(own);
    }
    postpone(region, kept, &mut depth);
    depth
}

/// Moves what is marked as late to just before its first user.
fn postpone(region: &Region<'_>, kept: &[bool], depth: &mut [usize]) {
    let mut first_use = vec![usize::MAX; region.graph.len()];
    for id in region.graph.ids().rev().filter(|id| region.needed[id.index()]) {
        let (at, node) = (id.index(), region.graph.node(id));
        let has_kernel = kept[at] && !region.is_replay_only(id);
        if has_kernel && node.late && first_use[at] != usize::MAX {
            depth[at] = depth[at].max(first_use[at].saturating_sub(1));
        }
        let used = if has_kernel { depth[at] } else { first_use[at] };
        for input in &node.inputs {
            first_use[input.index()] = first_use[input.index()].min(used);
        }
    }
}

/// The kept nodes that a node's kernel reads.
fn leaves(region: &Region<'_>, kept: &[bool], id: NodeId) -> BTreeSet<NodeId> {
    let mut leaves = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut open = region.graph.node(id).inputs.clone();
    while let Some(input) = open.pop() {
        if !seen.insert(input) {
            continue;
        }
        if kept[input.index()] {
            leaves.insert(input);
        } else {
            open.extend_from_slice(&region.graph.node(input).inputs);
        }
    }
    leaves
}
