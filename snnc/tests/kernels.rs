//! The choice of kernels: that it is measured once, kept with runs, and what differs where another one is asked for.

mod common;

use std::fs;
use std::path::PathBuf;

use common::Place;
use serde_json::Value;

/// A convolution of spikes that is wide enough for every kind of kernel.
const NET: &str = "\
use std.neurons { LIF }
use std.layers { Linear, Flatten, Conv2d }

model Net() {
    input image: [1, 8, 8]
    time 2

    image -> Conv2d(16, 3) -> LIF() -> Conv2d(16, 3) -> LIF() -> Flatten() -> Linear(10)
}

train Net {
    data      = digits()
    loss      = cross_entropy(mean(out, over = time), label)
    optimizer = adam(lr = 2e-3)
    epochs    = 1
    batch     = 64
    gradient  = stbp
    seed      = 1
}
";

const TRAIN: &str = "run net.snn";

fn place() -> Place {
    let place = Place::new();
    place.write("net.snn", NET);
    place
}

/// The kernels that a run began with.
fn kernels(place: &Place, run: &str) -> Value {
    let manifest: Value = serde_json::from_str(&place.read(&format!("{run}/manifest.json"))).unwrap();
    manifest["kernels"].clone()
}

fn weights(place: &Place, run: &str) -> Vec<u8> {
    place.bytes(&format!("{run}/weights.safetensors"))
}

/// The file of the only calibration.
fn table(place: &Place) -> PathBuf {
    let files: Vec<PathBuf> = fs::read_dir(place.path("cache")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

/// Makes later runs believe that the fastest kernels are others.
fn replace_table(place: &Place, percent: u8) {
    let path = table(place);
    let mut kept: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    for row in kept["kernels"]["crossovers"].as_object_mut().unwrap().values_mut() {
        row.as_array_mut().unwrap().fill(percent.into());
    }
    fs::write(path, kept.to_string()).unwrap();
}

#[test]
fn runs_at_the_same_time_use_one_table() {
    let place = place();
    let children: Vec<_> = ["a", "b", "c"]
        .map(|out| place.command(&format!("{TRAIN} --max-updates 1 --out {out}")).spawn().unwrap())
        .into_iter()
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    table(&place);
    let first = kernels(&place, "a");
    assert_eq!(first["spikes"], "auto");
    assert_eq!([&kernels(&place, "b"), &kernels(&place, "c")], [&first, &first]);
    replace_table(&place, 99);
    place.right(&format!("{TRAIN} --max-updates 1 --out d"));
    assert_eq!(kernels(&place, "d")["crossovers"]["forward"], serde_json::json!([99, 99, 99]));
}

#[test]
fn a_run_goes_on_with_its_own_table() {
    let place = place();
    place.right(&format!("{TRAIN} --max-updates 1 --out first"));
    replace_table(&place, 100);
    place.right(&format!("{TRAIN} --out whole"));
    place.right(&format!("{TRAIN} --out parts --max-updates 5"));
    replace_table(&place, 1);
    place.right(&format!("{TRAIN} --out other"));
    assert!(weights(&place, "other") != weights(&place, "whole"), "the table decides on bits");
    let resumed = place.snnc("run --resume parts --max-updates 10");
    assert!(!resumed.stderr.contains("last bit"), "{}", resumed.stderr);
    place.right("run --resume parts");
    assert!(weights(&place, "parts") == weights(&place, "whole"));
    assert!(place.bytes("parts/checkpoint.safetensors") == place.bytes("whole/checkpoint.safetensors"));
}

#[test]
fn other_kernels_at_a_resume_are_pointed_out() {
    let place = place();
    place.right(&format!("{TRAIN} --out run --max-updates 5 --kernels sparse"));
    let same = place.snnc("run --resume run --max-updates 6 --kernels sparse");
    assert_eq!((same.code, same.stderr.contains("last bit")), (Some(0), false), "{}", same.stderr);
    for (choice, noted) in [("--kernels dense", true), ("", false), ("--precise", true)] {
        let done = place.snnc(format!("run --resume run --max-updates 7 {choice}").trim_end());
        assert_eq!((done.code, done.stderr.contains("last bit")), (Some(0), noted), "{choice}: {}", done.stderr);
    }
}

#[test]
fn what_cannot_be_used_of_the_cache_is_noted_in_a_line() {
    let place = place();
    place.right(&format!("{TRAIN} --max-updates 1 --out first"));
    fs::write(table(&place), "{").unwrap();
    let done = place.snnc(&format!("{TRAIN} --max-updates 1 --out broken"));
    let notes: Vec<&str> = done.stderr.lines().filter(|line| line.contains("built-in table")).collect();
    assert_eq!((done.code, notes.len()), (Some(0), 1), "{}", done.stderr);
    assert!(notes[0].contains(&table(&place).display().to_string()), "{notes:?}");
    let dir = place.path("cache");
    fs::remove_dir_all(&dir).unwrap();
    fs::write(&dir, "no folder").unwrap();
    let done = place.snnc(&format!("{TRAIN} --max-updates 1 --out none"));
    assert!(done.code == Some(0) && done.stderr.contains("built-in table"), "{}", done.stderr);
    assert_eq!(kernels(&place, "broken"), kernels(&place, "none"));
}

#[test]
fn kernels_differ_by_rounding_only() {
    let place = place();
    let choices = ["--kernels dense", "--kernels sparse", "--kernels auto", "--isa baseline", "--precise"];
    let losses: Vec<f64> = choices
        .iter()
        .enumerate()
        .map(|(at, choice)| {
            place.right(&format!("run net.snn --out run{at} {choice}"));
            let metrics = place.metrics(&format!("run{at}"));
            metrics[0]["train_loss"].as_f64().unwrap()
        })
        .collect();
    for (choice, loss) in choices.iter().zip(&losses) {
        assert!((loss / losses[0] - 1.0).abs() < 0.05, "{choice}: {losses:?}");
    }
    assert!(weights(&place, "run0") != weights(&place, "run1"));
    let kept = kernels(&place, "run3");
    assert_eq!((&kept["isa"], &kept["precise"]), (&"baseline".into(), &false.into()));
    // The evaluation of a run uses the run's kernels.
    let of_run = place.right("eval run1");
    assert_eq!(place.right("eval net.snn --weights run1/weights.safetensors --kernels sparse"), of_run);
}

#[test]
fn choices_that_there_are_not_are_explained() {
    let place = place();
    for (words, expected) in [("--kernels fast", "sparse"), ("--isa avx9", "baseline")] {
        let error = place.wrong(2, &format!("{TRAIN} {words}"));
        assert!(error.contains(expected), "{error}");
    }
    let json = place.right("bench net.snn --runs 1 --seconds 0 --json --isa baseline --precise");
    let report: Value = serde_json::from_str(&json).unwrap();
    let kernels = &report["kernels"];
    assert_eq!([&kernels["isa"], &kernels["spikes"]], [&Value::from("baseline"), &Value::from("auto")]);
    assert!(kernels["crossovers"]["table"][0].as_u64().is_some_and(|percent| (1..=100).contains(&percent)), "{json}");
}
