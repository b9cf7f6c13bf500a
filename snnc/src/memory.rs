//! How much memory a model will take, and what fits into a given amount.
//!
//! Must never print.

use snn_runtime::forecast::{self, Forecast, Phase, Target};
use snn_runtime::session::SessionOptions;

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
    /// What training or inference will take at its worst moment, with the batch, the type, the machine and the limit of a
    /// training's memory that `options` say; nothing is compiled or allocated for it.
    ///
    /// # Errors
    /// If the model cannot be run, there is no `train` to train by, or a training cannot stay within its limit.
    pub fn forecast(&self, purpose: Purpose, options: &SessionOptions) -> Result<Forecast> {
        Ok(forecast::forecast(self.graph(), self.phase(purpose, options)?, options.batch, target(options))?)
    }

    /// The largest batch with which training or inference stays within a number of bytes, whatever batch `options` say;
    /// `None` if one sample is too much.
    ///
    /// # Errors
    /// As [`Self::forecast`].
    pub fn largest_batch(&self, purpose: Purpose, limit: usize, options: &SessionOptions) -> Result<Option<usize>> {
        Ok(forecast::largest_batch(self.graph(), self.phase(purpose, options)?, limit, target(options))?)
    }

    fn phase(&self, purpose: Purpose, options: &SessionOptions) -> Result<Phase<'_>> {
        match (purpose, self.recipe()) {
            (Purpose::Inference, _) => Ok(Phase::Inference(options.weights)),
            (Purpose::Training, Some(recipe)) => Ok(Phase::Training(&recipe.optimizer.rule, options.memory_limit)),
            (Purpose::Training, None) => Err(Error::new(
                format!("`{}` has no `train`, so there is nothing to forecast of a training", self.name()),
                "add a `train` declaration",
            )),
        }
    }
}

fn target(options: &SessionOptions) -> Target {
    Target { dtype: options.dtype, device: options.device }
}
