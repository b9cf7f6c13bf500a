//! A program as CUDA text: units to compile, and what each kernel launches.
//!
//! Must never know a driver.

mod fuse;
mod print;
mod storage;
mod units;

use std::collections::BTreeMap;

use snn_loops::{BufferId, Kernel, KernelId, Operand, Program};

use crate::launch::{Call, Emitted, Function};
use crate::target::Target;
use crate::{contraction, draw, events, nest};

pub(crate) use units::beginning;

/// How the elements of a buffer lie in a device's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Storage {
    /// As the program's type.
    Float,
    /// As bfloat16.
    Bf16,
    /// In half precision.
    F16,
    /// Nowhere: it never leaves registers.
    Registers,
    /// As bits, element `i` in bit `i % 32` of the 32-bit word `i / 32`; whole 64-bit words.
    Bits,
}

/// A text to compile by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// A name for messages.
    pub name: String,
    /// The whole text.
    pub text: String,
    /// Where the functions begin in it, behind what units share.
    pub begin: usize,
    /// The functions that calls may name.
    pub functions: Vec<String>,
}

/// A program as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// What is compiled.
    pub units: Vec<Unit>,
    /// What each kernel of the program launches, in order.
    pub kernels: Vec<Vec<Call>>,
    /// Bytes of memory that a kernel has to itself while it runs, the most of all kernels.
    pub workspace: usize,
    /// How each buffer lies in memory.
    pub storage: Vec<Storage>,
    /// Buffers that kernels read besides what the program says: they run in the place of others, too.
    pub kept: Vec<(KernelId, BufferId)>,
    /// Contractions that launch nothing, each with the later kernel in whose launch it is computed.
    pub fused: Vec<(KernelId, KernelId)>,
}

/// A verified program as text for a target. The same program gives the same text.
pub fn emit(program: &Program, target: &Target) -> Emission {
    let mut storage = storage::of(program, target.precision);
    let pairs = fuse::pairs(program, &storage, target);
    let (mut kept, mut together) = (Vec::new(), Vec::new());
    for pair in &pairs {
        kept.extend(pair.reads.map(|buffer| (pair.nest, buffer)));
        together.push((pair.contraction, pair.nest));
        if let Some(between) = storage.get_mut(pair.between.0 as usize) {
            *between = Storage::Registers;
        }
    }
    let mut fused: BTreeMap<KernelId, Emitted> = BTreeMap::new();
    for pair in pairs {
        fused.insert(pair.contraction, Emitted::default());
        fused.insert(pair.nest, pair.emitted);
    }
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    let mut kernels = Vec::with_capacity(program.kernels.len());
    let mut workspace = 0;
    for (at, kernel) in program.kernels.iter().enumerate() {
        let emitted = match fused.remove(&KernelId(at as u32)) {
            Some(emitted) => emitted,
            None => emit_kernel(kernel, program, &storage, target),
        };
        workspace = workspace.max(emitted.workspace);
        kernels.push(emitted.calls);
        functions.extend(emitted.functions.into_iter().map(|function| (function.name.clone(), function)));
    }
    let units = units::group(functions.into_values().collect(), target);
    Emission { units, kernels, workspace, storage, kept, fused: together }
}

/// Functions as texts to compile, as those of an emission.
pub fn units(functions: Vec<Function>, target: &Target) -> Vec<Unit> {
    units::group(functions, target)
}

fn emit_kernel(kernel: &Kernel, program: &Program, storage: &[Storage], target: &Target) -> Emitted {
    match kernel {
        Kernel::Nest(nest) => nest::emit(nest, program, storage),
        Kernel::Draw(draw) => draw::emit(draw, program.dtype),
        Kernel::Contraction(c) => {
            let of = |operand: &Operand| storage.get(operand.buffer.0 as usize).copied().unwrap_or(Storage::Float);
            contraction::emit(c, [of(&c.a), of(&c.b), of(&c.out)], target)
        }
        Kernel::EventSweep(sweep) => events::emit(sweep, target),
    }
}
