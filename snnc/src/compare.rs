//! One model by two methods: discretized over grids of steps with surrogate gradients, and by its exact spike times.
//!
//! The same text is compiled without a grid and once for each length of a step. All have the same weights and see the same
//! samples, one after the other, so that memory does not grow with their number; everything is computed in double
//! precision, so that what differs is the grid's. Must never print, nor change a file.

use std::path::Path;

use snn_graph::TimeAxis;
use snn_lang::Method;
use snn_runtime::checkpoint;
use snn_runtime::device::Device;
use snn_runtime::weights::Weights;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::program::{Override, Program};
use crate::source::Source;

mod angle;
mod inputs;
mod measure;
mod spikes;

pub use angle::Difference;
pub use inputs::Inputs;
pub use measure::Cost;
pub use spikes::SpikeErrors;

use angle::differences;
use inputs::{Sample, on_grid, samples};
use measure::{Gradients, Measured, Runner};
use spikes::{Tally, Train};

/// The most samples.
pub const MAX_SAMPLES: usize = 1024;

/// What is compared.
#[derive(Clone, Debug)]
pub struct Settings<'a> {
    /// Lengths of a step, in seconds.
    pub dts: &'a [f64],
    /// Number of samples; gradients are means over them.
    pub samples: usize,
    /// Where they come from.
    pub inputs: Inputs<'a>,
    /// A file of weights, which is only read; `None` for those that training would start from.
    pub weights: Option<&'a Path>,
    /// The machine.
    pub device: Device,
    /// The most bytes that one program may take; `None` for as many as make it fastest.
    pub memory_limit: Option<usize>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// Seconds of a sample.
    pub duration: f64,
    /// Number of samples.
    pub samples: usize,
    /// What they are, in words.
    pub inputs: String,
    /// The model without a grid.
    pub exact: Exact,
    /// The model over each of the grids, in the order of the settings.
    pub grids: Vec<Grid>,
}

/// The model without a grid of steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// Mean loss.
    pub loss: f64,
    /// What it took.
    pub cost: Cost,
    /// Each layer of neurons with the number of its spikes in all samples.
    pub spikes: Vec<(String, usize)>,
    /// The most spikes of a neuron in a sample.
    pub max_spikes: usize,
    /// How many neurons, counted in every sample, would have spiked more often than that.
    pub out_of_slots: f64,
}

/// The model over a grid of steps, against the one without.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Seconds a step.
    pub dt: f64,
    /// Number of steps.
    pub steps: usize,
    /// Mean loss.
    pub loss: f64,
    /// What it took.
    pub cost: Cost,
    /// The spikes of each layer of neurons.
    pub layers: Vec<SpikeErrors>,
    /// The gradient of each parameter.
    pub gradients: Vec<Difference>,
    /// The gradient of all parameters together.
    pub total: Difference,
}

impl Grid {
    /// The mean error of all matched spikes in seconds; `None` where none is matched.
    pub fn mean_error(&self) -> Option<f64> {
        let matched: usize = self.layers.iter().map(|layer| layer.matched).sum();
        let sum: f64 = self.layers.iter().filter_map(|layer| Some(layer.mean_error? * layer.matched as f64)).sum();
        (matched > 0).then(|| sum / matched as f64)
    }
}

impl Report {
    /// The power of dt with which the mean spike-time error falls, by least squares over all grids; `None` for fewer than
    /// two of them.
    pub fn order(&self) -> Option<f64> {
        let point = |grid: &Grid| Some((grid.dt.ln(), grid.mean_error().filter(|error| *error > 0.0)?.ln()));
        slope(&self.grids.iter().filter_map(point).collect::<Vec<_>>())
    }
}

/// The slope of the line through points that fits best.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let n = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / n;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x) * (x - mean_x)).sum();
    (points.len() > 1 && variance > 0.0).then(|| covariance / variance)
}

/// Compares the model of a text with itself.
///
/// # Errors
/// If the text has no meaning by one of the methods, its model no `train`, or the samples or weights cannot be had.
pub fn compare(source: &Source, overrides: &[Override], settings: &Settings<'_>) -> Result<Report> {
    if !(1..=MAX_SAMPLES).contains(&settings.samples) || settings.dts.is_empty() {
        return Err(Error::new(
            "there is nothing to compare",
            format!("give at least one length of a step, and from 1 to {MAX_SAMPLES} samples"),
        ));
    }
    let compiled = |method| Program::compile_as(source.clone(), overrides, method)?.model();
    let exact = compiled(Method::Exact)?;
    let on_grids: Vec<Model> =
        settings.dts.iter().map(|dt| compiled(Method::Stbp { dt: *dt })).collect::<Result<_>>()?;
    let TimeAxis::Continuous(events) = exact.graph().time else {
        return Err(Error::new("the model has a grid of steps still", "this is a mistake in the compiler"));
    };
    let weights = weights(&exact, settings)?;
    let (inputs, samples) = samples(&exact, settings)?;
    let (reference, trains) = run_exact(&exact, &weights, &samples, settings)?;
    let against = |model: &Model| run_grid(model, &weights, &samples, settings, (&reference.gradients, &trains));
    Ok(Report {
        model: exact.name().to_owned(),
        duration: events.duration,
        samples: samples.len(),
        inputs,
        grids: on_grids.iter().map(against).collect::<Result<_>>()?,
        exact: Exact {
            loss: reference.loss,
            cost: reference.cost,
            spikes: spikes::counts(&trains),
            max_spikes: events.max_spikes,
            out_of_slots: reference.out_of_slots,
        },
    })
}

/// The weights that all have.
fn weights(model: &Model, settings: &Settings<'_>) -> Result<Weights> {
    let mut weights = Weights::initial(model.graph(), 0, model.options().seed)?;
    if let Some(path) = settings.weights {
        let tensors = checkpoint::load(path)?.take(&weights.specs(false), path)?;
        weights.restore(&tensors)?;
    }
    Ok(weights)
}

/// The model without a grid, with the spikes of each sample.
fn run_exact(
    model: &Model,
    weights: &Weights,
    samples: &[Sample],
    settings: &Settings<'_>,
) -> Result<(Measured, Vec<Vec<Train>>)> {
    let mut runner = Runner::new(model, weights, settings)?;
    let trains = samples.iter().map(|sample| runner.run(sample)).collect::<Result<_>>()?;
    Ok((runner.finish(), trains))
}

/// The model on its grid, against gradients and spikes of the one without.
fn run_grid(
    model: &Model,
    weights: &Weights,
    samples: &[Sample],
    settings: &Settings<'_>,
    (gradients, trains): (&Gradients, &[Vec<Train>]),
) -> Result<Grid> {
    let TimeAxis::Grid { steps, dt } = model.graph().time else {
        return Err(Error::new("the model has no grid of steps", "this is a mistake in the compiler"));
    };
    let mut runner = Runner::new(model, weights, settings)?;
    let mut tally = Tally::default();
    for (sample, exact) in samples.iter().zip(trains) {
        tally.add(exact, &runner.run(&on_grid(model.graph(), sample, steps, dt))?);
    }
    let Measured { loss, cost, gradients: own, .. } = runner.finish();
    let (gradients, total) = differences(gradients, &own);
    Ok(Grid { dt, steps, loss, cost, layers: tally.finish(), gradients, total })
}

#[cfg(test)]
mod tests;
