//! A model on a device with its weights: initialise, train a batch, evaluate a batch, infer.
//!
//! Owns the compiled training and evaluation programs and the learned state. Must never know files, data sets or schedules.

use std::collections::BTreeMap;

use snn_graph::passes::{self, PassContext};
use snn_graph::training::{self, Optimizer};
use snn_graph::{Model, ShapeError};
use snn_loops::{Dtype, RandomKey};

use crate::checkpoint::{NamedTensor, TensorData, TensorSpec};
use crate::device::Device;
use crate::error::{Result, RuntimeError};
use crate::init;
use crate::step::Step;

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
}

/// One value of a batch: an input or target by its name in the model.
pub type BatchValues<'a> = &'a [(&'a str, &'a [f32])];

/// What a training batch gave.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainOutcome {
    /// Mean loss.
    pub loss: f64,
    /// Samples whose predicted class is the label; 0 where the model predicts nothing.
    pub correct: f64,
    /// Firing rate of each layer of neurons, spikes per neuron and step.
    pub rates: Vec<f64>,
}

/// What an evaluation batch gave.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalOutcome {
    /// Sum of the losses of the samples that count.
    pub loss_sum: f64,
    /// Number of them whose predicted class is the label.
    pub correct: f64,
    /// Firing rate of each layer.
    pub rates: Vec<f64>,
}

/// A learned or averaged tensor as the session knows it.
#[derive(Clone, Debug)]
struct Kept {
    /// Port name: `param:<path>`, `average:<path>` or `input:slot:<path>:<k>`.
    port: String,
    dims: Vec<usize>,
    values: Vec<f64>,
}

/// A model with weights, ready to run.
pub struct Session {
    model: Model,
    options: SessionOptions,
    optimizer: Option<Optimizer>,
    kept: Vec<Kept>,
    train: Option<Step>,
    eval: Option<Step>,
    /// Whether the weights in the training program are newer than `kept`.
    trained: bool,
    updates: u64,
}

