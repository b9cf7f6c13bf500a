//! A whole program: buffers, kernels, and the order of launches.
//!
//! Buffers are logical: a length, a type and a role. Where a buffer lies in memory is the plan's and the back end's
//! affair ([`plan`](crate::plan)).

use crate::contraction::Contraction;
use crate::draw::Draw;
use crate::dtype::Dtype;
use crate::event_sweep::EventSweep;
use crate::index::Ix;
use crate::nest::Nest;

/// A buffer of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// A kernel of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelId(pub u32);

/// Who writes and reads a buffer.
#[derive(Clone, Debug, PartialEq)]
pub enum Role {
    /// Written by the host before a run and kept until it writes again.
    Input,
    /// Written by the program, read by the host after a run.
    Output,
    /// Written and read inside one run; may share memory with others.
    Temporary,
    /// Holds these values for ever.
    Constant(Vec<f64>),
    /// Written and read inside one nest: every lane of every parallel iteration has all elements to itself.
    Scratch,
}

/// A logical buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// A name for people and for the host to find inputs and outputs by.
    pub name: String,
    /// Number of elements.
    pub len: usize,
    /// Who writes and reads it.
    pub role: Role,
    /// Whether an element is one bit: what is stored counts as 1 unless it is 0. Element `i` is bit `i % 8` of byte `i / 8`.
    pub packed: bool,
}

impl Buffer {
    /// Bytes of the elements in programs of a type, packed ones in whole 64-bit words; saturates.
    pub fn bytes(&self, dtype: Dtype) -> usize {
        if self.packed {
            self.len.div_ceil(WORD).saturating_mul(WORD / 8)
        } else {
            self.len.saturating_mul(dtype.size())
        }
    }
}

/// Elements of a word of a packed buffer. Parallel iterations and lanes never store to the same word.
pub const WORD: usize = 64;

/// A place inside a buffer, possibly moving with the step of a `Repeat`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Operand {
    /// The buffer.
    pub buffer: BufferId,
    /// First element; mentions no loop variable.
    pub offset: Ix,
}

impl Operand {
    /// The buffer from its first element on.
    pub fn whole(buffer: BufferId) -> Operand {
        Operand { buffer, offset: Ix::constant(0) }
    }
}

/// Something that can be launched.
#[derive(Clone, Debug, PartialEq)]
pub enum Kernel {
    /// A generated loop nest.
    Nest(Nest),
    /// Linear maps, convolutions and their gradients.
    Contraction(Contraction),
    /// A layer of neurons on events.
    EventSweep(EventSweep),
    /// Random numbers.
    Draw(Draw),
}

impl Kernel {
    /// The kernel's name for people.
    pub fn name(&self) -> &str {
        match self {
            Kernel::Nest(nest) => &nest.name,
            Kernel::Contraction(contraction) => &contraction.name,
            Kernel::EventSweep(sweep) => &sweep.name,
            Kernel::Draw(draw) => &draw.name,
        }
    }
}

/// One entry of the launch order.
#[derive(Clone, Debug, PartialEq)]
pub enum Launch {
    /// Runs a kernel once.
    Run(KernelId),
    /// Runs the body once a step; inside it [`Atom::Step`](crate::Atom::Step) counts 0, 1, ... or, `reverse`, falls to 0.
    /// Bodies hold no further `Repeat`.
    Repeat {
        /// Number of steps.
        steps: usize,
        /// From the last step to the first.
        reverse: bool,
        /// What each step launches.
        body: Vec<Launch>,
    },
}

/// What a back end compiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The type everything is computed in.
    pub dtype: Dtype,
    /// All buffers.
    pub buffers: Vec<Buffer>,
    /// All kernels.
    pub kernels: Vec<Kernel>,
    /// What runs, in order.
    pub launches: Vec<Launch>,
}

impl Program {
    /// A program that does nothing yet.
    pub fn new(dtype: Dtype) -> Program {
        Program { dtype, buffers: Vec::new(), kernels: Vec::new(), launches: Vec::new() }
    }

    /// Adds a buffer.
    pub fn add_buffer(&mut self, name: impl Into<String>, len: usize, role: Role) -> BufferId {
        self.buffers.push(Buffer { name: name.into(), len, role, packed: false });
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// Adds a temporary buffer of bits.
    pub fn add_packed_buffer(&mut self, name: impl Into<String>, len: usize) -> BufferId {
        self.buffers.push(Buffer { name: name.into(), len, role: Role::Temporary, packed: true });
        BufferId(self.buffers.len() as u32 - 1)
    }

    /// Whether a buffer holds bits.
    pub fn is_packed(&self, id: BufferId) -> bool {
        self.buffers.get(id.0 as usize).is_some_and(|buffer| buffer.packed)
    }

    /// Adds a kernel without launching it.
    pub fn add_kernel(&mut self, kernel: Kernel) -> KernelId {
        self.kernels.push(kernel);
        KernelId(self.kernels.len() as u32 - 1)
    }

    /// The first buffer of that name among inputs and outputs.
    pub fn find(&self, name: &str) -> Option<BufferId> {
        let at = self.buffers.iter().position(|b| b.name == name && matches!(b.role, Role::Input | Role::Output))?;
        Some(BufferId(at as u32))
    }
}
