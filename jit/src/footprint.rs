//! How much memory a program will take, before any of it is taken.
//!
//! Must never know how kernels work; what heavy ones need beside their buffers is a bound from their shapes.

use snn_loops::{BufferId, Contraction, ContractionKind, Kernel, Program, Role};

use crate::error::JitError;
use crate::layout::Layout;

/// Parts that the gradient of a weight is computed in, as far as its columns do not make as many.
const PARTS: usize = 16;
/// Columns of such a part.
const COLUMNS: usize = 384;

/// Bytes that a program takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// What temporary buffers share.
    pub arena: usize,
    /// What each buffer takes of its own; 0 for temporary ones and for outputs that share an input's memory.
    pub of_buffers: Vec<usize>,
    /// Constants.
    pub constants: usize,
    /// What the hungriest kernel needs beside its buffers.
    pub scratch: usize,
}

impl Footprint {
    /// Of a program that an instance would be made of, with the outputs that replace inputs after every run.
    ///
    /// # Errors
    /// If the sizes cannot be counted.
    pub fn of(program: &Program, pairs: &[(BufferId, BufferId)]) -> Result<Footprint, JitError> {
        let layout = Layout::of(program)?.sharing(program, pairs);
        let mut footprint = Footprint { arena: layout.blocks.first().copied().unwrap_or(0), ..Footprint::default() };
        let mut counted = vec![false; layout.blocks.len()];
        for (buffer, place) in program.buffers.iter().zip(&layout.places) {
            let is_new = counted.get_mut(place.block).is_some_and(|counted| !std::mem::replace(counted, true));
            let bytes = layout.blocks.get(place.block).copied().filter(|_| is_new).unwrap_or(0);
            footprint.of_buffers.push(if matches!(buffer.role, Role::Temporary | Role::Scratch) { 0 } else { bytes });
            if matches!(buffer.role, Role::Constant(_)) {
                footprint.constants += bytes;
            }
        }
        footprint.scratch =
            program.kernels.iter().map(|kernel| scratch(kernel, program.dtype.size())).max().unwrap_or(0);
        Ok(footprint)
    }
}

/// Weights are packed once where windows are gathered; their gradient is summed in parts, of which there are the more the
/// smaller it is. Neither is done for gradients of linear maps.
fn scratch(kernel: &Kernel, size: usize) -> usize {
    let Kernel::Contraction(Contraction { kind, shape, .. }) = kernel else { return 0 };
    let weights = shape.weight_len().saturating_mul(size);
    let window = shape.weight_len() / shape.cout.max(1);
    match kind {
        ContractionKind::Forward => weights,
        ContractionKind::InputGradient | ContractionKind::WeightGradient if shape.kernel == [1, 1] => 0,
        ContractionKind::InputGradient => weights,
        ContractionKind::WeightGradient => weights.saturating_mul(PARTS.div_ceil(window.div_ceil(COLUMNS).max(1))),
    }
}
