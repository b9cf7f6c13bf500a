//! The CUDA back end: `loops::Program` to CUDA text, and the driver that compiles and launches it.
//!
//! Text comes first and needs nothing: [`emit`](emit::emit) gives every kernel as source in a small dialect of CUDA C++ and
//! the list of launches that are one run of the program. `nest` writes generated loops, `contraction`, `events` and `draw`
//! fill in the templates of the heavy kernels. The same text is compiled for a device by NVRTC and for the processor by
//! a C++ compiler over an emulation of blocks, warps and tensor cores, which is how it is tested where there is no device.
//!
//! Results of generated nests equal the interpreter's bit for bit (nothing is contracted into fused operations that the
//! program does not ask for); those of heavy kernels differ by the order and the rounding of sums.
//!
//! This crate must never know graphs, models or syntax.

#![deny(unsafe_code)]

pub mod emit;
pub mod events;
pub mod launch;
pub mod target;

pub use emit::{Emission, Storage, Unit};
pub use launch::{Argument, Call, Emitted};
pub use target::{Arch, Precision, Target};
