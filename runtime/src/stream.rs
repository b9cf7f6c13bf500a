//! A model step by step: one step's input in, one step's output out, memory that does not grow with time.
//!
//! Must never know files or data sets.

use std::borrow::Cow;

use snn_graph::Model;
use snn_graph::lower::LowerOptions;
use snn_graph::passes;
use snn_graph::streaming::{RowSource, STEP, Streaming, streaming};
use snn_loops::{Dtype, RandomKey};

use crate::checkpoint::{NamedTensor, TensorData, TensorSpec};
use crate::error::{Result, RuntimeError};
use crate::holder::Holder;
use crate::prepared::Prepared;
use crate::session::{BatchValues, SessionOptions};
use crate::step::{Slot, Step};
use crate::weights::{Kept, Weights};

/// The tensor that says how many steps were done.
const STEPS_DONE: &str = "steps_done";

/// Finds the present values of a weight.
pub(crate) type ReadWeight<'r, 'w> = dyn Fn(&'w Kept) -> Result<Cow<'w, [f64]>> + 'r;

/// What a model makes of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamOutput {
    /// The model's result, row-major `[sample][...]`: of this step where it is stepped, else of the steps so far.
    pub output: Vec<f64>,
    /// The predicted class of each sample after the steps so far; empty where the model predicts nothing.
    pub predictions: Vec<f64>,
}

/// A model with weights that is fed step by step.
pub struct Stream {
    step: Step,
    key: RandomKey,
    dtype: Dtype,
    inputs: Vec<Fed>,
    states: Vec<(TensorSpec, Slot)>,
    rows: Vec<Rows>,
    /// The input that takes the number of the step.
    counter: Option<Slot>,
    output: Slot,
    prediction: Option<Slot>,
    done: u64,
    result: StreamOutput,
}

/// An input of the model.
struct Fed {
    name: String,
    /// Elements of a batch at one step.
    len: usize,
    /// `None` where nothing depends on it.
    slot: Option<Slot>,
}

/// Numbers over time, of which each step reads a row.
struct Rows {
    slot: Slot,
    values: Vec<f64>,
}

