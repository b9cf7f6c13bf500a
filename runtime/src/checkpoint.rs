//! Named tensors in safetensors files: weights, and the whole state of a training run.
//!
//! Must never know what the tensors are for, nor how a machine lays them out: shapes are those of the model's source.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors, View};

use crate::error::{Result, RuntimeError, nearest};
use crate::files;

/// All metadata go under one key, because safetensors writes its keys in random order and files must be reproducible.
const METADATA_KEY: &str = "snnc";

/// The most problems that one error lists.
const MAX_LISTED: usize = 10;

/// A tensor with a name, row-major in `shape`.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedTensor {
    /// The parameter's path, e.g. `stem.conv2d1.weight`.
    pub name: String,
    /// Its logical shape.
    pub shape: Vec<usize>,
    /// As many numbers as the shape says.
    pub data: TensorData,
}

/// The numbers of a tensor, in the precision in which they are stored.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// Single precision.
    F32(Vec<f32>),
    /// Double precision.
    F64(Vec<f64>),
}

/// What a reader of tensors needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// The name.
    pub name: String,
    /// The logical shape.
    pub shape: Vec<usize>,
}

/// The content of a file, tensors sorted by name.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorFile {
    /// The tensors.
    pub tensors: Vec<NamedTensor>,
    /// What the writer noted; empty for files of other programs.
    pub metadata: BTreeMap<String, String>,
}

impl TensorData {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::F64(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// In single precision, rounded if need be.
    pub fn to_f32(&self) -> Cow<'_, [f32]> {
        match self {
            Self::F32(numbers) => Cow::Borrowed(numbers),
            Self::F64(numbers) => Cow::Owned(numbers.iter().map(|&number| number as f32).collect()),
        }
    }

    /// In double precision.
    pub fn to_f64(&self) -> Cow<'_, [f64]> {
        match self {
            Self::F32(numbers) => Cow::Owned(numbers.iter().map(|&number| f64::from(number)).collect()),
            Self::F64(numbers) => Cow::Borrowed(numbers),
        }
    }
}

/// Writes tensors and metadata, replacing the file as a whole. Equal content gives equal bytes.
///
/// # Errors
/// If a name occurs twice, a shape does not fit its numbers, or the file cannot be written.
pub fn save(path: &Path, tensors: &[NamedTensor], metadata: &BTreeMap<String, String>) -> Result<()> {
    let fail = |problem: String| RuntimeError::new(format!("cannot write `{}`: {problem}", path.display()));
    let mut by_name: BTreeMap<&str, StoredTensor<'_>> = BTreeMap::new();
    for tensor in tensors {
        if tensor.shape.iter().product::<usize>() != tensor.data.len() {
            let (name, shape, len) = (&tensor.name, &tensor.shape, tensor.data.len());
            return Err(fail(format!("tensor `{name}` of shape {shape:?} has {len} numbers")));
        }
        if by_name.insert(&tensor.name, StoredTensor(tensor)).is_some() {
            return Err(fail(format!("there are two tensors `{}`", tensor.name)));
        }
    }
    let metadata = serde_json::to_string(metadata).map_err(|error| fail(error.to_string()))?;
    let metadata = HashMap::from([(METADATA_KEY.to_owned(), metadata)]);
    let content = safetensors::serialize(by_name, Some(metadata)).map_err(|error| fail(error.to_string()))?;
    files::write(path, &content)
}

/// Reads all tensors of a file.
///
/// # Errors
/// If the file cannot be read, is no whole safetensors file, or holds numbers other than f32 and f64.
pub fn load(path: &Path) -> Result<TensorFile> {
    let content = files::read(path)?;
    let damaged = |problem: String| {
        RuntimeError::new(format!(
            "`{}` ({} bytes) is not a safetensors file, or a damaged one: {problem}",
            path.display(),
            content.len()
        ))
    };
    let (_, header) = SafeTensors::read_metadata(&content).map_err(|error| damaged(error.to_string()))?;
    let file = SafeTensors::deserialize(&content).map_err(|error| damaged(error.to_string()))?;
    let mut tensors =
        file.iter().map(|(name, view)| decode(path, name, &view)).collect::<Result<Vec<NamedTensor>>>()?;
    tensors.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let metadata = match header.metadata().as_ref().and_then(|metadata| metadata.get(METADATA_KEY)) {
        None => BTreeMap::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| damaged(format!("its notes: {error}")))?,
    };
    Ok(TensorFile { tensors, metadata })
}

impl TensorFile {
    /// Exactly the tensors that are wanted, in the order in which they are wanted; `origin` names the file in errors.
    ///
    /// # Errors
    /// Names every tensor that is missing, unexpected or of another shape.
    pub fn take(self, wanted: &[TensorSpec], origin: &Path) -> Result<Vec<NamedTensor>> {
        let mut present: BTreeMap<String, NamedTensor> =
            self.tensors.into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        let mut taken = Vec::with_capacity(wanted.len());
        let (mut missing, mut problems) = (Vec::new(), Vec::new());
        for spec in wanted {
            match present.remove(&spec.name) {
                None => missing.push(spec),
                Some(tensor) if tensor.shape != spec.shape => problems.push(format!(
                    "`{}` has shape {:?} in the file, {:?} in the model",
                    spec.name, tensor.shape, spec.shape
                )),
                Some(tensor) => taken.push(tensor),
            }
        }
        for spec in missing {
            let hint = nearest(&spec.name, present.keys().map(String::as_str));
            let hint = hint.map(|name| format!(" (the file has `{name}`)")).unwrap_or_default();
            problems.push(format!("`{}` of shape {:?} is missing{hint}", spec.name, spec.shape));
        }
        problems.extend(present.keys().map(|name| format!("`{name}` is not in the model")));
        if problems.is_empty() { Ok(taken) } else { Err(mismatch(origin, &problems)) }
    }
}

fn mismatch(origin: &Path, problems: &[String]) -> RuntimeError {
    let mut message = format!("the tensors of `{}` are not those of the model:", origin.display());
    for problem in problems.iter().take(MAX_LISTED) {
        message += "\n  ";
        message += problem;
    }
    if let Some(more) = problems.len().checked_sub(MAX_LISTED).filter(|&more| more > 0) {
        message += &format!("\n  and {more} more");
    }
    RuntimeError::new(message).with_help("use the model file and settings that the tensors were trained with")
}

fn decode(path: &Path, name: &str, view: &TensorView<'_>) -> Result<NamedTensor> {
    let data = match view.dtype() {
        Dtype::F32 => {
            TensorData::F32(view.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
        }
        Dtype::F64 => {
            TensorData::F64(view.data().as_chunks().0.iter().map(|&bytes| f64::from_le_bytes(bytes)).collect())
        }
        other => {
            return Err(RuntimeError::new(format!(
                "`{}`: tensor `{name}` has numbers of type {other}",
                path.display()
            ))
            .with_help("store weights as F32 or F64"));
        }
    };
    Ok(NamedTensor { name: name.to_owned(), shape: view.shape().to_vec(), data })
}

/// How safetensors sees a tensor of ours.
struct StoredTensor<'a>(&'a NamedTensor);

impl View for StoredTensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.0.data {
            TensorData::F32(_) => Dtype::F32,
            TensorData::F64(_) => Dtype::F64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match &self.0.data {
            TensorData::F32(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            TensorData::F64(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        self.0.data.len() * self.dtype().bitsize() / 8
    }
}

#[cfg(test)]
mod tests;
