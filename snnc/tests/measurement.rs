//! `bench`, `profile` and `check --memory`: what a model costs. Nothing here depends on how long anything takes.

mod common;

use common::Place;
use serde_json::Value;

/// Neurons with feedback, and no `train`.
const FEEDBACK: &str = "use std.neurons { LIF }
use std.layers { Linear }

model Loop {
    input x: spikes[4]
    time 6
    x -> Linear(5) -> LIF()
}
";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap_or_else(|| panic!("no number `{key}` in {value}"))
}

fn rows<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap()
}

#[test]
fn a_bench_needs_no_data() {
    let place = Place::new();
    let out =
        json(&place.right("bench DIGITS --batch 3 --threads 1 --seconds 0 --runs 2 --set model.hidden=20 --json"));
    assert_eq!((&out["model"], number(&out, "batch"), number(&out, "threads")), (&"DigitsMLP".into(), 3.0, 1.0));
    assert_eq!(number(&out, "steps"), 8.0);
    for key in ["train_step_ms", "inference_ms", "compile_ms"] {
        assert!(number(&out, key) > 0.0, "{key}");
    }
    for phase in ["train_step", "inference"] {
        let [min, median, max] = ["min_ms", "median_ms", "max_ms"].map(|key| number(&out[phase], key));
        assert!(min <= median && median <= max && number(&out[phase], "runs") == 2.0, "{out}");
    }
    let rate = number(&out, "firing_rate");
    assert!(rate > 0.0 && rate < 1.0 && number(&out["firing_rates"], "lif1") == rate, "{out}");
    let out = place.right("bench DIGITS --batch 3 --seconds 0 --runs 1");
    assert!(out.contains("training step") && out.contains("lif1"), "{out}");
}

#[test]
fn one_phase_can_be_measured_alone() {
    let place = Place::new();
    let out = json(&place.right("bench DIGITS --batch 2 --seconds 0 --runs 1 --only inference --json"));
    assert!(out["train_step_ms"].is_null() && number(&out, "inference_ms") > 0.0, "{out}");
    place.write("loop.snn", FEEDBACK);
    let out = json(&place.right("bench loop.snn --seconds 0 --runs 1 --json"));
    assert!(out["train_step_ms"].is_null() && number(&out, "inference_ms") > 0.0, "{out}");
    let complaint = place.wrong(1, "bench loop.snn --only train");
    assert!(complaint.contains("`Loop` has no `train`"), "{complaint}");
    for words in ["bench DIGITS --batch 0", "bench DIGITS --seconds -1", "check DIGITS --batch 3"] {
        place.wrong(2, words);
    }
}

#[test]
fn the_largest_batch_fits_and_no_larger_one() {
    let place = Place::new();
    let limit = 40_000_000.0;
    let out = json(&place.right("check DIGITS --memory --limit 40MB --json"));
    for purpose in ["training", "inference"] {
        let parts = [
            "process_and_code_bytes",
            "weights_bytes",
            "optimizer_bytes",
            "batch_bytes",
            "constants_bytes",
            "activations_and_gradients_bytes",
            "scratch_bytes",
        ];
        let sum: f64 = parts.iter().map(|part| number(&out[purpose], part)).sum();
        assert_eq!(sum, number(&out[purpose], "total_bytes"), "{purpose}");
        let largest = number(&out[purpose], "largest_batch");
        let total = |batch: f64| {
            let out = json(&place.right(&format!("check DIGITS --memory --batch {batch} --json")));
            number(&out[purpose], "total_bytes")
        };
        assert!(total(largest) <= limit && total(largest + 1.0) > limit, "{purpose}: {largest}");
    }
    let out = place.right("check DIGITS --memory --limit 1MB");
    assert!(out.contains("training does not fit into 1.0 MiB, not even with one sample"), "{out}");
    place.wrong(2, "check DIGITS --memory --limit lots");
}

#[test]
fn memory_is_told_by_layer() {
    let place = Place::new();
    let out = json(&place.right("check DIGITS --memory --batch 16 --json"));
    let layer = |purpose: &str, path: &str| -> Value {
        rows(&out[purpose], "layers").iter().find(|layer| layer["path"] == path).unwrap().clone()
    };
    // The values and two moments of each; new ones are written over old ones.
    let linear = (64.0 * 128.0 + 128.0) * 4.0;
    assert_eq!(number(&layer("training", "linear1"), "parameters_bytes"), 3.0 * linear);
    assert_eq!(number(&layer("inference", "linear1"), "parameters_bytes"), linear);
    // The spikes of every neuron at every step wait for the backward pass, as bits; membrane potentials are computed anew.
    let spikes = 8.0 * 16.0 * 128.0 / 8.0;
    let saved = number(&layer("training", "lif1"), "saved_bytes");
    assert!((spikes..32.0 * spikes).contains(&saved), "{saved}");
    assert!(rows(&out["inference"], "layers").iter().all(|layer| number(layer, "saved_bytes") == 0.0));
    place.write("loop.snn", FEEDBACK);
    let out = json(&place.right("check loop.snn --memory --json"));
    assert!(out["training"].is_null() && number(&out["inference"], "total_bytes") > 0.0, "{out}");
}

#[test]
fn a_profile_names_the_lines_of_the_program() {
    let place = Place::new();
    let out = json(&place.right("profile DIGITS --batch 4 --threads 1 --runs 1 --json"));
    let total = number(&out, "total_ms");
    for table in ["lines", "kernels"] {
        let times: Vec<f64> = rows(&out, table).iter().map(|row| number(row, "ms")).collect();
        assert!((times.iter().sum::<f64>() - total).abs() < 1e-6 * total, "{table}");
        assert!(times.is_sorted_by(|a, b| a >= b), "{table} by time");
    }
    // Layers in one line, the loss in another.
    for (line, role) in [(9, "forward"), (9, "backward"), (9, "update"), (14, "forward"), (14, "backward")] {
        let found = |row: &&Value| row["place"]["line"] == line && row["role"] == role;
        assert_eq!(rows(&out, "lines").iter().filter(found).count(), 1, "line {line} {role}");
    }
    let kernel = |name: &str| rows(&out, "kernels").iter().find(|row| row["kernel"] == name).unwrap();
    let reads_spikes = kernel("linear2.contract");
    let (density, macs) = (number(reads_spikes, "input_density"), 8.0 * 4.0 * 128.0 * 10.0);
    assert!(density > 0.0 && density < 1.0, "{density}");
    assert!((number(reads_spikes, "synaptic_operations") - density * macs).abs() < 1e-6 * macs);
    assert_eq!(number(reads_spikes, "operations"), 2.0 * macs);
    assert!(kernel("linear1.contract")["input_density"].is_null(), "an image is no spikes");
    assert_eq!(number(kernel("lif1.scan"), "firing_rate"), density, "all spikes of the layer are read");
}

#[test]
fn a_profile_can_be_cut_short() {
    let place = Place::new();
    place.write("loop.snn", FEEDBACK);
    let out = place.right("profile loop.snn --top 1 --runs 1 --threads 1");
    assert!(out.contains("model Loop, inference") && out.contains("loop.snn:7"), "{out}");
    assert!(out.lines().any(|line| line.starts_with("and ") && line.contains(" more, ")), "{out}");
    let out = json(&place.right("profile DIGITS --inference --batch 2 --runs 1 --threads 1 --json"));
    assert!(rows(&out, "kernels").iter().all(|row| row["role"] != "backward"), "{out}");
}
