//! Where buffers lie: a block of memory for each buffer that the host sees, one for all temporary buffers, one for what
//! kernels have to themselves.
//!
//! Must never know a driver.

use snn_loops::in_place::may_share;
use snn_loops::plan::plan_bytes;
use snn_loops::{Buffer, BufferId, Dtype, Program, Role, WORD};

use crate::emit::{Emission, Storage};
use crate::error::CudaError;

/// Bytes of every address's multiple: kernels copy in units of up to 128 bytes.
const ALIGNMENT: usize = 256;

/// A part of an instance's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    /// Memory of the instance's own.
    Own(usize),
    /// That of a constant, which all instances share.
    Constant(BufferId),
}

/// Where a buffer lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The position of its block.
    pub block: usize,
    /// Its first byte there.
    pub offset: usize,
    /// Its elements.
    pub len: usize,
    /// How they lie.
    pub storage: Storage,
}

/// The memory of a program's instances.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// The first holds temporary buffers, the second is what kernels have to themselves.
    pub blocks: Vec<Block>,
    /// One a buffer.
    pub places: Vec<Place>,
}

/// The block of temporary buffers.
pub(crate) const ARENA: usize = 0;
/// The block that kernels have to themselves.
pub(crate) const WORKSPACE: usize = 1;

impl Layout {
    /// The layout of a program as it was emitted, which has a storage for each buffer.
    pub fn of(program: &Program, emission: &Emission) -> Result<Layout, CudaError> {
        let bytes: Vec<usize> = program
            .buffers
            .iter()
            .zip(&emission.storage)
            .map(|(buffer, storage)| bytes(buffer, *storage, program.dtype))
            .collect();
        if let Some(huge) = bytes.iter().find(|bytes| **bytes > isize::MAX as usize) {
            return Err(CudaError::OutOfMemory { asked: *huge, free: None });
        }
        let plan = plan_bytes(program, ALIGNMENT, &bytes, &emission.kept);
        let mut blocks = vec![Block::Own(plan.arena_bytes), Block::Own(emission.workspace)];
        let mut places = Vec::with_capacity(program.buffers.len());
        let stored = program.buffers.iter().zip(&plan.slots).zip(emission.storage.iter().zip(&bytes));
        for (at, ((buffer, slot), (storage, bytes))) in stored.enumerate() {
            let mut own = |block| {
                blocks.push(block);
                Place { block: blocks.len() - 1, offset: 0, len: buffer.len, storage: *storage }
            };
            places.push(match (&buffer.role, slot) {
                (Role::Input | Role::Output, _) => own(Block::Own(*bytes)),
                (Role::Constant(_), _) => own(Block::Constant(BufferId(at as u32))),
                (Role::Temporary, Some(slot)) => {
                    Place { block: ARENA, offset: slot.offset, len: buffer.len, storage: *storage }
                }
                // Nothing touches it, or it is a kernel's own.
                (Role::Temporary | Role::Scratch, _) => Place { block: ARENA, offset: 0, len: 0, storage: *storage },
            });
        }
        Ok(Layout { blocks, places })
    }

    /// The same with one block for an output and the input that it replaces, for all pairs where that is possible.
    pub fn sharing(&self, program: &Program, pairs: &[(BufferId, BufferId)]) -> Layout {
        let mut layout = self.clone();
        for (output, input) in pairs {
            let place = |id: &BufferId| layout.places.get(id.0 as usize).copied();
            let (Some(new), Some(old)) = (place(output), place(input)) else { continue };
            if !may_share(program, *output, *input) {
                continue;
            }
            if let (Some(block), Some(place)) =
                (layout.blocks.get_mut(new.block), layout.places.get_mut(output.0 as usize))
            {
                (*block, *place) = (Block::Own(0), old);
            }
        }
        layout
    }
}

/// Bytes of a buffer; saturates.
pub(crate) fn bytes(buffer: &Buffer, storage: Storage, dtype: Dtype) -> usize {
    match storage {
        Storage::Float => buffer.len.saturating_mul(dtype.size()),
        Storage::Bf16 | Storage::F16 => buffer.len.saturating_mul(2),
        Storage::Registers => 0,
        Storage::Bits => buffer.len.div_ceil(WORD).saturating_mul(WORD / 8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_take_what_their_storage_says() {
        let buffer = Buffer { name: "b".into(), len: 65, role: Role::Temporary, packed: false };
        let of = |storage| bytes(&buffer, storage, Dtype::F64);
        assert_eq!([Storage::Float, Storage::Bf16, Storage::F16, Storage::Bits].map(of), [520, 130, 130, 16]);
    }

    #[test]
    fn every_buffer_of_the_host_has_a_block() {
        let mut program = Program::new(Dtype::F32);
        for (name, role) in [("x", Role::Input), ("c", Role::Constant(vec![1.0; 4])), ("y", Role::Output)] {
            program.add_buffer(name, 4, role);
        }
        program.add_buffer("t", 4, Role::Temporary);
        let storage = vec![Storage::Float; 4];
        let emission =
            Emission { units: vec![], kernels: vec![], workspace: 512, storage, kept: vec![], fused: vec![] };
        let layout = Layout::of(&program, &emission).unwrap();
        let own = Block::Own(16);
        assert_eq!(layout.blocks, [Block::Own(0), Block::Own(512), own, Block::Constant(BufferId(1)), own]);
        assert_eq!(layout.places.iter().map(|place| place.block).collect::<Vec<_>>(), [2, 3, 4, ARENA]);
        assert_eq!(layout.places[3].len, 0, "nothing touches it");
        program.buffers[0].len = usize::MAX / 2;
        assert!(matches!(Layout::of(&program, &emission), Err(CudaError::OutOfMemory { .. })));
    }
}
