//! Data sets in memory: samples with labels, and the registry of the sources they come from.
//!
//! A new source is one file under `data/` and one line in [`SOURCES`] (plus its `extern` signature in the standard
//! library). Must never know the model that reads the samples, nor how the machine lays tensors out.

mod array;
mod bytes;
mod cifar;
mod digits;
mod event_folder;
mod idx;
mod locate;
mod mnist;
mod npy;
mod npz;
mod recording;
mod shd;

pub mod augment;
pub mod batch;
pub mod events;

use std::collections::BTreeMap;
use std::path::Path;

use crate::error::{Result, RuntimeError, nearest};
use events::{Events, Timing};
use locate::Request;

/// A classification data set: training and test samples with one class each.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The registered name of its source, e.g. `mnist`.
    pub name: String,
    /// What is trained on.
    pub train: Split,
    /// What is only ever evaluated.
    pub test: Split,
    /// Labels lie in `0..n_classes`.
    pub n_classes: usize,
    /// SHA-256, in hexadecimal, of the uncompressed content of the files; equal data give equal fingerprints.
    pub fingerprint: String,
}

/// The samples of one split: as many in every field as there are labels, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The inputs of the model, e.g. one field `image`.
    pub inputs: Vec<Field>,
    /// The class of each sample.
    pub labels: Vec<u32>,
}

/// One input of every sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What it is called, e.g. `image`.
    pub name: String,
    /// Shape of one sample, `[C, H, W]` for images; a field that changes with time has its steps first, `[T, ...]`, but
    /// for events, whose shape says who there is.
    pub shape: Vec<usize>,
    /// Sample after sample, each row-major in `shape`.
    pub values: Values,
}

/// How the numbers of a field are kept.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Bytes that mean `value / full_scale`: 255 for images, 16 for the 8x8 digits, 1 for spikes.
    U8 {
        /// The bytes as they stood in the file.
        bytes: Vec<u8>,
        /// The byte value that becomes 1.0.
        full_scale: f32,
    },
    /// Numbers as they are; all finite.
    F32(Vec<f32>),
    /// Who spiked when.
    Events(Events),
}

impl Values {
    /// How many numbers or events there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8 { bytes, .. } => bytes.len(),
            Self::F32(numbers) => numbers.len(),
            Self::Events(events) => events.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Field {
    /// Numbers in one sample, or addresses of its events; the largest `usize` if they cannot be counted.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().fold(1, |len, &extent| len.saturating_mul(extent))
    }

    /// The shape in which a sample is written: that of the field, with steps in front where it is events.
    pub fn written_shape(&self, timing: &Timing) -> Vec<usize> {
        match self.values {
            Values::Events(_) => [&[timing.steps()], self.shape.as_slice()].concat(),
            Values::U8 { .. } | Values::F32(_) => self.shape.clone(),
        }
    }

    /// What stands in a written sample where there is nothing.
    pub fn nothing(&self, timing: &Timing) -> f32 {
        match self.values {
            Values::Events(_) => timing.nothing(),
            Values::U8 { .. } | Values::F32(_) => 0.0,
        }
    }

    /// How many samples there are, and whether the last one is whole.
    fn n_samples(&self) -> (usize, bool) {
        let len = self.sample_len().max(1);
        match &self.values {
            Values::Events(events) => (events.n_samples(), true),
            Values::U8 { .. } | Values::F32(_) => (self.values.len() / len, self.values.len().is_multiple_of(len)),
        }
    }

    /// How the field feeds an input of shape `model_shape`: `None` is one value for all steps, `Some(T)` a new one each
    /// step.
    ///
    /// # Errors
    /// If the field's shape is neither `model_shape` nor `[T] + model_shape`.
    pub fn steps_for(&self, model_shape: &[usize]) -> Result<Option<usize>> {
        match self.shape.split_first() {
            _ if self.shape == model_shape => Ok(None),
            Some((&steps, rest)) if rest == model_shape => Ok(Some(steps)),
            _ => Err(RuntimeError::new(format!(
                "the data give `{}` of shape {:?}, the model's input has shape {model_shape:?}",
                self.name, self.shape
            ))
            .with_help(format!("declare the input as {:?}, or reshape the data", self.shape))),
        }
    }

    /// Writes sample `index` to `out`, scaled, row-major in the written shape; `false` if there is no such sample or `out`
    /// has another length.
    #[must_use]
    pub fn write_sample(&self, index: usize, timing: &Timing, out: &mut [f32]) -> bool {
        let len = self.sample_len();
        let Some(start) = index.checked_mul(len) else { return false };
        let range = start..start.saturating_add(len);
        match &self.values {
            Values::Events(events) => return events.write(index, len, timing, out),
            Values::F32(numbers) => match numbers.get(range) {
                Some(sample) if out.len() == len => out.copy_from_slice(sample),
                _ => return false,
            },
            Values::U8 { bytes, full_scale } => match bytes.get(range) {
                Some(sample) if out.len() == len => {
                    for (out, &byte) in out.iter_mut().zip(sample) {
                        *out = f32::from(byte) / full_scale;
                    }
                }
                _ => return false,
            },
        }
        true
    }
}

