//! What is prepared once for many runs: weights in the order in which products take them, where they stay as they are.
//!
//! In an evaluation and in streams weights change only when the host writes them, so their copies stay, too. In a training
//! they are new after every run: they are prepared where they are needed, in memory that others use afterwards.
//!
//! Must never know how anything is prepared.

use snn_loops::plan::touched;
use snn_loops::{BufferId, Program, Role};

use crate::launch::{Argument, Emitted};

/// A kernel with what is prepared for it from this byte on, or, where what it reads does not stay, in its workspace.
pub(super) fn placed(mut emitted: Emitted, program: &Program, begin: usize) -> Emitted {
    let mut read = emitted.prepare.iter().flat_map(|call| &call.arguments);
    let is_steady = read.all(|argument| match argument {
        Argument::Operand(operand) => operand.offset.as_constant().is_some() && stays(program, operand.buffer),
        Argument::Prepared(_) | Argument::Number(_) => true,
        Argument::Workspace(_) | Argument::Step | Argument::Run => false,
    });
    if !is_steady {
        return emitted.unprepared();
    }
    for argument in emitted.prepare.iter_mut().chain(&mut emitted.calls).flat_map(|call| &mut call.arguments) {
        if let Argument::Prepared(offset) = argument {
            *offset += begin;
        }
    }
    emitted
}

/// Whether a buffer is given and stays: no kernel makes a result of its size out of it, which would replace it.
fn stays(program: &Program, id: BufferId) -> bool {
    let buffer = |id: BufferId| program.buffers.get(id.0 as usize);
    let Some(given) = buffer(id) else { return false };
    let replaces = |id: &BufferId| buffer(*id).is_some_and(|new| new.role == Role::Output && new.len == given.len);
    match given.role {
        Role::Constant(_) => true,
        Role::Input => {
            program.kernels.iter().map(touched).all(|of| !of.reads.contains(&id) || !of.writes.iter().any(replaces))
        }
        Role::Output | Role::Temporary | Role::Scratch => false,
    }
}
