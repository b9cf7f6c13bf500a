//! Are the gradients the derivatives? Central differences against differentiation, in f64.
//!
//! The model must be smooth ([`Program::compile_smooth`](crate::Program::compile_smooth)): where a spike stands for its
//! surrogate's primitive, the surrogate is a derivative in earnest. Random draws and detached values are held fixed while
//! a weight moves. The gradient is computed twice, by the reference evaluation and by compiled code.

use std::collections::BTreeMap;

use snn_graph::Axes;
use snn_graph::eval::{DetachTape, EvalContext, evaluate};
use snn_graph::lower::LowerOptions;
use snn_graph::ops::Constant;
use snn_graph::ops::pointwise::Function;
use snn_graph::passes::{self, PassContext};
use snn_graph::training::{TrainStep, gradient_graph};
use snn_graph::{Model as Graph, NodeId, Tensor};
use snn_runtime::device::Device;
use snn_runtime::step::Step;
use snn_runtime::weights::{Kept, Weights};
use snn_runtime::{Dtype, RandomKey, RuntimeError};

use crate::error::{Error, Result};
use crate::model::Model;
use crate::random::random_batch;

/// Steps of the central differences, tried in this order: the smaller, the less probable it is that a kink of a function
/// such as `abs` lies between the two points, and the more rounding shows. Spike times have a kink wherever a spike passes the
/// arrival of another, and where delays are learned that is often.
const STEPS: [f64; 4] = [1e-5, 1e-6, 1e-7, 1e-8];

/// Gradients below this are 0: rounding of the loss hides them.
const NOISE: f64 = 1e-9;

/// How much is checked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Samples of random input.
    pub batch: usize,
    /// The most elements of each parameter that are moved.
    pub elements: usize,
    /// The largest error that passes, relative to the largest gradient of the parameter.
    pub tolerance: f64,
}

/// The result for one parameter.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its path.
    pub path: String,
    /// Its shape.
    pub dims: Vec<usize>,
    /// How many elements were moved.
    pub checked: usize,
    /// The largest difference between the gradient and the central difference.
    pub absolute: f64,
    /// The same relative to the largest gradient of the parameter.
    pub relative: f64,
    /// The largest difference between the two gradients, relative to the same.
    pub compiled: f64,
    /// Whether the gradient is 0 everywhere, so that its errors say little.
    pub vanishes: bool,
    /// Whether all is within the tolerance.
    pub ok: bool,
}

/// Checks every parameter of a smooth model on random input.
///
/// # Errors
/// If the model has no loss, or cannot be evaluated.
pub fn gradcheck(model: &Model, settings: &Settings) -> Result<Vec<Row>> {
    let seed = model.options().seed;
    // Reports the models that cannot be run at all.
    model.session(model.options())?;
    let graph = passes::run(model.graph(), &PassContext::new(model.graph(), true), None)?;
    let graph = if graph.time.events().is_some() { with_probe(graph)? } else { graph };
    let plan = gradient_graph(&graph, false)?;
    let mut check = Check {
        loss: graph.loss.ok_or_else(|| RuntimeError::new("the model has no loss"))?,
        weights: Weights::initial(&graph, 0, seed)?,
        batch: random_batch(model, settings.batch, seed),
        n_samples: settings.batch,
        key: RandomKey { seed, run: 0 },
        graph,
    };
    let reference = check.reference_gradients(&plan)?;
    let compiled = check.compiled_gradients(&plan)?;
    let tape = check.record()?;
    let kept: Vec<Kept> = check.weights.iter().cloned().collect();
    let mut rows = Vec::new();
    for (at, kept) in kept.iter().enumerate() {
        let (Some(reference), Some(compiled)) = (reference.get(&kept.name()), compiled.get(&kept.name())) else {
            continue;
        };
        rows.push(check.parameter(at, kept, reference, compiled, settings, &tape)?);
    }
    match rows.is_empty() {
        true => Err(Error::new("the loss depends on no parameter", "check that the model has weights")),
        false => Ok(rows),
    }
}

/// A model on events with another loss: the times of its result's spikes, each with a weight of its own. The number of
/// spikes, which the program's loss may count, has a declared derivative and is left out.
fn with_probe(model: Graph) -> Result<Graph> {
    let mut model = model;
    let graph = &mut model.graph;
    let times = model.output;
    let ty = graph.ty(times).clone();
    if !ty.time {
        return Err(Error::new("the result of the model is not a train of spikes", "end the model with neurons"));
    }
    let never = graph.constant(f64::INFINITY)?;
    let fired = graph.pointwise(Function::Lt, &[times, never])?;
    let zero = graph.constant(0.0)?;
    let times = graph.select(fired, times, zero)?;
    let dims = (0..ty.dims.len()).collect();
    let weights: Vec<f64> = (0..ty.elements()).map(|at| 1.0 + 0.37 * (at % 5) as f64).collect();
    let weights = graph.push(Constant { time: false, dims: ty.dims, values: weights.into() }, &[])?;
    let weighted = graph.mul(times, weights)?;
    model.loss = Some(graph.sum(weighted, &Axes { time: true, batch: false, dims })?);
    Ok(model)
}

