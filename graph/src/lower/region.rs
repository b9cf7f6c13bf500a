//! A graph while it is being lowered: the whole model, or one step of a loop with tensor ops.

use std::collections::{BTreeMap, BTreeSet};

use snn_loops::{BufferId, ContractionKind, Launch, Program, Role};

use crate::graph::{Graph, NodeId};
use crate::lower::partition::{self, Group};
use crate::lower::storage::{Layout, Storage, is_packable, padded};
use crate::lower::{Computed, LowerError, events, heavy, map, reduce, replay, time_loop};
use crate::op::{Lowering, Op, OpRule};
use crate::ty::Ty;

/// What is known about a graph's nodes while kernels are made.
pub(super) struct Region<'g> {
    pub graph: &'g Graph,
    pub batch: usize,
    /// Nodes that the outputs depend on.
    pub needed: Vec<bool>,
    /// Where nodes lie, as far as their kernels were made (or a buffer was assigned in advance).
    storage: Vec<Option<Storage>>,
    assigned: Vec<Option<BufferId>>,
    /// Whether spikes are kept as bits where they can be.
    pub packs: bool,
    /// Nodes whose memory must hold floats.
    unpacked: Vec<bool>,
    /// Whether time loops take sums over what they make along.
    pub sums_along: bool,
    /// States that are computed anew by whoever reads them.
    replayed: Vec<bool>,
    /// Time loops that are run by the readers of their states only.
    silent: Vec<bool>,
    /// What the kernels made so far compute, by position in the program.
    pub computed: BTreeMap<usize, Vec<Computed>>,
}

/// Nodes that a heavy kernel, also one inside of a time loop, takes as floats only.
fn dense_operands(graph: &Graph) -> Vec<NodeId> {
    let mut dense = Vec::new();
    for id in graph.ids() {
        let inputs = &graph.node(id).inputs;
        match graph.node(id).op.lower() {
            Lowering::Contract(contract) if contract.kind == ContractionKind::InputGradient => {
                dense.extend_from_slice(inputs);
            }
            Lowering::SpikeTimes(_) | Lowering::SpikeTimesGradient(_) => dense.extend_from_slice(inputs),
            Lowering::Contract(..) => dense.extend(inputs.iter().skip(1)),
            Lowering::Scan(scan) => {
                let body = &*scan.body;
                let inner = dense_operands(&body.graph);
                let operands = body.states.iter().chain(&body.xs).chain(&body.consts);
                dense.extend(operands.zip(inputs).filter(|(own, _)| inner.contains(own)).map(|(_, outer)| *outer));
            }
            _ => {}
        }
    }
    dense
}

/// Nodes that a heavy kernel can take as bits.
fn spike_operands(graph: &Graph) -> BTreeSet<NodeId> {
    let is_sparse = |id: &NodeId| {
        let lowering = graph.node(*id).op.lower();
        matches!(lowering, Lowering::Contract(contract) if contract.kind != ContractionKind::InputGradient)
    };
    graph.ids().filter(is_sparse).filter_map(|id| graph.node(id).inputs.first().copied()).collect()
}

