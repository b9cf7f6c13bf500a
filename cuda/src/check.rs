//! Material for checks of emitted text: against the interpreter, against other back ends, on any device.
//!
//! Must never know which device runs it.

pub mod instructions;
mod isolate;
mod rename;

pub use instructions::{InstructionCheck, instructions};
pub use isolate::{Alone, Isolated, Values, distinct, isolate};
