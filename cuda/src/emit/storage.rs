//! Which values lie in memory in 16 bits.
//!
//! What contractions of activations write and read: convolution results, and the gradients that flow back into them. They
//! are most of a training step's memory and traffic; sums, states, weights and everything that the host sees stay as they
//! are. Must never know text.

use snn_loops::{ContractionKind, Kernel, Program, Role};

use super::Storage;
use crate::target::Precision;

/// How each buffer of a program lies in memory.
pub(super) fn of(program: &Program, precision: Precision) -> Vec<Storage> {
    let plain = |packed: bool| if packed { Storage::Bits } else { Storage::Float };
    let mut storage: Vec<Storage> = program.buffers.iter().map(|buffer| plain(buffer.packed)).collect();
    let narrow = match (precision, program.dtype) {
        (Precision::Bf16, snn_loops::Dtype::F32) => Storage::Bf16,
        (Precision::F16, snn_loops::Dtype::F32) => Storage::F16,
        _ => return storage,
    };
    for kernel in &program.kernels {
        let Kernel::Contraction(contraction) = kernel else { continue };
        let activations = match contraction.kind {
            ContractionKind::Forward | ContractionKind::InputGradient => [&contraction.a, &contraction.out],
            ContractionKind::WeightGradient => [&contraction.a, &contraction.b],
        };
        for operand in activations {
            let at = operand.buffer.0 as usize;
            let is_ours = program.buffers.get(at).is_some_and(|buffer| buffer.role == Role::Temporary);
            if let Some(entry) = storage.get_mut(at)
                && is_ours
                && *entry == Storage::Float
            {
                *entry = narrow;
            }
        }
    }
    // Other heavy kernels read and write the program's type.
    for kernel in &program.kernels {
        let fixed: Vec<usize> = match kernel {
            Kernel::EventSweep(sweep) => {
                let operands = sweep.reads().into_iter().chain(sweep.writes());
                operands.map(|(operand, _)| operand.buffer.0 as usize).collect()
            }
            Kernel::Draw(draw) => vec![draw.out.buffer.0 as usize],
            Kernel::Contraction(contraction) if contraction.kind == ContractionKind::WeightGradient => {
                vec![contraction.out.buffer.0 as usize]
            }
            Kernel::Contraction(contraction) => vec![contraction.b.buffer.0 as usize],
            Kernel::Nest(_) => Vec::new(),
        };
        for at in fixed {
            if let Some(entry) = storage.get_mut(at)
                && *entry != Storage::Bits
            {
                *entry = Storage::Float;
            }
        }
    }
    storage
}
