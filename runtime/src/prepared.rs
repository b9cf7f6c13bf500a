//! An evaluation in two programs: what depends on the weights alone runs when they change, the rest for every batch.
//!
//! Must never know what a graph computes, nor why weights change.

use snn_graph::lower::LowerOptions;
use snn_graph::training::TrainStep;
use snn_loops::RandomKey;

use crate::device::{Device, Watch};
use crate::error::Result;
use crate::holder::Holder;
use crate::step::Step;

/// An evaluation ready to run. It holds its weights; each lies in the programs that read it.
pub struct Prepared {
    setup: Setup,
    step: Step,
    /// Whether weights changed since the results of the setup were handed over.
    stale: bool,
}

impl Prepared {
    /// Compiles what runs when the weights change and what runs for every batch; `carried` as in [`Step::carrying`].
    ///
    /// # Errors
    /// If a graph cannot be lowered or compiled.
    pub fn new(
        setup: &TrainStep,
        step: &TrainStep,
        carried: &[(String, String)],
        options: LowerOptions,
        device: Device,
    ) -> Result<Prepared> {
        Ok(Prepared {
            setup: Setup::new(setup, options, device)?,
            step: Step::carrying(&step.graph, &step.outputs, carried, options, device)?,
            stale: true,
        })
    }

    /// The program that runs for every batch.
    pub fn step(&self) -> &Step {
        &self.step
    }

    /// Bytes of memory that both programs take.
    pub fn memory_bytes(&self) -> usize {
        self.step.memory_bytes() + self.setup.program.as_ref().map_or(0, Step::memory_bytes)
    }

    /// The same as [`Self::step`], to be given a batch; weights are given by [`Holder::hold`].
    pub fn step_mut(&mut self) -> &mut Step {
        &mut self.step
    }

    /// Runs a batch, watched or not; the setup before, where weights changed. What is watched is the batch alone.
    ///
    /// # Errors
    /// If the machine does not watch kernels, or memory cannot be written.
    pub fn run(&mut self, key: RandomKey, watch: Option<Watch<'_>>) -> Result<()> {
        self.refresh()?;
        match watch {
            Some(watch) => self.step.run_watched(key, watch),
            None => self.step.run(key),
        }
    }

    /// The program that runs for every batch, for weights that never change again.
    ///
    /// # Errors
    /// If memory cannot be written.
    pub fn into_step(mut self) -> Result<Step> {
        self.refresh()?;
        Ok(self.step)
    }

    fn refresh(&mut self) -> Result<()> {
        if self.stale {
            self.setup.run(&mut self.step)?;
        }
        self.stale = false;
        Ok(())
    }
}

impl Holder for Prepared {
    fn takes(&self, port: &str) -> bool {
        self.step.takes(port) || self.setup.program.as_ref().is_some_and(|program| program.takes(port))
    }

    fn held(&self, port: &str) -> Result<Option<Vec<f64>>> {
        match (&self.setup.program, self.step.takes(port)) {
            (Some(program), false) => program.held(port),
            _ => self.step.held(port),
        }
    }

    fn hold(&mut self, port: &str, values: &[f64]) -> Result<()> {
        if let Some(program) = self.setup.program.as_mut().filter(|program| program.takes(port)) {
            program.hold(port, values)?;
            self.stale = true;
        }
        self.step.hold(port, values)
    }
}

/// The program that runs when the weights change.
struct Setup {
    /// `None` where there is nothing to compute.
    program: Option<Step>,
    results: Vec<String>,
}

impl Setup {
    fn new(plan: &TrainStep, options: LowerOptions, device: Device) -> Result<Setup> {
        let program = match plan.outputs.is_empty() {
            true => None,
            false => Some(Step::new(&plan.graph, &plan.outputs, options, device)?),
        };
        Ok(Setup { program, results: plan.outputs.iter().map(|(name, _)| name.clone()).collect() })
    }

    /// Computes everything, and hands it to the program that reads it.
    fn run(&mut self, step: &mut Step) -> Result<()> {
        let Some(program) = &mut self.program else { return Ok(()) };
        program.run(RandomKey::default())?;
        for name in &self.results {
            let (_, values) = program.result(name)?;
            step.set(&format!("input:{name}"), &values)?;
        }
        Ok(())
    }
}
