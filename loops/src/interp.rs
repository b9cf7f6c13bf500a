//! The meaning of a program: plain loops, one instruction after the other.
//!
//! Written to be read, not to be fast. For [`Dtype::F32`](crate::Dtype) every instruction is computed in f32; memory and
//! values hold the result in an f64, which represents it exactly. What a back end may do freely is pinned here to whatever
//! exposes a program that relies on it: memory that nothing has written yet is NaN, and so are the unspecified results of
//! `Pow2`, `Exponent` and `Mantissa`. Parallel loops and lanes run in order, each iteration with all registers unset.
//!
//! ```
//! use snn_loops::{Access, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, RandomKey, Role, Scalar};
//! use snn_loops::interp::{Memory, run};
//!
//! // The sum of the squares of x.
//! let mut program = Program::new(Dtype::F32);
//! let x = program.add_buffer("x", 4, Role::Input);
//! let y = program.add_buffer("y", 1, Role::Output);
//! let mut nest = NestBuilder::new("sum of squares");
//! let (i, sum) = (nest.fresh_var(), nest.fresh_reg());
//! let zero = nest.constant(0.0);
//! nest.set(sum, zero);
//! nest.open(i, Extent::Fixed(4), LoopKind::Serial);
//! let element = nest.load(Access::new(x, Ix::var(i)));
//! let square = nest.scalar(Scalar::Mul, &[element, element]);
//! let before = nest.get(sum);
//! let after = nest.scalar(Scalar::Add, &[before, square]);
//! nest.set(sum, after);
//! nest.close();
//! let total = nest.get(sum);
//! nest.store(Access::new(y, Ix::constant(0)), total);
//! let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
//! program.launches.push(Launch::Run(kernel));
//!
//! snn_loops::verify::verify(&program).unwrap();
//! let mut memory = Memory::new(&program);
//! memory.write(x, &[1.0, 2.0, 3.0, 4.0]).unwrap();
//! run(&program, &mut memory, RandomKey::default()).unwrap();
//! assert_eq!(memory.buffer(y), [30.0]);
//! ```
//!
//! The interpreter must never know which back ends exist, and never panics: a program that [`verify`](crate::verify)
//! would refuse gives an error that names the kernel.

mod events;
mod heavy;
mod memory;
mod nest;
pub mod scalar;

use std::fmt;

use crate::draw::RandomKey;
use crate::program::{Kernel, KernelId, Launch, Program};

pub use memory::Memory;

/// Why a program cannot go on.
#[derive(Clone, Debug, PartialEq)]
pub struct InterpError {
    /// The kernel's name; empty outside of kernels.
    pub kernel: String,
    /// What is wrong, with the printed ids of what is concerned.
    pub message: String,
}

impl fmt::Display for InterpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kernel.is_empty() {
            write!(f, "{}", self.message)
        } else {
            write!(f, "kernel `{}`: {}", self.kernel, self.message)
        }
    }
}

impl std::error::Error for InterpError {}

/// Runs all launches once. Temporary and output buffers are NaN at the start; inputs keep what the host wrote.
pub fn run(program: &Program, memory: &mut Memory, key: RandomKey) -> Result<(), InterpError> {
    run_at(program, memory, key, 0)
}

/// The same for a program that is one step of a time loop: it draws what step number `step` would draw.
pub fn run_at(program: &Program, memory: &mut Memory, key: RandomKey, step: i64) -> Result<(), InterpError> {
    memory.forget(program);
    program.launches.iter().try_for_each(|launch| match launch {
        Launch::Run(kernel) => run_kernel(program, *kernel, memory, key, step),
        Launch::Repeat { steps, reverse, body } => {
            let step = |at: usize| if *reverse { steps - 1 - at } else { at };
            (0..*steps).try_for_each(|at| run_step(program, body, memory, key, step(at) as i64))
        }
    })
}

fn run_step(
    program: &Program,
    body: &[Launch],
    memory: &mut Memory,
    key: RandomKey,
    step: i64,
) -> Result<(), InterpError> {
    body.iter().try_for_each(|launch| match launch {
        Launch::Run(kernel) => run_kernel(program, *kernel, memory, key, step),
        Launch::Repeat { .. } => {
            Err(InterpError { kernel: String::new(), message: "a `Repeat` lies inside a `Repeat`".into() })
        }
    })
}

fn run_kernel(
    program: &Program,
    id: KernelId,
    memory: &mut Memory,
    key: RandomKey,
    step: i64,
) -> Result<(), InterpError> {
    let Some(kernel) = program.kernels.get(id.0 as usize) else {
        return Err(InterpError { kernel: String::new(), message: format!("k{} does not exist", id.0) });
    };
    let result = match kernel {
        Kernel::Nest(nest) => nest::run(nest, program.dtype, memory, step),
        Kernel::Contraction(contraction) => heavy::contract(contraction, program.dtype, memory, step),
        Kernel::EventSweep(sweep) => events::sweep(sweep, program.dtype, memory, step),
        Kernel::Draw(draw) => heavy::draw(draw, program.dtype, memory, key, step),
    };
    result.map_err(|message| InterpError { kernel: kernel.name().to_owned(), message })
}
