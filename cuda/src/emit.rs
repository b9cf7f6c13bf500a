//! A program as CUDA text: units to compile, and what each kernel launches.
//!
//! Must never know a driver.

mod fuse;
mod print;
mod steady;
mod storage;
mod together;
mod units;

use std::collections::BTreeMap;

use snn_loops::{Buffer, Dtype, Kernel, KernelId, Operand, Program, WORD};

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

impl Storage {
    /// Bytes of a buffer; saturates.
    pub(crate) fn bytes(self, buffer: &Buffer, dtype: Dtype) -> usize {
        match self {
            Storage::Float => buffer.len.saturating_mul(dtype.size()),
            Storage::Bf16 | Storage::F16 => buffer.len.saturating_mul(2),
            Storage::Registers => 0,
            Storage::Bits => buffer.len.div_ceil(WORD).saturating_mul(WORD / 8),
        }
    }
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
    /// Bytes of memory that each thread of a function has to itself, for those that have any: the compiler has no reason to
    /// take more.
    pub local_bytes: BTreeMap<String, usize>,
}

/// A program as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// What is compiled.
    pub units: Vec<Unit>,
    /// What each kernel of the program launches, in order.
    pub kernels: Vec<Vec<Call>>,
    /// What each kernel needs to have run since what it reads was written, none for most; it reads nothing else.
    pub prepare: Vec<Vec<Call>>,
    /// Bytes of memory that it writes, which stay from run to run.
    pub prepared: usize,
    /// Bytes of memory that a kernel has to itself while it runs, the most of all kernels.
    pub workspace: usize,
    /// How each buffer lies in memory.
    pub storage: Vec<Storage>,
    /// Kernels that do not run where the program launches them; each at most once.
    pub moved: Vec<Moved>,
}

/// A kernel that runs in the place of a later one, which is launched behind it exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The kernel.
    pub kernel: KernelId,
    /// In whose place it runs.
    pub to: KernelId,
}

/// A verified program as text for a target. The same program gives the same text.
pub fn emit(program: &Program, target: &Target) -> Emission {
    let mut storage = storage::of(program, target.precision);
    let pairs = fuse::pairs(program, &storage, target);
    let mut moved: Vec<Moved> = Vec::new();
    let mut placed: BTreeMap<KernelId, Emitted> = BTreeMap::new();
    for pair in pairs {
        if let Some(between) = storage.get_mut(pair.between.0 as usize) {
            *between = Storage::Registers;
        }
        moved.push(Moved { kernel: pair.contraction, to: pair.nest });
        placed.insert(pair.nest, pair.emitted);
    }
    for together in together::launches(program, &storage, &moved) {
        let [members @ .., last] = together.members.as_slice() else { continue };
        moved.extend(members.iter().map(|kernel| Moved { kernel: *kernel, to: *last }));
        placed.insert(*last, together.emitted);
    }
    written(program, target, storage, moved, placed)
}

/// The same where every kernel is launched by itself, in its own place.
pub fn emit_apart(program: &Program, target: &Target) -> Emission {
    written(program, target, storage::of(program, target.precision), Vec::new(), BTreeMap::new())
}

/// The text of a program of which some kernels are written already, and some run in the place of these.
fn written(
    program: &Program,
    target: &Target,
    storage: Vec<Storage>,
    moved: Vec<Moved>,
    mut placed: BTreeMap<KernelId, Emitted>,
) -> Emission {
    for moved in &moved {
        placed.insert(moved.kernel, Emitted::default());
    }
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    let mut kernels = Vec::with_capacity(program.kernels.len());
    let (mut workspace, mut prepare, mut prepared) = (0, Vec::with_capacity(program.kernels.len()), 0);
    for (at, kernel) in program.kernels.iter().enumerate() {
        let emitted = match placed.remove(&KernelId(at as u32)) {
            Some(emitted) => emitted,
            None => emit_kernel(kernel, program, &storage, target),
        };
        let emitted = steady::placed(emitted, program, prepared);
        prepared += emitted.prepared;
        workspace = workspace.max(emitted.workspace);
        prepare.push(emitted.prepare);
        kernels.push(emitted.calls);
        functions.extend(emitted.functions.into_iter().map(|function| (function.name.clone(), function)));
    }
    let units = units::group(functions.into_values().collect(), target);
    Emission { units, kernels, prepare, prepared, workspace, storage, moved }
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
