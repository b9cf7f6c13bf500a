//! What the host does with emitted text: which functions it launches, over how many threads, with which arguments.
//!
//! Must never know what a function computes.

use snn_loops::Operand;

/// What a function is called with. Every argument is 8 bytes; a function may take all of them as one table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    /// The address of an operand's first element at the step of the launch. Into packed buffers the offset is a multiple of
    /// 64 elements, and the address is that of a word.
    Operand(Operand),
    /// The address of this many bytes into the memory that a kernel has to itself while it runs.
    Workspace(usize),
    /// The address of this many bytes into what was prepared for a kernel, or, in an emission, for all of them.
    Prepared(usize),
    /// The step of the enclosing `Repeat` as a 64-bit integer, 0 outside of one.
    Step,
    /// This number.
    Number(u64),
    /// The address of what changes from run to run: `{ u64 seed; u64 run; i64 step; }`, where `step` is that of a program
    /// which is itself a step.
    Run,
}

/// One launch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Call {
    /// The name of an `extern "C" __global__` function of the same emission.
    pub function: String,
    /// Blocks along x and y.
    pub grid: [u32; 2],
    /// Threads of a block.
    pub block: u32,
    /// Bytes of dynamic shared memory.
    pub shared: u32,
    /// What it is called with, in order.
    pub arguments: Vec<Argument>,
}

/// A kernel of a program as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Emitted {
    /// Functions with external linkage, whose names nobody else uses.
    pub functions: Vec<Function>,
    /// What must have run once since what it reads has changed: it writes [`Argument::Prepared`], which the calls read.
    pub prepare: Vec<Call>,
    /// Bytes that are prepared, 256-aligned.
    pub prepared: usize,
    /// What runs, in order; a call sees what those before it wrote.
    pub calls: Vec<Call>,
    /// Bytes of memory that the calls share, 256-aligned; full of anything at first.
    pub workspace: usize,
}

impl Emitted {
    /// The same prepared at every call, in the workspace.
    pub fn unprepared(mut self) -> Emitted {
        let begin = self.workspace.next_multiple_of(256);
        let mut calls = std::mem::take(&mut self.prepare);
        calls.append(&mut self.calls);
        for argument in calls.iter_mut().flat_map(|call| &mut call.arguments) {
            if let Argument::Prepared(offset) = argument {
                *argument = Argument::Workspace(begin + *offset);
            }
        }
        (self.calls, self.workspace) = (calls, begin + std::mem::take(&mut self.prepared));
        self
    }
}

/// The text of one function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Function {
    /// Its name: equal functions have equal names, so that programs hold them once.
    pub name: String,
    /// Templates that it instantiates, each a text of the crate, by name; they come before it once.
    pub needs: Vec<&'static Template>,
    /// Its definition.
    pub text: String,
    /// Bytes of the arrays that each of its threads has to itself and that need not fit into registers.
    pub local_bytes: usize,
}

/// Text that several functions share.
#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Template {
    /// The file it comes from, for messages of compilers.
    pub file: &'static str,
    /// What it says.
    pub text: &'static str,
}
