//! From samples of a data set to the inputs of a model.
//!
//! Fields are matched with inputs by name, or by being the only one. A field with a leading time axis feeds a stepped
//! input and is turned from `[sample][step]` to the `[step][sample]` order of a batch.

use snn_graph::{Events, Input, InputKind, Model, TimeAxis};

use crate::data::augment::Augmentation;
use crate::data::batch::{Batch, BatchBuffers};
use crate::data::events::{Lost, Timing};
use crate::data::{Field, Split, Values};
use crate::error::{Result, RuntimeError};

/// One input of the model and where its values come from.
struct Source {
    input: String,
    field: usize,
    /// Time steps of a stepped field.
    steps: Option<usize>,
    values: Vec<f32>,
}

/// Buffers for one batch, reused from batch to batch.
pub struct Feed {
    timing: Timing,
    sources: Vec<Source>,
    fields: Vec<Vec<f32>>,
    labels: Vec<u32>,
    weights: Vec<f32>,
    targets: Vec<String>,
    target_values: Vec<f32>,
}

impl Feed {
    /// A feed for batches of a fixed size.
    ///
    /// # Errors
    /// If an input has no field, or the shapes or numbers of steps differ.
    pub fn new(model: &Model, split: &Split, batch: usize) -> Result<Feed> {
        let timing = timing(model.time);
        let mut sources = Vec::new();
        for input in &model.inputs {
            let only = (model.inputs.len() == 1 && split.inputs.len() == 1).then_some(0);
            let field = split.inputs.iter().position(|field| field.name == input.name).or(only);
            let Some((field, data)) = field.and_then(|at| Some((at, split.inputs.get(at)?))) else {
                let names: Vec<&str> = split.inputs.iter().map(|field| field.name.as_str()).collect();
                return Err(RuntimeError::new(format!("the data set has nothing called `{}`", input.name))
                    .with_help(format!("it has {}", names.join(", "))));
            };
            let steps = steps_of(model, input, data, &timing)?;
            let values = vec![0.0; batch * written_len(data, &timing)];
            sources.push(Source { input: input.name.clone(), field, steps, values });
        }
        let fields = split.inputs.iter().map(|field| vec![0.0; batch * written_len(field, &timing)]).collect();
        let targets: Vec<String> = model.targets.iter().map(|target| target.name.clone()).collect();
        Ok(Feed {
            timing,
            sources,
            fields,
            labels: vec![0; batch],
            weights: vec![0.0; batch],
            targets,
            target_values: vec![0.0; batch],
        })
    }

    /// Loads a batch.
    ///
    /// # Errors
    /// If an augmentation does not fit.
    pub fn load(&mut self, split: &Split, batch: &Batch<'_>, augmentation: Option<&Augmentation<'_>>) -> Result<()> {
        let mut buffers = BatchBuffers {
            fields: self.fields.iter_mut().map(Vec::as_mut_slice).collect(),
            labels: &mut self.labels,
            weights: &mut self.weights,
        };
        split.fill(batch, &self.timing, augmentation, &mut buffers)?;
        for (target, label) in self.target_values.iter_mut().zip(&self.labels) {
            *target = *label as f32;
        }
        for source in &mut self.sources {
            let Some(from) = self.fields.get(source.field) else { continue };
            match source.steps {
                None => source.values.copy_from_slice(from),
                Some(steps) => steps_first(from, &mut source.values, steps, batch.batch_size()),
            }
        }
        Ok(())
    }

    /// The values by name, as a session takes them.
    pub fn values(&self) -> Vec<(&str, &[f32])> {
        let inputs = self.sources.iter().map(|source| (source.input.as_str(), source.values.as_slice()));
        inputs.chain(self.targets.iter().map(|name| (name.as_str(), self.target_values.as_slice()))).collect()
    }

    /// 1 for samples, 0 for padding.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }
}

/// What a model with this time axis does not see of the events of a split, by field; nothing where it sees them all.
pub fn lost_events(model: &Model, split: &Split) -> Vec<(String, Lost)> {
    let timing = timing(model.time);
    let lost = split.inputs.iter().filter_map(|field| match &field.values {
        Values::Events(events) => Some((field.name.clone(), events.lost(field.sample_len(), &timing))),
        Values::U8 { .. } | Values::F32(_) => None,
    });
    lost.filter(|(_, lost)| lost.is_some()).collect()
}

/// How a model sees events.
fn timing(time: TimeAxis) -> Timing {
    match time {
        TimeAxis::Steps(_) => Timing::Untimed,
        TimeAxis::Grid { steps, dt } => Timing::bins(steps, dt),
        TimeAxis::Continuous(Events { duration, max_spikes, .. }) => Timing::Trains { slots: max_spikes, duration },
    }
}

/// Numbers in a sample as it is written.
fn written_len(field: &Field, timing: &Timing) -> usize {
    field.written_shape(timing).iter().fold(1, |len, &extent| len.saturating_mul(extent))
}

/// The steps of a field, where it has any.
fn steps_of(model: &Model, input: &Input, data: &Field, timing: &Timing) -> Result<Option<usize>> {
    if let Values::Events(_) = data.values {
        check_events(input, data, timing)?;
        return Ok(Some(timing.steps()));
    }
    let steps = data.steps_for(&input.dims)?;
    match (input.kind, steps) {
        (InputKind::Static, None) => Ok(None),
        (InputKind::Frames | InputKind::Spikes, Some(steps)) if steps == model.graph.steps => Ok(Some(steps)),
        (InputKind::Frames | InputKind::Spikes, Some(steps)) => {
            let want = model.graph.steps;
            Err(RuntimeError::new(format!("`{}` has {steps} time steps, the model {want}", data.name))
                .with_help(format!("write `time {steps}` in the model, or cut the data")))
        }
        (InputKind::Static, Some(_)) => {
            Err(RuntimeError::new(format!("`{}` changes with time, the model's input does not", data.name))
                .with_help(format!("declare `input {}: frames{:?}`", input.name, input.dims)))
        }
        (InputKind::Frames | InputKind::Spikes, None) => {
            Err(RuntimeError::new(format!("`{}` does not change with time", data.name))
                .with_help(format!("declare `input {}: {:?}`", input.name, input.dims)))
        }
    }
}

fn check_events(input: &Input, data: &Field, timing: &Timing) -> Result<()> {
    if input.kind != InputKind::Spikes || input.dims != data.shape {
        let (name, shape) = (&data.name, &data.shape);
        return Err(RuntimeError::new(format!(
            "the data give events of {shape:?} as `{name}`, which `input {}` of {:?} does not take",
            input.name, input.dims
        ))
        .with_help(format!("declare `input {}: spikes{shape:?}`", input.name)));
    }
    if *timing == Timing::Untimed {
        let name = &data.name;
        return Err(RuntimeError::new(format!("the events of `{name}` have times, the model's steps have no length"))
            .with_help(
                "write `time 100 of 10ms` for bins, or `time 1s` and `gradient = exact` for the times themselves",
            ));
    }
    Ok(())
}

/// `[sample][step][...]` to `[step][sample][...]`.
fn steps_first(from: &[f32], to: &mut [f32], steps: usize, batch: usize) {
    let len = from.len() / (steps * batch).max(1);
    for (sample, values) in from.chunks_exact((len * steps).max(1)).enumerate() {
        for (step, values) in values.chunks_exact(len.max(1)).enumerate() {
            let at = (step * batch + sample) * len;
            if let Some(to) = to.get_mut(at..at + len) {
                to.copy_from_slice(values);
            }
        }
    }
}
