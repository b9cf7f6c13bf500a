//! A model on a device with its weights: train a batch, evaluate a batch, infer.
//!
//! Owns the compiled training and evaluation programs, each compiled when it is first needed, and keeps their weights in
//! step. Must never know files, data sets or schedules.

mod options;
mod plans;

use std::borrow::Cow;

use snn_graph::lower::Lowered;
use snn_graph::recompute::RecomputeError;
use snn_graph::setup::Split;
use snn_graph::training::Optimizer;
use snn_graph::{Model, ShapeError, SpikeOutput, Tensor};
use snn_loops::RandomKey;

use crate::checkpoint::{NamedTensor, TensorSpec};
use crate::device::Watch;
use crate::error::{Result, RuntimeError};
use crate::health::Health;
use crate::holder::{self, Holder, hand_over};
use crate::prepared::Prepared;
use crate::step::Step;
use crate::stream::Stream;
use crate::weights::{Kept, Weights};

pub use options::SessionOptions;

/// Evaluation draws from streams of its own, so that evaluating never changes a training.
const EVALUATION_SEED: u64 = 0x5eed_e7a1;

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
    /// Firing rate of each layer of neurons, spikes per neuron and step, or per neuron where there are no steps.
    pub rates: Vec<f64>,
    /// What there is to say of each layer on events; empty where there is none.
    pub health: Vec<Health>,
}

