//! How much of a device's memory a program will take, before any of it is taken: from its text alone, without a driver.
//!
//! Must never know what kernels compute.

use snn_loops::{BufferId, Program, Role};

use crate::emit::Emission;
use crate::error::CudaError;
use crate::layout::{ARENA, Block, Layout, PREPARED, WORKSPACE};
use crate::staging;

/// What changes from run to run: seed, run and step, 8 bytes each.
pub(crate) const RUN_BYTES: usize = 24;

/// Bytes that a program takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// What temporary buffers share.
    pub arena: usize,
    /// What kernels have to themselves while they run.
    pub workspace: usize,
    /// Copies of weights that stay from run to run.
    pub prepared: usize,
    /// What each buffer takes of its own; 0 for temporary ones and for outputs that share an input's memory.
    pub of_buffers: Vec<usize>,
    /// What each buffer takes, wherever it lies; 0 where it never leaves registers.
    pub sizes: Vec<usize>,
    /// Constants.
    pub constants: usize,
    /// What changes from run to run.
    pub run: usize,
    /// The most that the host takes of its own, pinned, for what it sends.
    pub pinned: usize,
}

impl Footprint {
    /// Of a program as it was emitted, with the outputs that replace inputs after every run.
    ///
    /// # Errors
    /// If a buffer is larger than any memory.
    pub fn of(program: &Program, emission: &Emission, pairs: &[(BufferId, BufferId)]) -> Result<Footprint, CudaError> {
        let layout = Layout::of(program, emission)?.sharing(program, pairs);
        let own = |block: usize| match layout.blocks.get(block) {
            Some(Block::Own(bytes)) => *bytes,
            Some(Block::Constant(_)) | None => 0,
        };
        let stored = program.buffers.iter().zip(&emission.storage);
        let sizes: Vec<usize> = stored.map(|(buffer, storage)| storage.bytes(buffer, program.dtype)).collect();
        let mut footprint = Footprint {
            arena: own(ARENA),
            workspace: own(WORKSPACE),
            prepared: own(PREPARED),
            run: RUN_BYTES,
            pinned: staging::most_bytes(RUN_BYTES),
            ..Footprint::default()
        };
        let mut counted = vec![false; layout.blocks.len()];
        for ((buffer, place), size) in program.buffers.iter().zip(&layout.places).zip(&sizes) {
            let is_new = counted.get_mut(place.block).is_some_and(|counted| !std::mem::replace(counted, true));
            let is_given = matches!(buffer.role, Role::Input | Role::Output);
            footprint.of_buffers.push(if is_new && is_given { own(place.block) } else { 0 });
            match buffer.role {
                Role::Constant(_) => footprint.constants += size,
                Role::Input => footprint.pinned = footprint.pinned.max(staging::most_bytes(*size)),
                Role::Output | Role::Temporary | Role::Scratch => {}
            }
        }
        footprint.sizes = sizes;
        Ok(footprint)
    }

    /// Bytes of the device's memory, all together.
    pub fn device_bytes(&self) -> usize {
        self.arena + self.workspace + self.prepared + self.constants + self.run + self.of_buffers.iter().sum::<usize>()
    }
}
