//! How much memory a model will take, and what fits into a given amount.
//!
//! Must never print.

use snn_runtime::device::Device;
use snn_runtime::forecast::{self, Forecast, Phase, Target};

use crate::error::{Error, Result};
use crate::model::Model;

/// What memory is forecast for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A training as the model's `train` says.
    Training,
    /// Inference.
    Inference,
}

impl Model {
    /// What training or inference with a batch will take at its worst moment; nothing is compiled or allocated for it.
    ///
    /// # Errors
    /// If the model cannot be run, or there is no `train` to train by.
    pub fn forecast(&self, purpose: Purpose, batch: usize, device: Device) -> Result<Forecast> {
        self.runnable()?;
        Ok(forecast::forecast(self.graph(), self.phase(purpose)?, batch, self.target(device))?)
    }

    /// The largest batch with which training or inference stays within a number of bytes; `None` if one sample is too much.
    ///
    /// # Errors
    /// As [`Self::forecast`].
    pub fn largest_batch(&self, purpose: Purpose, limit: usize, device: Device) -> Result<Option<usize>> {
        self.runnable()?;
        Ok(forecast::largest_batch(self.graph(), self.phase(purpose)?, limit, self.target(device))?)
    }

    fn target(&self, device: Device) -> Target {
        Target { dtype: self.options().dtype, threads: device.threads() }
    }

    fn phase(&self, purpose: Purpose) -> Result<Phase<'_>> {
        match (purpose, self.recipe()) {
            (Purpose::Inference, _) => Ok(Phase::Inference),
            (Purpose::Training, Some(recipe)) => Ok(Phase::Training(&recipe.optimizer.rule)),
            (Purpose::Training, None) => Err(Error::new(
                format!("`{}` has no `train`, so there is nothing to forecast of a training", self.name()),
                "add a `train` declaration",
            )),
        }
    }
}
