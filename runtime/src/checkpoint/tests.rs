//! Round trips of tensor files, and what is said about files that do not fit.

use std::fs;

use super::*;

fn tensor(name: &str, shape: &[usize], numbers: &[f32]) -> NamedTensor {
    NamedTensor { name: name.to_owned(), shape: shape.to_vec(), data: TensorData::F32(numbers.to_vec()) }
}

fn spec(name: &str, shape: &[usize]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), shape: shape.to_vec() }
}

fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    (dir, path)
}

#[test]
fn tensors_of_both_precisions_and_metadata_come_back_bit_by_bit() {
    let (_dir, path) = file();
    let odd = TensorData::F64(vec![0.1, f64::MIN_POSITIVE, -0.0]);
    let tensors = [
        tensor("a.weight", &[2, 3], &[1.0, -2.5, f32::MIN_POSITIVE, f32::MAX, -0.0, 0.1]),
        NamedTensor { name: "b".to_owned(), shape: vec![3], data: odd },
        tensor("c", &[], &[7.0]),
    ];
    let metadata = BTreeMap::from([("epoch".to_owned(), "3".to_owned()), ("model".to_owned(), "Net".to_owned())]);
    save(&path, &tensors, &metadata).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.tensors, tensors);
    assert_eq!(loaded.metadata, metadata);
    assert!(matches!(&loaded.tensors[1].data, TensorData::F64(numbers) if numbers[2].is_sign_negative()));
    let first = fs::read(&path).unwrap();
    save(&path, &loaded.tensors, &loaded.metadata).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first);
}

#[test]
fn precisions_convert() {
    assert_eq!(TensorData::F64(vec![0.1]).to_f32()[..], [0.1_f32]);
    assert_eq!(TensorData::F32(vec![0.5]).to_f64()[..], [0.5]);
}

#[test]
fn tensors_are_taken_in_the_wanted_order() {
    let tensors = vec![tensor("a", &[1], &[1.0]), tensor("b", &[2], &[2.0, 3.0])];
    let file = TensorFile { tensors, metadata: BTreeMap::new() };
    let taken = file.take(&[spec("b", &[2]), spec("a", &[1])], Path::new("w")).unwrap();
    assert_eq!(taken.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>(), ["b", "a"]);
}

#[test]
fn every_mismatch_is_named() {
    let tensors = vec![tensor("conv1.weight", &[1], &[1.0]), tensor("fc.weight", &[2], &[2.0, 3.0])];
    let file = TensorFile { tensors, metadata: BTreeMap::new() };
    let wanted = [spec("conv2.weight", &[1]), spec("fc.weight", &[3]), spec("tdbn.mu", &[4])];
    let error = file.take(&wanted, Path::new("run/weights.safetensors")).unwrap_err();
    for what in [
        "run/weights.safetensors",
        "`conv2.weight` of shape [1] is missing (the file has `conv1.weight`)",
        "`fc.weight` has shape [2] in the file, [3] in the model",
        "`tdbn.mu` of shape [4] is missing\n",
        "`conv1.weight` is not in the model",
    ] {
        assert!(error.message().contains(what), "{what}: {error}");
    }
}

#[test]
fn long_lists_of_mismatches_are_cut() {
    let tensors = (0..25).map(|number| tensor(&format!("t{number}"), &[1], &[0.0])).collect();
    let error = TensorFile { tensors, metadata: BTreeMap::new() }.take(&[], Path::new("w")).unwrap_err();
    assert!(error.message().contains("and 15 more"), "{error}");
}

#[test]
fn tensors_that_cannot_be_written_are_named() {
    let (_dir, path) = file();
    let twice = [tensor("a", &[1], &[1.0]), tensor("a", &[1], &[1.0])];
    assert!(save(&path, &twice, &BTreeMap::new()).unwrap_err().message().contains("two tensors `a`"));
    let short = [tensor("a", &[2], &[1.0])];
    assert!(save(&path, &short, &BTreeMap::new()).unwrap_err().message().contains("shape [2] has 1 numbers"));
    assert!(!path.exists());
}

#[test]
fn damaged_files_are_named() {
    let (_dir, path) = file();
    save(&path, &[tensor("a", &[4], &[1.0; 4])], &BTreeMap::new()).unwrap();
    let whole = fs::read(&path).unwrap();
    let mut huge_header = whole.clone();
    huge_header[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let mut longer = whole.clone();
    longer.push(0);
    for content in [&whole[..whole.len() - 1], &whole[..20], &whole[..3], &[], &huge_header, &longer] {
        fs::write(&path, content).unwrap();
        let error = load(&path).unwrap_err();
        assert!(error.message().contains("weights.safetensors"), "{error}");
        assert!(error.message().contains(&format!("{} bytes", content.len())), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert!(load(&path).unwrap_err().message().contains("cannot read"));
}

#[test]
fn other_types_of_numbers_are_refused() {
    let (_dir, path) = file();
    let header = br#"{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"#;
    let mut content = (header.len() as u64).to_le_bytes().to_vec();
    content.extend_from_slice(header);
    content.extend_from_slice(&[0; 4]);
    fs::write(&path, content).unwrap();
    let error = load(&path).unwrap_err();
    assert!(error.message().contains("F16") && error.help().is_some_and(|help| help.contains("F32")), "{error}");
}
