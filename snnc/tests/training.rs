//! `run`, `eval` and `infer`: what is trained, that it is the same every time, and that it can be interrupted.

mod common;

use common::Place;

const WEIGHTS: &str = "weights.safetensors";

#[test]
fn the_digits_are_learned_and_evaluated_and_inferred() {
    let place = Place::new();
    let out = place.right("run DIGITS --set epochs=5");
    assert_eq!(out.lines().filter(|line| line.starts_with("epoch ")).count(), 5, "{out}");
    let run = "runs/DigitsMLP-1";
    assert!(out.contains(&format!("{run}/{WEIGHTS}")) && out.contains("lif1: 0."), "{out}");
    let metrics = place.metrics(run);
    let last = metrics.last().unwrap();
    let accuracy = last["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.9, "{accuracy}");

    let eval = place.right(&format!("eval {run}"));
    assert!(eval.contains(&format!("loss {}\n", last["test_loss"].as_f64().unwrap())), "{eval}\n{last}");
    assert!(eval.contains(&format!("accuracy {:.2}%", 100.0 * accuracy)), "{eval}");
    let best = place.right(&format!("eval {run} --weights {run}/weights-best.safetensors"));
    assert!(best.contains("accuracy "), "{best}");
    assert_eq!(place.right(&format!("eval DIGITS --weights {run}/{WEIGHTS}")), eval);

    let infer = place.right(&format!("infer {run} --sample 3"));
    assert_eq!(infer.lines().filter(|line| line.starts_with("class ")).count(), 10, "{infer}");
    let class = infer.split("predicted class ").nth(1).unwrap().chars().next().unwrap();
    assert!(class.is_ascii_digit() && infer.contains("labeled "), "{infer}");
    assert!(infer.contains(&format!("class {class}: ")), "{infer}");

    assert!(place.right("run DIGITS --set epochs=1").contains("runs/DigitsMLP-2"));
}

#[test]
fn the_same_program_gives_the_same_bits_on_any_number_of_threads() {
    let place = Place::new();
    for (out, more) in [("a", ""), ("b", ""), ("one", " --threads 1"), ("two", " --threads 2")] {
        place.right(&format!("run DIGITS --set epochs=2 --out {out}{more}"));
    }
    let weights = |run: &str| place.bytes(&format!("{run}/{WEIGHTS}"));
    for other in ["b", "one", "two"] {
        assert!(weights("a") == weights(other), "{other}");
        assert_eq!(place.metrics("a"), place.metrics(other));
    }
    place.right("run DIGITS --set epochs=2 --set seed=2 --out seed");
    assert!(weights("a") != weights("seed"));
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits() {
    let place = Place::new();
    place.right("run DIGITS --set epochs=3 --out whole");
    // 22 updates an epoch: stopped in the second one.
    let done = place.snnc("run DIGITS --set epochs=3 --out parts --max-updates 30");
    assert_eq!(done.code, Some(0));
    assert!(done.stderr.contains("snnc run --resume parts"), "{}", done.stderr);
    assert_eq!(place.metrics("parts").len(), 1);
    let again = place.snnc("run --resume parts --max-updates 30");
    assert!(again.stderr.contains("stopped after 30 updates"), "{}", again.stderr);
    place.right("run --resume parts --threads 1");
    for file in [WEIGHTS, "weights-best.safetensors", "checkpoint.safetensors"] {
        assert!(place.bytes(&format!("whole/{file}")) == place.bytes(&format!("parts/{file}")), "{file}");
    }
    assert_eq!(place.metrics("whole"), place.metrics("parts"));
    assert!(place.right("run --resume parts").contains("all 3 epochs are done"));
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_a_checkpoint() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let place = Place::new();
    let mut command = place.command("run DIGITS --set epochs=1000000 --out run");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("epoch ")));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("snnc run --resume run"), "{stderr}");
    let state: serde_json::Value = serde_json::from_str(&place.read("run/checkpoint.json")).unwrap();
    let updates = state["updates"].as_u64().unwrap();
    let next = format!("run --resume run --max-updates {}", updates + 1);
    let done = place.snnc(&next);
    assert!(done.stderr.contains(&format!("stopped after {} updates", updates + 1)), "{}", done.stderr);
}

