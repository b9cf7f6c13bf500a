//! Kernels of a program by themselves, so that each can be run and compared alone.
//!
//! What a kernel reads become inputs, what it writes becomes outputs, all of them floats that a host can write and read:
//! bits are made from floats before the kernel and turned into floats behind it. Scratch and constants stay as they are.
//! A kernel that only runs inside of a `Repeat` runs at each of its steps. Kernels share nothing, so any number of them can
//! be one program, which is compiled at once.
//!
//! Must never know a driver, or what a kernel computes.

use std::collections::{BTreeMap, BTreeSet};

use snn_loops::plan::touched;
use snn_loops::{
    Access, BufferId, Extent, Ix, Kernel, KernelId, Launch, LoopKind, Nest, NestBuilder, Program, Role, WORD,
};

use super::rename::renamed;
use crate::emit::Emission;

/// Kernels side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Isolated {
    /// The program.
    pub program: Program,
    /// One entry for each kernel that could be isolated.
    pub kernels: Vec<Alone>,
}

/// A kernel in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Alone {
    /// What it is in the program that it comes from.
    pub id: KernelId,
    /// Its inputs, with what their elements may be.
    pub inputs: Vec<(BufferId, Values)>,
    /// Its outputs, with what their elements may be; of bits, also those that fill up words.
    pub outputs: Vec<(BufferId, Values)>,
}

/// What the elements of a buffer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Any number.
    Real,
    /// 0 or 1.
    Bits,
}

/// These kernels of a program by themselves.
pub fn isolate(program: &Program, ids: &[KernelId]) -> Isolated {
    let mut isolated = Isolated { program: Program::new(program.dtype), kernels: Vec::new() };
    for id in ids {
        let alone = add(&mut isolated.program, program, *id);
        isolated.kernels.extend(alone);
    }
    isolated
}

/// Adds a copy of a kernel; `None` where there is no such kernel or it writes nothing.
fn add(to: &mut Program, from: &Program, id: KernelId) -> Option<Alone> {
    let kernel = from.kernels.get(id.0 as usize)?;
    let touched = touched(kernel);
    let all: BTreeSet<BufferId> = touched.reads.union(&touched.writes).copied().collect();
    let mut names: BTreeMap<BufferId, BufferId> = BTreeMap::new();
    let mut alone = Alone { id, inputs: Vec::new(), outputs: Vec::new() };
    let mut after = Vec::new();
    for buffer in all {
        let declared = from.buffers.get(buffer.0 as usize)?;
        let is_written = touched.writes.contains(&buffer);
        let outside = if is_written { Role::Output } else { Role::Input };
        let (name, len) = (format!("k{}.{}", id.0, declared.name), declared.len);
        let inside = if matches!(declared.role, Role::Constant(_) | Role::Scratch) {
            to.add_buffer(name, len, declared.role.clone())
        } else if declared.packed {
            let inside = to.add_packed_buffer(name.clone(), len);
            let outside = to.add_buffer(name, len, outside);
            if is_written {
                after.push(copy(outside, inside, len));
                alone.outputs.push((outside, Values::Bits));
            } else {
                launch(to, Kernel::Nest(copy(inside, outside, len)), None);
                alone.inputs.push((outside, Values::Bits));
            }
            inside
        } else {
            let inside = to.add_buffer(name, len, outside);
            if is_written {
                alone.outputs.push((inside, Values::Real));
            } else {
                alone.inputs.push((inside, Values::Real));
            }
            inside
        };
        names.insert(buffer, inside);
    }
    launch(to, renamed(kernel, &names), steps(from, id));
    for nest in after {
        launch(to, Kernel::Nest(nest), None);
    }
    (!alone.outputs.is_empty()).then_some(alone)
}

fn launch(program: &mut Program, kernel: Kernel, steps: Option<(usize, bool)>) {
    let run = Launch::Run(program.add_kernel(kernel));
    program.launches.push(match steps {
        Some((steps, reverse)) => Launch::Repeat { steps, reverse, body: vec![run] },
        None => run,
    });
}

/// The steps of the `Repeat` that launches a kernel, if one does, and whether they fall.
fn steps(program: &Program, id: KernelId) -> Option<(usize, bool)> {
    program.launches.iter().find_map(|launch| match launch {
        Launch::Repeat { steps, reverse, body } if body.contains(&Launch::Run(id)) => Some((*steps, *reverse)),
        Launch::Repeat { .. } | Launch::Run(_) => None,
    })
}

/// `to = from`, the elements of a word at a time.
fn copy(to: BufferId, from: BufferId, len: usize) -> Nest {
    let mut nest = NestBuilder::new("copy");
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
pub fn distinct(emission: &Emission) -> Vec<KernelId> {
    let mut seen: BTreeSet<Vec<&str>> = BTreeSet::new();
    let functions = |at: usize| -> Option<Vec<&str>> {
        Some(emission.kernels.get(at)?.iter().map(|call| call.function.as_str()).collect())
    };
    let is_new = |at: &usize| functions(*at).is_some_and(|functions| !functions.is_empty() && seen.insert(functions));
    (0..emission.kernels.len()).filter(is_new).map(|at| KernelId(at as u32)).collect()
}
