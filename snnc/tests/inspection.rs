//! `check`, `test`, `gradcheck`, `dump` and `passes`: what can be seen of a program without training it.

mod common;

use common::Place;

/// Two layers with a surrogate of our own that declares its primitive.
const OWN_SURROGATE: &str = "use std.neurons { LIF }
use std.layers { Linear, Flatten }

surrogate mine(alpha = 2.0)(x) = alpha * sigmoid(alpha * x) * (1 - sigmoid(alpha * x))
    primitive sigmoid(alpha * x)

model Net {
    input image: [1, 8, 8]
    time 4
    image -> Flatten() -> Linear(6) -> LIF(surrogate = mine()) -> Linear(10)
}

train Net {
    data = digits()
    loss = cross_entropy(mean(out, over = time), label)
}
";

#[test]
fn layers_and_parameters_are_shown() {
    let place = Place::new();
    let out = place.right("check DIGITS --params");
    for line in [
        "model DigitsMLP, 8 time steps",
        "linear1   Linear   [128]      static   real          8,320",
        "lif1      LIF      [128]      stepped  spikes            0",
        "9,610 parameters, 1 layer of neurons",
        "linear2.weight  [10, 128]     1,280",
    ] {
        assert!(out.contains(line), "`{line}` is missing in\n{out}");
    }
    assert!(place.right("check DIGITS --set model.hidden=7").contains("linear1   Linear   [7]"));
    place.write("library.snn", "fn twice(x) = 2 * x");
    assert_eq!(place.right("check library.snn"), "library.snn: no errors, no model\n");
    assert!(place.right("check --explain e0301").starts_with("E0301: "));
}

#[test]
fn every_stage_can_be_seen() {
    let place = Place::new();
    for (stage, part) in [
        ("tokens", "keyword use"),
        ("ast", "model DigitsMLP"),
        ("graph", "linear1.weight"),
        ("graph --until discretise --training", "scan"),
        ("grad", "// grad"),
        ("loops", "program f32"),
        ("loops --training", "slot:linear1.weight:1"),
        ("clif", "function"),
        ("asm", "; k0"),
    ] {
        let out = place.right(&format!("dump DIGITS --stage {stage}"));
        assert!(out.contains(part), "--stage {stage}: `{part}` is missing in\n{out}");
    }
    let passes = place.right("passes");
    assert!(passes.contains("discretise") && passes.contains("dce"), "{passes}");
    let help = place.right("dump --help");
    assert!(help.contains("discretise") && help.contains("clif"), "{help}");
}

#[test]
fn gradients_are_derivatives() {
    let place = Place::new();
    place.write("own.snn", OWN_SURROGATE);
    let out = place.right("gradcheck own.snn --elements 5 --batch 3");
    assert_eq!(out.lines().filter(|line| line.ends_with(" ok")).count(), 4, "{out}");
    assert!(out.contains("all 4 gradients are derivatives"), "{out}");
    // The library's atan declares no primitive.
    place.right("gradcheck DIGITS --set model.hidden=6 --elements 3");
    // Rounding is an error that no tolerance of 0 forgives.
    let done = place.snnc("gradcheck own.snn --tolerance 0");
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert_eq!(done.stdout.lines().filter(|line| line.ends_with(" FAIL")).count(), 4, "{}", done.stdout);
    assert!(done.stdout.contains("4 of 4 gradients are not the derivatives"), "{}", done.stdout);
}

#[test]
fn claims_are_checked_on_every_back_end() {
    let place = Place::new();
    place.write(
        "claims.snn",
        "use std.neurons { LIF }
test \"true\" {
    let out = [1.6, 0.0, 0.8, 1.7] -> LIF(tau = 2.0)
    expect out == [0, 0, 0, 1]
    expect sum(out, over = time) ~ 1.0
}
test \"false\" {
    let out = [2.5, 0.0] -> LIF(tau = 2.0)
    expect out == [0, 1]
}
",
    );
    let done = place.snnc("test claims.snn");
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    for part in [
        "ok    claims.snn: true",
        "FAIL  claims.snn: false",
        "claims.snn:9:12: `expect out == [0, 1]` does not hold (reference): [1, 0] is not [0, 1]",
        "does not hold (compiled): [1, 0] is not [0, 1]",
        "1 passed, 1 failed",
    ] {
        assert!(done.stdout.contains(part), "`{part}` is missing in\n{}", done.stdout);
    }
}

#[test]
fn the_standard_library_keeps_its_claims() {
    let place = Place::new();
    let out = place.right("test --std");
    let passed: usize = out.lines().last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(passed >= 80 && out.ends_with("0 failed\n"), "{out}");
    for file in ["neurons/lif.snn", "layers/conv.snn", "norms/tdbn.snn", "blocks/blocks.snn", "readouts/readouts.snn"] {
        assert!(out.contains(&format!("std/{file}: ")), "{file}\n{out}");
    }
}

#[test]
fn a_wrong_primitive_is_found() {
    let place = Place::new();
    place
        .write("wrong.snn", &OWN_SURROGATE.replace("primitive sigmoid(alpha * x)", "primitive sigmoid(2 * alpha * x)"));
    let done = place.snnc("gradcheck wrong.snn --elements 5");
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    // What lies behind the neurons does not depend on their surrogate.
    assert_eq!(done.stdout.lines().filter(|line| line.ends_with(" FAIL")).count(), 2, "{}", done.stdout);
    assert!(done.stdout.contains("2 of 4 gradients are not the derivatives"), "{}", done.stdout);
}
