//! Everything that training changes: parameters, running averages and the optimizer's slots, by name.
//!
//! Values are row-major as in the model's source, in f64 (which holds every f32 exactly). Must never know programs or
//! files; [`Kept::port`] is how a program calls the same thing.

use std::borrow::Cow;
use std::collections::BTreeMap;

use snn_graph::Model;
use snn_loops::Dtype;

use crate::checkpoint::{NamedTensor, TensorData, TensorSpec};
use crate::error::{Result, RuntimeError};
use crate::init;

/// The most numbers that a model may keep, optimizer included: 2 GiB of f64.
const MAX_NUMBERS: usize = 1 << 28;

/// What a tensor is to a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Parameter,
    Average,
    /// The optimizer's k-th tensor of a parameter.
    Slot(usize),
}

/// One tensor that outlives a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    part: Part,
    /// Path of the parameter or average.
    path: String,
    dims: Vec<usize>,
    /// Row-major in the tensor's shape; empty while a program holds the tensor.
    pub values: Vec<f64>,
}

impl Kept {
    /// Its shape, the time axis of a parameter that has one in front.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of elements.
    fn elements(&self) -> usize {
        self.dims.iter().product()
    }

    /// Gives the values up to a program that holds them from now on: large models are not kept twice.
    pub fn release(&mut self) {
        self.values = Vec::new();
    }

    /// Whether the values are here, and not in a program.
    pub fn is_here(&self) -> bool {
        self.values.len() == self.elements()
    }

    /// The program's input that holds the tensor.
    pub fn port(&self) -> String {
        match self.part {
            Part::Slot(_) => format!("input:{}", self.result()),
            Part::Parameter | Part::Average => self.result(),
        }
    }

    /// The program's result that replaces the tensor after an update.
    pub fn result(&self) -> String {
        match self.part {
            Part::Parameter => format!("param:{}", self.path),
            Part::Average => format!("average:{}", self.path),
            Part::Slot(_) => self.name(),
        }
    }

    /// What files call the tensor: the path of a parameter or average, `slot:<path>:<k>` for the optimizer's.
    pub fn name(&self) -> String {
        match self.part {
            Part::Slot(k) => format!("slot:{}:{k}", self.path),
            Part::Parameter | Part::Average => self.path.clone(),
        }
    }
}

/// All tensors of a model and its optimizer.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    kept: Vec<Kept>,
}

impl Weights {
    /// What a training starts from: parameters drawn from `seed`, averages at their start, `slots` zeros a parameter.
    ///
    /// # Errors
    /// If the model is too large, or an initializer does not fit its parameter.
    pub fn initial(model: &Model, slots: usize, seed: u64) -> Result<Weights> {
        check_size(model, slots)?;
        let mut kept = Vec::new();
        for parameter in &model.parameters {
            let dims = model.graph.ty(parameter.node).extents(model.graph.steps, 1);
            let values = init::initial_values(&parameter.init, &dims, seed, &parameter.path)?;
            kept.push(Kept { part: Part::Parameter, path: parameter.path.clone(), dims, values });
        }
        for k in 0..slots {
            let zeros = |of: &Kept| Kept {
                part: Part::Slot(k),
                path: of.path.clone(),
                dims: of.dims.clone(),
                values: vec![0.0; of.values.len()],
            };
            let slots: Vec<Kept> = kept.iter().filter(|kept| kept.part == Part::Parameter).map(zeros).collect();
            kept.extend(slots);
        }
        for average in &model.averages {
            let values = vec![average.start; average.dims.iter().product()];
            kept.push(Kept { part: Part::Average, path: average.path.clone(), dims: average.dims.clone(), values });
        }
        Ok(Weights { kept })
    }

