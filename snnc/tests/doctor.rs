//! `doctor`: what a machine has, whatever it lacks.

mod common;

use common::Place;

#[test]
fn whatever_is_missing_is_part_of_the_answer() {
    let place = Place::new();
    let out = place.right("doctor");
    for line in [concat!("snnc ", env!("CARGO_PKG_VERSION")), "processor: ", "cache: ", "CUDA can"] {
        assert!(out.lines().any(|found| found.starts_with(line)), "`{line}` is missing in\n{out}");
    }
    if out.contains("CUDA cannot be used") {
        assert!(out.contains("\nto use CUDA: "), "{out}");
    }
}

#[test]
fn cuda_can_be_switched_off() {
    let place = Place::new();
    let run = |words: &str| {
        let output = place.command(words).env("SNNC_NO_GPU", "1").env("SNNC_CACHE", "off").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run("doctor");
    assert!(text.contains("\ncache: off\n"), "{text}");
    assert!(text.contains("CUDA cannot be used: CUDA is switched off by SNNC_NO_GPU\n"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&run("doctor --json")).unwrap();
    assert_eq!(json["cuda"]["usable"], serde_json::json!([]));
    assert_eq!(json["cuda"]["reason"], "CUDA is switched off by SNNC_NO_GPU");
    assert_eq!(json["cuda"]["compiled_kernels"], serde_json::Value::Null);
    assert_eq!(json["cuda"]["libraries"][0]["purpose"], "driver");
}
