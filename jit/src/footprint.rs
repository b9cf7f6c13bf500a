//! How much memory a program will take, before any of it is taken.
//!
//! Must never know how kernels work; what heavy ones need beside their buffers is a bound from their shapes.

use snn_loops::{Contraction, ContractionKind, Kernel, Program, Role};

use crate::error::JitError;
use crate::layout::Layout;

/// Parts that the gradient of a weight is computed in, as far as its columns do not make as many.
const PARTS: usize = 16;
/// Columns of such a part.
const COLUMNS: usize = 384;

/// Bytes that a program takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// What temporary buffers share.
    pub arena: usize,
    /// Inputs and outputs.
    pub host: usize,
    /// Constants.
    pub constants: usize,
    /// What the hungriest kernel needs beside its buffers.
    pub scratch: usize,
}

impl Footprint {
    /// Of a program that an instance would be made of.
    ///
    /// # Errors
    /// If the sizes cannot be counted.
    pub fn of(program: &Program) -> Result<Footprint, JitError> {
        let layout = Layout::of(program)?;
        let mut footprint = Footprint::default();
        let bytes = |block: usize| layout.blocks.get(block).copied().unwrap_or(0);
        footprint.arena = bytes(0);
        for (buffer, place) in program.buffers.iter().zip(&layout.places) {
            match buffer.role {
                Role::Input | Role::Output => footprint.host += bytes(place.block),
                Role::Constant(_) => footprint.constants += bytes(place.block),
                Role::Temporary | Role::Scratch => {}
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
