//! A model on a device with its weights: train a batch, evaluate a batch, infer.
//!
//! Owns the compiled training and evaluation programs, each compiled when it is first needed, and keeps their weights in
//! step. Must never know files, data sets or schedules.

use snn_graph::lower::LowerOptions;
use snn_graph::passes::{self, PassContext};
use snn_graph::recompute::{self, RecomputeError};
use snn_graph::training::{self, Optimizer, TrainStep};
use snn_graph::{Model, ShapeError, Tensor};
use snn_loops::{Dtype, RandomKey};

use crate::checkpoint::{NamedTensor, TensorSpec};
use crate::device::Device;
use crate::error::{Result, RuntimeError};
use crate::prepared::Prepared;
use crate::step::Step;
use crate::stream::Stream;
use crate::weights::Weights;

/// Evaluation draws from streams of its own, so that evaluating never changes a training.
const EVALUATION_SEED: u64 = 0x5eed_e7a1;

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
}

impl Default for SessionOptions {
    /// One sample, single precision, all cores, seed 0, no limit.
    fn default() -> Self {
        let device = Device::Cpu { threads: 0 };
        SessionOptions { batch: 1, dtype: Dtype::F32, device, seed: 0, memory_limit: None }
    }
}

/// Values of a batch: each input or target by its name in the model, row-major `[step][sample][...]` where it changes with
/// time and `[sample][...]` where it does not.
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
    /// Sum of the losses of the samples that count; 0 where the model has no loss.
    pub loss_sum: f64,
    /// Number of them whose predicted class is the label; 0 where the model predicts nothing.
    pub correct: f64,
    /// Firing rate of each layer of neurons, spikes per neuron and step.
    pub rates: Vec<f64>,
}

/// What a model makes of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// The model's result, `[step][sample][...]` where it is stepped and `[sample][...]` where it is not.
    pub output: Tensor,
    /// Whether the result has a time axis.
    pub stepped: bool,
    /// The predicted class of each sample, where the model predicts.
    pub predictions: Option<Vec<usize>>,
    /// Firing rate of each layer of neurons, by path, spikes per neuron and step.
    pub firing_rates: Vec<(String, f64)>,
}

/// A model with weights, ready to run.
pub struct Session {
    model: Model,
    options: SessionOptions,
    optimizer: Option<Optimizer>,
    weights: Weights,
    train: Option<Step>,
    eval: Option<Prepared>,
    /// Whether the weights in the training program are newer than `weights`.
    trained: bool,
    updates: u64,
}

impl Session {
    /// A session with freshly initialized weights; with an optimizer, one that can train.
    ///
    /// # Errors
    /// If the batch is empty or an initializer does not fit its parameter.
    pub fn new(model: Model, optimizer: Option<Optimizer>, options: SessionOptions) -> Result<Session> {
        if options.batch == 0 {
            return Err(RuntimeError::new("a batch needs at least one sample"));
        }
        let weights = Weights::initial(&model, optimizer.as_ref().map_or(0, Optimizer::slots), options.seed)?;
        Ok(Session { model, options, optimizer, weights, train: None, eval: None, trained: false, updates: 0 })
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
        self.weights.parameter_count()
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
        let optimizer =
            self.optimizer.as_ref().ok_or_else(|| RuntimeError::new("this session was made without an optimizer"))?;
        let SessionOptions { batch, dtype, device, memory_limit, .. } = self.options;
        let mut plan = self.plan(true, |model| training::train_step(model, optimizer))?;
        if let Some(limit) = memory_limit {
            plan = recompute::fit(&plan, LowerOptions { batch, dtype }, limit).map_err(does_not_fit)?.step;
        }
        let mut step = Step::new(&plan.graph, &plan.outputs, batch, dtype, device)?;
        for kept in self.weights.iter() {
            step.set(&kept.port(), &kept.values)?;
            step.carry(&kept.result(), &kept.port());
        }
        self.train = Some(step);
        Ok(())
    }

