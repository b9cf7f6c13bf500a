//! A generated nest as a CUDA function.
//!
//! | file | does |
//! | --- | --- |
//! | `threads` | which loops become threads |
//! | `independence` | whether iterations of a serial loop may run in any order |
//! | `index` | indices as integer expressions |
//! | `ordered` | long sums by few threads: how a warp runs them together |
//! | `scalar` | scalar instructions |
//! | `body` | statements |
//! | `epilogue` | a nest for sums that a contraction has in registers |
//! | `flat` | loops over all elements of a tensor without the processor's blocks |
//! | `scratch` | memory of a thread: its own, or a part of the workspace |
//! | `member` | a small nest as one of several that are launched together |
//!
//! A thread computes one iteration of all loops that `threads` takes, the lanes of a `Lanes` loop being neighbors; what is
//! left of the nest runs inside of it, in the program's order, so every bit is the interpreter's. Threads of a nest never
//! wait for each other; lanes of a warp meet only to make a word of their bits.
//!
//! Must never know which kernel comes before or after, or how a heavy kernel works.

mod body;
mod epilogue;
mod flat;
mod independence;
mod index;
mod member;
mod ordered;
mod scalar;
mod scratch;
#[cfg(test)]
mod tests;
mod threads;

use std::collections::BTreeMap;

use snn_loops::plan::each_access;
use snn_loops::{BufferId, Nest, Operand, Program, Role};

use crate::emit::Storage;
use crate::launch::{Argument, Call, Emitted, Function, Template};
use crate::names;
use body::Writer;
pub(crate) use epilogue::epilogue;
pub(crate) use member::Member;
pub(crate) use scalar::{constant, type_name};
use scratch::Scratch;
use threads::Threads;

/// Helpers of scalar instructions.
static SCALAR: Template = Template { file: "scalar.cu", text: include_str!("nest/scalar.cu") };

/// Threads of a block.
const BLOCK: u64 = 256;

/// A buffer as a nest sees it.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Its number among the arguments; none for scratch.
    argument: Option<usize>,
    storage: Storage,
    /// Whether the nest stores to it.
    stored: bool,
    /// Whether other arguments may be the same memory: a result that replaces an input may lie over it.
    may_alias: bool,
    /// Number of elements.
    len: usize,
    /// For scratch that lies in the workspace, the number of elements of the same thread before it.
    spilled: Option<usize>,
}

/// The function and its launch; `storage` has an entry for each buffer of the program.
pub(crate) fn emit(nest: &Nest, program: &Program, storage: &[Storage]) -> Emitted {
    let mut slots = slots(nest, program, storage);
    let threads = Threads::of(nest, program);
    if threads.count() == 0 {
        return Emitted::default();
    }
    let scratch = Scratch::place(&mut slots, program.dtype);
    let text = Writer::function(nest, program.dtype, &slots, &threads);
    let name = names::unique("nest", &text);
    let mut buffers: Vec<(usize, BufferId)> =
        slots.iter().filter_map(|(id, slot)| slot.argument.map(|at| (at, *id))).collect();
    buffers.sort_unstable();
    let whole = |(_, id)| Argument::Operand(Operand::whole(id));
    let mut arguments: Vec<Argument> = buffers.into_iter().map(whole).collect();
    if scratch.spilled > 0 {
        arguments.push(Argument::Workspace(0));
    }
    arguments.push(Argument::Step);
    let block = BLOCK.min(threads.count().next_multiple_of(32));
    let blocks = threads.count().div_ceil(block);
    let call = Call {
        function: name.clone(),
        grid: [u32::try_from(blocks).unwrap_or(u32::MAX), 1],
        block: block as u32,
        shared: 0,
        arguments,
    };
    let text = text.replace(names::PLACEHOLDER, &name);
    let function = Function { name, needs: vec![&SCALAR], text, local_bytes: scratch.local_bytes };
    let workspace = scratch.workspace(threads.count(), program.dtype);
    Emitted { functions: vec![function], calls: vec![call], workspace, ..Emitted::default() }
}

/// The buffers that a nest touches, arguments numbered in the order of first use.
fn slots(nest: &Nest, program: &Program, storage: &[Storage]) -> BTreeMap<BufferId, Slot> {
    let mut slots: BTreeMap<BufferId, Slot> = BTreeMap::new();
    let mut arguments = 0;
    each_access(&nest.body, &mut |access, is_store| {
        let declared = program.buffers.get(access.buffer.0 as usize);
        let slot = slots.entry(access.buffer).or_insert_with(|| {
            let is_scratch = declared.is_some_and(|buffer| buffer.role == Role::Scratch);
            let argument = (!is_scratch).then_some(arguments);
            arguments += usize::from(!is_scratch);
            Slot {
                argument,
                storage: storage.get(access.buffer.0 as usize).copied().unwrap_or(Storage::Float),
                stored: false,
                may_alias: declared.is_some_and(|buffer| matches!(buffer.role, Role::Input | Role::Output)),
                len: declared.map_or(0, |buffer| buffer.len),
                spilled: None,
            }
        });
        slot.stored |= is_store;
    });
    // Inputs are overwritten only by results.
    let stores_results = slots.values().any(|slot| slot.stored && slot.may_alias);
    for slot in slots.values_mut() {
        slot.may_alias &= stores_results;
    }
    slots
}
