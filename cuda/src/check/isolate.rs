//! One kernel of a program as a program of its own, so that it can be run and compared alone.
//!
//! What the kernel reads become inputs, what it writes becomes outputs, all of them floats that a host can write and read:
//! bits are made from floats before the kernel and turned into floats behind it. Scratch and constants stay as they are.
//! A kernel that only runs inside of a `Repeat` runs at each of its steps.
//!
//! Must never know a driver, or what a kernel computes.

use std::collections::BTreeMap;

use snn_loops::plan::touched;
use snn_loops::{
    Access, BufferId, Extent, Ix, Kernel, KernelId, Launch, LoopKind, Nest, NestBuilder, Program, Role, WORD,
};

/// A kernel by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Isolated {
    /// The program.
    pub program: Program,
    /// Its inputs, with what their elements may be.
    pub inputs: Vec<(BufferId, Values)>,
    /// Its outputs.
    pub outputs: Vec<BufferId>,
}

/// What the elements of an input may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Any number.
    Real,
    /// 0 or 1.
    Bits,
}

/// The kernel by itself; `None` where there is no such kernel or nothing to compare.
pub fn isolate(program: &Program, id: KernelId) -> Option<Isolated> {
    let kernel = program.kernels.get(id.0 as usize)?;
    let touched = touched(kernel);
    let mut alone = Program { kernels: Vec::new(), launches: Vec::new(), ..program.clone() };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    // What a kernel both reads and writes it has written before, or it is a program's affair to have filled it.
    for buffer in touched.reads.union(&touched.writes) {
        let declared = program.buffers.get(buffer.0 as usize)?.clone();
        if matches!(declared.role, Role::Constant(_) | Role::Scratch) {
            continue;
        }
        let is_written = touched.writes.contains(buffer);
        let entry = alone.buffers.get_mut(buffer.0 as usize)?;
        if declared.packed {
            entry.role = Role::Temporary;
            let role = if is_written { Role::Output } else { Role::Input };
            let outside = alone.add_buffer(format!("{}.outside", declared.name), declared.len, role);
            if is_written {
                after.push(copy(outside, *buffer, declared.len, false));
                outputs.push(outside);
            } else {
                before.push(copy(*buffer, outside, declared.len, true));
                inputs.push((outside, Values::Bits));
            }
        } else if is_written {
            entry.role = Role::Output;
            outputs.push(*buffer);
        } else {
            entry.role = Role::Input;
            inputs.push((*buffer, Values::Real));
        }
    }
    if outputs.is_empty() {
        return None;
    }
    for nest in before {
        let id = alone.add_kernel(Kernel::Nest(nest));
        alone.launches.push(Launch::Run(id));
    }
    let copied = alone.add_kernel(kernel.clone());
    let run = Launch::Run(copied);
    alone.launches.push(match steps(program, id) {
        Some((steps, reverse)) => Launch::Repeat { steps, reverse, body: vec![run] },
        None => run,
    });
    for nest in after {
        let id = alone.add_kernel(Kernel::Nest(nest));
        alone.launches.push(Launch::Run(id));
    }
    Some(Isolated { program: alone, inputs, outputs })
}

/// The steps of the `Repeat` that launches a kernel, if one does.
fn steps(program: &Program, id: KernelId) -> Option<(usize, bool)> {
    program.launches.iter().find_map(|launch| match launch {
        Launch::Repeat { steps, reverse, body } if body.contains(&Launch::Run(id)) => Some((*steps, *reverse)),
        Launch::Repeat { .. } | Launch::Run(_) => None,
    })
}

/// `to = from`, a word's elements at a time where bits are written.
fn copy(to: BufferId, from: BufferId, len: usize, to_bits: bool) -> Nest {
    let mut nest = NestBuilder::new(if to_bits { "pack" } else { "unpack" });
    let (word, lane) = (nest.fresh_var(), nest.fresh_var());
    let extent = Extent::Block { block: word, size: WORD, total: len };
    nest.open(word, Extent::Fixed(len.div_ceil(WORD)), LoopKind::Parallel);
    nest.open(lane, extent, LoopKind::Lanes);
    let at = Ix::var(word).times(WORD as i64).plus(&Ix::var(lane));
    let value = nest.load(Access::new(from, at.clone()));
    nest.store(Access::new(to, at), value);
    nest.finish()
}

/// Kernels that differ in more than names and the numbers of their buffers: the first of each kind, in order.
pub fn distinct(program: &Program, emission: &crate::Emission) -> Vec<KernelId> {
    let mut seen: BTreeMap<Vec<&str>, ()> = BTreeMap::new();
    let mut kernels = Vec::new();
    for at in 0..program.kernels.len() {
        let Some(calls) = emission.kernels.get(at) else { continue };
        let functions = calls.iter().map(|call| call.function.as_str()).collect();
        if !calls.is_empty() && seen.insert(functions, ()).is_none() {
            kernels.push(KernelId(at as u32));
        }
    }
    kernels
}
