//! Devices: finding them, compiling text for them, and running programs on them.
//!
//! Everything is loaded at run time, and nothing before somebody asks; a machine without CUDA is an answer, not a failure.
//! `probe` finds the driver and its devices, `nvrtc` the compiler and `cache` what it made before; `handles` and `memory`
//! own what the driver hands out; `launch` walks a program's launches, `instance` runs them as one
//! CUDA graph.
//!
//! This folder is the only place of the crate with `unsafe`, and must never know what kernels compute.

mod api;
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
mod watch;

pub use device::Device;
pub use executable::Executable;
pub use instance::Instance;
pub use nvrtc::Compiler;
pub use probe::{availability, report};