    /// What the training program will take of memory, within the limit of the options where there is one.
    ///
    /// # Errors
    /// If it does not fit, the model has no loss, or it cannot be compiled.
    pub fn training_memory(&self) -> Result<MemoryUse> {
        let optimizer =
            self.optimizer.as_ref().ok_or_else(|| RuntimeError::new("this session was made without an optimizer"))?;
        let SessionOptions { batch, dtype, memory_limit, .. } = self.options;
        let plan = self.plan(true, |model| training::train_step(model, optimizer))?;
        let limit = memory_limit.unwrap_or(usize::MAX);
        let fitted = recompute::fit(&plan, LowerOptions { batch, dtype }, limit).map_err(does_not_fit)?;
        Ok(MemoryUse { bytes: fitted.bytes, recomputed: fitted.recomputed })
    }

    /// Compiles the evaluation program, if that has not happened yet.
    ///
    /// # Errors
    /// If the model cannot be compiled.
    pub fn prepare_evaluation(&mut self) -> Result<()> {
        if self.eval.is_none() {
            let SessionOptions { batch, dtype, device, .. } = self.options;
            self.eval = Some(Prepared::new(&self.plan(false, training::eval_step)?, batch, dtype, device)?);
            self.refresh_evaluation()?;
        }
        Ok(())
    }

    fn plan(&self, training: bool, plan: impl FnOnce(&Model) -> Result<TrainStep, ShapeError>) -> Result<TrainStep> {
        Ok(plan(&passes::run(&self.model, &PassContext::new(&self.model, training), None)?)?)
    }

    /// One update from one full batch, at a learning rate.
    ///
    /// # Errors
    /// If a value is missing or does not have the size of a batch.
    pub fn train_batch(&mut self, values: BatchValues<'_>, lr: f64) -> Result<TrainOutcome> {
        self.prepare_training()?;
        let (Some(step), Some(optimizer)) = (&mut self.train, &self.optimizer) else {
            return Err(RuntimeError::new("the training program is missing"));
        };
        feed(&self.model, step, values, true)?;
        let (bias1, bias2) = optimizer.bias_corrections(self.updates + 1);
        for (name, value) in [("input:lr", lr), ("input:bias1", bias1), ("input:bias2", bias2)] {
            step.set(name, &[value])?;
        }
        step.run(RandomKey { seed: self.options.seed, run: self.updates })?;
        self.trained = true;
        self.updates += 1;
        let correct = step.scalar_or("correct", 0.0)?;
        Ok(TrainOutcome { loss: step.scalar("loss")?, correct, rates: rates(step, &self.model)? })
    }

    /// Loss and predictions of one batch with the present weights. `weights` holds one number a sample, 1 for those that
    /// count and 0 for those that only fill the batch; `run` numbers the batch, for random draws.
    ///
    /// # Errors
    /// If a value is missing or does not have the size of a batch.
    pub fn evaluate_batch(&mut self, values: BatchValues<'_>, weights: &[f32], run: u64) -> Result<EvalOutcome> {
        self.run_evaluation(values, weights, run, true)?;
        let step = self.evaluation()?;
        let (loss_sum, correct) = (step.scalar_or("loss_sum", 0.0)?, step.scalar_or("correct", 0.0)?);
        let rates = rates(step, &self.model)?;
        Ok(EvalOutcome { loss_sum, correct, rates })
    }

    /// What the model makes of one batch with the present weights. Targets are not needed.
    ///
    /// # Errors
    /// If an input is missing or does not have the size of a batch.
    pub fn infer_batch(&mut self, values: BatchValues<'_>) -> Result<Inference> {
        let weights = vec![1.0; self.options.batch];
        let (steps, batch) = (self.model.graph.steps, self.options.batch);
        self.run_evaluation(values, &weights, 0, false)?;
        let step = self.evaluation()?;
        let (ty, data) = step.result("output")?;
        let (stepped, dims) = (ty.time, ty.extents(steps, batch));
        let predictions = match step.result("prediction") {
            Ok((_, classes)) => Some(classes.into_iter().map(|class| class as usize).collect()),
            Err(_) => None,
        };
        let rates = rates(step, &self.model)?;
        let firing_rates = self.layers().into_iter().zip(rates).collect();
        Ok(Inference { output: Tensor { dims, data }, stepped, predictions, firing_rates })
    }

    fn evaluation(&self) -> Result<&Step> {
        let missing = || RuntimeError::new("the evaluation program is missing");
        self.eval.as_ref().map(|eval| &eval.step).ok_or_else(missing)
    }

