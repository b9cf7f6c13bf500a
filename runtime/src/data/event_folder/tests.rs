//! Folders of recordings: classes, splits, settings, and what is said when something is missing.

use std::collections::BTreeMap;
use std::fs;

use super::*;
use crate::data::events::Timing;
use crate::data::{DatasetArgs, open as open_data};

fn write(root: &Path, file: &str, content: &[u8]) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn args(settings: &[(&str, &str)]) -> DatasetArgs {
    let settings: BTreeMap<String, String> =
        settings.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    DatasetArgs { path: Some("set".to_owned()), settings }
}

fn error(name: &str, settings: &[(&str, &str)], base: &Path) -> String {
    let error = open_data(name, &args(settings), base, None).unwrap_err();
    format!("{} | {}", error.message(), error.help().unwrap_or_default())
}

#[test]
fn classes_are_folders_counted_as_people_do() {
    let base = tempfile::tempdir().unwrap();
    for file in ["train/10/a.csv", "train/2/a.csv", "train/2/b.csv", "train/2/.hidden", "test/10/a.csv", "test/7/a.csv"]
    {
        write(base.path(), &format!("set/{file}"), b"t,x\n1.5,2\n");
    }
    let settings = [("width", "3"), ("height", "0"), ("unit", "1ms"), ("align", "false")];
    let data = open_data("events", &args(&settings), base.path(), None).unwrap();
    assert_eq!((data.n_classes, &data.train.labels[..], &data.test.labels[..]), (3, &[0, 0, 2][..], &[1, 2][..]));
    let field = &data.train.inputs[0];
    assert_eq!((field.name.as_str(), &field.shape[..]), ("events", &[3][..]));
    let mut out = [0.0; 6];
    let timing = Timing::Trains { slots: 2, duration: 1.0 };
    assert!(field.write_sample(2, &timing, &mut out));
    assert_eq!(out[..3], [f32::INFINITY, f32::INFINITY, 0.0015]);
    let again = open_data("events", &args(&settings), base.path(), None).unwrap();
    assert_eq!(again.fingerprint, data.fingerprint);
    write(base.path(), "set/test/7/a.csv", b"t,x\n1.5,1\n");
    assert_ne!(open_data("events", &args(&settings), base.path(), None).unwrap().fingerprint, data.fingerprint);
}

#[test]
fn words_are_sorted_as_text_and_nmnist_unpacks_with_capitals() {
    let names = |names: &[&str]| in_order(names.iter().map(|name| (*name).to_owned()).collect());
    assert_eq!(names(&["wave", "10", "2"]), ["10", "2", "wave"]);
    assert_eq!(names(&["10", "9", "0"]), ["0", "9", "10"]);
    let base = tempfile::tempdir().unwrap();
    for digit in 0..10 {
        write(base.path(), &format!("set/Train/{digit}/00001.bin"), &[1, 2, 0x80, 0, 9]);
        write(base.path(), &format!("set/Test/{digit}/00001.bin"), &[1, 2, 0x80, 0, 9]);
    }
    let data = open_data("nmnist", &args(&[]), base.path(), None).unwrap();
    assert_eq!((data.n_classes, data.train.len(), data.test.len()), (10, 10, 10));
    assert_eq!(data.train.inputs[0].shape, [2, 34, 34]);
    write(base.path(), "set/Train/eleven/00001.bin", &[]);
    assert!(error("nmnist", &[], base.path()).contains("11 classes"), "{}", error("nmnist", &[], base.path()));
}

#[test]
fn what_is_missing_or_wrong_is_explained() {
    let base = tempfile::tempdir().unwrap();
    let width = [("width", "3")];
    assert!(error("events", &width, base.path()).contains("there is no folder"));
    write(base.path(), "set/train/a/1.csv", b"t,x\n1,2\n");
    assert!(
        error("events", &width, base.path()).contains("lacks the folder `test` | it holds a folder for each class")
    );
    fs::create_dir(base.path().join("set/test")).unwrap();
    assert!(error("events", &width, base.path()).contains("the test part has no samples"));
    write(base.path(), "set/test/a/1.csv", b"t,x\n1,3\n");
    assert!(error("events", &width, base.path()).contains("event 0 comes from x = 3"));
    for (name, value, what) in [
        ("width", "0", "width is `0`, not a whole number from 1 to 16384"),
        ("width", "2.5", "width is `2.5`"),
        ("height", "-1", "height is `-1`"),
        ("unit", "0ms", "unit is `0ms`, not a length of time"),
        ("unit", "3", "unit is `3`"),
    ] {
        let settings = if name == "width" { vec![(name, value)] } else { vec![width[0], (name, value)] };
        assert!(error("events", &settings, base.path()).contains(what), "{}", error("events", &settings, base.path()));
    }
    assert!(error("events", &[], base.path()).contains("needs the setting `width`"));
}