impl Split {
    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none; never true of an opened data set.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// What a model's `data = mnist("data/mnist", ...)` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetArgs {
    /// The positional argument: a directory or file.
    pub path: Option<String>,
    /// Named settings as text.
    pub settings: BTreeMap<String, String>,
}

/// A registered source of data.
pub struct Source {
    /// How models call it.
    pub name: &'static str,
    /// Whether it takes a path as its positional argument.
    pub takes_path: bool,
    /// The settings that it knows.
    pub settings: &'static [&'static str],
    open: fn(&Request<'_>) -> Result<Dataset>,
}

/// All sources, in the order in which they are listed to users.
pub static SOURCES: &[Source] = &[
    digits::SOURCE,
    mnist::MNIST,
    mnist::FASHION_MNIST,
    mnist::IDX,
    cifar::SOURCE,
    npz::NPZ,
    npz::NPY,
    event_folder::EVENTS,
    event_folder::NMNIST,
    shd::SOURCE,
];

/// Reads the data set `name` into memory.
///
/// A path in `args` is relative to `base_dir`, the folder of the model's file. `data_override` (the user's `--data DIR`)
/// takes its place: the files may lie in that folder or in a folder of it with the same last name.
///
/// # Errors
/// If the source or a setting is unknown, if files are missing, truncated, of another format, or too inconsistent to be
/// a data set. Memory use is bounded by the size of the files, whatever their headers say.
pub fn open(name: &str, args: &DatasetArgs, base_dir: &Path, data_override: Option<&Path>) -> Result<Dataset> {
    let source = SOURCES.iter().find(|source| source.name == name).ok_or_else(|| unknown_source(name))?;
    check_args(source, args)?;
    let dataset = (source.open)(&Request { source: source.name, args, base_dir, data_override })?;
    check(&dataset)?;
    Ok(dataset)
}

/// The array of an `.npy` file, scaled like samples: its shape and its numbers, row-major.
///
/// # Errors
/// If the file is no array of numbers, or holds one that is not finite.
pub fn read_array(path: &Path) -> Result<(Vec<usize>, Vec<f32>)> {
    let (array, _) = npy::read(bytes::Input::open(path)?)?;
    let shape = array.shape.clone();
    let field = Field { shape: shape.clone(), ..array.into_field("input")? };
    let mut numbers = vec![0.0; field.values.len()];
    if numbers.len() != field.sample_len() || !field.write_sample(0, &Timing::Untimed, &mut numbers) {
        return Err(RuntimeError::new(format!("`{}` is damaged", path.display())));
    }
    Ok((shape, numbers))
}

fn unknown_source(name: &str) -> RuntimeError {
    let names: Vec<&str> = SOURCES.iter().map(|source| source.name).collect();
    RuntimeError::new(format!("no data set is called `{name}`")).with_help(match nearest(name, names.iter().copied()) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None => format!("there are {}", names.join(", ")),
    })
}

fn check_args(source: &Source, args: &DatasetArgs) -> Result<()> {
    if let Some(path) = args.path.as_ref().filter(|_| !source.takes_path) {
        return Err(RuntimeError::new(format!("`{}` takes no path, but was given `{path}`", source.name)));
    }
    match args.settings.keys().find(|key| !source.settings.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(RuntimeError::new(format!("the data set `{}` has no setting `{key}`", source.name))
            .with_help(match (nearest(key, source.settings.iter().copied()), source.settings) {
                (Some(candidate), _) => format!("did you mean `{candidate}`?"),
                (None, []) => "it has no settings".to_owned(),
                (None, known) => format!("its settings are {}", known.join(", ")),
            })),
    }
}

fn check(dataset: &Dataset) -> Result<()> {
    check_split(dataset, "training", &dataset.train)?;
    check_split(dataset, "test", &dataset.test)?;
    let shapes = |split: &Split| split.inputs.iter().map(|field| field.shape.clone()).collect::<Vec<_>>();
    let (train, test) = (shapes(&dataset.train), shapes(&dataset.test));
    if train == test {
        return Ok(());
    }
    let name = &dataset.name;
    Err(RuntimeError::new(format!("`{name}`: training samples have shapes {train:?}, test samples {test:?}"))
        .with_help("both parts must come from the same data set"))
}

fn check_split(dataset: &Dataset, part: &str, split: &Split) -> Result<()> {
    let name = &dataset.name;
    if split.is_empty() {
        return Err(RuntimeError::new(format!("`{name}`: the {part} part has no samples")));
    }
    for field in &split.inputs {
        if field.sample_len() == 0 {
            return Err(RuntimeError::new(format!("`{name}`: samples of shape {:?} hold no numbers", field.shape)));
        }
        let (n_samples, whole) = field.n_samples();
        if n_samples != split.len() || !whole {
            return Err(RuntimeError::new(format!(
                "`{name}`: the {part} part has {n_samples} samples of `{}` but {} labels",
                field.name,
                split.len()
            ))
            .with_help("the file of samples and the file of labels do not belong together"));
        }
    }
    match split.labels.iter().position(|&label| label as usize >= dataset.n_classes) {
        None => Ok(()),
        Some(sample) => Err(RuntimeError::new(format!(
            "`{name}`: {part} sample {sample} has label {}, but there are {} classes, counted from 0",
            split.labels.get(sample).copied().unwrap_or_default(),
            dataset.n_classes
        ))),
    }
}

#[cfg(test)]
mod tests;
