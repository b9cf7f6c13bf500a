//! `--device` where there is no CUDA device, and `precision`, which the CPU has no use for.

mod common;

use common::{Done, Place};

const OFF: (&str, &str) = ("SNNC_NO_GPU", "1");

fn run(place: &Place, words: &str) -> Done {
    let mut command = place.command(words);
    command.env(OFF.0, OFF.1);
    Done::of(command.output().unwrap())
}

#[test]
fn a_device_that_is_not_there_is_an_error_if_it_is_asked_for() {
    let place = Place::new();
    let done = run(&place, "run DIGITS --device cuda --set epochs=1 --out run");
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stderr.contains("no CUDA device can be used: CUDA is switched off by SNNC_NO_GPU"), "{}", done.stderr);
    assert!(done.stderr.contains("snnc doctor"), "{}", done.stderr);
    assert!(!place.path("run").exists(), "a folder was left behind");
}

#[test]
fn where_any_device_will_do_the_processor_does_and_a_line_says_why() {
    let place = Place::new();
    let auto = run(&place, "run DIGITS --device auto --set epochs=1 --out auto");
    assert_eq!(auto.code, Some(0), "{}", auto.stderr);
    let notes: Vec<&str> = auto.stderr.lines().filter(|line| line.contains("on the CPU")).collect();
    assert_eq!(notes, ["note: on the CPU: CUDA is switched off by SNNC_NO_GPU"]);
    let plain = run(&place, "run DIGITS --set epochs=1 --out plain");
    assert!(!plain.stderr.contains("CUDA"), "{}", plain.stderr);
    assert_eq!(place.bytes("auto/weights.safetensors"), place.bytes("plain/weights.safetensors"));
}

#[test]
fn a_precision_of_devices_is_single_precision_on_the_processor() {
    let place = Place::new();
    let half = run(&place, "run DIGITS --set epochs=1 --set precision=f16 --out half");
    assert_eq!(half.code, Some(0), "{}", half.stderr);
    assert!(
        half.stderr.contains("note: `precision = f16` is for CUDA devices; the CPU computes in f32"),
        "{}",
        half.stderr
    );
    let single = run(&place, "run DIGITS --set epochs=1 --set precision=f32 --out single");
    assert!(!single.stderr.contains("precision"), "{}", single.stderr);
    assert_eq!(place.bytes("half/weights.safetensors"), place.bytes("single/weights.safetensors"));
    let wrong = run(&place, "run DIGITS --set precision=f8");
    assert_eq!(wrong.code, Some(1), "{}", wrong.stderr);
}
