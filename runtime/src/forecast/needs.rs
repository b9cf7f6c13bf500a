//! What a program takes of the memory of its machine, the same for every machine.
//!
//! Must never know models.

use snn_loops::{BufferId, Program, Role};

use crate::device::{self, CpuFootprint, Device, footprint};
use crate::error::Result;

/// The most that a thread takes for right operands of matrix products; less where matrices are smaller.
const PACKED: usize = 3 << 19;
/// The largest piece of freed scratch memory that is commonly there once more for a second thread, as it is not given back.
const HOARDED: usize = 32 << 20;

/// Bytes that a program takes.
pub(super) struct Needs {
    /// What temporary buffers share.
    pub arena: usize,
    /// What each buffer takes of its own; 0 for temporary ones and for outputs that share an input's memory.
    pub of_buffers: Vec<usize>,
    /// What each buffer takes, wherever it lies.
    pub sizes: Vec<usize>,
    pub constants: usize,
    /// Copies of weights that never change, as kernels read them.
    pub copies: usize,
    /// What kernels need beside their buffers.
    pub scratch: usize,
    /// The most of the host's memory that is pinned for what is sent.
    pub pinned: usize,
}

impl Needs {
    /// Of a program on a machine, with the outputs that replace inputs after every run.
    pub fn of(program: &Program, device: Device, replaced: &[(BufferId, BufferId)]) -> Result<Needs> {
        Ok(match footprint(program, device, replaced)? {
            device::Footprint::Cpu(needs) => Needs {
                arena: needs.arena,
                scratch: scratch(&needs, device.threads()),
                constants: needs.constants + constants_of(program),
                copies: needs.copies,
                of_buffers: needs.of_buffers,
                sizes: program.buffers.iter().map(|buffer| buffer.bytes(program.dtype)).collect(),
                pinned: 0,
            },
            device::Footprint::Cuda(needs) => Needs {
                arena: needs.arena,
                scratch: needs.workspace + needs.run,
                constants: needs.constants,
                copies: needs.prepared,
                of_buffers: needs.of_buffers,
                sizes: needs.sizes,
                pinned: needs.pinned,
            },
        })
    }

    /// What a buffer takes.
    pub fn size(&self, buffer: BufferId) -> usize {
        self.sizes.get(buffer.0 as usize).copied().unwrap_or(0)
    }
}

/// What kernels keep; and of those that give back, what the hungriest takes, what is left of it on another thread, and what
/// all threads keep. Of sweeps over events half as much again as their small pieces take lies where another thread does not
/// find it (measured); where samples come in turns the next find what others left.
fn scratch(needs: &CpuFootprint, threads: usize) -> usize {
    let passing = needs.passing;
    let left = if threads > 1 && passing <= HOARDED { passing } else { 0 };
    let kept = needs.kept.saturating_add(threads.saturating_mul(needs.kept_by_thread));
    let contractions = kept.saturating_add(passing + left + threads * passing.min(PACKED));
    let (sums, pieces) = (needs.sweep.sums, needs.sweep.all_pieces(threads));
    let scattered = if threads > 1 && needs.sweep.abreast == 1 { pieces / 2 } else { 0 };
    contractions.max(sums.saturating_add(pieces).saturating_add(scattered))
}

/// Programs keep their constants in double precision: one copy to compile, one to run, one to ask.
fn constants_of(program: &Program) -> usize {
    let copies = 3 * size_of::<f64>();
    let elements = program.buffers.iter().filter(|buffer| matches!(buffer.role, Role::Constant(_)));
    elements.map(|buffer| buffer.len * copies).sum()
}
