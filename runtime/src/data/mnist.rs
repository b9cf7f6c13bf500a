//! MNIST, Fashion-MNIST and any other images and labels in four IDX files.
//!
//! Must never know how IDX is encoded.

use std::path::{Path, PathBuf};

use super::array::count_classes;
use super::bytes::{Fingerprint, Input};
use super::locate::{Origin, Request, Wanted};
use super::{Dataset, Source, Split, idx};
use crate::error::{Result, RuntimeError};

/// `mnist("folder")`: handwritten digits, `image: [1, 28, 28]`, 10 classes.
pub(super) const MNIST: Source = Source {
    name: "mnist",
    takes_path: true,
    settings: &[],
    open: |request| {
        open_published(
            request,
            "put train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte \
             there, plain or .gz (LeCun, Cortes and Burges, \"The MNIST database of handwritten digits\")",
        )
    },
};

/// `fashion_mnist("folder")`: articles of clothing, `image: [1, 28, 28]`, 10 classes.
pub(super) const FASHION_MNIST: Source = Source {
    name: "fashion_mnist",
    takes_path: true,
    settings: &[],
    open: |request| {
        open_published(
            request,
            "put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and \
             t10k-labels-idx1-ubyte.gz there, plain or .gz (repository fashion-mnist of Zalando Research, \
             or the Debian package dataset-fashion-mnist)",
        )
    },
};

/// `idx(images = "..", labels = "..", test_images = "..", test_labels = "..")`: any data in IDX files, plain or .gz.
/// Samples of two axes become `[1, H, W]`; there are as many classes as the largest label says.
pub(super) const IDX: Source = Source {
    name: "idx",
    takes_path: false,
    settings: &["images", "labels", "test_images", "test_labels"],
    open: |request| {
        let file = |setting| request.file(request.required_setting(setting)?);
        let files = [file("images")?, file("labels")?, file("test_images")?, file("test_labels")?];
        read(request.source, &files, None)
    },
};

fn open_published(request: &Request<'_>, advice: &'static str) -> Result<Dataset> {
    let wanted = [
        wanted("training images", "train-images", "idx3"),
        wanted("training labels", "train-labels", "idx1"),
        wanted("test images", "t10k-images", "idx3"),
        wanted("test labels", "t10k-labels", "idx1"),
    ];
    let files = request.files(&wanted, &Origin { subfolder: None, advice })?;
    let [train_images, train_labels, test_images, test_labels] = &files[..] else {
        return Err(RuntimeError::new(format!("`{}` needs four files", request.source)));
    };
    let files = [train_images, train_labels, test_images, test_labels].map(PathBuf::clone);
    let dataset = read(request.source, &files, Some(10))?;
    match dataset.train.inputs.first() {
        Some(field) if field.shape != [1, 28, 28] => Err(RuntimeError::new(format!(
            "`{}` has samples of shape {:?}, those of `{}` are [1, 28, 28]",
            train_images.display(),
            field.shape,
            request.source
        ))
        .with_help("read other data with `idx(images = .., labels = .., test_images = .., test_labels = ..)`")),
        _ => Ok(dataset),
    }
}

/// Both styles of name are in use, each with and without compression.
fn wanted(role: &'static str, stem: &str, kind: &str) -> Wanted {
    let plain = [format!("{stem}-{kind}-ubyte"), format!("{stem}.{kind}-ubyte")];
    let names = plain.iter().flat_map(|name| [name.clone(), format!("{name}.gz")]).collect();
    Wanted { role, names }
}

fn read(source: &str, files: &[PathBuf; 4], n_classes: Option<usize>) -> Result<Dataset> {
    let [train_images, train_labels, test_images, test_labels] = files;
    let mut fingerprint = Fingerprint::new();
    let train = read_split("train", train_images, train_labels, &mut fingerprint)?;
    let test = read_split("test", test_images, test_labels, &mut fingerprint)?;
    let n_classes = n_classes.unwrap_or_else(|| count_classes(&train.labels, &test.labels));
    Ok(Dataset { name: source.to_owned(), train, test, n_classes, fingerprint: fingerprint.finish() })
}

fn read_split(part: &str, images: &Path, labels: &Path, fingerprint: &mut Fingerprint) -> Result<Split> {
    let (images, hash) = idx::read(Input::open(images)?)?;
    fingerprint.add(&format!("{part} images"), hash);
    let (labels, hash) = idx::read(Input::open(labels)?)?;
    fingerprint.add(&format!("{part} labels"), hash);
    Ok(Split { inputs: vec![images.into_images("image")?], labels: labels.into_labels()? })
}

#[cfg(test)]
mod tests;