#[test]
fn a_run_needs_nothing_but_its_folder() {
    let place = Place::new();
    let main = std::fs::read_to_string(common::digits()).unwrap();
    let main = main.replace("use std.neurons { LIF }", "use \"parts/mine.snn\" { LIF }");
    place.write("net/main.snn", &main);
    place.write(
        "net/parts/mine.snn",
        "use std.surrogates { atan }
neuron LIF(tau = 4.0)(x) {
    state v = 0.0
    let u = v + (x - v) / tau
    let s = spike(u - 1.0, atan())
    next v = (1 - s) * u
    s
}
",
    );
    place.right("run net/main.snn --set epochs=2 --out whole");
    place.right("run net/main.snn --set epochs=2 --out parts --max-updates 5");
    std::fs::remove_dir_all(place.path("net")).unwrap();
    place.right("run --resume parts");
    assert!(place.bytes(&format!("whole/{WEIGHTS}")) == place.bytes(&format!("parts/{WEIGHTS}")));
    let manifest: serde_json::Value = serde_json::from_str(&place.read("parts/manifest.json")).unwrap();
    assert_eq!(manifest["overrides"], serde_json::json!([["epochs", "2"]]));
    assert_eq!((&manifest["data"], &manifest["seed"]), (&"digits".into(), &1.into()));
    assert!(manifest["threads"].as_u64().unwrap() >= 1);
    for hash in ["model_sha256", "data_sha256"] {
        assert_eq!(manifest[hash].as_str().unwrap().len(), 64);
    }
}

#[test]
fn compiled_code_agrees_with_the_interpreter() {
    let place = Place::new();
    let run = |device: &str| {
        place.right(&format!(
            "run DIGITS --set epochs=1 --set model.hidden=8 --set batch=360 --device {device} --out {device}"
        ));
        place.metrics(device).last().unwrap()["train_loss"].as_f64().unwrap()
    };
    let (compiled, reference) = (run("cpu"), run("reference"));
    assert!((compiled - reference).abs() < 1e-4 * reference, "{compiled} and {reference}");
}

#[test]
fn a_model_without_train_is_simulated() {
    let place = Place::new();
    place.write(
        "sim.snn",
        "use std.neurons { LIF }
use std.layers { Linear }
model Sim(n = 4) {
    input x: spikes[6]
    time 20 of 1ms
    x -> Linear(n, init = uniform(0, 2)) -> LIF()
}
",
    );
    let out = place.right("run sim.snn");
    assert!(out.contains("lif1") && out.contains("output [step, sample, ..] = [20, 1, 4]"), "{out}");
    assert_eq!(place.right("run sim.snn"), out);
    assert!(place.right("run sim.snn --set model.n=5").contains("[20, 1, 5]"));
    assert!(!place.path("runs").exists());
}

#[test]
fn an_input_can_be_a_file() {
    let place = Place::new();
    place.right("run DIGITS --set epochs=1 --out run");
    let npy = |shape: &str, count: usize| {
        let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.bytes());
        bytes.extend((0..count).flat_map(|at| (at as f32 / 64.0).to_le_bytes()));
        bytes
    };
    std::fs::write(place.path("x.npy"), npy("(1, 8, 8)", 64)).unwrap();
    assert!(place.right("infer run --input x.npy").contains("predicted class "));
    std::fs::write(place.path("batch.npy"), npy("(2, 1, 8, 8)", 128)).unwrap();
    let error = place.wrong(1, "infer run --input batch.npy");
    assert!(error.contains("[2, 1, 8, 8]") && error.contains("[1, 8, 8]"), "{error}");
    place.write("text.npy", "no array");
    assert!(place.wrong(1, "infer run --input text.npy").contains("text.npy"));
}