impl Session {
    /// A session with freshly initialised weights. Programs are compiled when they are first needed.
    ///
    /// # Errors
    /// If an initialiser does not fit its parameter.
    pub fn new(model: Model, optimizer: Option<Optimizer>, options: SessionOptions) -> Result<Session> {
        let mut kept = Vec::new();
        for parameter in &model.parameters {
            let mut dims = parameter.dims.clone();
            if parameter.time {
                dims.insert(0, model.graph.steps);
            }
            let values = init::initial_values(&parameter.init, &dims, options.seed, &parameter.path)?;
            kept.push(Kept { port: format!("param:{}", parameter.path), dims, values });
        }
        for average in &model.averages {
            let len = average.dims.iter().product();
            let values = vec![average.start; len];
            kept.push(Kept { port: format!("average:{}", average.path), dims: average.dims.clone(), values });
        }
        for slot in 0..optimizer.as_ref().map_or(0, Optimizer::slots) {
            for parameter in 0..model.parameters.len() {
                let Kept { port, dims, values } = &kept[parameter];
                let path = port.trim_start_matches("param:");
                let (port, values) = (format!("input:slot:{path}:{slot}"), vec![0.0; values.len()]);
                kept.push(Kept { port, dims: dims.clone(), values });
            }
        }
        Ok(Session { model, options, optimizer, kept, train: None, eval: None, trained: false, updates: 0 })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// How it computes.
    pub fn options(&self) -> &SessionOptions {
        &self.options
    }

    /// Paths of the layers of neurons, in the order of all firing rates.
    pub fn layers(&self) -> Vec<String> {
        self.model.spikes.iter().map(|layer| layer.path.clone()).collect()
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> usize {
        self.kept.iter().filter(|kept| kept.port.starts_with("param:")).map(|kept| kept.values.len()).sum()
    }

    /// Updates done so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Continues the count of updates of an earlier session.
    pub fn set_updates(&mut self, updates: u64) {
        self.updates = updates;
    }

    /// Compiles the training program, if that has not happened yet.
    ///
    /// # Errors
    /// If the model has no loss, or cannot be compiled.
    pub fn prepare_training(&mut self) -> Result<()> {
        if self.train.is_some() {
            return Ok(());
        }
        let optimizer = self.optimizer.clone().ok_or_else(|| RuntimeError::new("this session was made without optimizer"))?;
        let context = PassContext::new(&self.model, true);
        let model = passes::run(&self.model, &context, None).map_err(shape)?;
        let plan = training::train_step(&model, &optimizer).map_err(shape)?;
        let mut step =
            Step::new(&plan.graph, &plan.outputs, self.options.batch, self.options.dtype, self.options.device)?;
        for kept in &self.kept {
            step.set(&kept.port, &kept.values)?;
            step.carry(kept.port.trim_start_matches("input:"), &kept.port)?;
        }
        self.train = Some(step);
        Ok(())
    }

    /// Compiles the evaluation program, if that has not happened yet.
    ///
    /// # Errors
    /// If the model cannot be compiled.
    pub fn prepare_evaluation(&mut self) -> Result<()> {
        if self.eval.is_some() {
            return Ok(());
        }
        let context = PassContext::new(&self.model, false);
        let model = passes::run(&self.model, &context, None).map_err(shape)?;
        let plan = training::eval_step(&model).map_err(shape)?;
        let step = Step::new(&plan.graph, &plan.outputs, self.options.batch, self.options.dtype, self.options.device)?;
        self.eval = Some(step);
        self.refresh_evaluation()
    }

    /// One update from one full batch, at a learning rate.
    ///
    /// # Errors
    /// If a value does not have the size of a batch, or the loss is no longer finite.
    pub fn train_batch(&mut self, values: BatchValues<'_>, lr: f64) -> Result<TrainOutcome> {
        self.prepare_training()?;
        let n_layers = self.model.spikes.len();
        let (Some(step), Some(optimizer)) = (&mut self.train, &self.optimizer) else {
            return Err(RuntimeError::new("the training program is missing"));
        };
        for (name, values) in values {
            step.set_f32(&format!("input:{name}"), values)?;
        }
        let (bias1, bias2) = optimizer.bias_corrections(self.updates + 1);
        for (name, value) in [("input:lr", lr), ("input:bias1", bias1), ("input:bias2", bias2)] {
            step.set(name, &[value])?;
        }
        step.run(RandomKey { seed: self.options.seed, run: self.updates })?;
        self.trained = true;
        self.updates += 1;
        let step = &*step;
        let rates = rates(step, &self.model, n_layers)?;
        Ok(TrainOutcome { loss: step.scalar("loss")?, correct: step.scalar("correct").unwrap_or(0.0), rates })
    }

    /// Loss and predictions of one batch with the present weights; padded samples have weight 0.
    ///
    /// # Errors
    /// If a value does not have the size of a batch.
    pub fn evaluate_batch(&mut self, values: BatchValues<'_>, weights: &[f32], run: u64) -> Result<EvalOutcome> {
        self.run_evaluation(values, weights, run)?;
        let n_layers = self.model.spikes.len();
        let Some(step) = &self.eval else { return Err(RuntimeError::new("the evaluation program is missing")) };
        let rates = rates(step, &self.model, n_layers)?;
        let scalar = |name: &str| step.scalar(name).unwrap_or(0.0);
        Ok(EvalOutcome { loss_sum: scalar("loss_sum"), correct: scalar("correct"), rates })
    }

    /// The model's result and its predicted classes (if it predicts) for one batch.
    ///
    /// # Errors
    /// If a value does not have the size of a batch.
    pub fn infer_batch(&mut self, values: BatchValues<'_>) -> Result<(Vec<f64>, Option<Vec<f64>>)> {
        let weights = vec![1.0; self.options.batch];
        self.run_evaluation(values, &weights, 0)?;
        let Some(step) = &self.eval else { return Err(RuntimeError::new("the evaluation program is missing")) };
        Ok((step.get("output")?, step.get("prediction").ok()))
    }

    /// Firing rates of the last evaluated batch, by layer.
    ///
    /// # Errors
    /// If nothing was evaluated yet.
    pub fn firing_rates(&self) -> Result<Vec<f64>> {
        let step = self.eval.as_ref().ok_or_else(|| RuntimeError::new("nothing was evaluated yet"))?;
        rates(step, &self.model, self.model.spikes.len())
    }

    fn run_evaluation(&mut self, values: BatchValues<'_>, weights: &[f32], run: u64) -> Result<()> {
        self.prepare_evaluation()?;
        self.sync()?;
        let Some(step) = &mut self.eval else { return Err(RuntimeError::new("the evaluation program is missing")) };
        for (name, values) in values {
            step.set_f32(&format!("input:{name}"), values)?;
        }
        step.set_f32("input:sample_weight", weights)?;
        // Evaluation draws from streams of its own, so that evaluating never changes a training.
        step.run(RandomKey { seed: self.options.seed ^ 0x5eed_e7a1, run })
    }

    /// Reads the weights back from the training program and hands them to the evaluation program.
    fn sync(&mut self) -> Result<()> {
        let Some(step) = &self.train else { return Ok(()) };
        if !self.trained {
            return Ok(());
        }
        for kept in &mut self.kept {
            if let Some(values) = step.get_input(&kept.port)? {
                kept.values = values;
            }
        }
        self.trained = false;
        self.refresh_evaluation()
    }

    fn refresh_evaluation(&mut self) -> Result<()> {
        let Some(step) = &mut self.eval else { return Ok(()) };
        self.kept.iter().try_for_each(|kept| step.set(&kept.port, &kept.values))
    }

    /// All learned tensors, averages and, with `slots`, the optimizer's state.
    ///
    /// # Errors
    /// If the weights cannot be read back.
    pub fn tensors(&mut self, slots: bool) -> Result<Vec<NamedTensor>> {
        self.sync()?;
        let dtype = self.options.dtype;
        Ok(self
            .kept
            .iter()
            .filter(|kept| slots || !kept.port.starts_with("input:"))
            .map(|kept| NamedTensor {
                name: tensor_name(&kept.port),
                shape: kept.dims.clone(),
                data: match dtype {
                    Dtype::F32 => TensorData::F32(kept.values.iter().map(|v| *v as f32).collect()),
                    Dtype::F64 => TensorData::F64(kept.values.clone()),
                },
            })
            .collect())
    }

    /// What `restore` takes.
    pub fn tensor_specs(&self, slots: bool) -> Vec<TensorSpec> {
        self.kept
            .iter()
            .filter(|kept| slots || !kept.port.starts_with("input:"))
            .map(|kept| TensorSpec { name: tensor_name(&kept.port), shape: kept.dims.clone() })
            .collect()
    }

    /// Replaces tensors by name; those not given stay.
    ///
    /// # Errors
    /// If one does not belong to the model or has another size.
    pub fn restore(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        let by_name: BTreeMap<&str, &NamedTensor> = tensors.iter().map(|t| (t.name.as_str(), t)).collect();
        for kept in &mut self.kept {
            let Some(tensor) = by_name.get(tensor_name(&kept.port).as_str()) else { continue };
            if tensor.shape != kept.dims {
                let (name, found, expected) = (&tensor.name, &tensor.shape, &kept.dims);
                return Err(RuntimeError::new(format!("`{name}` has shape {found:?}, the model's is {expected:?}")));
            }
            kept.values = tensor.to_f64().into_owned();
        }
        if let Some(step) = &mut self.train {
            for kept in &self.kept {
                step.set(&kept.port, &kept.values)?;
            }
        }
        self.trained = false;
        self.refresh_evaluation()
    }
}

/// The name of a tensor in a file: the path of a parameter or average, `slot:<path>:<k>` for optimizer state.
fn tensor_name(port: &str) -> String {
    let name = port.trim_start_matches("input:");
    name.strip_prefix("param:").or_else(|| name.strip_prefix("average:")).unwrap_or(name).to_owned()
}

fn rates(step: &Step, model: &Model, n_layers: usize) -> Result<Vec<f64>> {
    let mut rates = Vec::with_capacity(n_layers);
    for layer in &model.spikes {
        rates.push(step.scalar(&format!("rate:{}", layer.path))?);
    }
    Ok(rates)
}

fn shape(error: ShapeError) -> RuntimeError {
    let text = RuntimeError::new(error.message);
    match error.help {
        Some(help) => text.with_help(help),
        None => text,
    }
}
