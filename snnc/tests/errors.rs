//! Mistakes of users: each is explained, none is a panic, and the exit code says whose it is.

mod common;

use common::Place;

/// A small model with placeholders for its data and other settings.
fn model(time: &str, entries: &str) -> String {
    format!(
        "use std.neurons {{ LIF }}
use std.layers {{ Linear, Flatten }}
model Net {{
    input image: [1, 28, 28]
    time {time}
    image -> Flatten() -> Linear(10) -> LIF()
}}
train Net {{
    loss = cross_entropy(mean(out, over = time), label)
    {entries}
}}
"
    )
}

#[test]
fn what_is_wrong_is_explained_and_what_to_do() {
    let place = Place::new();
    place.write("data.snn", &model("4", "data = mnist(\"no/where\")"));
    place.write("broken.snn", "model {");
    place.write("none.snn", "fn f(x) = x");
    place.write("two.snn", "model A { input x: [1]\n time 1\n x }\nmodel B { input x: [1]\n time 1\n x }");
    std::fs::write(place.path("bytes.snn"), [0xff, 0xfe]).unwrap();
    place.write("run/manifest.json", "{");
    place.write("other/manifest.json", "{\"format\": \"app\"}");
    place.write("taken/thesis.txt", "years of work");
    let cases: &[(&str, &[&str])] = &[
        ("run data.snn", &["no/where", "train-images-idx3-ubyte", "--data DIR"]),
        ("run data.snn --data elsewhere", &["elsewhere"]),
        ("run DIGITS --set epoch=3", &["epoch", "did you mean `epochs`?"]),
        ("run DIGITS --set model.hiden=3", &["did you mean `model.hidden`?"]),
        ("run DIGITS --set batch=100000", &["larger than the 1442 samples", "--set batch=16"]),
        ("run DIGITS --set model.hidden=10000000", &["parameters, more than can be trained"]),
        ("run missing.snn", &["cannot read `missing.snn`"]),
        ("run bytes.snn", &["bytes.snn", "UTF-8"]),
        ("run run", &["cannot read `run`", "not a file"]),
        ("check broken.snn", &["broken.snn", "Error"]),
        ("run none.snn", &["declares no model"]),
        ("run two.snn", &["several models: A, B"]),
        ("run --resume run", &["run/manifest.json"]),
        ("run --resume other", &["other", "not the folder of a run"]),
        ("run --resume nothing", &["nothing/manifest.json"]),
        ("eval nothing", &["cannot read `nothing`"]),
        ("eval DIGITS", &["--weights FILE"]),
        ("eval DIGITS --weights run/manifest.json", &["not a safetensors file"]),
        ("run DIGITS --out taken", &["is not empty and holds no run"]),
        ("dump two.snn --stage graph", &["several models"]),
        ("dump broken.snn --stage ast", &["Error"]),
        ("check --explain E9999", &["no error or warning `E9999`"]),
    ];
    for (words, parts) in cases {
        let error = place.wrong(1, words);
        for part in *parts {
            assert!(error.contains(part), "snnc {words}: `{part}` is missing in\n{error}");
        }
    }
    assert!(!place.path("runs").exists(), "a run that cannot begin leaves no folder");
}

#[test]
fn wrong_usage_has_a_code_of_its_own() {
    let place = Place::new();
    for words in [
        "",
        "frobnicate",
        "run",
        "run DIGITS --set epochs",
        "run DIGITS --threads many",
        "run DIGITS --resume x",
        "run --resume x --set epochs=1",
        "dump DIGITS",
        "dump DIGITS --stage graph --until nothing",
        "infer runs/x",
        "gradcheck DIGITS --batch 0",
    ] {
        place.wrong(2, words);
    }
}

#[test]
fn a_damaged_run_is_refused() {
    let place = Place::new();
    place.right("run DIGITS --set epochs=2 --max-updates 5 --out run");
    assert!(place.wrong(1, "eval run").contains("no epoch was finished"));
    assert!(place.wrong(1, "run DIGITS --out run").contains("already holds a run"));
    let checkpoint = place.bytes("run/checkpoint.safetensors");
    for damaged in [&b""[..], b"not tensors", &checkpoint[..checkpoint.len() / 2]] {
        std::fs::write(place.path("run/checkpoint.safetensors"), damaged).unwrap();
        assert!(place.wrong(1, "run --resume run").contains("checkpoint.safetensors"));
    }
    std::fs::write(place.path("run/checkpoint.safetensors"), &checkpoint).unwrap();
    let model = place.read("run/model.snn");
    place.write("run/model.snn", &model.replace("128", "64"));
    assert!(place.wrong(1, "run --resume run").contains("not the model that this run was made from"));
    place.write("run/model.snn", &model);
    place.right("run --resume run");
}

#[test]
fn warnings_do_not_stop_anything() {
    let place = Place::new();
    place.write("warn.snn", "use std.neurons { LIF }\nmodel A { input x: [2]\n time 1\n x }\n");
    let done = place.snnc("check warn.snn");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("W0702") && done.stdout.contains("model A"), "{}\n{}", done.stdout, done.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_reason_to_panic() {
    use std::process::Stdio;
    let place = Place::new();
    for words in ["dump DIGITS --stage asm", "check DIGITS", "passes", "test --std", "run DIGITS --set epochs=1"] {
        let mut child = place.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("panicked") && output.status.code() == Some(0), "{words}: {stderr}");
    }
}
