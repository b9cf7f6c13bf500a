//! Neurons of snnTorch: Leaky, Synaptic and Alpha with every reset. Gradients with respect to decay and threshold are those
//! of a neuron that learns both (`snntorch.snn`); the library's neurons must agree in everything else.

use serde_json::Value;
use snn_graph::{Model, Tensor};

use crate::files::{Golden, open, truth, word};
use crate::ledger::Ledger;
use crate::probe::{Probe, bind, bind_cotangents, bind_number, sequence};
use crate::source::{compile, literal, prepare};
use crate::spikingjelly::one_neuron;
use crate::surrogates;
use crate::ways::{ALL, Bindings, Wanted};

const DECLARATIONS: &str = include_str!("../../golden/snntorch.snn");

fn declarations() -> String {
    format!("{}\n{DECLARATIONS}", surrogates::DECLARATIONS)
}

/// A reset mechanism by its name here.
fn reset(mechanism: &str) -> &str {
    match mechanism {
        "none" => "never",
        other => other,
    }
}

/// The library's neuron and the one that learns, as models.
fn leaky(golden: &Golden, case: &Value) -> [Model; 2] {
    let settings = format!(
        "reset = {}, reset_delay = {}, surrogate = {}",
        reset(word(case, "reset_mechanism")),
        truth(case, "reset_delay"),
        surrogates::snntorch(case)
    );
    let (beta, threshold) = (literal(golden.number("beta")), literal(golden.number("threshold")));
    let library = format!("x -> Leaky(decay = {beta}, v_th = {threshold}, {settings})");
    let learned = format!("x -> LearnedLeaky(decay = {beta}, v_th = {threshold}, {settings})");
    [library, learned].map(|neuron| compile(&one_neuron(&declarations(), golden, &neuron)))
}

#[test]
fn snntorch_leaky() {
    for golden in open("snntorch_leaky") {
        let mut ledger = Ledger::new(&golden.name);
        let mut bindings = Bindings::new();
        bind(&mut bindings, "x", golden.tensor("x"));
        bind_cotangents(&mut bindings, golden.tensor("gs"), golden.tensor("gv"));
        for (case, settings) in golden.config["cases"].as_object().unwrap() {
            for model in leaky(&golden, settings) {
                check_leaky(&mut ledger, &golden, case, &model, &mut bindings);
            }
        }
        ledger.finish();
    }
}

fn check_leaky(ledger: &mut Ledger, golden: &Golden, case: &str, model: &Model, bindings: &mut Bindings) {
    let learned = [("threshold", "gthr", "threshold"), ("beta", "gbeta", "decay")];
    for parameter in &model.parameters {
        let (key, ..) = learned.iter().find(|(.., ours)| parameter.path.ends_with(ours)).unwrap();
        bind_number(bindings, &parameter.path, golden.number(key));
    }
    let spikes: Vec<&str> = case.split('.').take(2).collect();
    let wanted = Probe { membrane: Some(0), states: &[0], ..Probe::default() }.wanted(model);
    for way in ALL {
        let results = wanted.compute(way, golden.tensor("x").dims[1], bindings);
        // The peer's own double precision holds spikes in single precision.
        let precision = if way.precision() == "f32" { "f32" } else { "ref64" };
        let expected = |quantity: &str| golden.data(&format!("{case}.{precision}.{quantity}"));
        ledger.spikes(way, case, &results["s"], golden.data(&format!("{}.s", spikes.join("."))));
        ledger.close(way, case, "mem", &sequence(&results, 0), expected("mem"));
        ledger.close(way, case, "gx", &results["g:x"], expected("gx"));
        for parameter in &model.parameters {
            let (_, quantity, _) = learned.iter().find(|(.., ours)| parameter.path.ends_with(ours)).unwrap();
            ledger.close(way, case, quantity, &results[&format!("g:{}", parameter.path)], expected(quantity));
        }
    }
}

/// The neuron of a case of the second file, and which of its states is the membrane potential.
fn second_order(golden: &Golden, case: &str) -> (String, usize) {
    let (c_decay, decay) = (literal(golden.number("alpha")), literal(golden.number("beta")));
    let parts: Vec<&str> = case.split('.').collect();
    let common = format!("v_th = {}, reset = {}", literal(golden.number("threshold")), reset(parts[1]));
    match (parts[0], parts[2]) {
        ("synaptic", "delay") => (format!("x -> Synaptic(c_decay = {c_decay}, decay = {decay}, {common})"), 1),
        ("synaptic", "nodelay") => (format!("x -> SynapticAtOnce(c_decay = {c_decay}, decay = {decay}, {common})"), 1),
        ("alpha", "delay") => (format!("x -> Alpha(rise = {c_decay}, fall = {decay}, {common})"), 2),
        other => panic!("there is no neuron for {other:?}"),
    }
}

#[test]
fn snntorch_synaptic_alpha() {
    for golden in open("snntorch_synaptic_alpha") {
        let mut ledger = Ledger::new(&golden.name);
        let mut bindings = Bindings::new();
        bind(&mut bindings, "x", golden.tensor("x"));
        bind_cotangents(&mut bindings, golden.tensor("gs"), golden.tensor("gv"));
        for case in golden.tensors.keys().filter_map(|key| key.strip_suffix(".s")) {
            let (neuron, membrane) = second_order(&golden, case);
            let model = compile(&one_neuron(&declarations(), &golden, &neuron));
            let wanted = Probe { membrane: Some(membrane), states: &[0, membrane], ..Probe::default() }.wanted(&model);
            for way in ALL {
                let results = wanted.compute(way, golden.tensor("x").dims[1], &bindings);
                let expected = |quantity: &str| golden.data(&format!("{case}.{}.{quantity}", way.precision()));
                ledger.spikes(way, case, &results["s"], golden.data(&format!("{case}.s")));
                ledger.close(way, case, "syn", &sequence(&results, 0), expected("syn"));
                ledger.close(way, case, "mem", &sequence(&results, membrane), expected("mem"));
                ledger.close(way, case, "gx", &results["g:x"], expected("gx"));
            }
        }
        ledger.finish();
    }
}

/// One input lands exactly on the threshold: SpikingJelly fires there, snnTorch and norse do not.
#[test]
fn threshold_equality() {
    for golden in open("threshold_equality") {
        let mut ledger = Ledger::new(&golden.name);
        let x = golden.tensor("x");
        let mut bindings = Bindings::new();
        bindings.insert("x".to_owned(), Tensor { dims: vec![x.dims[0], 1, 1], data: x.data.clone() });
        let neurons = [
            ("sj_if", "IF()"),
            ("norse_iaf", "IterativeLIF(decay = 1.0, strict = true)"),
            ("snntorch_leaky_beta1", "Leaky(decay = 1.0)"),
        ];
        for (case, neuron) in neurons {
            let text = format!(
                "use std.neurons {{ IF, IterativeLIF, Leaky }}\n\
                 model Case {{\n input x: frames[1]\n time {}\n x -> {neuron}\n}}\n",
                x.dims[0]
            );
            let model = prepare(&compile(&text), false);
            let wanted = Wanted { outputs: vec![("s".to_owned(), model.output)], graph: model.graph };
            for way in ALL {
                let results = wanted.compute(way, 1, &bindings);
                ledger.spikes(way, case, &results["s"], golden.data(&format!("{case}.s")));
            }
        }
        ledger.finish();
    }
}
