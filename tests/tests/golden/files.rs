//! Golden files: tensors and constants that a peer computed, read from `shared/golden/open` beside the workspace, or from
//! the folder that `SNNC_GOLDEN` names.
//!
//! Files are found by the beginning of their name, so that a folder with other seeds and shapes is checked the same way.
//! Must never know what the tensors mean.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

/// A tensor of a golden file: row-major, whatever its type in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Extents.
    pub dims: Vec<usize>,
    /// Elements.
    pub data: Vec<f64>,
}

/// One golden file.
#[derive(Debug)]
pub struct Golden {
    /// The file's name without its ending.
    pub name: String,
    /// The peer's constants.
    pub config: Value,
    /// Tensors by key.
    pub tensors: BTreeMap<String, Values>,
}

impl Golden {
    /// The tensor of that key.
    pub fn tensor(&self, key: &str) -> &Values {
        self.tensors.get(key).unwrap_or_else(|| panic!("{} has no tensor `{key}`", self.name))
    }

    /// The elements of that key.
    pub fn data(&self, key: &str) -> &[f64] {
        &self.tensor(key).data
    }

    /// A number of the configuration.
    pub fn number(&self, key: &str) -> f64 {
        number(&self.config, key)
    }
}

/// A number of a JSON object.
pub fn number(object: &Value, key: &str) -> f64 {
    object[key].as_f64().unwrap_or_else(|| panic!("the configuration has no number `{key}`"))
}

/// A truth value of a JSON object.
pub fn truth(object: &Value, key: &str) -> bool {
    object[key].as_bool().unwrap_or_else(|| panic!("the configuration has no truth value `{key}`"))
}

/// A word of a JSON object.
pub fn word<'v>(object: &'v Value, key: &str) -> &'v str {
    object[key].as_str().unwrap_or_else(|| panic!("the configuration has no word `{key}`"))
}

fn folder() -> PathBuf {
    match std::env::var_os("SNNC_GOLDEN") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/open"),
    }
}

/// Names of all golden files without their ending, in order; none, and a line that says so, where there is no folder.
pub fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder()) else {
        println!("skipped: there is no folder with golden values; SNNC_GOLDEN may name one");
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter_map(|name| Some(name.strip_suffix(".safetensors")?.to_owned())).collect();
    names.sort();
    names
}

/// The golden files whose names begin so.
pub fn open(prefix: &str) -> Vec<Golden> {
    let names = names().into_iter().filter(|name| name.starts_with(prefix));
    names.map(|name| read(&folder().join(format!("{name}.safetensors")), name)).collect()
}

fn read(path: &Path, name: String) -> Golden {
    let bytes = fs::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let config = metadata.metadata().as_ref().and_then(|entries| entries.get("config"));
    let config = serde_json::from_str(config.unwrap_or_else(|| panic!("{name} has no configuration"))).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.iter().map(|(key, view)| {
        let data = elements(view.dtype(), view.data());
        (key.to_owned(), Values { dims: view.shape().to_vec(), data })
    });
    Golden { name, config, tensors: tensors.collect() }
}

fn elements(dtype: Dtype, bytes: &[u8]) -> Vec<f64> {
    match dtype {
        Dtype::F64 => chunks(bytes, f64::from_le_bytes),
        Dtype::F32 => chunks(bytes, |bytes| f64::from(f32::from_le_bytes(bytes))),
        Dtype::I64 => chunks(bytes, |bytes| i64::from_le_bytes(bytes) as f64),
        Dtype::I32 => chunks(bytes, |bytes| f64::from(i32::from_le_bytes(bytes))),
        Dtype::U8 => bytes.iter().map(|byte| f64::from(*byte)).collect(),
        other => panic!("no golden file holds {other:?}"),
    }
}

fn chunks<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.chunks_exact(N).map(|chunk| read(chunk.try_into().unwrap())).collect()
}
