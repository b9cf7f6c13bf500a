//! Kernels of element-wise nodes.

use snn_loops::{Access, BufferId, Ix, Kernel, Launch, Program};

use crate::graph::NodeId;
use crate::lower::LowerError;
use crate::lower::emit::Emission;
use crate::lower::region::Region;
use crate::lower::space::{self, Axis};
use crate::lower::storage::{Storage, padded};
use crate::op::{Op, Point};
use crate::ops::Planes;
use crate::ty::Ty;

/// One kernel that computes element-wise nodes of the same shape.
pub(super) fn lower_map(
    region: &mut Region<'_>,
    program: &mut Program,
    nodes: &[NodeId],
) -> Result<Launch, LowerError> {
    let targets: Vec<(NodeId, Storage)> = nodes.iter().map(|id| (*id, region.materialize(program, *id))).collect();
    emit(region, program, &targets, true)
}

/// Kernels that turn spikes from outside, which come as floats, into bits where a heavy kernel adds up what they select.
/// From then on everything reads the bits.
pub(super) fn pack_inputs(region: &mut Region<'_>, program: &mut Program) -> Result<Vec<Launch>, LowerError> {
    let mut launches = Vec::new();
    for id in region.packable_inputs() {
        let ty = region.graph.ty(id).clone();
        let len = region.len(&Ty { dims: padded(&ty.dims), ..ty.clone() });
        let bits = Storage::packed(program.add_packed_buffer(region.label(id), len), &ty, region.batch);
        launches.push(copy_to(region, program, id, bits.clone())?);
        region.store_at(id, bits);
    }
    Ok(launches)
}

/// A kernel that copies a node's value into another buffer.
pub(super) fn copy(
    region: &Region<'_>,
    program: &mut Program,
    id: NodeId,
    buffer: BufferId,
) -> Result<Launch, LowerError> {
    let storage = Storage::new(buffer, region.graph.ty(id), region.batch);
    copy_to(region, program, id, storage)
}

/// A kernel that copies a node's value to a place.
pub(super) fn copy_to(
    region: &Region<'_>,
    program: &mut Program,
    id: NodeId,
    storage: Storage,
) -> Result<Launch, LowerError> {
    emit(region, program, &[(id, storage)], false)
}

/// The loops of a kernel, and the points of its results that one iteration computes: one, but for planes of numbers all
/// planes, because they share the number.
fn points(emission: &mut Emission<'_, '_>, region: &Region<'_>, first: NodeId) -> (Vec<Axis>, Vec<Point>) {
    let ty = region.graph.ty(first);
    let Op::Planes(Planes { planes, .. }) = region.graph.node(first).op else {
        let (axes, point) = space::all_axes(emission, region.graph, ty, region.batch);
        return (axes, vec![point]);
    };
    let mut whole = ty.clone();
    whole.dims.pop();
    let (axes, point) = space::all_axes(emission, region.graph, &whole, region.batch);
    let plane = |plane: usize| {
        let mut point = point.clone();
        point.dims.push(Ix::constant(plane as i64));
        point
    };
    (axes, (0..planes).map(plane).collect())
}

fn emit(
    region: &Region<'_>,
    program: &mut Program,
    targets: &[(NodeId, Storage)],
    anew: bool,
) -> Result<Launch, LowerError> {
    let first = targets.first().map_or(NodeId(0), |(id, _)| *id);
    let mut emission = Emission::new(region, program.dtype, region.label(first));
    let (axes, points) = points(&mut emission, region, first);
    for (id, storage) in targets {
        for point in &points {
            let val = if anew { emission.compute(*id, point) } else { emission.value(*id, point) };
            let val = emission.as_float(region.graph.ty(*id).kind, val);
            emission.builder.store(Access::new(storage.buffer, storage.index(point)), val);
        }
    }
    let (mut nest, _) = emission.finish()?;
    let mut body = std::mem::take(&mut nest.body);
    let axes = space::collapse(&mut body, axes);
    nest.body = space::parallel_loops(&mut nest, body, axes);
    Ok(Launch::Run(program.add_kernel(Kernel::Nest(nest))))
}
