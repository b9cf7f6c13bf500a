//! Checks of the CUDA back end on a device: a real one, or one that a processor emulates.
//!
//! | module | checks |
//! | --- | --- |
//! | `instructions` | every instruction that texts use by name |
//! | `kernels` | every kernel of a model's programs by itself against the interpreter |
//! | `models`, `library` | which models, and how small |
//! | `programs` | what of a model runs |
//! | `compile` | that a real compiler takes every kernel, and what its functions need; without a device |
//! | `training` | some steps of a training against the same steps on the CPU |
//! | `sessions` | that models take the memory that is forecast, and that streams give what sequences give |
//! | `speed` | how long things take, beside the floors of the device |
//! | `parts` | all of that in parts, which a fault of the device cannot spoil for each other |
//! | `apart` | parts in processes of their own |
//!
//! Nothing here prints; `main` does. Must never know whether the device is real.

pub mod apart;
pub mod compile;
pub mod instructions;
pub mod kernels;
pub mod library;
pub mod models;
pub mod outcome;
pub mod parts;
pub mod programs;
pub mod sessions;
pub mod speed;
pub mod training;

pub use outcome::{Outcome, Status};
