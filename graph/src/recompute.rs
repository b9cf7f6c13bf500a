//! A training step in less memory: values that the backward pass needs are computed a second time there instead of
//! being kept.
//!
//! Candidates are what the forward pass computes in a kernel of its own from things that are there anyway: outputs of
//! linear maps and convolutions (their inputs are kept for the weights' gradients), sums over windows, random draws. A
//! value that is chosen is cloned for the backward pass, together with what is computed from it element by element,
//! and the clone is marked as late, so that its kernel runs just before it is read. The kernels are the same, so the
//! results are, to the bit. States of time loops that the backward pass computes again come from the clones as well.
//!
//! Values are chosen by bytes saved for each operation, as many as it takes; the plan of the lowered program says what
//! that is, never an estimate. This comes last: a pass that merges equal nodes would undo it.

mod rewrite;

use std::collections::BTreeSet;
use std::fmt;

use snn_loops::plan::plan;
use snn_loops::{ContractionKind, Role};

use crate::graph::{Graph, NodeId};
use crate::lower::{LowerError, LowerOptions, lower};
use crate::op::{Op, ShapeError};
use crate::training::TrainStep;

/// Alignment of buffers in the plan.
const ALIGNMENT: usize = 64;

/// A step that fits.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The step.
    pub step: TrainStep,
    /// Bytes that its program takes, all buffers together.
    pub bytes: usize,
    /// What is computed a second time: names of layers, in the order of the graph.
    pub recomputed: Vec<String>,
}

/// Why a step cannot be made to fit.
#[derive(Clone, Debug, PartialEq)]
pub enum RecomputeError {
    /// It takes at least so many bytes.
    TooMuch {
        /// The least that was found.
        least: usize,
        /// What was allowed.
        limit: usize,
    },
    /// The graph cannot be lowered.
    Lower(LowerError),
    /// The graph cannot be rewritten: a mistake of the compiler.
    Shape(ShapeError),
}

impl fmt::Display for RecomputeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecomputeError::TooMuch { least, limit } => {
                write!(f, "one step takes at least {least} bytes of memory, the limit is {limit}")
            }
            RecomputeError::Lower(error) => write!(f, "{error}"),
            RecomputeError::Shape(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for RecomputeError {}

impl From<ShapeError> for RecomputeError {
    fn from(error: ShapeError) -> Self {
        RecomputeError::Shape(error)
    }
}

/// The step within `limit` bytes, inputs and outputs included.
///
/// # Errors
/// If it does not fit even when everything that can be is computed twice.
pub fn fit(step: &TrainStep, options: LowerOptions, limit: usize) -> Result<Fitted, RecomputeError> {
    let mut least = bytes(step, options)?;
    if least <= limit {
        return Ok(Fitted { step: step.clone(), bytes: least, recomputed: Vec::new() });
    }
    let mut chosen = BTreeSet::new();
    for candidate in candidates(step, options) {
        chosen.insert(candidate);
        let needed = bytes(&rewrite::recomputing(step, &chosen)?, options)?;
        least = least.min(needed);
        if needed <= limit {
            return leanest(step, options, limit, chosen);
        }
    }
    Err(RecomputeError::TooMuch { least, limit })
}

/// Without those that it fits without, the dearest first.
fn leanest(
    step: &TrainStep,
    options: LowerOptions,
    limit: usize,
    mut chosen: BTreeSet<NodeId>,
) -> Result<Fitted, RecomputeError> {
    let mut by_cost: Vec<NodeId> = chosen.iter().copied().collect();
    by_cost.sort_by_key(|id| std::cmp::Reverse(cost(&step.graph, *id, options)));
    for id in by_cost {
        chosen.remove(&id);
        if bytes(&rewrite::recomputing(step, &chosen)?, options)? > limit {
            chosen.insert(id);
        }
    }
    let fitted = rewrite::recomputing(step, &chosen)?;
    let bytes = bytes(&fitted, options)?;
    let recomputed = chosen.iter().map(|id| label(&step.graph, *id)).collect();
    Ok(Fitted { step: fitted, bytes, recomputed })
}

/// Bytes of all buffers of the program that a step becomes. A machine may let a result share the memory of the input that
/// it replaces; that is the machine's to know, so both are counted here, and the step may take less.
pub fn bytes(step: &TrainStep, options: LowerOptions) -> Result<usize, RecomputeError> {
    let program = lower(&step.graph, &step.outputs, options).map_err(RecomputeError::Lower)?.program;
    let outside = program.buffers.iter().filter(|buffer| !matches!(buffer.role, Role::Temporary | Role::Scratch));
    let sizes = outside.map(|buffer| buffer.bytes(options.dtype));
    Ok(sizes.fold(plan(&program, ALIGNMENT).arena_bytes, usize::saturating_add))
}

/// What can be computed twice and is read by the backward pass, most bytes for each operation first.
fn candidates(step: &TrainStep, options: LowerOptions) -> Vec<NodeId> {
    let graph = &step.graph;
    let roots: BTreeSet<NodeId> = step.outputs.iter().map(|(_, id)| *id).collect();
    let mut found: Vec<(f64, NodeId)> = Vec::new();
    for id in graph.ids() {
        let node = graph.node(id);
        let is_candidate = match &node.op {
            Op::Contract(contract) => contract.kind == ContractionKind::Forward,
            Op::Reduce(reduce) => !reduce.axes.time && !reduce.axes.batch,
            Op::Random(_) => true,
            _ => false,
        };
        let varies = node.ty.time || node.ty.batch;
        if is_candidate && varies && !node.grad && !roots.contains(&id) && rewrite::is_read_backward(step, id) {
            let size = len(graph, id, options) * options.dtype.size();
            found.push((size as f64 / cost(graph, id, options).max(1) as f64, id));
        }
    }
    found.sort_by(|(a, first), (b, second)| b.total_cmp(a).then(first.cmp(second)));
    found.into_iter().map(|(_, id)| id).collect()
}

fn len(graph: &Graph, id: NodeId, options: LowerOptions) -> usize {
    graph.ty(id).extents(graph.steps, options.batch).iter().fold(1, |len, extent| len.saturating_mul(*extent))
}

/// Operations that computing a candidate takes, roughly.
fn cost(graph: &Graph, id: NodeId, options: LowerOptions) -> usize {
    /// Of a random number.
    const DRAW: usize = 32;
    let own = len(graph, id, options);
    match &graph.node(id).op {
        Op::Contract(contract) => own.saturating_mul(contract.shape.weight_len() / contract.shape.cout.max(1)),
        Op::Random(_) => own.saturating_mul(DRAW),
        _ => graph.node(id).inputs.iter().map(|input| len(graph, *input, options)).max().unwrap_or(own),
    }
}

fn label(graph: &Graph, id: NodeId) -> String {
    let node = graph.node(id);
    node.name.as_deref().unwrap_or("a value without name").to_owned()
}