    fn run_evaluation(&mut self, values: BatchValues<'_>, weights: &[f32], run: u64, targets: bool) -> Result<()> {
        self.prepare_evaluation()?;
        self.sync()?;
        let key = self.evaluation_key(run);
        let Some(Prepared { step, .. }) = &mut self.eval else { return Ok(()) };
        feed(&self.model, step, values, targets)?;
        step.set_f32("input:sample_weight", weights)?;
        step.run(key)
    }

    /// Reads the weights back from the training program and hands them to the evaluation program.
    fn sync(&mut self) -> Result<()> {
        let Some(step) = self.train.as_ref().filter(|_| self.trained) else { return Ok(()) };
        for kept in self.weights.iter_mut() {
            if let Some(values) = step.get_input(&kept.port())? {
                kept.values = values;
            }
        }
        self.trained = false;
        self.refresh_evaluation()
    }

    fn refresh_evaluation(&mut self) -> Result<()> {
        self.eval.as_mut().map_or(Ok(()), |eval| eval.refresh(&self.weights))
    }

    /// The model step by step, with the present weights; later changes of them do not reach it. It draws what
    /// [`Self::infer_batch`] draws.
    ///
    /// # Errors
    /// If a value at one step of the model depends on later ones, or it cannot be compiled.
    pub fn stream(&mut self) -> Result<Stream> {
        self.sync()?;
        Stream::new(&self.model, &self.weights, &self.options, self.evaluation_key(0))
    }

    fn evaluation_key(&self, run: u64) -> RandomKey {
        RandomKey { seed: self.options.seed ^ EVALUATION_SEED, run }
    }

    /// All learned tensors and averages and, with `slots`, the optimizer's state.
    ///
    /// # Errors
    /// If the weights cannot be read back.
    pub fn tensors(&mut self, slots: bool) -> Result<Vec<NamedTensor>> {
        self.sync()?;
        Ok(self.weights.tensors(self.options.dtype, slots))
    }

    /// Names and shapes of what [`Self::tensors`] gives.
    pub fn tensor_specs(&self, slots: bool) -> Vec<TensorSpec> {
        self.weights.specs(slots)
    }

    /// Replaces tensors by name; those not given stay.
    ///
    /// # Errors
    /// If one has another shape than the model's.
    pub fn restore(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        self.sync()?;
        self.weights.restore(tensors)?;
        if let Some(step) = &mut self.train {
            for kept in self.weights.iter() {
                step.set(&kept.port(), &kept.values)?;
            }
        }
        self.refresh_evaluation()
    }
}

/// What a model's training takes of memory.
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryUse {
    /// Bytes of the training program, all buffers together.
    pub bytes: usize,
    /// The layers of which something is computed twice to stay within the limit.
    pub recomputed: Vec<String>,
}

fn does_not_fit(error: RecomputeError) -> RuntimeError {
    match error {
        RecomputeError::TooMuch { .. } => {
            RuntimeError::new(error.to_string()).with_help("take a smaller batch, or allow more memory")
        }
        RecomputeError::Lower(_) | RecomputeError::Shape(_) => RuntimeError::new(error.to_string()),
    }
}

/// Hands a batch to a program; every input (and target) of the model must be there, and nothing else.
fn feed(model: &Model, step: &mut Step, values: BatchValues<'_>, targets: bool) -> Result<()> {
    let wanted = || model.inputs.iter().chain(model.targets.iter().filter(|_| targets));
    for input in wanted() {
        let given = values.iter().find(|(name, _)| *name == input.name);
        let (_, given) =
            given.ok_or_else(|| RuntimeError::new(format!("no values were given for `{}`", input.name)))?;
        step.set_f32(&format!("input:{}", input.name), given)?;
    }
    let known = |name: &str| model.inputs.iter().chain(&model.targets).any(|input| input.name == name);
    match values.iter().find(|(name, _)| !known(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let names: Vec<&str> = wanted().map(|input| input.name.as_str()).collect();
            Err(RuntimeError::new(format!("the model has no input `{name}`"))
                .with_help(format!("it has {}", names.join(", "))))
        }
    }
}

fn rates(step: &Step, model: &Model) -> Result<Vec<f64>> {
    model.spikes.iter().map(|layer| step.scalar(&format!("rate:{}", layer.path))).collect()
}

impl From<ShapeError> for RuntimeError {
    fn from(error: ShapeError) -> Self {
        let text = RuntimeError::new(error.message);
        match error.help {
            Some(help) => text.with_help(help),
            None => text,
        }
    }
}