/// What an evaluation batch gave.
#[derive(Clone, Debug, PartialEq)]
pub struct EvalOutcome {
    /// Sum of the losses of the samples that count; 0 where the model has no loss.
    pub loss_sum: f64,
    /// Number of them whose predicted class is the label; 0 where the model predicts nothing.
    pub correct: f64,
    /// Firing rate of each layer of neurons, spikes per neuron and step, or per neuron where there are no steps.
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
    /// Firing rate of each layer of neurons, by path, spikes per neuron and step, or per neuron where there are no steps.
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
    /// Whether the weights in the training program are newer than those in the evaluation program.
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
        let plan = self.fitted_plan()?;
        let carried: Vec<(String, String)> = self.weights.iter().map(|kept| (kept.result(), kept.port())).collect();
        let (lowering, device) = (self.options.lowering(), self.options.device);
        let mut step = Step::carrying(&plan.graph, &plan.outputs, &carried, lowering, device)?;
        hand_over(&mut self.weights, &mut step, self.eval.as_ref().map(|eval| eval as &dyn Holder))?;
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
        let Split { setup, step } = self.evaluation_plan()?;
        let mut eval = Prepared::new(&setup, &step, &[], self.options.evaluation(), self.options.device)?;
        hand_over(&mut self.weights, &mut eval, self.train.as_ref().map(|train| train as &dyn Holder))?;
        (self.eval, self.trained) = (Some(eval), false);
        Ok(())
    }

    /// The training program, once it is compiled.
    pub fn training_program(&self) -> Option<&Lowered> {
        self.train.as_ref().map(Step::lowered)
    }

    /// The evaluation program that runs for every batch, once it is compiled.
    pub fn evaluation_program(&self) -> Option<&Lowered> {
        self.eval.as_ref().map(|eval| eval.step().lowered())
    }

    /// The compiled training step, once there is one.
    pub fn training_step(&self) -> Option<&Step> {
        self.train.as_ref()
    }

    /// The compiled step that runs for every batch of an evaluation, once there is one.
    pub fn evaluation_step(&self) -> Option<&Step> {
        self.eval.as_ref().map(Prepared::step)
    }

    /// Bytes of memory that the training program takes, and those of the evaluation; 0 for what is not compiled.
    pub fn memory_bytes(&self) -> [usize; 2] {
        [self.train.as_ref().map_or(0, Step::memory_bytes), self.eval.as_ref().map_or(0, Prepared::memory_bytes)]
    }

    /// One update from one full batch, at a learning rate.
    ///
    /// # Errors
    /// If a value is missing or does not have the size of a batch.
    pub fn train_batch(&mut self, values: BatchValues<'_>, lr: f64) -> Result<TrainOutcome> {
        self.update(values, lr, None)
    }

    /// [`Self::train_batch`] while kernels are watched.
    ///
    /// # Errors
    /// As there; or if the machine does not watch kernels.
    pub fn train_watched(&mut self, values: BatchValues<'_>, lr: f64, watch: Watch<'_>) -> Result<TrainOutcome> {
        self.update(values, lr, Some(watch))
    }

    fn update(&mut self, values: BatchValues<'_>, lr: f64, watch: Option<Watch<'_>>) -> Result<TrainOutcome> {
        self.prepare_training()?;
        if let Some(step) = &mut self.train {
            feed(&self.model, step, values, true)?;
        }
        self.learn(lr, watch)
    }

    /// One more update from the batch that the training program has already.
    ///
    /// # Errors
    /// If nothing was learned from before.
    pub fn train_again(&mut self, lr: f64) -> Result<TrainOutcome> {
        self.learn(lr, None)
    }

    fn learn(&mut self, lr: f64, watch: Option<Watch<'_>>) -> Result<TrainOutcome> {
        let (Some(step), Some(optimizer)) = (&mut self.train, &self.optimizer) else {
            return Err(RuntimeError::new("the training program is missing"));
        };
        let (bias1, bias2) = optimizer.bias_corrections(self.updates + 1);
        for (name, value) in [("input:lr", lr), ("input:bias1", bias1), ("input:bias2", bias2)] {
            step.set(name, &[value])?;
        }
        let key = RandomKey { seed: self.options.seed, run: self.updates };
        match watch {
            Some(watch) => step.run_watched(key, watch)?,
            None => step.run(key)?,
        }
        self.trained = true;
        self.updates += 1;
        let correct = step.scalar_or("correct", 0.0)?;
        let (rates, health) = (rates(step, &self.model)?, health(step, &self.model)?);
        Ok(TrainOutcome { loss: step.scalar("loss")?, correct, rates, health })
    }

    /// Loss and predictions of one batch with the present weights. `weights` holds one number a sample, 1 for those that
    /// count and 0 for those that only fill the batch; `run` numbers the batch, for random draws.
    ///
    /// # Errors
    /// If a value is missing or does not have the size of a batch.
    pub fn evaluate_batch(&mut self, values: BatchValues<'_>, weights: &[f32], run: u64) -> Result<EvalOutcome> {
        self.run_evaluation(values, weights, run, true, None)?;
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
        self.infer(values, None)
    }

    /// Runs the model once more on the batch that the evaluation program has already, and leaves the result where it is;
    /// gives the firing rate of each layer.
    ///
    /// # Errors
    /// If nothing was inferred before.
    pub fn infer_again(&mut self) -> Result<Vec<f64>> {
        let key = self.evaluation_key(0);
        let eval = self.eval.as_mut().ok_or_else(no_evaluation)?;
        eval.run(key, None)?;
        rates(eval.step(), &self.model)
    }

    /// [`Self::infer_batch`] while kernels are watched.
    ///
    /// # Errors
    /// As there; or if the machine does not watch kernels.
    pub fn infer_watched(&mut self, values: BatchValues<'_>, watch: Watch<'_>) -> Result<Inference> {
        self.infer(values, Some(watch))
    }

    fn infer(&mut self, values: BatchValues<'_>, watch: Option<Watch<'_>>) -> Result<Inference> {
        let weights = vec![1.0; self.options.batch];
        let (steps, batch) = (self.model.graph.steps, self.options.batch);
        self.run_evaluation(values, &weights, 0, false, watch)?;
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

    fn run_evaluation(
        &mut self,
        values: BatchValues<'_>,
        weights: &[f32],
        number: u64,
        targets: bool,
        watch: Option<Watch<'_>>,
    ) -> Result<()> {
        self.prepare_evaluation()?;
        self.sync()?;
        let key = self.evaluation_key(number);
        let eval = self.eval.as_mut().ok_or_else(no_evaluation)?;
        feed(&self.model, eval.step_mut(), values, targets)?;
        eval.step_mut().set_f32("input:sample_weight", weights)?;
        eval.run(key, watch)
    }

    fn evaluation(&self) -> Result<&Step> {
        self.eval.as_ref().map(Prepared::step).ok_or_else(no_evaluation)
    }

    fn evaluation_key(&self, run: u64) -> RandomKey {
        RandomKey { seed: self.options.seed ^ EVALUATION_SEED, run }
    }

    /// The model step by step, with the present weights; later changes of them do not reach it. It draws what
    /// [`Self::infer_batch`] draws.
    ///
    /// # Errors
    /// If a value at one step of the model depends on later ones, or it cannot be compiled.
    pub fn stream(&self) -> Result<Stream> {
        let read = |kept| self.values(kept);
        Stream::new(&self.model, &self.weights, &read, &self.options, self.evaluation_key(0))
    }

    /// Hands the weights of the training program to the evaluation program.
    fn sync(&mut self) -> Result<()> {
        let (Some(train), Some(eval)) = (&self.train, &mut self.eval) else { return Ok(()) };
        if self.trained {
            for port in self.weights.iter().map(Kept::port) {
                if eval.takes(&port)
                    && let Some(values) = train.held(&port)?
                {
                    eval.hold(&port, &values)?;
                }
            }
        }
        self.trained = false;
        Ok(())
    }

    /// The present values of a tensor, wherever they are.
    fn values<'a>(&'a self, kept: &'a Kept) -> Result<Cow<'a, [f64]>> {
        let train = self.train.as_ref().map(|train| train as &dyn Holder);
        let eval = self.eval.as_ref().map(|eval| eval as &dyn Holder);
        let holders: Vec<&dyn Holder> = train.into_iter().chain(eval).collect();
        holder::values(kept, &holders)
    }

    /// All learned tensors and averages and, with `slots`, the optimizer's state.
    ///
    /// # Errors
    /// If the weights cannot be read back.
    pub fn tensors(&self, slots: bool) -> Result<Vec<NamedTensor>> {
        self.weights.tensors(self.options.dtype, slots, |kept| self.values(kept))
    }

    /// Names and shapes of what [`Self::tensors`] gives.
    pub fn tensor_specs(&self, slots: bool) -> Vec<TensorSpec> {
        self.weights.specs(slots)
    }

    /// Replaces one of the tensors that [`Self::tensor_specs`] lists, by row-major values; nothing is compiled again.
    ///
    /// # Errors
    /// If there is no such tensor, or it has another number of elements.
    pub fn set_tensor(&mut self, name: &str, values: &[f64]) -> Result<()> {
        let tensor = self.weights.replacement(name, values)?;
        self.restore(&[tensor])
    }

    /// Replaces tensors by name; those not given stay.
    ///
    /// # Errors
    /// If one has another shape than the model's.
    pub fn restore(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        self.weights.restore(tensors)?;
        for kept in self.weights.iter_mut().filter(|kept| kept.is_here()) {
            let port = kept.port();
            let mut held = false;
            let train = self.train.as_mut().map(|train| train as &mut dyn Holder);
            let eval = self.eval.as_mut().map(|eval| eval as &mut dyn Holder);
            for holder in train.into_iter().chain(eval) {
                holder.hold(&port, &kept.values)?;
                held |= holder.takes(&port);
            }
            if held {
                kept.release();
            }
        }
        Ok(())
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

impl From<RecomputeError> for RuntimeError {
    fn from(error: RecomputeError) -> Self {
        let text = RuntimeError::new(error.to_string());
        match error {
            RecomputeError::TooMuch { .. } => text.with_help("take a smaller batch, or allow more memory"),
            RecomputeError::Lower(_) | RecomputeError::Shape(_) => text,
        }
    }
}

fn no_evaluation() -> RuntimeError {
    RuntimeError::new("the evaluation program is missing")
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

fn health(step: &Step, model: &Model) -> Result<Vec<Health>> {
    let on_events = model.spikes.iter().filter(|layer| step.output_slot(&format!("silent:{}", layer.path)).is_some());
    let of = |layer: &SpikeOutput| {
        let silent = step.scalar(&format!("silent:{}", layer.path))?;
        let (_, counters) = step.result(&format!("counters:{}", layer.path))?;
        let counter = |at: usize| counters.get(at).copied().unwrap_or(0.0);
        Ok(Health { silent, out_of_slots: counter(0), below_floor: counter(1) })
    };
    on_events.map(of).collect()
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
