//! The driver side against drivers and compilers of all kinds: none, broken ones, fake ones that run on the processor, and
//! the real NVRTC.
//!
//! What a process finds out about CUDA it finds out once, so every test runs in a process of its own.

mod absence;
#[cfg(feature = "accelerators")]
mod accelerators;
mod compiler;
mod contraction_cases;
mod contractions;
mod emulation;
mod instances;
mod prepared;
mod programs;
mod scratch;
mod search;
mod shared_use;
mod support;
mod together;
