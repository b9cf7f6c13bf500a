//! The narrow waist of snnc.
//!
//! A [`Program`] is what is left of a model once every op has been lowered: buffers, kernels and the order in which they
//! are launched. A kernel is either a [`Nest`] (loops over a closed set of [`Scalar`] instructions) or one of a few named
//! heavy kernels ([`Contraction`], [`EventSweep`], [`Draw`]) that every back end implements by hand.
//!
//! The meaning of a program is what [`interp`] does with it: a back end is right when it agrees with the interpreter.
//!
//! This crate must never know ops, models, syntax or machines. A back end must never know anything but this crate.

pub mod contraction;
pub mod densities;
pub mod draw;
pub mod dtype;
pub mod event_sweep;
pub mod events;
pub mod expand;
pub mod in_place;
pub mod index;
pub mod interp;
pub mod nest;
pub mod plan;
pub mod print;
pub mod program;
pub mod scalar;
pub mod timings;
pub mod verify;

pub use contraction::{Contraction, ContractionKind, ConvShape, MAX_PLANES, WeightValues};
pub use densities::Densities;
pub use draw::{Distribution, Draw, RandomKey};
pub use dtype::Dtype;
pub use event_sweep::{EventLayer, EventSweep, SweepPass};
pub use index::{Atom, Ix, Var};
pub use nest::{Access, Expr, Extent, LoopKind, Nest, NestBuilder, Reg, Stmt, Val};
pub use program::{Buffer, BufferId, Kernel, KernelId, Launch, Operand, Program, Role, WORD};
pub use scalar::Scalar;
pub use timings::{KernelTime, Timings};
