//! Models without a grid of steps, `gradient = exact`: training, interruption, checks, reports and errors.

mod common;

use common::Place;

/// A network on the bundled digits; `layers` comes behind the encoder.
fn program(layers: &str, loss: &str, more: &str) -> String {
    format!(
        "use std.blocks {{ Delay }}
use std.encoders {{ latency }}
use std.layers {{ Conv2d, Linear, Flatten, MergePool2d }}
use std.neurons {{ CubaLIF }}

/// Spikes that come later by a delay that is learned.
block Late()(x) {{
    param d = 0.0022
    spike_at(spike_times(x) + maximum(d, 0))
}}

block Again(n)(x) {{
    state s: [n] = 0.0
    let fed_back = s -> Delay(1ms) -> Linear(n, bias = false, init = uniform(-0.3, 0.3))
    let out = (x -> Linear(n, bias = false, init = uniform(-1, 1))) + fed_back -> CubaLIF(tau_m = 260ms, tau_s = 130ms, v_th = 0.5)
    next s = out
    out
}}

model Digits {{
    input image: [1, 8, 8]
    time 200ms
    image -> latency(window = 100ms) -> {layers} -> Linear(10, bias = false, init = uniform(0, 1)) -> CubaLIF(tau_m = 260ms, tau_s = 130ms, v_th = 3.0)
}}

train Digits {{
    data = digits()
    loss = {loss}
    optimizer = adam(lr = 2e-3)
    epochs = 6
    batch = 32
    gradient = exact
    max_spikes = 15
    seed = 3
    {more}
}}
"
    )
}

const DENSE: &str =
    "Flatten() -> Linear(100, bias = false, init = uniform(0, 1)) -> CubaLIF(tau_m = 260ms, tau_s = 130ms, v_th = 2.0)";
const COUNT: &str = "spike_count(out, label, target = 8, other = 2)";