/// A model at one point.
struct Check {
    graph: Graph,
    loss: NodeId,
    weights: Weights,
    batch: Vec<(String, Vec<f32>)>,
    n_samples: usize,
    key: RandomKey,
}

impl Check {
    fn bindings(&self) -> BTreeMap<String, Tensor> {
        let mut bindings = BTreeMap::new();
        for input in self.graph.inputs.iter().chain(&self.graph.targets) {
            let values = self.batch.iter().find(|(name, _)| *name == input.name).map(|(_, values)| values.as_slice());
            let dims = self.graph.graph.ty(input.node).extents(self.graph.graph.steps, self.n_samples);
            let data = values.unwrap_or_default().iter().map(|value| f64::from(*value)).collect();
            bindings.insert(input.name.clone(), Tensor { dims, data });
        }
        for kept in self.weights.iter() {
            bindings.insert(kept.name(), Tensor { dims: kept.dims().to_vec(), data: kept.values.clone() });
        }
        bindings
    }

    fn reference_gradients(&self, plan: &TrainStep) -> Result<BTreeMap<String, Vec<f64>>> {
        let nodes: Vec<NodeId> = plan.outputs.iter().map(|(_, node)| *node).collect();
        let bindings = self.bindings();
        let mut context = EvalContext::new(plan.graph.steps, self.n_samples, &bindings);
        context.key = self.key;
        let values = evaluate(&plan.graph, &nodes, &mut context)?;
        let named = plan.outputs.iter().zip(values);
        Ok(named.filter_map(|((name, _), value)| Some((path_of(name)?, value.data))).collect())
    }

    fn compiled_gradients(&self, plan: &TrainStep) -> Result<BTreeMap<String, Vec<f64>>> {
        let options = LowerOptions::new(self.n_samples, Dtype::F64);
        let mut step = Step::new(&plan.graph, &plan.outputs, options, Device::cpu(0))?;
        for (name, values) in &self.batch {
            step.set_f32(&format!("input:{name}"), values)?;
        }
        for kept in self.weights.iter() {
            step.set(&kept.port(), &kept.values)?;
        }
        step.run(self.key)?;
        let mut gradients = BTreeMap::new();
        for (name, _) in &plan.outputs {
            if let Some(path) = path_of(name) {
                gradients.insert(path, step.result(name)?.1);
            }
        }
        Ok(gradients)
    }

    /// The detached values at this point.
    fn record(&self) -> Result<DetachTape> {
        let (_, tape) = self.mean_loss(DetachTape::Record(Vec::new()))?;
        Ok(tape)
    }

    fn mean_loss(&self, detached: DetachTape) -> Result<(f64, DetachTape)> {
        let bindings = self.bindings();
        let mut context = EvalContext::new(self.graph.graph.steps, self.n_samples, &bindings);
        context.key = self.key;
        context.detached = detached;
        let losses = evaluate(&self.graph.graph, &[self.loss], &mut context)?;
        let losses = losses.first().map(|tensor| tensor.data.as_slice()).unwrap_or_default();
        Ok((losses.iter().sum::<f64>() / losses.len().max(1) as f64, context.detached))
    }

    /// The loss with one weight at another value; the weight is restored.
    fn loss_at(&mut self, at: usize, element: usize, value: f64, tape: &DetachTape) -> Result<f64> {
        let before = self.replace(at, element, value);
        let loss = self.mean_loss(tape.replay());
        self.replace(at, element, before);
        Ok(loss?.0)
    }

    fn replace(&mut self, at: usize, element: usize, value: f64) -> f64 {
        match self.weights.iter_mut().nth(at).and_then(|kept| kept.values.get_mut(element)) {
            Some(weight) => std::mem::replace(weight, value),
            None => value,
        }
    }

    fn parameter(
        &mut self,
        at: usize,
        kept: &Kept,
        reference: &[f64],
        compiled: &[f64],
        settings: &Settings,
        tape: &DetachTape,
    ) -> Result<Row> {
        let scale = reference.iter().fold(NOISE, |most, gradient| most.max(gradient.abs()));
        let checked = settings.elements.min(kept.values.len());
        let mut absolute = 0.0;
        for number in 0..checked {
            let element = number * kept.values.len() / checked;
            let (Some(value), Some(gradient)) = (kept.values.get(element), reference.get(element)) else { continue };
            let mut least = f64::INFINITY;
            for step in STEPS {
                let up = self.loss_at(at, element, value + step, tape)?;
                let down = self.loss_at(at, element, value - step, tape)?;
                least = least.min(((up - down) / (2.0 * step) - gradient).abs());
                if least <= settings.tolerance * scale {
                    break;
                }
            }
            absolute = larger(absolute, least);
        }
        let differences = reference.iter().zip(compiled).map(|(a, b)| (a - b).abs());
        let compiled = differences.fold(0.0, larger) / scale;
        let relative = absolute / scale;
        let ok = relative <= settings.tolerance && compiled <= settings.tolerance;
        let vanishes = reference.iter().all(|gradient| *gradient == 0.0);
        Ok(Row { path: kept.name(), dims: kept.dims().to_vec(), checked, absolute, relative, compiled, vanishes, ok })
    }
}

/// The larger of the two; NaN if one is, so that it cannot hide.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

fn path_of(output: &str) -> Option<String> {
    output.strip_prefix("grad:").map(str::to_owned)
}