impl<'g> Region<'g> {
    pub fn new(graph: &'g Graph, batch: usize, needed: Vec<bool>) -> Region<'g> {
        let storage = vec![None; graph.len()];
        Region {
            graph,
            batch,
            needed,
            storage,
            assigned: vec![None; graph.len()],
            packs: false,
            unpacked: vec![true; graph.len()],
            sums_along: true,
            replayed: vec![false; graph.len()],
            silent: vec![false; graph.len()],
            computed: BTreeMap::new(),
        }
    }

    /// Decides which states of time loops are not kept; after outputs were assigned.
    pub fn forget_states(&mut self) {
        self.replayed = replay::replayed(self.graph, &self.needed, &|id| self.is_assigned(id) || self.is_stored(id));
        self.silent = replay::silent(self.graph, &self.needed, &self.replayed);
    }

    /// Whether a node is computed anew by whoever reads it.
    pub fn is_replayed(&self, id: NodeId) -> bool {
        self.replayed.get(id.index()).copied().unwrap_or(false)
    }

    /// Whether a node has no kernel of its own, because it is computed inside of those that read it: a replayed state, or
    /// a time loop of which nothing else is read.
    pub fn is_replay_only(&self, id: NodeId) -> bool {
        self.is_replayed(id) || self.silent.get(id.index()).copied().unwrap_or(false)
    }

    /// The same, with spikes kept as bits wherever their reader can take them so.
    pub fn with_packed_spikes(mut self) -> Region<'g> {
        for id in self.graph.ids() {
            // What a heavy kernel or a reduction makes is written as floats.
            let is_generated = matches!(
                self.graph.node(id).op.lower(),
                Lowering::Point(_) | Lowering::Window(_) | Lowering::Project(_)
            );
            self.unpacked[id.index()] = !is_generated || !is_packable(self.graph.ty(id));
        }
        for id in dense_operands(self.graph) {
            self.unpacked[id.index()] = true;
        }
        self.packs = true;
        self
    }

    /// Inputs of spikes that a heavy kernel takes as bits, and none as floats only.
    pub fn packable_inputs(&self) -> Vec<NodeId> {
        if !self.packs {
            return Vec::new();
        }
        let (sparse, dense) = (spike_operands(self.graph), dense_operands(self.graph));
        let is_packable = |id: &NodeId| {
            self.needed[id.index()]
                && matches!(self.graph.node(*id).op, Op::InputOp(_))
                && is_packable(self.graph.ty(*id))
                && sparse.contains(id)
                && !dense.contains(id)
        };
        self.graph.ids().filter(is_packable).collect()
    }

    /// Elements of a value of that type.
    pub fn len(&self, ty: &Ty) -> usize {
        ty.extents(self.graph.steps, self.batch).iter().product()
    }

    pub fn store(&mut self, id: NodeId, buffer: BufferId, ty: &Ty) {
        self.storage[id.index()] = Some(Storage::new(buffer, ty, self.batch));
    }

    pub fn store_at(&mut self, id: NodeId, storage: Storage) {
        self.storage[id.index()] = Some(storage);
    }

    pub fn is_stored(&self, id: NodeId) -> bool {
        self.storage[id.index()].is_some()
    }

    pub fn storage(&self, id: NodeId) -> Option<&Storage> {
        self.storage[id.index()].as_ref()
    }

    /// Decides in advance which buffer a node's kernel writes; false if it has one already.
    pub fn assign(&mut self, id: NodeId, buffer: BufferId) -> bool {
        let free = self.assigned[id.index()].is_none();
        if free {
            self.assigned[id.index()] = Some(buffer);
        }
        free
    }

    pub fn is_assigned(&self, id: NodeId) -> bool {
        self.assigned[id.index()].is_some()
    }

    /// The buffer a node's kernel writes, made if need be; the node counts as stored from now on.
    pub fn materialize(&mut self, program: &mut Program, id: NodeId) -> Storage {
        if let Some(storage) = &self.storage[id.index()] {
            return storage.clone();
        }
        let ty = self.graph.ty(id).clone();
        let storage = match self.assigned[id.index()] {
            Some(buffer) => Storage::new(buffer, &ty, self.batch),
            None if self.unpacked[id.index()] => {
                let buffer = program.add_buffer(self.label(id), self.len(&ty), Role::Temporary);
                Storage::new(buffer, &ty, self.batch)
            }
            None => {
                let len = self.len(&Ty { dims: padded(&ty.dims), ..ty.clone() });
                Storage::packed(program.add_packed_buffer(self.label(id), len), &ty, self.batch)
            }
        };
        self.storage[id.index()] = Some(storage.clone());
        storage
    }

    /// What a node is called in kernels and buffers.
    pub fn label(&self, id: NodeId) -> String {
        let node = self.graph.node(id);
        let mark = if node.grad { "grad " } else { "" };
        match &node.name {
            Some(name) => format!("{mark}{name}.{}", node.op.name()),
            None => format!("{mark}{}", node.op.name()),
        }
    }
}

