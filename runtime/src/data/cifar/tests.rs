//! CIFAR-10 files of a few records, whole and broken.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::data::events::Timing;
use crate::data::{Dataset, DatasetArgs, open};
use crate::error::Result;

/// A record whose red, green and blue planes hold 10, 20 and 30 times the label.
fn record(label: u8) -> Vec<u8> {
    let mut record = vec![label];
    for color in [10, 20, 30] {
        record.extend([label.wrapping_mul(color); 1024]);
    }
    record
}

fn write(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    for number in 1..=5 {
        fs::write(dir.join(format!("data_batch_{number}.bin")), [record(number), record(0)].concat()).unwrap();
    }
    fs::write(dir.join("test_batch.bin"), record(9)).unwrap();
}

fn cifar(path: &str, base_dir: &Path) -> Result<Dataset> {
    open("cifar10", &DatasetArgs { path: Some(path.to_owned()), settings: BTreeMap::new() }, base_dir, None)
}

#[test]
fn records_become_samples_in_the_order_of_the_files() {
    let base = tempfile::tempdir().unwrap();
    write(&base.path().join("cifar/cifar-10-batches-bin"));
    let dataset = cifar("cifar", base.path()).unwrap();
    assert_eq!(dataset, cifar("cifar/cifar-10-batches-bin", base.path()).unwrap());
    assert_eq!(dataset.train.labels, [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]);
    assert_eq!((dataset.test.labels.as_slice(), dataset.n_classes), (&[9][..], 10));
    assert_eq!(dataset.train.inputs[0].shape, [3, 32, 32]);
    let mut image = vec![0.0; 3072];
    assert!(dataset.train.inputs[0].write_sample(2, &Timing::Untimed, &mut image));
    assert_eq!([image[0], image[1023], image[1024], image[2048]], [20.0, 20.0, 40.0, 60.0].map(|byte| byte / 255.0));
}

#[test]
fn broken_files_are_explained() {
    let base = tempfile::tempdir().unwrap();
    let dir = base.path().join("c");
    let error = cifar("c", base.path()).unwrap_err();
    assert!(error.message().contains("cifar-10-batches-bin"), "{error}");
    assert!(error.help().unwrap().contains("cifar-10-binary.tar.gz"), "{error}");
    for (file, content, what) in [
        ("data_batch_3.bin", Some(vec![0; 3072]), "expected records of 3073 bytes (10000 of them, 30730000 bytes"),
        ("data_batch_4.bin", Some(vec![]), "found 0 bytes"),
        ("test_batch.bin", Some([record(1), vec![77; 3073]].concat()), "record 1 has a label above 9"),
        ("test_batch.bin", Some(vec![0x1f, 0x8b, 0, 0]), "is compressed"),
        ("test_batch.bin", None, "lacks `test_batch.bin`"),
    ] {
        write(&dir);
        match content {
            Some(content) => fs::write(dir.join(file), content).unwrap(),
            None => fs::remove_file(dir.join(file)).unwrap(),
        }
        let error = cifar("c", base.path()).unwrap_err();
        assert!(error.message().contains(what) && error.message().contains(file), "{error}");
    }
}

#[test]
fn published_files_are_read_where_they_are_at_hand() {
    let Some(sets) = std::env::var_os("SNNC_TEST_DATA") else {
        println!("skipped: SNNC_TEST_DATA does not name a folder with cifar10");
        return;
    };
    let dataset = cifar("cifar10", Path::new(&sets)).unwrap();
    assert_eq!((dataset.train.len(), dataset.test.len()), (50_000, 10_000));
}
