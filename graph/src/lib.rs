//! The typed dataflow graph of snnc: what a model is between syntax and machine.
//!
//! Every node is one op applied to earlier nodes; its type says the shape of one sample at one time step, whether the
//! value changes from step to step ([`Ty::time`]) and from sample to sample ([`Ty::batch`]), and what kind of numbers it
//! holds. Batch size is unknown until lowering; the number of time steps is a property of the graph. The gradient of a
//! graph is more nodes of the same graph ([`autodiff`]), so printing, evaluation, passes and lowering come for free.
//!
//! Order of use: build ([`build`]) -> passes ([`passes`]) -> differentiate -> lower to `snn_loops::Program` ([`lower`]).
//! The readable meaning of every op is its `eval` in f64 ([`eval`]).
//!
//! This crate must never know syntax, files or machines.

pub mod autodiff;
pub mod build;
pub mod eval;
pub mod exact;
pub mod feedback;
pub mod graph;
pub mod lower;
pub mod model;
pub mod op;
pub mod ops;
pub mod passes;
pub mod print;
pub mod recompute;
pub mod setup;
pub mod streaming;
pub mod tensor;
pub mod training;
pub mod ty;
pub mod verify;

pub use graph::{Graph, Node, NodeId, Origin};
pub use model::{Events, Init, Input, InputKind, Model, Parameter, RunningAverage, SpikeOutput, TimeAxis};
pub use op::{Op, OpRule, ShapeError};
pub use tensor::Tensor;
pub use ty::{Axes, Kind, Ty};
