//! `--device` with an emulated CUDA device and without one, and `precision`, which the CPU has no use for.

mod common;
#[path = "../../gpu-check/tests/common/emulation.rs"]
mod emulation;

use common::{Done, Place};
use emulation::emulation;

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

/// Runs a command on the emulated device.
fn on_device(place: &Place, libraries: &std::path::Path, words: &str) -> Done {
    let mut command = place.command(words);
    command.env("SNNC_CUDA_LIBS", libraries).env_remove("SNNC_NO_GPU");
    Done::of(command.output().unwrap())
}

/// A model whose epoch is short enough for an emulation: 20 updates.
const SHORT: &str = "--set epochs=1 --set batch=72 --set model.hidden=16 --set optimizer.lr=1e-2";

#[test]
fn digits_learn_on_a_device_what_they_learn_on_the_processor() {
    let Some(libraries) = emulation() else { return };
    let place = Place::new();
    let cuda = on_device(&place, &libraries, &format!("run DIGITS --device cuda {SHORT} --out cuda"));
    assert_eq!(cuda.code, Some(0), "{}{}", cuda.stdout, cuda.stderr);
    let cpu = run(&place, &format!("run DIGITS {SHORT} --out cpu"));
    assert_eq!(cpu.code, Some(0), "{}", cpu.stderr);
    let loss = |run: &str| place.metrics(run)[0]["train_loss"].as_f64().unwrap();
    let (found, expected) = (loss("cuda"), loss("cpu"));
    assert!((found - expected).abs() <= 1e-3 * expected, "the loss is {found} and should be {expected}");
    // A run knows its machine; its weights go anywhere.
    assert!(place.read("cuda/manifest.json").contains("\"device\": \"cuda\""), "{}", place.read("cuda/manifest.json"));
    let evaluated = run(&place, "eval cuda");
    assert_eq!(evaluated.code, Some(0), "{}", evaluated.stderr);
    let again = on_device(&place, &libraries, "eval cuda --device cuda");
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let accuracy = |text: &str| text.lines().next().map(str::to_owned);
    assert_eq!(accuracy(&evaluated.stdout), accuracy(&again.stdout));
}

#[test]
fn an_interrupted_training_goes_on_on_its_device_to_the_same_bits() {
    let Some(libraries) = emulation() else { return };
    let place = Place::new();
    let whole = on_device(&place, &libraries, &format!("run DIGITS --device cuda {SHORT} --out whole"));
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let part = on_device(&place, &libraries, &format!("run DIGITS --device cuda {SHORT} --max-updates 7 --out part"));
    assert_eq!(part.code, Some(0), "{}", part.stderr);
    let resumed = on_device(&place, &libraries, "run --resume part");
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert_eq!(place.bytes("part/weights.safetensors"), place.bytes("whole/weights.safetensors"));
    let stranded =
        on_device(&place, &libraries, &format!("run DIGITS --device cuda {SHORT} --max-updates 7 --out other"));
    assert_eq!(stranded.code, Some(0), "{}", stranded.stderr);
    let nowhere = run(&place, "run --resume other");
    assert_eq!(nowhere.code, Some(1), "{}", nowhere.stderr);
    assert!(nowhere.stderr.contains("CUDA"), "{}", nowhere.stderr);
}

/// Runs a command on the emulated device, with the libraries beside it wherever they can compute.
#[cfg(feature = "accelerators")]
fn accelerated(place: &Place, libraries: &std::path::Path, words: &str, accelerators: &str) -> Done {
    let mut command = place.command(words);
    command.env("SNNC_CUDA_LIBS", libraries).env_remove("SNNC_NO_GPU").env("SNNC_ACCELERATORS", accelerators);
    Done::of(command.output().unwrap())
}

#[cfg(feature = "accelerators")]
#[test]
fn digits_learn_with_libraries_what_they_learn_without_and_go_on_with_the_same_choices() {
    let Some(libraries) = emulation() else { return };
    let place = Place::new();
    let run = |words: &str, accelerators: &str| {
        let done = accelerated(&place, &libraries, words, accelerators);
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        done
    };
    run(&format!("run DIGITS --device cuda {SHORT} --out whole"), "always");
    let plain = on_device(&place, &libraries, &format!("run DIGITS {SHORT} --out cpu"));
    assert_eq!(plain.code, Some(0), "{}", plain.stderr);
    let loss = |run: &str| place.metrics(run)[0]["train_loss"].as_f64().unwrap();
    let (found, expected) = (loss("whole"), loss("cpu"));
    assert!((found - expected).abs() <= 1e-3 * expected, "the loss is {found} and should be {expected}");
    let manifest = place.read("whole/manifest.json");
    assert!(manifest.contains("cuBLASLt 13.0.2, cuDNN 9.21.0"), "{manifest}");

    // The checkpoint knows who computed what, and a run that goes on asks nobody else.
    run(&format!("run DIGITS --device cuda {SHORT} --max-updates 7 --out part"), "always");
    let choices = |run: &str| {
        let state: serde_json::Value = serde_json::from_str(&place.read(&format!("{run}/checkpoint.json"))).unwrap();
        state["choices"].as_object().unwrap().clone()
    };
    let before = choices("part");
    assert!(!before.is_empty() && before.values().all(|winner| winner == "library"), "{before:?}");
    let resumed = run("run --resume part", "measured");
    assert!(!resumed.stderr.contains("another machine"), "{}", resumed.stderr);
    let after = choices("part");
    assert!(before.iter().all(|(key, winner)| after.get(key) == Some(winner)), "{before:?}\n{after:?}");
    assert_eq!(place.bytes("part/weights.safetensors"), place.bytes("whole/weights.safetensors"));

    // Without libraries the bits may be others, and the run says so.
    run(&format!("run DIGITS --device cuda {SHORT} --max-updates 7 --out other"), "always");
    let without = run("run --resume other", "off");
    assert!(without.stderr.contains("the run began on another machine"), "{}", without.stderr);

    // What was trained without libraries goes on without.
    run(&format!("run DIGITS --device cuda {SHORT} --max-updates 7 --out ours"), "off");
    run("run --resume ours", "always");
    let manifest = place.read("ours/manifest.json");
    assert!(!manifest.contains("cuBLASLt"), "{manifest}");
    let state: serde_json::Value = serde_json::from_str(&place.read("ours/checkpoint.json")).unwrap();
    assert!(state["choices"].is_null(), "{state}");
}
