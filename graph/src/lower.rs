//! From a graph to a program of kernels.
//!
//! 1. [`partition`]: which nodes are kept in memory; everything else is recomputed inside whoever uses it.
//! 2. [`partition`]: which of the kept nodes share a kernel: element-wise nodes and reductions over the same space that do
//!    not wait for each other.
//! 3. [`map`], [`reduce`], [`time_loop`], [`heavy`]: one kernel (or launch) for each group, its body emitted by the ops
//!    themselves ([`emit`]), its loops made by [`space`].
//!
//! Before that, where spikes are kept as bits, contractions are made to read counts as bits, too
//! ([`count_planes`](crate::passes::count_planes)).
//!
//! Values lie in memory as `[time][batch][dims...]`; where there is a batch or a time axis the channel axis (axis 0) is
//! moved behind the others ([`storage::Layout`]), because convolutions, per-channel statistics and neurons then all read
//! consecutive channels. Weights keep their own order.
//!
//! The graph must have passed through [`passes`](crate::passes): no training flags, averages or equations are left.

pub mod storage;

mod emit;
mod events;
mod heavy;
mod map;
mod partition;
mod reduce;
mod region;
mod replay;
mod space;
mod sums;
mod time_loop;

use std::fmt;

use snn_loops::{BufferId, Dtype, Program, Role};

use crate::graph::{Graph, NodeId, Origin};
use crate::op::{Op, ShapeError};
use crate::passes::count_planes;
use crate::ty::{Kind, Ty};
use storage::Layout;

/// What must be known to lower a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowerOptions {
    /// Samples in a batch.
    pub batch: usize,
    /// The type everything is computed in.
    pub dtype: Dtype,
    /// Whether spikes are kept as bits in memory; no result depends on it but through the order of sums.
    pub packed: bool,
    /// Whether time loops take sums over what they make along, which saves reading it again; without it they are nothing but
    /// the time loops of their neurons. No result depends on it but through the order of sums.
    pub sums_along: bool,
    /// Whether contractions read small counts as planes of bits, where spikes are bits; no result depends on it but through
    /// the order of sums. Whoever runs programs must know contractions of several planes.
    pub count_planes: bool,
}

impl LowerOptions {
    /// The usual: spikes and counts as bits.
    pub fn new(batch: usize, dtype: Dtype) -> LowerOptions {
        LowerOptions { batch, dtype, packed: true, sums_along: true, count_planes: true }
    }
}

/// A buffer that the host writes or reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// For inputs `input:<name>`, `param:<path>` or `average:<path>`; for outputs the name that was asked for.
    pub name: String,
    /// The buffer.
    pub buffer: BufferId,
    /// The type of the value.
    pub ty: Ty,
    /// How it lies in the buffer.
    pub layout: Layout,
}

/// A node that a kernel computes, as far as reports name it.
#[derive(Clone, Debug, PartialEq)]
pub struct Computed {
    /// The user's name of the layer or value it belongs to, if any.
    pub name: Option<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Whether differentiation made it.
    pub grad: bool,
    /// The kind of numbers that it reads first, if it reads any.
    pub reads: Option<Kind>,
    /// Whether the kernel puts it into memory; what is computed on the way to that is not.
    pub stored: bool,
}

/// A lowered graph.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The program.
    pub program: Program,
    /// What the host supplies.
    pub inputs: Vec<Port>,
    /// What it gets back.
    pub outputs: Vec<Port>,
    /// What each kernel of the program computes, stored nodes first; nothing for kernels that only move values.
    pub computed: Vec<Vec<Computed>>,
}

/// States of time loops that no kernel of the lowered graph stores: the kernels that read them run the loop again. They
/// read what the loop reads.
pub(crate) fn replayed_states(graph: &Graph, roots: &[NodeId]) -> Vec<bool> {
    replay::replayed(graph, &graph.reachable(roots), &|id| roots.contains(&id))
}

impl Lowered {
    /// The input of that name.
    pub fn input(&self, name: &str) -> Option<&Port> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output of that name.
    pub fn output(&self, name: &str) -> Option<&Port> {
        self.outputs.iter().find(|port| port.name == name)
    }
}

