//! The programs of a session as plans and lowered, before any machine compiles them.
//!
//! Must never know values.

use snn_graph::lower::{LowerOptions, Lowered, lower};
use snn_graph::passes::{self, PassContext};
use snn_graph::recompute::{self, Fitted};
use snn_graph::setup::{Split, split};
use snn_graph::training::{self, TrainStep};
use snn_graph::{Model, ShapeError};
use snn_loops::WeightValues;

use super::{MemoryUse, Session};
use crate::error::{Result, RuntimeError};

impl Session {
    /// What the training program will take of memory, within the limit of the options where there is one.
    ///
    /// # Errors
    /// If it does not fit, the model has no loss, or it cannot be compiled.
    pub fn training_memory(&self) -> Result<MemoryUse> {
        let limit = self.options.memory_limit.unwrap_or(usize::MAX);
        let Fitted { bytes, recomputed, .. } = recompute::fit(&self.training_plan()?, self.options.lowering(), limit)?;
        Ok(MemoryUse { bytes, recomputed })
    }

    /// What the training program is, compiled for no machine.
    ///
    /// # Errors
    /// If the model has no loss, or cannot be lowered.
    pub fn lower_training(&self) -> Result<Lowered> {
        lowered(&self.fitted_plan()?, self.options.lowering())
    }

    /// The training plan, within the limit of the options where there is one.
    pub(super) fn fitted_plan(&self) -> Result<TrainStep> {
        let plan = self.training_plan()?;
        match self.options.memory_limit {
            Some(limit) => Ok(recompute::fit(&plan, self.options.lowering(), limit)?.step),
            None => Ok(plan),
        }
    }

    fn training_plan(&self) -> Result<TrainStep> {
        if self.options.weights != WeightValues::Any {
            let error =
                RuntimeError::new("weights of 8 bits are for inference; training changes them by less than a step");
            return Err(error.with_help("train with f32 weights, and round them when the model is evaluated"));
        }
        let optimizer =
            self.optimizer.as_ref().ok_or_else(|| RuntimeError::new("this session was made without an optimizer"))?;
        let context = PassContext::new(&self.model, true);
        self.plan(&context, |model| training::scaled_train_step(model, optimizer, self.options.device.loss_scale()))
    }

    /// What an evaluation runs for every batch, compiled for no machine.
    ///
    /// # Errors
    /// If the model cannot be lowered.
    pub fn lower_evaluation(&self) -> Result<Lowered> {
        lowered(&self.evaluation_plan()?.step, self.options.evaluation())
    }

    pub(super) fn evaluation_plan(&self) -> Result<Split> {
        Ok(split(&self.plan(&self.options.evaluation_passes(&self.model), training::eval_step)?)?)
    }

    fn plan(
        &self,
        context: &PassContext,
        plan: impl FnOnce(&Model) -> Result<TrainStep, ShapeError>,
    ) -> Result<TrainStep> {
        Ok(plan(&passes::run(&self.model, context, None)?)?)
    }
}

fn lowered(plan: &TrainStep, options: LowerOptions) -> Result<Lowered> {
    lower(&plan.graph, &plan.outputs, options).map_err(|error| RuntimeError::new(error.message))
}
