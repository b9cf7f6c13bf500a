//! Nodes that are one call of a heavy kernel.

use snn_loops::{Contraction, Distribution, Draw, Kernel, Launch, Operand, Program, WeightValues};

use crate::graph::NodeId;
use crate::lower::LowerError;
use crate::lower::region::Region;
use crate::lower::storage::Storage;
use crate::ops::Contract;

pub(super) fn operand(storage: &Storage) -> Operand {
    Operand { buffer: storage.buffer, offset: storage.offset.clone() }
}

/// A linear map, convolution or gradient of one.
pub(super) fn contraction(
    region: &mut Region<'_>,
    program: &mut Program,
    id: NodeId,
    contract: &Contract,
) -> Result<Launch, LowerError> {
    let inputs = region.graph.node(id).inputs.clone();
    let [a, b] = inputs.as_slice() else { return Err(LowerError::new("a contraction takes two operands")) };
    let activation = region.graph.ty(*a);
    let mut rows = 1;
    if activation.time {
        rows *= region.graph.steps;
    }
    if activation.batch {
        rows *= region.batch;
    }
    if !activation.time && !activation.batch && activation.dims.len() >= 2 {
        return Err(LowerError::new("a convolution's input must change over samples or time"));
    }
    let place = |id: NodeId| {
        region.storage(id).map(operand).ok_or_else(|| LowerError::new(format!("{} is not in memory", region.label(id))))
    };
    let (a, b) = (place(*a)?, place(*b)?);
    let packed = program.is_packed(a.buffer);
    let name = region.label(id);
    let out = operand(&region.materialize(program, id));
    let Contract { kind, shape, planes, .. } = *contract;
    if planes > 1 && !packed {
        return Err(LowerError::new(format!("the planes of {name} are not in bits")));
    }
    // What reads numbers gains nothing from weights that it knows more of.
    let weights = if packed { contract.weights } else { WeightValues::Any };
    let contraction = Contraction { name, kind, shape, rows, packed, planes, weights, a, b, out };
    Ok(Launch::Run(program.add_kernel(Kernel::Contraction(contraction))))
}

/// Random numbers.
pub(super) fn draw(
    region: &mut Region<'_>,
    program: &mut Program,
    id: NodeId,
    distribution: Distribution,
    stream: u64,
) -> Launch {
    let len = region.len(&region.graph.ty(id).clone());
    let name = region.label(id);
    let out = operand(&region.materialize(program, id));
    Launch::Run(program.add_kernel(Kernel::Draw(Draw { name, distribution, stream, len, out })))
}
