//! Where buffers lie: a block of memory for each buffer that the host sees, one for all temporary buffers, one for what
//! kernels have to themselves.
//!
//! Must never know a driver.

use snn_loops::in_place::may_share;
use snn_loops::plan::{Touched, plan_bytes, touched};
use snn_loops::{BufferId, KernelId, Launch, Program, Role};

use crate::emit::{Emission, Moved, Storage};
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
    /// The first holds temporary buffers, the second is what kernels have to themselves, the third is prepared.
    pub blocks: Vec<Block>,
    /// One a buffer.
    pub places: Vec<Place>,
    /// Kernels that run later than the program says.
    moved: Vec<Moved>,
}

/// The block of temporary buffers.
pub(crate) const ARENA: usize = 0;
/// The block that kernels have to themselves.
pub(crate) const WORKSPACE: usize = 1;
/// The block of what stays prepared from run to run.
pub(crate) const PREPARED: usize = 2;

impl Layout {
    /// The layout of a program as it was emitted, which has a storage for each buffer.
    pub fn of(program: &Program, emission: &Emission) -> Result<Layout, CudaError> {
        let stored = program.buffers.iter().zip(&emission.storage);
        let bytes: Vec<usize> = stored.map(|(buffer, storage)| storage.bytes(buffer, program.dtype)).collect();
        if let Some(huge) = bytes.iter().find(|bytes| **bytes > isize::MAX as usize) {
            return Err(CudaError::OutOfMemory { asked: *huge, free: None });
        }
        let plan = plan_bytes(program, ALIGNMENT, &bytes, &kept(program, &emission.moved));
        let own = [plan.arena_bytes, emission.workspace, emission.prepared];
        let mut blocks = own.map(Block::Own).to_vec();
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
        Ok(Layout { blocks, places, moved: emission.moved.clone() })
    }

    /// The same with one block for an output and the input that it replaces, for all pairs where that is possible.
    pub fn sharing(&self, program: &Program, pairs: &[(BufferId, BufferId)]) -> Layout {
        let mut layout = self.clone();
        for (output, input) in pairs {
            let place = |id: &BufferId| layout.places.get(id.0 as usize).copied();
            let (Some(new), Some(old)) = (place(output), place(input)) else { continue };
            if !may_share(program, *output, *input) || !is_last(program, &self.moved, *output, *input) {
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

/// What kernels touch besides what the program says, as others run in their place, too.
fn kept(program: &Program, moved: &[Moved]) -> Vec<(KernelId, BufferId)> {
    let of = |moved: &Moved| {
        let touched = program.kernels.get(moved.kernel.0 as usize).map(touched).unwrap_or_default();
        let to = moved.to;
        touched.reads.into_iter().chain(touched.writes).map(move |buffer| (to, buffer))
    };
    moved.iter().flat_map(of).collect()
}

/// Whether everybody else who touches an input has run before the launch that writes the output which replaces it. The
/// program says so of its own order, in which each kernel is launched once ([`may_share`]); some run later.
fn is_last(program: &Program, moved: &[Moved], output: BufferId, input: BufferId) -> bool {
    let place = |kernel: KernelId| {
        let to = moved.iter().find(|moved| moved.kernel == kernel).map_or(kernel, |moved| moved.to);
        program.launches.iter().position(|launch| *launch == Launch::Run(to))
    };
    let launched = program.launches.iter().filter_map(|launch| match launch {
        Launch::Run(kernel) => Some((*kernel, touched(program.kernels.get(kernel.0 as usize)?))),
        Launch::Repeat { .. } => None,
    });
    let all: Vec<(KernelId, Touched)> = launched.collect();
    let writer = all.iter().find(|(_, touched)| touched.writes.contains(&output)).map(|(kernel, _)| *kernel);
    let Some(last) = writer.and_then(place) else { return false };
    let mut others = all.iter().filter(|(kernel, touched)| Some(*kernel) != writer && touched.reads.contains(&input));
    others.all(|(kernel, _)| place(*kernel).is_some_and(|at| at < last))
}

#[cfg(test)]
mod tests {
    use snn_loops::{Buffer, Dtype};

    use super::*;

    #[test]
    fn elements_take_what_their_storage_says() {
        let buffer = Buffer { name: "b".into(), len: 65, role: Role::Temporary, packed: false };
        let of = |storage: Storage| storage.bytes(&buffer, Dtype::F64);
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
        let emission = Emission {
            units: vec![],
            kernels: vec![],
            prepare: vec![],
            prepared: 256,
            workspace: 512,
            storage,
            moved: vec![],
        };
        let layout = Layout::of(&program, &emission).unwrap();
        let own = Block::Own(16);
        assert_eq!(
            layout.blocks,
            [Block::Own(0), Block::Own(512), Block::Own(256), own, Block::Constant(BufferId(1)), own]
        );
        assert_eq!(layout.places.iter().map(|place| place.block).collect::<Vec<_>>(), [3, 4, 5, ARENA]);
        assert_eq!(layout.places[3].len, 0, "nothing touches it");
        program.buffers[0].len = usize::MAX / 2;
        assert!(matches!(Layout::of(&program, &emission), Err(CudaError::OutOfMemory { .. })));
    }
}
