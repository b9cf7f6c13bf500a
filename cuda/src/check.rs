//! Material for checks of emitted text: against the interpreter, against other back ends, on any device.
//!
//! Must never know which device runs it.

mod isolate;

pub use isolate::{Isolated, Values, distinct, isolate};
