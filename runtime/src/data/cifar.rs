//! CIFAR-10 in its binary version: records of one label byte and 3072 pixel bytes (red, green, blue planes).
//!
//! Must never know other versions of the data set; the Python pickles are not read.

use std::path::PathBuf;

use super::bytes::{Fingerprint, Input};
use super::locate::{Origin, Request, Wanted};
use super::{Dataset, Field, Source, Split, Values};
use crate::error::Result;

const PIXELS: u64 = 3 * 32 * 32;
const RECORD: u64 = 1 + PIXELS;
const N_TRAIN_FILES: usize = 5;

/// `cifar10("folder")`: photographs, `image: [3, 32, 32]`, 10 classes.
pub(super) const SOURCE: Source = Source { name: "cifar10", takes_path: true, settings: &[], open };

fn open(request: &Request<'_>) -> Result<Dataset> {
    let mut wanted: Vec<Wanted> = (1..=N_TRAIN_FILES)
        .map(|number| Wanted { role: "training samples", names: vec![format!("data_batch_{number}.bin")] })
        .collect();
    wanted.push(Wanted { role: "test samples", names: vec!["test_batch.bin".to_owned()] });
    let origin = Origin {
        subfolder: Some("cifar-10-batches-bin"),
        advice: "put data_batch_1.bin to data_batch_5.bin and test_batch.bin there: unpack cifar-10-binary.tar.gz, \
                 \"CIFAR-10 binary version\" on the page of the CIFAR-10 data set by Krizhevsky, Nair and Hinton",
    };
    let files = request.files(&wanted, &origin)?;
    let (train, test) = files.split_at(N_TRAIN_FILES.min(files.len()));
    let mut fingerprint = Fingerprint::new();
    let train = read_split("train", train, &mut fingerprint)?;
    let test = read_split("test", test, &mut fingerprint)?;
    Ok(Dataset { name: request.source.to_owned(), train, test, n_classes: 10, fingerprint: fingerprint.finish() })
}

fn read_split(part: &str, files: &[PathBuf], fingerprint: &mut Fingerprint) -> Result<Split> {
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for path in files {
        let mut input = Input::open(path)?;
        let records = read_records(&mut input)?;
        for record in records.chunks_exact(RECORD as usize) {
            if let Some((&label, pixels)) = record.split_first() {
                labels.push(u32::from(label));
                bytes.extend_from_slice(pixels);
            }
        }
        fingerprint.add(part, input.finish()?);
    }
    let field =
        Field { name: "image".to_owned(), shape: vec![3, 32, 32], values: Values::U8 { bytes, full_scale: 255.0 } };
    Ok(Split { inputs: vec![field], labels })
}

fn read_records(input: &mut Input<'_>) -> Result<Vec<u8>> {
    let Some(length) = input.known_length() else {
        return Err(input
            .error("is compressed")
            .with_help("unpack it first: CIFAR-10 files are read as plain .bin files"));
    };
    if length == 0 || !length.is_multiple_of(RECORD) {
        return Err(input
            .error(format!(
                "is truncated or not a CIFAR-10 binary file: expected records of {RECORD} bytes \
                 (10000 of them, 30730000 bytes, as published), found {length} bytes"
            ))
            .with_help("unpack cifar-10-binary.tar.gz again"));
    }
    let records = input.read(length)?;
    match records.iter().step_by(RECORD as usize).position(|&label| label >= 10) {
        None => Ok(records),
        Some(record) => Err(input
            .error(format!("is not a CIFAR-10 binary file: record {record} has a label above 9"))
            .with_help("CIFAR-100 and the Python version have another layout")),
    }
}

#[cfg(test)]
mod tests;
