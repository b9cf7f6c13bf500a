//! Sessions, training, data and checkpoints of snnc.
//!
//! Brings together a model from `snn_graph`, a machine and data. Must never know syntax: models come as graphs, settings
//! as plain data.

pub mod calibration;
pub mod checkpoint;
pub mod cost;
pub mod data;
pub mod device;
pub mod error;
pub mod feed;
pub mod forecast;
pub mod hash;
pub mod health;
pub mod holder;
pub mod init;
pub mod kernels;
pub mod listing;
pub mod machine;
pub mod metrics;
pub mod noise;
pub mod optim;
pub mod prepared;
pub mod process;
pub mod rng;
pub mod run_dir;
pub mod schedule;
pub mod session;
pub mod step;
pub mod stream;
pub mod train;
pub mod weights;

mod files;

pub use error::{Result, RuntimeError, nearest};
pub use snn_loops::{Dtype, RandomKey, WeightValues};