#[test]
fn the_digits_are_learned_from_spike_times_and_an_interruption_changes_no_bit() {
    let place = Place::new();
    let text = program(DENSE, COUNT, "").replace("uniform(0, 1)", "uniform(-1, 1)").replace("lr = 2e-3", "lr = 1e-2");
    place.write("count.snn", &text.replace("v_th = 2.0", "v_th = 0.5").replace("v_th = 3.0", "v_th = 1.0"));
    let out = place.right("run count.snn --out whole");
    assert!(out.contains("spikes per neuron\n") && !out.contains("and step"), "{out}");
    let accuracy = place.metrics("whole").last().unwrap()["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.7, "{accuracy}");
    place.snnc("run count.snn --out parts --max-updates 60");
    place.right("run --resume parts --threads 1");
    for file in ["weights.safetensors", "checkpoint.safetensors"] {
        assert!(place.bytes(&format!("whole/{file}")) == place.bytes(&format!("parts/{file}")), "{file}");
    }
    assert_eq!(place.metrics("whole"), place.metrics("parts"));
    assert!(place.right("eval whole").contains("spikes per neuron\n"));
}

#[test]
fn first_spikes_are_learned() {
    let place = Place::new();
    place.write("first.snn", &program(DENSE, "ttfs(out, label, tau = 5ms)", ""));
    place.right("run first.snn --out run");
    let accuracy = place.metrics("run").last().unwrap()["test_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.8, "{accuracy}");
}

#[test]
fn a_convolutional_network_whose_first_layer_spikes_once_is_learned() {
    let place = Place::new();
    let conv = "Conv2d(12, 3, padding = 0, init = uniform(-1, 1)) -> CubaLIF(tau_m = 260ms, tau_s = 130ms, v_th = 0.15, \
                max_spikes = 1) -> MergePool2d(2) -> Flatten()";
    let text = program(conv, COUNT, "").replace("uniform(0, 1)", "uniform(-1, 1)").replace("lr = 2e-3", "lr = 1e-2");
    place.write("conv.snn", &text.replace("v_th = 3.0", "v_th = 0.8"));
    place.right("run conv.snn --out run");
    let metrics = place.metrics("run");
    let last = metrics.last().unwrap();
    assert!(last["test_accuracy"].as_f64().unwrap() > 0.75, "{last}");
    assert!(last["firing_rates"]["cubalif1"].as_f64().unwrap() < 1.0, "{last}");
    assert!(last["health"][0][1]["out_of_slots"].as_f64().unwrap() > 1000.0, "{last}");
}

#[test]
fn gradients_of_networks_with_feedback_delays_and_merged_trains_are_derivatives() {
    let place = Place::new();
    let conv = "Conv2d(3, 3, bias = false, init = uniform(-0.3, 1)) -> CubaLIF(tau_m = 260ms, tau_s = 130ms, v_th = 0.5) -> Late() \
                -> MergePool2d(2) -> Flatten()";
    for (name, layers) in [("dense.snn", DENSE), ("again.snn", "Flatten() -> Again(20)"), ("conv.snn", conv)] {
        place.write(name, &program(layers, COUNT, ""));
        let out = place.right(&format!("gradcheck {name} --batch 1 --elements 3"));
        assert!(out.contains("gradients are derivatives"), "{name}\n{out}");
        assert!(place.right(&format!("dump {name} --stage grad")).contains("spike_times_gradient"));
        assert!(place.right(&format!("dump {name} --stage loops")).contains("event sweep"));
    }
    // What is left of layers that are cut has derivatives, too.
    for (name, layers) in [("dense.snn", DENSE), ("again.snn", "Flatten() -> Again(20)"), ("conv.snn", conv)] {
        let cut = program(layers, COUNT, "").replace("v_th = 0.5)", "v_th = 0.5, max_spikes = 1)");
        place.write(name, &cut.replace("v_th = 2.0)", "v_th = 2.0, max_spikes = 1)"));
        let out = place.right(&format!("gradcheck {name} --batch 1 --elements 3"));
        assert!(out.contains("gradients are derivatives"), "{name}, cut\n{out}");
        assert!(place.right(&format!("dump {name} --stage loops")).contains("slots 15, budget 1,"), "{name}");
    }
}

#[test]
fn silent_neurons_are_reported_and_woken_and_nothing_is_lost_in_silence() {
    let place = Place::new();
    place.write("few.snn", &program(DENSE, COUNT, "").replace("max_spikes = 15", "max_spikes = 1"));
    let done = place.snnc("run few.snn --set epochs=1 --out few");
    assert!(done.stderr.contains("max_spikes = 1"), "{}", done.stderr);
    place.write("one.snn", &program(&DENSE.replace("v_th = 2.0", "v_th = 0.5, max_spikes = 2"), COUNT, ""));
    let done = place.snnc("run one.snn --set epochs=1 --out one");
    assert!(done.stderr.contains("cubalif1") && done.stderr.contains("max_spikes = 2 spikes"), "{}", done.stderr);
    assert!(place.right("check one.snn --explain").contains("budget: 2 spikes in a sample"));
    let asleep = DENSE.replace("v_th = 2.0", "v_th = 30");
    for (name, more) in [("asleep", ""), ("woken", "wake = 0.05")] {
        place.write("silent.snn", &program(&asleep, COUNT, more));
        place.right(&format!("run silent.snn --set epochs=8 --out {name}"));
    }
    let silent = |run: &str| place.metrics(run).last().unwrap()["health"][0][1]["silent"].as_f64().unwrap();
    assert!(silent("asleep") > 0.9 && silent("woken") < 0.5, "{} {}", silent("asleep"), silent("woken"));
}

#[test]
fn inference_shows_trains_and_streams_say_that_there_are_no_steps() {
    let place = Place::new();
    place.write("first.snn", &program(DENSE, "ttfs(out, label, tau = 5ms)", ""));
    place.right("run first.snn --set epochs=2 --out run");
    let out = place.right("infer run --sample 0");
    assert!(out.contains("the first at") && out.contains(" ms") && !out.contains("inf"), "{out}");
    let error = place.wrong(1, "infer run --sample 0 --stream");
    assert!(error.contains("`Digits` has no grid of time steps"), "{error}");
    let nothing = DENSE.replace("v_th = 2.0", "v_th = 1000");
    place.write("silent.snn", &program(&nothing, COUNT, ""));
    let done = place.snnc("gradcheck silent.snn --batch 1 --elements 1");
    assert!(done.stderr.contains("0 everywhere") && done.stdout.contains("declared gradient"), "{}", done.stdout);
}

#[test]
fn what_has_no_spike_times_is_an_error_that_names_the_place() {
    let place = Place::new();
    let biased = DENSE.replace("bias = false, ", "");
    place.write("biased.snn", &program(&biased, COUNT, ""));
    let error = place.wrong(1, "run biased.snn");
    assert!(error.contains("made of spikes"), "{error}");
    let ring = "use std.surrogates { atan }

neuron Ring(v_th = 1.0, surrogate = atan())(x) {
    state u = 0.0, w = 0.0
    u' = w
    w' = -1e18 * u
    on x { w += x }
    spike when u >= v_th { u -= v_th }
}

neuron Deaf(v_th = 1.0, surrogate = atan())(x) {
    state u = 0.0, i = 0.0
    u' = 100 - u / 20ms
    i' = -i
    spike when u >= v_th { u -= v_th }
}

model Digits";
    for (neuron, complaint) in [("Ring", "oscillates"), ("Deaf", "no spikes reach")] {
        let layers = format!("Flatten() -> Linear(10, bias = false) -> {neuron}()");
        place.write("odd.snn", &program(&layers, COUNT, "").replace("model Digits", ring));
        let error = place.wrong(1, "run odd.snn");
        assert!(error.contains(complaint), "{error}");
    }
    place.write("slope.snn", &program(DENSE, COUNT, "slope_min = -1"));
    assert!(place.wrong(1, "check slope.snn").contains("slope_min"));
}
