//! `snnc compare` and `snnc gradcheck --exact`: one text by both methods of gradient.

mod common;

use common::Place;
use serde_json::Value;

/// A network on the bundled digits.
fn program(time: &str, gradient: &str, neuron: &str) -> String {
    format!(
        "use std.encoders {{ latency }}
use std.layers {{ Linear, Flatten }}
use std.neurons {{ CubaLIF, LIF }}

model Digits {{
    input image: [1, 8, 8]
    time {time}
    image -> Flatten() -> latency(window = 100ms) -> Linear(10, bias = false, init = uniform(-0.1, 0.3)) -> {neuron}
}}

train Digits {{
    data = digits()
    loss = spike_count(out, label, target = 8, other = 2)
    epochs = 1
    gradient = {gradient}
    max_spikes = 40
}}
"
    )
}

const CUBA: &str = "CubaLIF(tau_m = 40ms, tau_s = 20ms, v_th = 0.5)";

#[test]
fn a_comparison_is_tables_and_plots() {
    let place = Place::new();
    place.write("net.snn", &program("200ms", "exact", CUBA));
    let out = place.right("compare net.snn --dt 1ms,0.1ms --data --plot errors.svg");
    for part in [
        "model Digits, 200 ms, 4 samples: the first of the test data `digits`",
        "0.1 ms  2,000",
        "mean error of all layers ~ dt^",
        "linear1.weight",
        "total",
        "angle between the gradients (degrees)",
        ". proportional to dt",
    ] {
        assert!(out.contains(part), "`{part}` is missing in\n{out}");
    }
    let svg = place.read("errors.svg");
    assert!(svg.starts_with("<svg") && svg.contains("linear1.weight") && !svg.contains("NaN"), "{svg}");
}

#[test]
fn json_has_all_of_it() {
    let place = Place::new();
    place.write("net.snn", &program("200ms", "exact", CUBA));
    let out = place.right("compare net.snn --gradients exact,stbp --dt 2ms,0.2ms --batch 2 --threads 1 --json");
    let report: Value = serde_json::from_str(&out).unwrap();
    for key in ["model", "duration", "samples", "inputs", "order", "exact", "stbp"] {
        assert!(!report[key].is_null(), "{key}\n{out}");
    }
    assert_eq!((report["samples"].as_u64(), report["duration"].as_f64()), (Some(2), Some(0.2)));
    let grids = report["stbp"].as_array().unwrap();
    assert_eq!(grids.iter().map(|grid| grid["steps"].as_u64()).collect::<Vec<_>>(), [Some(100), Some(1000)]);
    let error = |grid: usize| grids[grid]["layers"][0]["mean_error"].as_f64().unwrap();
    assert!(error(1) < 0.3 * error(0), "{out}");
    for key in ["angle", "ratio", "loss", "mean_error", "compile_ms", "sample_ms"] {
        assert!(grids[0][key].is_f64(), "{key}\n{out}");
    }
    assert!(grids[0]["gradients"][0]["angle"].is_f64(), "{out}");
}

#[test]
fn trained_weights_are_read_and_stay_as_they_are() {
    let place = Place::new();
    place.write("net.snn", &program("200ms", "exact", CUBA));
    place.right("run net.snn --out run");
    let files = ["run/weights.safetensors", "run/checkpoint.safetensors", "net.snn"];
    let before = files.map(|file| place.bytes(file));
    let loss = |words: &str| {
        let report: Value = serde_json::from_str(&place.right(words)).unwrap();
        report["exact"]["loss"].as_f64().unwrap()
    };
    let fresh = loss("compare net.snn --data --dt 1ms --json");
    let trained = loss("compare net.snn --data --dt 1ms --json --weights run/weights.safetensors");
    assert_ne!(fresh, trained);
    assert!(files.map(|file| place.bytes(file)) == before, "a comparison changed a file");
}

