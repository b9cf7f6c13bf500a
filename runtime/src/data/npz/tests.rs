//! Numpy arrays in archives and folders, whole and broken; archives are put together byte by byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use crate::data::events::Timing;
use crate::data::{Dataset, DatasetArgs, Values, open};
use crate::error::Result;

fn npy(descr: &str, shape: &str, body: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut content = b"\x93NUMPY\x01\x00".to_vec();
    content.extend((header.len() as u16).to_le_bytes());
    content.extend(header.as_bytes());
    content.extend(body);
    content
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Three training and two test samples of 2 steps with 2 units.
fn arrays() -> BTreeMap<&'static str, Vec<u8>> {
    BTreeMap::from([
        ("x_train", npy("<f4", "(3, 2, 2)", &floats(&(0..12).map(|n| n as f32).collect::<Vec<_>>()))),
        (
            "y_train",
            npy("<i8", "(3,)", &[0_i64, 4, 1].iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<_>>()),
        ),
        ("x_test", npy("<f4", "(2, 2, 2)", &floats(&[0.5; 8]))),
        ("y_test", npy("|u1", "(2,)", &[2, 3])),
    ])
}

/// A zip archive, `(name, content, announced size)` each, deflated or stored.
fn zip(entries: &[(String, Vec<u8>, u32)], deflate: bool) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, content, announced) in entries {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let stored = if deflate {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        } else {
            content.clone()
        };
        let offset = archive.len() as u32;
        let method: u16 = if deflate { 8 } else { 0 };
        let mut common = vec![20, 0, 0, 0];
        common.extend(method.to_le_bytes());
        common.extend([0; 4]);
        for word in [crc.sum(), stored.len() as u32, *announced] {
            common.extend(word.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        archive.extend(b"PK\x03\x04");
        archive.extend(&common);
        archive.extend(name.as_bytes());
        archive.extend(stored);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (n_entries, start, length) = (entries.len() as u16, archive.len() as u32, directory.len() as u32);
    archive.extend(directory);
    archive.extend(b"PK\x05\x06\x00\x00\x00\x00");
    archive.extend([n_entries.to_le_bytes(), n_entries.to_le_bytes()].concat());
    archive.extend([length.to_le_bytes(), start.to_le_bytes()].concat());
    archive.extend([0, 0]);
    archive
}

fn archive(arrays: &BTreeMap<&'static str, Vec<u8>>, deflate: bool) -> Vec<u8> {
    let entries: Vec<_> =
        arrays.iter().map(|(name, content)| (format!("{name}.npy"), content.clone(), content.len() as u32)).collect();
    zip(&entries, deflate)
}

fn read_settings(content: &[u8], settings: &[(&str, &str)]) -> Result<Dataset> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("data.npz"), content).unwrap();
    let settings = settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    open("npz", &DatasetArgs { path: Some("data.npz".to_owned()), settings }, dir.path(), None)
}

fn read(content: &[u8]) -> Result<Dataset> {
    read_settings(content, &[])
}

fn read_with(name: &'static str, content: Vec<u8>) -> Result<Dataset> {
    let mut arrays = arrays();
    arrays.insert(name, content);
    read(&archive(&arrays, true))
}

#[test]
fn stored_and_deflated_archives_and_folders_give_the_same_data() {
    let dataset = read(&archive(&arrays(), false)).unwrap();
    assert_eq!((dataset.train.labels.as_slice(), dataset.test.labels.as_slice()), (&[0, 4, 1][..], &[2, 3][..]));
    assert_eq!((dataset.n_classes, dataset.train.inputs[0].shape.as_slice()), (5, &[2, 2][..]));
    let mut sample = [0.0; 4];
    assert!(dataset.train.inputs[0].write_sample(1, &Timing::Untimed, &mut sample));
    assert_eq!(sample, [4.0, 5.0, 6.0, 7.0]);
    assert_eq!(dataset, read(&archive(&arrays(), true)).unwrap());

    let dir = tempfile::tempdir().unwrap();
    for (name, content) in arrays() {
        fs::write(dir.path().join(format!("{name}.npy")), content).unwrap();
    }
    let args = DatasetArgs { path: Some(".".to_owned()), settings: BTreeMap::new() };
    let folder = open("npy", &args, dir.path(), None).unwrap();
    assert_eq!(Dataset { name: "npz".to_owned(), ..folder }, dataset);
}

#[test]
fn steps_come_from_the_first_axis() {
    let field = read(&archive(&arrays(), true)).unwrap().train.inputs.remove(0);
    assert_eq!(field.steps_for(&[2, 2]).unwrap(), None);
    assert_eq!(field.steps_for(&[2]).unwrap(), Some(2));
    let error = field.steps_for(&[3]).unwrap_err();
    assert!(error.message().contains("shape [2, 2]") && error.message().contains("shape [3]"), "{error}");
}