/// Why a graph cannot be lowered.
#[derive(Clone, Debug, PartialEq)]
pub struct LowerError {
    /// What is wrong.
    pub message: String,
}

impl LowerError {
    pub(crate) fn new(message: impl Into<String>) -> LowerError {
        LowerError { message: message.into() }
    }
}

impl fmt::Display for LowerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for LowerError {}

/// The most elements a single value may have; more is refused before anything is allocated.
pub const MAX_ELEMENTS: usize = 1 << 36;

/// Lowers what the named outputs need.
pub fn lower(graph: &Graph, outputs: &[(String, NodeId)], options: LowerOptions) -> Result<Lowered, LowerError> {
    if !options.packed || !options.count_planes {
        return lower_as_is(graph, outputs, options);
    }
    let roots: Vec<NodeId> = outputs.iter().map(|(_, id)| *id).collect();
    let explained = |error: ShapeError| LowerError::new(error.message);
    let rewritten = count_planes::graph(graph, &roots).map_err(explained)?;
    let roots = rewritten.nodes(&roots).map_err(explained)?;
    let outputs: Vec<(String, NodeId)> = outputs.iter().map(|(name, _)| name.clone()).zip(roots).collect();
    lower_as_is(&rewritten.graph, &outputs, options)
}

/// Lowers a graph that reads what it is to read.
fn lower_as_is(graph: &Graph, outputs: &[(String, NodeId)], options: LowerOptions) -> Result<Lowered, LowerError> {
    let wanted: Vec<NodeId> = outputs.iter().map(|(_, id)| *id).collect();
    let needed = graph.reachable(&wanted);
    for id in graph.ids().filter(|id| needed[id.index()]) {
        let ty = graph.ty(id);
        let len = ty.extents(graph.steps, options.batch).into_iter().fold(1usize, usize::saturating_mul);
        if len > MAX_ELEMENTS {
            return Err(LowerError::new(format!("a value of shape {:?} would need {len} elements", ty.dims)));
        }
    }
    let mut program = Program::new(options.dtype);
    let mut inputs = Vec::new();
    let mut region = region::Region::new(graph, options.batch, needed);
    region.sums_along = options.sums_along;
    if options.packed {
        region = region.with_packed_spikes();
    }
    for id in graph.ids() {
        if !region.needed[id.index()] {
            continue;
        }
        let name = match &graph.node(id).op {
            Op::InputOp(input) => format!("input:{}", input.name),
            Op::ParamOp(param) => format!("param:{}", param.path),
            Op::AverageOp(average) => format!("average:{}", average.path),
            _ => continue,
        };
        let ty = graph.ty(id).clone();
        let layout = Layout::of(&ty);
        let buffer = match inputs.iter().find(|port: &&Port| port.name == name) {
            Some(port) => port.buffer,
            None => {
                let buffer = program.add_buffer(&name, region.len(&ty), Role::Input);
                inputs.push(Port { name, buffer, ty: ty.clone(), layout });
                buffer
            }
        };
        region.store(id, buffer, &ty);
    }
    region::constants(&mut region, &mut program);
    // An output gets a buffer of its own, into which its kernel writes directly; an input that is also an output, and a
    // node that is an output twice, are copied.
    let mut ports = Vec::new();
    let mut copies = Vec::new();
    for (name, id) in outputs {
        let ty = graph.ty(*id).clone();
        let buffer = program.add_buffer(name, region.len(&ty), Role::Output);
        ports.push(Port { name: name.clone(), buffer, ty: ty.clone(), layout: Layout::of(&ty) });
        if region.is_stored(*id) || !region.assign(*id, buffer) {
            copies.push((*id, buffer));
        }
    }
    region.forget_states();
    let mut launches = map::pack_inputs(&mut region, &mut program)?;
    launches.extend(region::lower_region(&mut region, &mut program)?);
    for (id, buffer) in copies {
        launches.push(map::copy(&region, &mut program, id, buffer)?);
    }
    program.launches = launches;
    let computed = (0..program.kernels.len()).map(|at| region.computed.remove(&at).unwrap_or_default()).collect();
    Ok(Lowered { program, inputs, outputs: ports, computed })
}
