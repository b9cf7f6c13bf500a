//! The pass `scan_prune`: drops what a time loop carries, reads or yields for nobody, and what it reads or yields
//! twice.
//!
//! A state is needed if its final value or its values over time are used, or if something needed is computed from it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::graph::{Graph, NodeId};
use crate::op::{Op, ShapeError};
use crate::ops::scan::Body;
use crate::ops::{Project, Scan};
use crate::passes::rewrite::{Rewritten, body_roots, copy, copy_as, remap_body, rewrite};

/// Results of scans by (scan, number) and the number they have from now on.
type Renumbered = BTreeMap<(NodeId, usize), usize>;

/// The graph with smaller scans.
pub fn graph(old: &Graph, roots: &[NodeId]) -> Result<Rewritten, ShapeError> {
    let used = used_results(old, roots);
    let mut renumbered = Renumbered::new();
    rewrite(old, roots, &mut |new, id, inputs| {
        let node = old.node(id);
        match (&node.op, node.inputs.first()) {
            (Op::Scan(scan), _) => {
                let live = Live::of(scan, |result| used.contains(&(id, result)));
                let (op, kept) = prune(scan, &live, inputs, |from, to| {
                    renumbered.insert((id, from), to);
                })?;
                copy_as(new, node, op.into(), &kept)
            }
            (Op::Project(project), Some(scan)) if matches!(old.node(*scan).op, Op::Scan(_)) => {
                let index = renumbered.get(&(*scan, project.index)).copied();
                let index = index.ok_or_else(|| ShapeError::new("a result of a scan was dropped but is in use"))?;
                copy_as(new, node, Project { index }.into(), inputs)
            }
            _ => copy(new, node, inputs),
        }
    })
}

fn used_results(graph: &Graph, roots: &[NodeId]) -> BTreeSet<(NodeId, usize)> {
    let needed = graph.reachable(roots);
    let nodes = graph.ids().filter(|id| needed[id.index()]).map(|id| graph.node(id));
    nodes
        .filter_map(|node| match (&node.op, node.inputs.first()) {
            (Op::Project(project), Some(scan)) => Some((*scan, project.index)),
            _ => None,
        })
        .collect()
}

/// What of a scan is needed.
struct Live {
    states: Vec<bool>,
    ys: Vec<bool>,
    /// Of the body's nodes.
    nodes: Vec<bool>,
}

impl Live {
    fn of(scan: &Scan, is_used: impl Fn(usize) -> bool) -> Live {
        let body = &*scan.body;
        let ys: Vec<bool> = (0..body.ys.len()).map(&is_used).collect();
        let count = body.states.len();
        let mut states: Vec<bool> =
            (0..count).map(|i| is_used(scan.final_state(i)) || is_used(scan.states_before(i))).collect();
        loop {
            let next = body.next.iter().zip(&states).filter(|(_, live)| **live).map(|(id, _)| *id);
            let results = body.ys.iter().zip(&ys).filter(|(_, live)| **live).map(|(id, _)| *id);
            let nodes = body.graph.reachable(&next.chain(results).collect::<Vec<_>>());
            let before = states.clone();
            for (live, state) in states.iter_mut().zip(&body.states) {
                *live |= nodes[state.index()];
            }
            if states == before {
                return Live { states, ys, nodes };
            }
        }
    }
}

/// A scan without what is not needed, its operands, and for each result that is left its old and new number.
fn prune(
    scan: &Scan,
    live: &Live,
    inputs: &[NodeId],
    mut renumber: impl FnMut(usize, usize),
) -> Result<(Scan, Vec<NodeId>), ShapeError> {
    let body = &*scan.body;
    let kept = |ids: &[NodeId], live: &[bool]| -> Vec<NodeId> {
        ids.iter().zip(live).filter(|(_, live)| **live).map(|(id, _)| *id).collect()
    };
    let (inits, operands) = inputs.split_at(body.states.len());
    let (outer_xs, outer_consts) = operands.split_at(body.xs.len());
    let mut same = BTreeMap::new();
    let (xs, kept_xs) = distinct(&body.xs, outer_xs, &live.nodes, &mut same);
    let (consts, kept_consts) = distinct(&body.consts, outer_consts, &live.nodes, &mut same);
    let mut ys: Vec<NodeId> = Vec::new();
    for (index, (y, _)) in body.ys.iter().zip(&live.ys).enumerate().filter(|(_, (_, live))| **live) {
        let place = ys.iter().position(|before| before == y).unwrap_or(ys.len());
        if place == ys.len() {
            ys.push(*y);
        }
        renumber(index, place);
    }
    let signature = Body {
        graph: Graph::step_body(body.graph.steps),
        states: kept(&body.states, &live.states),
        next: kept(&body.next, &live.states),
        xs,
        consts,
        ys,
    };
    let mut merged = BTreeMap::new();
    let rewritten = rewrite(&body.graph, &body_roots(&signature), &mut |new, id, inputs| {
        let stands_for = same.get(&id).copied().unwrap_or(id);
        if let Some(done) = merged.get(&stands_for) {
            return Ok(*done);
        }
        let fresh = copy(new, body.graph.node(id), inputs)?;
        merged.insert(stands_for, fresh);
        Ok(fresh)
    })?;
    let pruned = Scan { body: Rc::new(remap_body(&signature, rewritten)?), reverse: scan.reverse };
    for (place, index) in (0..body.states.len()).filter(|i| live.states[*i]).enumerate() {
        renumber(scan.final_state(index), pruned.final_state(place));
        renumber(scan.states_before(index), pruned.states_before(place));
    }
    let operands = kept(inits, &live.states).into_iter().chain(kept_xs).chain(kept_consts).collect();
    Ok((pruned, operands))
}

/// The live inputs of a body that read different operands, and those operands. For the others, `same` says which input
/// reads the same.
fn distinct(
    inner: &[NodeId],
    outer: &[NodeId],
    live: &[bool],
    same: &mut BTreeMap<NodeId, NodeId>,
) -> (Vec<NodeId>, Vec<NodeId>) {
    let (mut kept, mut operands): (Vec<NodeId>, Vec<NodeId>) = (Vec::new(), Vec::new());
    for (own, operand) in inner.iter().zip(outer).filter(|(own, _)| live[own.index()]) {
        match operands.iter().position(|before| before == operand) {
            Some(first) => {
                same.insert(*own, kept[first]);
            }
            None => {
                kept.push(*own);
                operands.push(*operand);
            }
        }
    }
    (kept, operands)
}
