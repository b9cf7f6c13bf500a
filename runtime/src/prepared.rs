//! An evaluation in two programs: what depends on the weights alone runs when they change, the rest for every batch.
//!
//! Must never know what a graph computes, nor when weights change.

use snn_graph::setup::{Split, split};
use snn_graph::training::TrainStep;
use snn_loops::{Dtype, RandomKey};

use crate::device::Device;
use crate::error::Result;
use crate::step::Step;
use crate::weights::Weights;

/// The program that runs when the weights change.
pub struct Setup {
    program: Option<Step>,
    results: Vec<String>,
}

impl Setup {
    /// Compiles it; where there is nothing to compute, there is no program.
    ///
    /// # Errors
    /// If the graph cannot be lowered or compiled.
    pub fn new(plan: &TrainStep, batch: usize, dtype: Dtype, device: Device) -> Result<Setup> {
        let program = match plan.outputs.is_empty() {
            true => None,
            false => Some(Step::new(&plan.graph, &plan.outputs, batch, dtype, device)?),
        };
        Ok(Setup { program, results: plan.outputs.iter().map(|(name, _)| name.clone()).collect() })
    }

    /// Computes everything from new weights, and hands weights and results to the program that reads them.
    ///
    /// # Errors
    /// If a value does not fit.
    pub fn hand_over(&mut self, weights: &Weights, step: &mut Step) -> Result<()> {
        weights.iter().try_for_each(|kept| step.set(&kept.port(), &kept.values))?;
        let Some(program) = &mut self.program else { return Ok(()) };
        weights.iter().try_for_each(|kept| program.set(&kept.port(), &kept.values))?;
        program.run(RandomKey::default())?;
        for name in &self.results {
            let (_, values) = program.result(name)?;
            step.set(&format!("input:{name}"), &values)?;
        }
        Ok(())
    }
}

/// An evaluation ready to run.
pub struct Prepared {
    setup: Setup,
    /// The program that runs for every batch.
    pub step: Step,
}

impl Prepared {
    /// Splits and compiles an evaluation.
    ///
    /// # Errors
    /// If the graph cannot be lowered or compiled.
    pub fn new(whole: &TrainStep, batch: usize, dtype: Dtype, device: Device) -> Result<Prepared> {
        let Split { setup, step } = split(whole)?;
        Ok(Prepared {
            setup: Setup::new(&setup, batch, dtype, device)?,
            step: Step::new(&step.graph, &step.outputs, batch, dtype, device)?,
        })
    }

    /// Takes over new weights.
    ///
    /// # Errors
    /// If a value does not fit.
    pub fn refresh(&mut self, weights: &Weights) -> Result<()> {
        self.setup.hand_over(weights, &mut self.step)
    }
}
