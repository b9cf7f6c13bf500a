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

pub mod accelerators;
pub mod availability;
pub mod check;
pub mod code;
pub mod contraction;
mod draw;
pub mod emit;
pub mod error;
pub mod events;
pub mod footprint;
pub mod launch;
mod layout;
mod names;
mod nest;
mod staging;
pub mod target;

#[cfg(not(all(unix, feature = "driver")))]
mod absent;
#[cfg(all(unix, feature = "driver"))]
mod driver;

#[cfg(not(all(unix, feature = "driver")))]
pub use absent::{Compiler, Device, Executable, Instance, accelerator_versions, availability, report};
pub use accelerators::{Accelerators, Choices, Winner};
pub use availability::{Availability, DeviceInfo, FailedDevice, LibraryReport, Reason, Report};
pub use code::{Compiled, Resources};
#[cfg(all(unix, feature = "driver"))]
pub use driver::{Compiler, Device, Executable, Instance, accelerator_versions, availability, report};
pub use emit::{Emission, Moved, Storage, Unit, emit, emit_apart, units};
pub use error::CudaError;
pub use footprint::Footprint;
pub use launch::{Argument, Call, Emitted};
pub use target::{Arch, Precision, Target};
