//! A graph while it is being lowered: the whole model, or one step of a loop with tensor ops.

use std::collections::{BTreeMap, BTreeSet};

use snn_loops::{BufferId, Launch, Program, Role};

use crate::graph::{Graph, NodeId};
use crate::lower::partition::{self, Group};
use crate::lower::storage::{Layout, Storage};
use crate::lower::{Computed, LowerError, heavy, map, reduce, time_loop};
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
    /// What the kernels made so far compute, by position in the program.
    pub computed: BTreeMap<usize, Vec<Computed>>,
}

impl<'g> Region<'g> {
    pub fn new(graph: &'g Graph, batch: usize, needed: Vec<bool>) -> Region<'g> {
        let (storage, assigned) = (vec![None; graph.len()], vec![None; graph.len()]);
        Region { graph, batch, needed, storage, assigned, computed: BTreeMap::new() }
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
        let buffer = match self.assigned[id.index()] {
            Some(buffer) => buffer,
            None => program.add_buffer(self.label(id), self.len(&ty), Role::Temporary),
        };
        let storage = Storage::new(buffer, &ty, self.batch);
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
            Group::Single(id) => match region.graph.node(id).op.lower() {
                Lowering::Contract(shape, kind) => launches.push(heavy::contraction(region, program, id, shape, kind)?),
                Lowering::Draw(distribution, stream) => {
                    launches.push(heavy::draw(region, program, id, distribution, stream))
                }
                Lowering::Scan(scan) => launches.extend(time_loop::lower_scan(region, program, id, scan)?),
                Lowering::Unlowered(pass) => {
                    let name = region.label(id);
                    return Err(LowerError::new(format!("{name} reached lowering; the pass `{pass}` replaces it")));
                }
                Lowering::Stored
                | Lowering::Point(_)
                | Lowering::Window(_)
                | Lowering::Reduce(_)
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
