//! From samples of a data set to the inputs of a model.
//!
//! Fields are matched with inputs by name, or by being the only one. A field with a leading time axis feeds a stepped
//! input and is turned from `[sample][step]` to the `[step][sample]` order of a batch.

use snn_graph::{InputKind, Model};

use crate::data::Split;
use crate::data::augment::Augmentation;
use crate::data::batch::{Batch, BatchBuffers};
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
        let mut sources = Vec::new();
        for input in &model.inputs {
            let only = (model.inputs.len() == 1 && split.inputs.len() == 1).then_some(0);
            let field = split.inputs.iter().position(|field| field.name == input.name).or(only);
            let Some((field, data)) = field.and_then(|at| Some((at, split.inputs.get(at)?))) else {
                let names: Vec<&str> = split.inputs.iter().map(|field| field.name.as_str()).collect();
                return Err(RuntimeError::new(format!("the data set has nothing called `{}`", input.name))
                    .with_help(format!("it has {}", names.join(", "))));
            };
            let steps = data.steps_for(&input.dims)?;
            match (input.kind, steps) {
                (InputKind::Static, None) => {}
                (InputKind::Frames | InputKind::Spikes, Some(steps)) if steps == model.graph.steps => {}
                (InputKind::Frames | InputKind::Spikes, Some(steps)) => {
                    let want = model.graph.steps;
                    return Err(RuntimeError::new(format!("`{}` has {steps} time steps, the model {want}", data.name))
                        .with_help(format!("write `time {steps}` in the model, or cut the data")));
                }
                (InputKind::Static, Some(_)) => {
                    return Err(RuntimeError::new(format!(
                        "`{}` changes with time, the model's input does not",
                        data.name
                    ))
                    .with_help(format!("declare `input {}: frames{:?}`", input.name, input.dims)));
                }
                (InputKind::Frames | InputKind::Spikes, None) => {
                    return Err(RuntimeError::new(format!("`{}` does not change with time", data.name))
                        .with_help(format!("declare `input {}: {:?}`", input.name, input.dims)));
                }
            }
            let values = vec![0.0; batch * data.sample_len()];
            sources.push(Source { input: input.name.clone(), field, steps, values });
        }
        let fields = split.inputs.iter().map(|field| vec![0.0; batch * field.sample_len()]).collect();
        let targets: Vec<String> = model.targets.iter().map(|target| target.name.clone()).collect();
        Ok(Feed {
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
        split.fill(batch, augmentation, &mut buffers)?;
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