#[test]
fn what_cannot_be_compared_is_explained() {
    let place = Place::new();
    place.write("net.snn", &program("200ms", "exact", CUBA));
    place.write("steps.snn", &program("200 of 1ms", "stbp", "LIF()"));
    place.write("bare.snn", &program("8", "stbp", "LIF()").replace("window = 100ms", "window = 4"));
    let text = program("200ms", "exact", CUBA);
    place.write("no_train.snn", text.split("train ").next().unwrap());
    place.write(
        "times.snn",
        &text.replace(
            "spike_count(out, label, target = 8, other = 2)",
            "sum(min(spike_times(out), over = time))\n    predict = argmax(sum(out, over = time))",
        ),
    );
    let cases: &[(i32, &str, &[&str])] = &[
        (1, "compare steps.snn", &["`LIF` is given as steps", "gradient = exact"]),
        (1, "compare bare.snn", &["have no length", "time 200ms"]),
        (1, "compare no_train.snn", &["has no loss", "train"]),
        (1, "compare times.snn", &["spikes have times of their own", "steps of 1 ms here"]),
        (1, "compare net.snn --dt 300ms", &["a step of 300 ms is longer than the 200 ms"]),
        (1, "compare net.snn --dt 1ns", &["more than 100000", "take a longer step"]),
        (1, "compare net.snn --gradients stbp", &["`exact` is not among the gradients", "stbp,exact"]),
        (1, "compare net.snn --gradients exact", &["`stbp` is not among the gradients"]),
        (1, "compare net.snn --plot net.snn", &["not the name of an .svg file"]),
        (1, "compare net.snn --plot no/where.svg", &["cannot write"]),
        (1, "compare net.snn --data --batch 1000", &["test samples", "fewer"]),
        (1, "compare net.snn --weights net.snn", &["not a safetensors file"]),
        (1, "compare missing.snn", &["cannot read `missing.snn`"]),
        (1, "compare net.snn --set model.hiden=3", &["there is no setting"]),
        (2, "compare net.snn --gradients stbp,adjoint", &["adjoint", "possible values: stbp, exact"]),
        (2, "compare net.snn --dt 1", &["write a duration"]),
        (2, "compare net.snn --dt 0ms", &["write a duration"]),
        (2, "compare net.snn --batch 0", &["a number from 1 to 1024"]),
        (2, "compare", &["<FILE>"]),
    ];
    for (code, words, parts) in cases {
        let error = place.wrong(*code, words);
        for part in *parts {
            assert!(error.contains(part), "snnc {words}: `{part}` is missing in\n{error}");
        }
    }
    assert_eq!(place.read("net.snn"), text);
}

#[test]
fn silence_is_no_agreement() {
    let place = Place::new();
    place.write("silent.snn", &program("200ms", "exact", &CUBA.replace("0.5", "1000")));
    let done = place.snnc("compare silent.snn");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("never spikes") && !done.stdout.contains("NaN"), "{}\n{}", done.stdout, done.stderr);
    place.write("busy.snn", &program("200ms", "exact", &CUBA.replace("0.5", "0.05")));
    assert!(place.snnc("compare busy.snn --dt 1ms").stderr.contains("more than 40 times in a sample"));
}

#[test]
fn exact_gradients_are_checked_whatever_the_text_asks_for() {
    let place = Place::new();
    place.write("exact.snn", &program("200ms", "exact", CUBA));
    place.write("stbp.snn", &program("200 of 1ms", "stbp", CUBA));
    let exact = place.right("gradcheck exact.snn --exact --set max_spikes=15");
    assert_eq!(exact, place.right("gradcheck exact.snn --set max_spikes=15"));
    assert_eq!(exact, place.right("gradcheck stbp.snn --exact --set max_spikes=15"));
    assert!(exact.contains("spike times") && exact.contains("all 1 gradients are derivatives"), "{exact}");
    assert!(!place.right("gradcheck stbp.snn --set max_spikes=15").contains("spike times"));
    place.write("steps.snn", &program("200 of 1ms", "stbp", "LIF()"));
    assert!(place.wrong(1, "gradcheck steps.snn --exact").contains("`LIF` is given as steps"));
    place.write("bare.snn", &program("8", "stbp", "LIF()").replace("window = 100ms", "window = 4"));
    assert!(place.wrong(1, "gradcheck bare.snn --exact").contains("have no length"));
}