    /// The tensors.
    pub fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.kept.iter()
    }

    /// The tensors, to be given new values of the same number.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Kept> {
        self.kept.iter_mut()
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> usize {
        self.kept.iter().filter(|kept| kept.part == Part::Parameter).map(Kept::elements).sum()
    }

    /// The tensors as files hold them, their values from `read`; without `slots`, what a trained model is made of.
    ///
    /// # Errors
    /// Those of `read`.
    pub fn tensors<'a>(
        &'a self,
        dtype: Dtype,
        slots: bool,
        read: impl Fn(&'a Kept) -> Result<Cow<'a, [f64]>>,
    ) -> Result<Vec<NamedTensor>> {
        let stored = |values: &[f64]| match dtype {
            Dtype::F32 => TensorData::F32(values.iter().map(|value| *value as f32).collect()),
            Dtype::F64 => TensorData::F64(values.to_vec()),
        };
        let tensor = |kept: &'a Kept| {
            Ok(NamedTensor { name: kept.name(), shape: kept.dims.clone(), data: stored(&read(kept)?) })
        };
        self.in_files(slots).map(tensor).collect()
    }

    /// Names and shapes of what [`Self::tensors`] gives.
    pub fn specs(&self, slots: bool) -> Vec<TensorSpec> {
        self.in_files(slots).map(|kept| TensorSpec { name: kept.name(), shape: kept.dims.clone() }).collect()
    }

    /// Replaces tensors by name; those not given stay.
    ///
    /// # Errors
    /// If one has another shape than the model's; some may be replaced then.
    pub fn restore(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        let by_name: BTreeMap<&str, &NamedTensor> = tensors.iter().map(|t| (t.name.as_str(), t)).collect();
        for kept in &mut self.kept {
            let Some(tensor) = by_name.get(kept.name().as_str()) else { continue };
            if tensor.shape != kept.dims {
                let (name, found, expected) = (&tensor.name, &tensor.shape, &kept.dims);
                return Err(RuntimeError::new(format!("`{name}` has shape {found:?}, the model's is {expected:?}")));
            }
            kept.values = tensor.data.to_f64().into_owned();
        }
        Ok(())
    }

    /// Values in place of one of the tensors, as [`Self::restore`] takes them.
    ///
    /// # Errors
    /// If there is no such tensor, or it has another number of elements.
    pub fn replacement(&self, name: &str, values: &[f64]) -> Result<NamedTensor> {
        let Some(kept) = self.in_files(true).find(|kept| kept.name() == name) else {
            let names: Vec<String> = self.in_files(false).map(Kept::name).collect();
            return Err(RuntimeError::new(format!("the model has no tensor called `{name}`"))
                .with_help(format!("it has {}", names.join(", "))));
        };
        if kept.elements() != values.len() {
            let (dims, given) = (&kept.dims, values.len());
            return Err(RuntimeError::new(format!("`{name}` has shape {dims:?}, but {given} values were given")));
        }
        let data = TensorData::F64(values.to_vec());
        Ok(NamedTensor { name: name.to_owned(), shape: kept.dims.clone(), data })
    }

    fn in_files(&self, slots: bool) -> impl Iterator<Item = &Kept> {
        self.kept.iter().filter(move |kept| slots || !matches!(kept.part, Part::Slot(_)))
    }
}

fn check_size(model: &Model, slots: usize) -> Result<()> {
    let len = |dims: &[usize]| dims.iter().fold(1, |len: usize, extent| len.saturating_mul(*extent));
    let lengths =
        model.parameters.iter().map(|parameter| len(&model.graph.ty(parameter.node).extents(model.graph.steps, 1)));
    let learned = lengths.fold(0, usize::saturating_add);
    if learned.saturating_mul(slots + 1) <= MAX_NUMBERS {
        return Ok(());
    }
    Err(RuntimeError::new(format!(
        "`{}` has {learned} parameters, more than can be trained here: {} with this optimizer",
        model.name,
        MAX_NUMBERS / (slots + 1)
    ))
    .with_help("make its layers smaller"))
}
