//! snnc, a compiler for spiking neural networks: compile a model, run it, train it.
//!
//! [`Model`] is where to begin; [`Program`] where a text holds several models or tests. The command line is made of
//! nothing but what is public here. This crate must never print and never end the process.

pub mod bench;
pub mod claims;
pub mod compare;
pub mod doctor;
pub mod gradcheck;
pub mod profile;
pub mod stages;

mod error;
mod kernels;
mod memory;
mod model;
mod program;
mod random;
mod recipe;
mod source;
mod training;

pub use error::{Diagnostics, Error, Result};
pub use kernels::{Calibrated, KernelChoice};
pub use memory::Purpose;
pub use model::Model;
pub use program::{Override, Program, standard_library};
pub use random::random_batch;
pub use recipe::Recipe;
pub use snn_runtime::health::Health;
pub use source::Source;
pub use training::{Run, Training, load_weights};

pub use snn_graph as graph;
pub use snn_lang::Method;
pub use snn_lang::codes::Code;
pub use snn_lang::elaborate::StageRow;
pub use snn_runtime as runtime;
pub use snn_runtime::device::{Accelerators, Arch, Crossovers, Device, Isa, Kernels, Precision, SpikeKernels};
pub use snn_runtime::session::{Inference, MemoryUse, Session, SessionOptions};
pub use snn_runtime::stream::{Stream, StreamOutput};
pub use snn_runtime::train::{Evaluation, Event, Observer, Outcome, Silent};
pub use snn_runtime::{Dtype, RuntimeError, WeightValues};
