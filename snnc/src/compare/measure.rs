//! A model that runs sample after sample: loss, gradients, spikes and how long it takes.
//!
//! Must never know what it is compared with.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use snn_graph::Model as Graph;
use snn_graph::lower::LowerOptions;
use snn_graph::passes::{self, PassContext};
use snn_graph::recompute;
use snn_graph::training::gradients_and_trains;
use snn_runtime::step::Step;
use snn_runtime::weights::{Kept, Weights};
use snn_runtime::{Dtype, RandomKey, RuntimeError};

use super::Settings;
use super::inputs::Sample;
use super::spikes::Train;
use crate::error::Result;
use crate::model::Model;

/// Gradients by path of their parameter.
pub(super) type Gradients = BTreeMap<String, Vec<f64>>;

/// What a model took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Milliseconds from the checked model to a program that runs.
    pub compile_ms: f64,
    /// Milliseconds a sample, forward and backward, in the mean.
    pub sample_ms: f64,
}

/// What a model did in all samples.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    /// Mean loss.
    pub loss: f64,
    /// The gradients of the mean loss.
    pub gradients: Gradients,
    /// How often a neuron would have spiked more often than it may in a sample.
    pub out_of_slots: f64,
    /// What it took.
    pub cost: Cost,
}

/// A compiled model with its weights.
pub(super) struct Runner<'m> {
    model: &'m Graph,
    step: Step,
    seed: u64,
    compile: Duration,
    running: Duration,
    samples: u64,
    loss: f64,
    gradients: Gradients,
    out_of_slots: f64,
}

impl<'m> Runner<'m> {
    /// The model for single samples.
    pub fn new(model: &'m Model, weights: &Weights, settings: &Settings<'_>) -> Result<Runner<'m>> {
        let clock = Instant::now();
        let seed = model.options().seed;
        let model = model.graph();
        let options = LowerOptions::new(1, Dtype::F64);
        let mut plan = gradients_and_trains(&passes::run(model, &PassContext::new(model, true), None)?)?;
        if let Some(limit) = settings.memory_limit {
            plan = recompute::fit(&plan, options, limit).map_err(RuntimeError::from)?.step;
        }
        let mut step = Step::new(&plan.graph, &plan.outputs, options, settings.device)?;
        for kept in weights.iter() {
            same_shape(model, kept)?;
            step.set(&kept.port(), &kept.values)?;
        }
        let gradients = plan.outputs.iter().filter_map(|(name, _)| name.strip_prefix("grad:"));
        let gradients = gradients.map(|path| (path.to_owned(), Vec::new())).collect();
        let (running, compile) = (Duration::ZERO, clock.elapsed());
        Ok(Runner { model, step, seed, compile, running, samples: 0, loss: 0.0, gradients, out_of_slots: 0.0 })
    }

    /// Runs one sample and gives the spikes of each layer.
    pub fn run(&mut self, sample: &Sample) -> Result<Vec<Train>> {
        for (name, values) in sample {
            self.step.set_f32(&format!("input:{name}"), values)?;
        }
        let clock = Instant::now();
        self.step.run(RandomKey { seed: self.seed, run: self.samples })?;
        self.running += clock.elapsed();
        self.samples += 1;
        self.loss += self.step.scalar("loss")?;
        for (path, sum) in &mut self.gradients {
            let (_, values) = self.step.result(&format!("grad:{path}"))?;
            sum.resize(values.len(), 0.0);
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        self.model.spikes.iter().map(|layer| layer.path.as_str()).map(|path| self.train(path)).collect()
    }

    fn train(&mut self, path: &str) -> Result<Train> {
        let (ty, values) = self.step.result(&format!("train:{path}"))?;
        let n_neurons = ty.elements();
        let times = |neuron: usize| {
            let own = values.iter().copied().skip(neuron).step_by(n_neurons.max(1));
            match self.model.time.dt() {
                Some(dt) => {
                    own.enumerate().filter(|(_, spike)| *spike != 0.0).map(|(step, _)| step as f64 * dt).collect()
                }
                None => own.filter(|time| time.is_finite()).collect(),
            }
        };
        let neurons = (0..n_neurons).map(times).collect();
        if self.model.time.events().is_some() {
            let (_, counters) = self.step.result(&format!("counters:{path}"))?;
            self.out_of_slots += counters.first().copied().unwrap_or(0.0);
        }
        Ok(Train { path: path.to_owned(), neurons })
    }

    /// The means over all samples.
    pub fn finish(self) -> Measured {
        let samples = self.samples.max(1) as f64;
        let mut gradients = self.gradients;
        gradients.values_mut().flatten().for_each(|value| *value /= samples);
        let cost = Cost {
            compile_ms: 1e3 * self.compile.as_secs_f64(),
            sample_ms: 1e3 * self.running.as_secs_f64() / samples,
        };
        Measured { loss: self.loss / samples, gradients, out_of_slots: self.out_of_slots, cost }
    }
}

/// A parameter with one value for each step has another shape on another grid.
fn same_shape(model: &Graph, kept: &Kept) -> Result<()> {
    let parameter = model.parameters.iter().find(|parameter| parameter.path == kept.name());
    let Some(parameter) = parameter else { return Ok(()) };
    let dims = model.graph.ty(parameter.node).extents(model.graph.steps, 1);
    if dims == kept.dims() {
        return Ok(());
    }
    let message = format!("`{}` has shape {:?} without a grid of steps and {dims:?} on one", kept.name(), kept.dims());
    Err(RuntimeError::new(message)
        .with_help("compare a model whose weights do not depend on the number of steps")
        .into())
}
