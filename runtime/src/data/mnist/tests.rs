//! Finding and joining the four files of MNIST and its relatives.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use crate::data::events::Timing;
use crate::data::{Dataset, DatasetArgs, open};
use crate::error::Result;
use std::path::Path;

fn images(n: u32, size: u32) -> Vec<u8> {
    let mut content = vec![0, 0, 8, 3];
    content.extend([n, size, size].iter().flat_map(|extent| extent.to_be_bytes()));
    content.extend((0..n * size * size).map(|pixel| pixel as u8));
    content
}

fn labels(labels: &[u8]) -> Vec<u8> {
    let mut content = vec![0, 0, 8, 1];
    content.extend((labels.len() as u32).to_be_bytes());
    content.extend(labels);
    content
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn write_mnist(dir: &Path, size: u32) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("train-images-idx3-ubyte"), images(3, size)).unwrap();
    fs::write(dir.join("train-labels.idx1-ubyte"), labels(&[4, 0, 9])).unwrap();
    fs::write(dir.join("t10k-images.idx3-ubyte.gz"), gzip(&images(2, size))).unwrap();
    fs::write(dir.join("t10k-labels-idx1-ubyte.gz"), gzip(&labels(&[1, 2]))).unwrap();
}

fn mnist(path: &str, base_dir: &Path, data_override: Option<&Path>) -> Result<Dataset> {
    open("mnist", &DatasetArgs { path: Some(path.to_owned()), settings: BTreeMap::new() }, base_dir, data_override)
}

#[test]
fn all_styles_of_names_are_found() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(&base.path().join("data/mnist"), 28);
    let mnist = mnist("data/mnist", base.path(), None).unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len(), mnist.n_classes), (3, 2, 10));
    assert_eq!(mnist.train.labels, [4, 0, 9]);
    assert_eq!(mnist.train.inputs[0].shape, [1, 28, 28]);
    let mut image = vec![0.0; 784];
    assert!(mnist.test.inputs[0].write_sample(1, &Timing::Untimed, &mut image));
    assert_eq!(image[..2], [16.0 / 255.0, 17.0 / 255.0]);
    assert!(!mnist.test.inputs[0].write_sample(2, &Timing::Untimed, &mut image));
}

#[test]
fn the_override_may_be_the_folder_or_the_one_above() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(&base.path().join("sets/mnist"), 28);
    let elsewhere = Path::new("/nonexistent");
    let above = mnist("data/mnist", elsewhere, Some(&base.path().join("sets"))).unwrap();
    let exact = mnist("data/mnist", elsewhere, Some(&base.path().join("sets/mnist"))).unwrap();
    assert_eq!(above, exact);
}

#[test]
fn fingerprints_follow_the_content() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("m");
    write_mnist(&dir, 28);
    let fingerprint = || mnist("m", base.path(), None).unwrap().fingerprint;
    let before = fingerprint();
    assert_eq!(before.len(), 64);
    fs::remove_file(dir.join("t10k-images.idx3-ubyte.gz")).unwrap();
    fs::write(dir.join("t10k-images-idx3-ubyte"), images(2, 28)).unwrap();
    assert_eq!(fingerprint(), before);
    fs::write(dir.join("train-labels.idx1-ubyte"), labels(&[4, 0, 8])).unwrap();
    assert_ne!(fingerprint(), before);
}

#[test]
fn missing_folders_and_files_are_named_with_what_to_do() {
    let base = tempfile::tempdir().unwrap();
    let error = mnist("data/mnist", base.path(), None).unwrap_err();
    let expected = format!("there is no folder `{}`", base.path().join("data/mnist").display());
    assert!(error.message().contains(&expected), "{error}");
    for advice in ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte", "MNIST database", "--data DIR"] {
        assert!(error.help().unwrap().contains(advice), "{error}");
    }
    write_mnist(&base.path().join("data/mnist"), 28);
    fs::remove_file(base.path().join("data/mnist/train-labels.idx1-ubyte")).unwrap();
    let error = mnist("data/mnist", base.path(), None).unwrap_err();
    assert!(error.message().ends_with("lacks `train-labels-idx1-ubyte` (training labels)"), "{error}");
    let error = open("mnist", &DatasetArgs::default(), base.path(), None).unwrap_err();
    assert!(error.message().contains("needs a path"), "{error}");
}

#[test]
fn files_that_do_not_belong_together_are_explained() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("m");
    write_mnist(&dir, 28);
    fs::write(dir.join("train-labels.idx1-ubyte"), labels(&[4, 0])).unwrap();
    let error = mnist("m", base.path(), None).unwrap_err();
    assert!(error.message().contains("3 samples of `image` but 2 labels"), "{error}");
    fs::write(dir.join("train-labels.idx1-ubyte"), labels(&[4, 10, 0])).unwrap();
    let error = mnist("m", base.path(), None).unwrap_err();
    assert!(error.message().contains("sample 1 has label 10"), "{error}");
    write_mnist(&dir, 20);
    let error = mnist("m", base.path(), None).unwrap_err();
    assert!(error.message().contains("[1, 20, 20]") && error.help().unwrap().contains("idx("), "{error}");
}

#[test]
fn idx_reads_any_files() {
    let base = tempfile::tempdir().unwrap();
    write_mnist(base.path(), 20);
    let mut settings = BTreeMap::from([
        ("images".to_owned(), "train-images-idx3-ubyte".to_owned()),
        ("labels".to_owned(), "train-labels.idx1-ubyte".to_owned()),
        ("test_images".to_owned(), "t10k-images.idx3-ubyte.gz".to_owned()),
    ]);
    let read = |settings: &BTreeMap<_, _>| {
        open("idx", &DatasetArgs { path: None, settings: settings.clone() }, base.path(), None)
    };
    let error = read(&settings).unwrap_err();
    assert!(error.message().contains("needs the setting `test_labels`"), "{error}");
    settings.insert("test_labels".to_owned(), "missing".to_owned());
    let error = read(&settings).unwrap_err();
    assert!(error.message().contains("there is no file") && error.message().contains("missing"), "{error}");
    settings.insert("test_labels".to_owned(), "t10k-labels-idx1-ubyte.gz".to_owned());
    let dataset = read(&settings).unwrap();
    assert_eq!((dataset.n_classes, &dataset.train.inputs[0].shape[..]), (10, &[1, 20, 20][..]));
}

#[test]
fn published_files_are_read_where_they_are_at_hand() {
    let Some(sets) = std::env::var_os("SNNC_TEST_DATA") else {
        println!("skipped: SNNC_TEST_DATA does not name a folder with mnist and fashion-mnist");
        return;
    };
    for (name, path) in [("mnist", "mnist"), ("fashion_mnist", "fashion-mnist")] {
        let args = DatasetArgs { path: Some(path.to_owned()), settings: BTreeMap::new() };
        let dataset = open(name, &args, Path::new(&sets), None).unwrap();
        assert_eq!((dataset.train.len(), dataset.test.len()), (60_000, 10_000));
    }
}