/// Makes the kernels of a region, in launch order.
pub(super) fn lower_region(region: &mut Region<'_>, program: &mut Program) -> Result<Vec<Launch>, LowerError> {
    constants(region, program);
    let mut launches = Vec::new();
    for group in partition::groups(region)? {
        let (first, nodes) = (program.kernels.len(), group.nodes().to_vec());
        match group {
            Group::Map(nodes) => launches.push(map::lower_map(region, program, &nodes)?),
            Group::Reduce(nodes) => launches.extend(reduce::lower_reduce(region, program, &nodes)?),
            Group::Loop(nodes) => {
                let Some((id, sums)) = nodes.split_first() else { continue };
                let Lowering::Scan(scan) = region.graph.node(*id).op.lower() else { continue };
                launches.extend(time_loop::lower_scan(region, program, *id, scan, sums)?);
            }
            Group::Single(id) => match region.graph.node(id).op.lower() {
                Lowering::Contract(contract) => launches.push(heavy::contraction(region, program, id, contract)?),
                Lowering::Draw(distribution, stream) => {
                    launches.push(heavy::draw(region, program, id, distribution, stream))
                }
                Lowering::SpikeTimes(op) => launches.push(events::forward(region, program, id, op)?),
                Lowering::SpikeTimesGradient(op) => launches.push(events::adjoint(region, program, id, op)?),
                Lowering::Unlowered(pass) => {
                    let name = region.label(id);
                    return Err(LowerError::new(format!("{name} reached lowering; the pass `{pass}` replaces it")));
                }
                Lowering::Stored
                | Lowering::Point(_)
                | Lowering::Window(_)
                | Lowering::Reduce(_)
                | Lowering::Scan(_)
                | Lowering::Project(_) => {}
            },
        }
        let computed = computed(region, &nodes);
        for kernel in first..program.kernels.len() {
            region.computed.entry(kernel).or_insert_with(|| computed.clone());
        }
    }
    Ok(launches)
}

/// The nodes of a group, and behind them what is computed on the way to them.
fn computed(region: &Region<'_>, nodes: &[NodeId]) -> Vec<Computed> {
    let graph = region.graph;
    let mut all = nodes.to_vec();
    let mut seen: BTreeSet<NodeId> = nodes.iter().copied().collect();
    let mut at = 0;
    while let Some(id) = all.get(at).copied() {
        let inlined = graph.node(id).inputs.iter().filter(|input| !region.is_stored(**input));
        all.extend(inlined.copied().filter(|input| seen.insert(*input)));
        at += 1;
    }
    let describe = |(at, id): (usize, NodeId)| {
        let node = graph.node(id);
        Computed {
            name: node.name.as_deref().map(str::to_owned),
            origin: node.origin,
            grad: node.grad,
            reads: node.inputs.first().map(|input| graph.ty(*input).kind),
            stored: at < nodes.len(),
        }
    };
    all.into_iter().enumerate().map(describe).collect()
}

/// Constant tensors become constant buffers; numbers are written into the kernels.
pub(super) fn constants(region: &mut Region<'_>, program: &mut Program) {
    for id in region.graph.ids() {
        if !region.needed[id.index()] || region.is_stored(id) {
            continue;
        }
        let Op::Constant(constant) = &region.graph.node(id).op else { continue };
        if constant.as_scalar().is_some() {
            continue;
        }
        let ty = region.graph.ty(id).clone();
        let layout = Layout::of(&ty);
        let mut values = vec![0.0; constant.values.len()];
        let sample = ty.elements().max(1);
        for (from, to) in constant.values.chunks(sample).zip(values.chunks_mut(sample)) {
            crate::lower::storage::rearrange(layout, &ty.dims, from, to, true);
        }
        let buffer = program.add_buffer("constant", values.len(), Role::Constant(values));
        region.store(id, buffer, &ty);
    }
}
