//! The CPU back end: `loops::Program` to machine code through cranelift, and the heavy kernels.
//!
//! A program goes through these files: `canonical` tells what a nest is apart from its name, `cache` finds code that is
//! there, `codegen` emits the rest, `module` makes it machine code, `layout` places the buffers, `execute` runs the launches
//! over a pool of threads, `kernels` holds what is written by hand.
//!
//! ```no_run
//! # fn main() -> Result<(), snn_jit::JitError> {
//! # let program = snn_loops::Program::new(snn_loops::Dtype::F32);
//! let executable = snn_jit::compile(&program, &snn_jit::Options::native(0))?;
//! let mut instance = snn_jit::Instance::new(&executable)?;
//! instance.run(snn_loops::RandomKey { seed: 1, run: 0 })?;
//! # Ok(())
//! # }
//! ```
//!
//! The results of generated code equal the interpreter's bit for bit; those of the heavy kernels equal it but for the
//! order and the rounding of sums, which depend on shapes and machine only, never on the number of threads.
//!
//! This crate must never know graphs, models or syntax.

#![deny(unsafe_code)]

mod alloc;
mod cache;
mod calibrate;
mod call;
mod canonical;
mod codegen;
mod compile;
mod element;
mod error;
mod execute;
mod footprint;
mod instance;
mod interchange;
mod kernels;
mod layout;
mod module;
mod options;
mod steady;
mod unroll;
mod value;
mod watch;
mod wide;
mod work;

pub use calibrate::calibrate;
pub use compile::{Executable, asm_text, clif_text, compile};
pub use error::JitError;
pub use footprint::Footprint;
pub use instance::Instance;
pub use kernels::events::SweepNeeds;
pub use options::{Crossovers, Isa, Kernels, Options, SpikeKernels};
