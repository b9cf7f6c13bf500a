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

fn json(done: &Done) -> serde_json::Value {
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

/// A network whose convolution hands its sums to its neurons in registers.
const CONVOLUTION: &str = "use std.neurons { IF }
use std.layers { Conv2d, Linear, Flatten }

model Seen {
    input x: spikes[8, 6, 6]
    time 4
    x -> Conv2d(16, 3)
      -> IF()
      -> Flatten() -> Linear(4)
}
";

#[test]
fn a_profile_of_a_device_has_what_one_of_the_processor_has() {
    let Some(libraries) = emulation() else { return };
    let place = Place::new();
    let words = "profile DIGITS --batch 3 --runs 1 --set model.hidden=12 --json --device";
    let cuda = json(&on_device(&place, &libraries, &format!("{words} cuda")));
    let cpu = json(&run(&place, &format!("{words} cpu --threads 1")));
    assert!(cuda["machine"].as_str().unwrap().starts_with("CPU emulation"), "{cuda}");
    let rows = |out: &serde_json::Value, table: &str| out[table].as_array().unwrap().clone();
    for table in ["lines", "kernels"] {
        let total = cuda["total_ms"].as_f64().unwrap();
        let times: Vec<f64> = rows(&cuda, table).iter().map(|row| row["ms"].as_f64().unwrap()).collect();
        assert!(times.is_sorted_by(|a, b| a >= b) && (times.iter().sum::<f64>() - total).abs() < 1e-6 * total);
    }
    for row in rows(&cuda, "kernels") {
        assert!(row["floor_ms"].as_f64().unwrap() > 0.0 || row["operations"] == 0.0, "{row}");
        let named = |out: &serde_json::Value| -> Vec<serde_json::Value> {
            rows(out, "kernels").into_iter().filter(|other| other["kernel"] == row["kernel"]).collect()
        };
        // Small loops go together on devices, and some names are those of several.
        let (here, there) = (named(&cpu), named(&cuda));
        let ([other], [_]) = (here.as_slice(), there.as_slice()) else { continue };
        for key in
            ["place", "role", "layer", "bytes", "operations", "input_density", "synaptic_operations", "firing_rate"]
        {
            assert_eq!(row[key], other[key], "{key} of {}", row["kernel"]);
        }
    }
    let seen = rows(&cuda, "kernels").iter().filter(|row| row["synaptic_operations"].as_f64() > Some(0.0)).count();
    assert!(seen >= 2, "spikes are counted forward and backward: {cuda}");
    assert!(cuda["copy_bytes_per_second"].as_f64() > Some(0.0) && cuda["operations_per_second"].as_f64() > Some(0.0));
}

#[test]
fn kernels_that_are_launched_as_one_are_one_row_of_a_profile() {
    let Some(libraries) = emulation() else { return };
    let place = Place::new();
    place.write("seen.snn", CONVOLUTION);
    let out = json(&on_device(&place, &libraries, "profile seen.snn --batch 2 --runs 1 --json --device cuda"));
    let rows = out["kernels"].as_array().unwrap();
    let both =
        rows.iter().find(|row| row["kernel"].as_str().unwrap().contains(" + ")).unwrap_or_else(|| panic!("{out}"));
    let alone = rows.iter().filter(|row| row["kernel"] == "conv2d1.contract");
    assert_eq!((alone.count(), &both["kernel"]), (0, &"conv2d1.contract + if1.scan".into()), "{out}");
    assert_eq!((&both["layer"], &both["place"]["line"]), (&"if1".into(), &8.into()));
    assert_eq!(both["also"][0]["line"], 7, "{both}");
    // Padding is counted, as for the processor.
    let macs = 2.0 * 4.0 * 36.0 * 16.0 * 8.0 * 9.0;
    let synaptic = both["synaptic_operations"].as_f64().unwrap();
    let density = both["input_density"].as_f64().unwrap();
    assert!(
        both["operations"].as_f64().unwrap() > 2.0 * macs && (synaptic - density * macs).abs() < 1e-6 * macs,
        "{both}"
    );
    // What stays in registers is not moved: bits in, weights, bits out.
    assert!(both["bytes"].as_f64().unwrap() < 4.0 * 36.0 * 2.0 * 16.0 * 4.0, "{both}");
}

#[test]
fn the_memory_of_a_device_is_forecast_without_one() {
    let place = Place::new();
    let ask = |words: &str| json(&run(&place, &format!("check DIGITS --memory --json --device cuda {words}")));
    let out = ask("--batch 16 --limit 2MB");
    assert_eq!((&out["device"], &out["training"]["process_and_code_bytes"]), (&"cuda".into(), &0.into()));
    let total = |out: &serde_json::Value, purpose: &str| out[purpose]["total_bytes"].as_u64().unwrap();
    for purpose in ["training", "inference"] {
        let largest = out[purpose]["largest_batch"].as_u64().unwrap();
        let of = |batch: u64| total(&ask(&format!("--batch {batch}")), purpose);
        assert!(of(largest) <= 2_000_000 && of(largest + 1) > 2_000_000, "{purpose}: {largest}");
        assert!(out[purpose]["pinned_host_bytes"].as_u64().unwrap() >= 8 * 4096, "{out}");
    }
    let half = ask("--batch 16 --set precision=f16");
    assert!(total(&half, "training") < total(&out, "training"), "results of products in 16 bits take less");
    let text = run(&place, "check DIGITS --memory --device cuda").stdout;
    assert!(text.contains("of the device's memory") && text.contains("pinned memory here"), "{text}");
    let reference = run(&place, "check DIGITS --memory --device reference");
    assert!(reference.code == Some(1) && reference.stderr.contains("--device cpu"), "{}", reference.stderr);
}

#[test]
fn a_sample_step_by_step_on_a_device_is_the_same_sample() {
    let Some(libraries) = emulation() else { return };
    let place = Place::new();
    let trained = run(&place, &format!("run DIGITS {SHORT} --out run"));
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let device = |words: &str| {
        let done = on_device(&place, &libraries, format!("infer run --sample 5 --device cuda {words}").trim_end());
        assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
        done.stdout.lines().filter(|line| line.contains("class ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(device("--stream"), device(""));
    // A state goes from the device to the processor and back.
    device("--stream --steps 5 --save-state five.safetensors");
    let there = "--stream --steps 3 --load-state five.safetensors";
    let here = run(&place, &format!("infer run --sample 5 {there} --save-state cpu.safetensors"));
    assert_eq!(here.code, Some(0), "{}", here.stderr);
    device(&format!("{there} --save-state cuda.safetensors"));
    let (names, found) = state(&place.bytes("cuda.safetensors"));
    let (expected_names, expected) = state(&place.bytes("cpu.safetensors"));
    assert_eq!(names, expected_names);
    let apart = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs()).fold(0.0, f32::max);
    assert!(apart < 1e-4, "{found:?} and should be {expected:?}");
}

/// What a saved state says before its numbers, the count of steps among it, and the numbers of all layers.
fn state(bytes: &[u8]) -> (Vec<u8>, Vec<f32>) {
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let (begin, numbers) = bytes.split_at(8 + header + 8);
    (begin.to_vec(), numbers.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect())
}
