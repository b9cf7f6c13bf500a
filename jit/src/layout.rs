//! Where buffers lie: a block of memory for each buffer that the host sees, one block for all temporary buffers.

use snn_loops::in_place::may_share;
use snn_loops::{BufferId, Program, Role};

use crate::alloc::ALIGNMENT;
use crate::call::Place;
use crate::error::JitError;

/// The memory of a program's instances.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Bytes of every block.
    pub blocks: Vec<usize>,
    /// One a buffer.
    pub places: Vec<Place>,
}

impl Layout {
    /// The layout of a verified program.
    pub fn of(program: &Program) -> Result<Layout, JitError> {
        let plan = snn_loops::plan::plan(program, ALIGNMENT);
        let mut layout = Layout { blocks: vec![plan.arena_bytes], places: Vec::with_capacity(program.buffers.len()) };
        for (buffer, slot) in program.buffers.iter().zip(&plan.slots) {
            let bytes = buffer.bytes(program.dtype);
            if bytes > isize::MAX as usize {
                return Err(JitError::OutOfMemory { bytes });
            }
            let place = match buffer.role {
                Role::Temporary => match slot {
                    Some(slot) => Place { block: 0, offset: slot.offset, len: buffer.len, packed: buffer.packed },
                    // No launch touches it.
                    None => Place { block: 0, offset: 0, len: 0, packed: buffer.packed },
                },
                // Lives on the stack of whoever runs the nest.
                Role::Scratch => Place { block: 0, offset: 0, len: 0, packed: false },
                Role::Input | Role::Output | Role::Constant(_) => {
                    layout.blocks.push(bytes);
                    Place { block: layout.blocks.len() - 1, offset: 0, len: buffer.len, packed: buffer.packed }
                }
            };
            layout.places.push(place);
        }
        Ok(layout)
    }

    /// The same layout with one block for an output and the input that it replaces, for all pairs where that is possible.
    pub fn sharing(&self, program: &Program, pairs: &[(BufferId, BufferId)]) -> Layout {
        let mut layout = self.clone();
        for (output, input) in pairs {
            let place = |id: &BufferId| layout.places.get(id.0 as usize).copied();
            let (Some(new), Some(old)) = (place(output), place(input)) else { continue };
            if !may_share(program, *output, *input) {
                continue;
            }
            if let (Some(bytes), Some(place)) =
                (layout.blocks.get_mut(new.block), layout.places.get_mut(output.0 as usize))
            {
                (*bytes, *place) = (0, old);
            }
        }
        layout
    }
}