#[test]
fn bytes_are_scaled() {
    let mut arrays = arrays();
    arrays.insert("x_train", npy("|u1", "(3, 1)", &[0, 1, 255]));
    arrays.insert("x_test", npy("|b1", "(2, 1)", &[0, 1]));
    let scales = |settings: &[(&str, &str)]| {
        let dataset = read_settings(&archive(&arrays, true), settings).unwrap();
        [&dataset.train, &dataset.test].map(|split| match split.inputs[0].values {
            Values::U8 { full_scale, .. } => full_scale,
            Values::F32(_) | Values::Events(_) => f32::NAN,
        })
    };
    assert_eq!(scales(&[]), [255.0, 1.0]);
    assert_eq!(scales(&[("full_scale", "16")]), [16.0, 16.0]);
    for value in ["0", "-1", "NaN", "many"] {
        let error = read_settings(&archive(&arrays, true), &[("full_scale", value)]).unwrap_err();
        assert!(error.message().contains(value), "{error}");
    }
}

#[test]
fn broken_arrays_are_named() {
    let long_header = [b"\x93NUMPY\x02\x00".to_vec(), u32::MAX.to_le_bytes().to_vec()].concat();
    for (content, what) in [
        (b"PNG".to_vec(), "expected 6 bytes, found 3"),
        (b"not numpy at all".to_vec(), "magic word"),
        (b"\x93NUMPY\x09\x00".to_vec(), "version 9"),
        (long_header, "header claims to have 4294967295 bytes"),
        (npy("<f4", "(3, 2, 2)", &[0; 40]), "is truncated: expected 176 bytes, found 168"),
        (npy("<f4", "(3, 2, 2)", &[0; 50]), "is too long: expected 176 bytes, found 178"),
        (npy("<f4", "(4294967296, 4294967296, 2)", &[]), "corrupt"),
        (npy("<f4", "(1000000000, 1000)", &[]), "expected 4000000000128 bytes, found 128"),
        (npy("<f4", "()", &[0; 4]), "a single number"),
        (npy("<f4", "(3, 2, 0)", &[]), "hold no numbers"),
        (npy("<f4", "(0, 1000000000000, 1000000000000)", &[]), "0 samples of `x` but 3 labels"),
        (npy("<f4", "(3, 1)", &floats(&[0.0, f32::NAN, 0.0])), "not finite, in sample 1"),
        (npy("<f4", "(2, 2, 2)", &[0; 32]), "2 samples of `x` but 3 labels"),
        (npy("<f4", "(3, 5)", &[0; 60]), "shapes [[5]], test samples [[2, 2]]"),
        (npy("<U5", "(3,)", &[0; 60]), "type `<U5`"),
    ] {
        let error = read_with("x_train", content).unwrap_err();
        assert!(error.message().contains(what), "{what}: {error}");
    }
    let error = read_with("y_train", npy("<f4", "(3,)", &floats(&[0.0, 1.0, 1.5]))).unwrap_err();
    assert!(error.message().contains("y_train.npy") && error.message().contains("label 1.5"), "{error}");
}

#[test]
fn broken_archives_are_explained() {
    let whole = archive(&arrays(), true);
    for content in [&b"not a zip"[..], &[], &whole[..whole.len() / 2]] {
        let error = read(content).unwrap_err();
        assert!(error.message().contains("is not an .npz archive"), "{error}");
    }
    let mut without_test = arrays();
    without_test.remove("x_test");
    let error = read(&archive(&without_test, true)).unwrap_err();
    assert!(
        error.message().contains("`x_test`") && error.help().unwrap().contains("x_train, y_test, y_train"),
        "{error}"
    );

    let content = npy("<f4", "(3, 250000000)", &[]);
    let lie = [("x_train.npy".to_owned(), content, 3_000_000_128)];
    let error = read(&zip(&lie, true)).unwrap_err();
    assert!(error.message().contains("cannot become the announced 3000000128"), "{error}");
    let mut damaged = whole.clone();
    let body = 30 + "x_test.npy".len() + 40;
    damaged[body] ^= 0xFF;
    assert!(read(&damaged).is_err());
}

#[test]
fn a_missing_archive_names_the_path() {
    let args = DatasetArgs { path: Some("data.npz".to_owned()), settings: BTreeMap::new() };
    let error = open("npz", &args, Path::new("/nonexistent"), None).unwrap_err();
    assert!(error.message().contains("/nonexistent/data.npz"), "{error}");
}

#[test]
fn no_damage_of_one_byte_makes_the_reader_panic() {
    let mut small = arrays();
    small.insert("x_train", npy("|u1", "(3, 1)", &[1, 2, 3]));
    small.insert("x_test", npy("|u1", "(2, 1)", &[1, 2]));
    for deflate in [false, true] {
        let whole = archive(&small, deflate);
        for at in 0..whole.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut damaged = whole.clone();
                damaged[at] = value;
                if let Err(error) = read(&damaged) {
                    assert!(!error.message().is_empty());
                }
            }
        }
    }
}
