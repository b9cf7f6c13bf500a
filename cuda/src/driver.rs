//! Devices: finding them, compiling text for them, and running programs on them.
//!
//! Everything is loaded at run time, and nothing before somebody asks; a machine without CUDA is an answer, not a failure.
//! `probe` finds the driver and its devices, `nvrtc` the compiler and `cache` what it made before; `handles` and `memory`
//! own what the driver hands out; `launch` walks a program's launches, `instance` runs them as one CUDA graph.
//! `accelerators` lets libraries compute what they are faster at.
//!
//! This folder is the only place of the crate with `unsafe`, and must never know what kernels compute.

#[macro_use]
mod api;
#[cfg(feature = "accelerators")]
mod accelerators;
#[cfg(not(feature = "accelerators"))]
#[path = "driver/no_accelerators.rs"]
mod accelerators;
mod cache;
mod device;
mod executable;
mod handles;
mod instance;
mod launch;
mod libraries;
mod memory;
mod nvrtc;
mod probe;
mod staging;
mod steady;
mod watch;
mod work;

pub use accelerators::versions as accelerator_versions;
pub use device::Device;
pub use executable::Executable;
pub use instance::Instance;
pub use nvrtc::Compiler;
pub use probe::{availability, report};
