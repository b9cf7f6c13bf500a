//! Data as numpy arrays `x_train`, `y_train`, `x_test`, `y_test`, in one .npz archive or in a folder of .npy files.
//!
//! Must never know how an array is encoded.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::ZipArchive;

use super::array::count_classes;
use super::bytes::{Fingerprint, Input};
use super::locate::{Origin, Request, Wanted};
use super::npy::{self, Stored};
use super::{Dataset, Source, Split, Values};
use crate::error::{Result, RuntimeError};
use crate::files;

/// `npz("file.npz", full_scale = 255)`: one archive. The first axis of an array counts its samples; the rest is the
/// shape of a sample, with its steps first if it changes with time. Arrays of `uint8` mean value / full_scale (255 if
/// not given), `bool` 0 and 1, all other types what they say. There are as many classes as the largest label says.
pub(super) const NPZ: Source = Source {
    name: "npz",
    takes_path: true,
    settings: &["full_scale"],
    open: |request| {
        let mut archive = Archive::open(&request.file(request.path()?)?)?;
        read(request, &mut |name| archive.read(name))
    },
};

/// `npy("folder", full_scale = 255)`: the same arrays as `x_train.npy`, `y_train.npy`, `x_test.npy`, `y_test.npy`.
pub(super) const NPY: Source = Source {
    name: "npy",
    takes_path: true,
    settings: &["full_scale"],
    open: |request| read(request, &mut folder(request)?),
};

/// Reads an array by name, and the hash of its content.
type ReadArray<'a> = dyn FnMut(&str) -> Result<(Stored, [u8; 32])> + 'a;

fn read(request: &Request<'_>, read_array: &mut ReadArray<'_>) -> Result<Dataset> {
    let full_scale = full_scale(request)?;
    let mut fingerprint = Fingerprint::new();
    let mut read_split = |x: &str, y: &str| -> Result<Split> {
        let (samples, hash) = read_array(x)?;
        let mut samples = samples.into_array();
        fingerprint.add(x, hash);
        if let (Values::U8 { full_scale, .. }, Some(wanted)) = (&mut samples.values, full_scale) {
            *full_scale = wanted;
        }
        let (labels, hash) = read_array(y)?;
        fingerprint.add(y, hash);
        Ok(Split { inputs: vec![samples.into_field("x")?], labels: labels.into_array().into_labels()? })
    };
    let train = read_split("x_train", "y_train")?;
    let test = read_split("x_test", "y_test")?;
    let n_classes = count_classes(&train.labels, &test.labels);
    Ok(Dataset { name: request.source.to_owned(), train, test, n_classes, fingerprint: fingerprint.finish() })
}

fn full_scale(request: &Request<'_>) -> Result<Option<f32>> {
    let Some(text) = request.setting("full_scale") else { return Ok(None) };
    match text.parse::<f32>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(Some(value)),
        _ => Err(RuntimeError::new(format!("`{}`: full_scale is `{text}`, not a number above 0", request.source))),
    }
}

/// An .npz archive.
pub(super) struct Archive {
    path: String,
    zip: ZipArchive<BufReader<File>>,
}

impl Archive {
    /// Opens the archive and reads what is in it.
    pub fn open(path: &Path) -> Result<Archive> {
        let (file, _) = files::open(path)?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| {
            RuntimeError::new(format!("`{}` is not an .npz archive, or a damaged one: {error}", path.display()))
                .with_help("write it with numpy.savez")
        })?;
        Ok(Archive { path: path.display().to_string(), zip })
    }

    /// The names of its arrays, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = self.zip.file_names().flatten();
        let mut names: Vec<String> = entries.map(|name| name.trim_end_matches(".npy").to_owned()).collect();
        names.sort_unstable();
        names
    }

    /// An array by name, and the hash of its content.
    pub fn read(&mut self, name: &str) -> Result<(Stored, [u8; 32])> {
        let names = self.names();
        let label = format!("{name}.npy in {}", self.path);
        let entry = self.zip.by_name(&format!("{name}.npy")).map_err(|error| {
            RuntimeError::new(format!("`{}`: cannot read the array `{name}`: {error}", self.path))
                .with_help(format!("its arrays are {}", names.join(", ")))
        })?;
        let (stored, length) = (entry.compressed_size(), entry.size());
        npy::read_stored(Input::entry(label, Box::new(entry), stored, length)?)
    }
}

fn folder(request: &Request<'_>) -> Result<impl FnMut(&str) -> Result<(Stored, [u8; 32])>> {
    let wanted = ["x_train", "y_train", "x_test", "y_test"]
        .map(|role| Wanted { role: "an array", names: vec![format!("{role}.npy")] });
    let advice = "save the arrays there as x_train.npy, y_train.npy, x_test.npy and y_test.npy with numpy.save";
    let files = request.files(&wanted, &Origin { subfolder: None, advice })?;
    let source = request.source;
    Ok(move |name: &str| {
        let file = files.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
        let path = file.ok_or_else(|| RuntimeError::new(format!("`{source}` has no array `{name}`")))?;
        npy::read_stored(Input::open(path)?)
    })
}

#[cfg(test)]
mod tests;
