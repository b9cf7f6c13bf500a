//! How a session computes.
//!
//! Must never know models.

use snn_graph::Model;
use snn_graph::lower::LowerOptions;
use snn_graph::passes::PassContext;
use snn_loops::{Dtype, WeightValues};

use crate::device::Device;

/// How a session computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SessionOptions {
    /// Samples in a batch.
    pub batch: usize,
    /// The type everything is computed in.
    pub dtype: Dtype,
    /// The machine.
    pub device: Device,
    /// The seed of weights and random draws.
    pub seed: u64,
    /// The most bytes that the training program may take; `None` for as many as make it fastest. Where it would take
    /// more, values that the backward pass reads are computed twice instead of being kept. No result depends on it.
    pub memory_limit: Option<usize>,
    /// What inference rounds the weights of linear maps and convolutions that hear spikes to. [`WeightValues::Int8`] is 8
    /// bits, with a scale for each output channel: CUDA devices then add integers, all others compute with the rounded
    /// weights as they compute with any, so that results tell what the rounding costs. A session with it cannot train.
    pub weights: WeightValues,
}

impl Default for SessionOptions {
    /// One sample, single precision, all cores, seed 0, no limit, weights as they are.
    fn default() -> Self {
        let device = Device::cpu(0);
        SessionOptions { batch: 1, dtype: Dtype::F32, device, seed: 0, memory_limit: None, weights: WeightValues::Any }
    }
}

impl SessionOptions {
    /// How trainings are lowered.
    pub(super) fn lowering(&self) -> LowerOptions {
        self.device.lowering(LowerOptions::new(self.batch, self.dtype))
    }

    /// What passes are told of an evaluation.
    pub(crate) fn evaluation_passes(&self, model: &Model) -> PassContext {
        PassContext { weights: self.weights, ..PassContext::new(model, false) }
    }

    /// How evaluations are.
    pub(super) fn evaluation(&self) -> LowerOptions {
        self.device.evaluation(self.lowering())
    }
}