impl Stream {
    /// Compiles one step of a model as written.
    ///
    /// # Errors
    /// If a value at one step of the model depends on later ones, or it cannot be compiled.
    pub(crate) fn new<'w>(
        model: &Model,
        weights: &'w Weights,
        read: &ReadWeight<'_, 'w>,
        options: &SessionOptions,
        key: RandomKey,
    ) -> Result<Stream> {
        if model.time.events().is_some() {
            let error = format!("`{}` has no grid of time steps, so there is no step by step", model.name);
            return Err(RuntimeError::new(error).with_help("run whole samples, without streaming"));
        }
        let plan = streaming(&passes::run(model, &options.evaluation_passes(model), None)?)?;
        let SessionOptions { batch, dtype, device, .. } = *options;
        // The spikes of one step are few: as floats, small layers need no other thread.
        let lowering = LowerOptions { packed: false, ..LowerOptions::new(batch, dtype) };
        let carried: Vec<(String, String)> =
            plan.states.iter().map(|state| (state.name.clone(), state_port(&state.name))).collect();
        let mut prepared = Prepared::new(&plan.setup, &plan.step, &carried, lowering, device)?;
        for kept in weights.iter() {
            let port = kept.port();
            if prepared.takes(&port) {
                prepared.hold(&port, &read(kept)?)?;
            }
        }
        let step = prepared.into_step()?;
        let mut states = Vec::with_capacity(plan.states.len());
        for state in &plan.states {
            // A state that nothing reads any more is none.
            if let Some(slot) = step.input_slot(&state_port(&state.name)) {
                states.push((TensorSpec { name: state.name.clone(), shape: slot.ty().extents(1, batch) }, slot));
            }
        }
        let fed = |input: &snn_graph::Input| Fed {
            name: input.name.clone(),
            len: batch * input.dims.iter().product::<usize>(),
            slot: step.input_slot(&format!("input:{}", input.name)),
        };
        let output = step.output_slot("output").ok_or_else(|| RuntimeError::new("the program has no output"))?;
        Ok(Stream {
            inputs: model.inputs.iter().map(fed).collect(),
            rows: rows(&plan, weights, read, &step)?,
            counter: step.input_slot(&format!("input:{STEP}")),
            prediction: step.output_slot("prediction"),
            output,
            states,
            key,
            dtype,
            done: 0,
            result: StreamOutput::default(),
            step,
        })
    }

    /// One step from the values of all inputs at that step, each row-major `[sample][...]`. A static input may have the
    /// same values at each step, as in an evaluation, or others.
    ///
    /// # Errors
    /// If an input is missing or does not have the size of a batch, or if the model has learned numbers for each of its
    /// steps and there were as many steps.
    pub fn step(&mut self, values: BatchValues<'_>) -> Result<&StreamOutput> {
        for input in &self.inputs {
            let given = values.iter().find(|(name, _)| *name == input.name);
            let (_, given) =
                given.ok_or_else(|| RuntimeError::new(format!("no values were given for `{}`", input.name)))?;
            if given.len() != input.len {
                let (name, len, found) = (&input.name, input.len, given.len());
                return Err(RuntimeError::new(format!(
                    "`{name}` takes {len} numbers at each step, but {found} were given"
                )));
            }
            if let Some(slot) = &input.slot {
                self.step.write_slot(slot, given)?;
            }
        }
        if values.len() > self.inputs.len() {
            return Err(RuntimeError::new("more values were given than the model has inputs"));
        }
        for rows in &self.rows {
            self.step.write_slot_f64(&rows.slot, rows.at(self.done)?)?;
        }
        if let Some(slot) = &self.counter {
            self.step.write_slot_f64(slot, &[self.done as f64])?;
        }
        self.step.run_at(self.key, self.done)?;
        self.done += 1;
        self.step.read_slot(&self.output, &mut self.result.output)?;
        if let Some(slot) = &self.prediction {
            self.step.read_slot(slot, &mut self.result.predictions)?;
        }
        Ok(&self.result)
    }

    /// Steps done since the beginning.
    pub fn steps_done(&self) -> u64 {
        self.done
    }

    /// Bytes of memory that the program takes; they do not depend on the model's number of steps.
    pub fn memory_bytes(&self) -> usize {
        self.step.memory_bytes()
    }

    /// Goes back to before the first step.
    ///
    /// # Errors
    /// If the memory cannot be written.
    pub fn reset(&mut self) -> Result<()> {
        self.done = 0;
        for (_, slot) in &self.states {
            self.step.write_slot_f64(slot, &vec![0.0; slot.len()])?;
        }
        Ok(())
    }

    /// Everything that is remembered from step to step.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn state(&self) -> Result<Vec<NamedTensor>> {
        let count = TensorData::F64(vec![self.done as f64]);
        let mut tensors = vec![NamedTensor { name: STEPS_DONE.to_owned(), shape: Vec::new(), data: count }];
        for (spec, slot) in &self.states {
            let mut values = Vec::new();
            self.step.read_slot(slot, &mut values)?;
            let data = match self.dtype {
                Dtype::F32 => TensorData::F32(values.iter().map(|value| *value as f32).collect()),
                Dtype::F64 => TensorData::F64(values),
            };
            tensors.push(NamedTensor { name: spec.name.clone(), shape: spec.shape.clone(), data });
        }
        Ok(tensors)
    }

    /// Names and shapes of what [`Self::state`] gives.
    pub fn state_specs(&self) -> Vec<TensorSpec> {
        std::iter::once(steps_done_spec()).chain(self.states.iter().map(|(spec, _)| spec.clone())).collect()
    }

    /// Goes on from where [`Self::state`] was taken.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn restore(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        let find = |spec: &TensorSpec| {
            let found = tensors.iter().find(|tensor| tensor.name == spec.name && tensor.shape == spec.shape);
            found.ok_or_else(|| {
                RuntimeError::new(format!("the state lacks `{}` with the shape {:?}", spec.name, spec.shape))
            })
        };
        let count = find(&steps_done_spec())?;
        let done = count.data.to_f64().first().copied().unwrap_or(0.0);
        if !(0.0..9e15).contains(&done) || done != done.trunc() {
            return Err(RuntimeError::new(format!("{done} is no number of steps")));
        }
        for (spec, slot) in &self.states {
            self.step.write_slot_f64(slot, &find(spec)?.data.to_f64())?;
        }
        self.done = done as u64;
        Ok(())
    }
}

/// The input that a state is read from.
fn state_port(name: &str) -> String {
    format!("input:{name}")
}

fn steps_done_spec() -> TensorSpec {
    TensorSpec { name: STEPS_DONE.to_owned(), shape: Vec::new() }
}

impl Rows {
    fn at(&self, step: u64) -> Result<&[f64]> {
        let len = self.slot.len().max(1);
        let start = usize::try_from(step).ok().and_then(|step| step.checked_mul(len));
        start.and_then(|start| self.values.get(start..start.checked_add(len)?)).ok_or_else(|| {
            let steps = self.values.len() / len;
            RuntimeError::new(format!("the model has numbers for each of its {steps} steps, and there were as many"))
                .with_help("reset the stream, or take a model without numbers over time (such as TEBN's)")
        })
    }
}

fn rows<'w>(plan: &Streaming, weights: &'w Weights, read: &ReadWeight<'_, 'w>, step: &Step) -> Result<Vec<Rows>> {
    let mut all = Vec::with_capacity(plan.rows.len());
    for row in &plan.rows {
        let Some(slot) = step.input_slot(&format!("input:{}", row.name)) else { continue };
        let values = match &row.source {
            RowSource::Constant(values) => values.to_vec(),
            RowSource::Parameter(path) => {
                let port = format!("param:{path}");
                let kept = weights.iter().find(|kept| kept.port() == port);
                let kept = kept.ok_or_else(|| RuntimeError::new(format!("the model has no parameter `{path}`")))?;
                read(kept)?.into_owned()
            }
        };
        all.push(Rows { slot, values });
    }
    Ok(all)
}
