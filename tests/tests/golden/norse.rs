//! Neurons of norse: feed-forward LIF, LIFBox, integrator, and a recurrent layer.
//!
//! The feed-forward LIF is the library's `DiscreteCubaLIF` for the potential measured from `v_leak`.

use serde_json::Value;

use crate::files::{Golden, number, open};
use crate::ledger::Ledger;
use crate::probe::{Probe, bind, bind_cotangents, sequence};
use crate::source::{compile, literal};
use crate::spikingjelly::one_neuron;
use crate::surrogates;
use crate::ways::{ALL, Bindings};

const DECLARATIONS: &str = include_str!("../../golden/norse.snn");

/// A neuron with what its states mean: which is the membrane potential, from where it is measured, and, where there is a
/// synaptic current, which state and which fraction of it is left when the peer shows it.
struct Neuron {
    text: String,
    membrane: usize,
    rest: f64,
    current: Option<(usize, f64)>,
}

fn neuron(golden: &Golden, case: &str, settings: &Value) -> Neuron {
    let n = |key: &str| golden.number(key);
    let (v_leak, v_reset, v_th) = (n("v_leak"), n("v_reset"), n("v_th"));
    let charge = n("dt") * n("tau_mem_inv");
    let surrogate = surrogates::norse(settings);
    let common = format!("strict = true, surrogate = {surrogate}");
    let plain = |text: String| Neuron { text, membrane: 0, rest: 0.0, current: None };
    let lifbox = |reset: &str| {
        plain(format!(
            "LIFBox(charge = {}, v_leak = {}, v_reset = {}, v_th = {}, surrogate = {surrogate}, reset = {reset})",
            literal(charge),
            literal(v_leak),
            literal(v_reset),
            literal(v_th)
        ))
    };
    match case.split('.').next().unwrap_or_default() {
        "lif" => {
            let c_decay = 1.0 - n("dt") * n("tau_syn_inv");
            let text = cuba(golden, v_leak, v_reset, &common);
            Neuron { text, membrane: 1, rest: v_leak, current: Some((0, c_decay)) }
        }
        "lifbox_hard" => lifbox("hard"),
        "lifbox_soft" => lifbox("soft"),
        "iaf" => plain(format!("IterativeLIF(decay = 1.0, v_th = {}, {common})", literal(v_th))),
        other => panic!("there is no neuron for `{other}`"),
    }
}

fn cuba(golden: &Golden, v_leak: f64, v_reset: f64, settings: &str) -> String {
    let charge = golden.number("dt") * golden.number("tau_mem_inv");
    format!(
        "DiscreteCubaLIF(c_decay = {}, v_decay = {}, gain = {}, v_th = {}, v_reset = {}, {settings})",
        literal(1.0 - golden.number("dt") * golden.number("tau_syn_inv")),
        literal(1.0 - charge),
        literal(charge),
        literal(golden.number("v_th") - v_leak),
        literal(v_reset - v_leak)
    )
}

#[test]
fn norse_lif() {
    for golden in open("norse_lif") {
        let mut ledger = Ledger::new(&golden.name);
        let mut bindings = Bindings::new();
        bind(&mut bindings, "x", golden.tensor("x"));
        bind_cotangents(&mut bindings, golden.tensor("gs"), golden.tensor("gv"));
        for (case, settings) in golden.config["cases"].as_object().unwrap() {
            check(&mut ledger, &golden, case, settings, &bindings);
        }
        recurrent(&mut ledger, &golden);
        ledger.finish();
    }
}

fn check(ledger: &mut Ledger, golden: &Golden, case: &str, settings: &Value, bindings: &Bindings) {
    let neuron = neuron(golden, case, settings);
    let declarations = format!("{}\n{DECLARATIONS}", surrogates::DECLARATIONS);
    let pipe = format!("{} * x -> {}", literal(number(settings, "input_scale")), neuron.text);
    let model = compile(&one_neuron(&declarations, golden, &pipe));
    let mut states = vec![neuron.membrane];
    states.extend(neuron.current.map(|(state, _)| state));
    let wanted = Probe { membrane: Some(neuron.membrane), states: &states, ..Probe::default() }.wanted(&model);
    for way in ALL {
        let results = wanted.compute(way, golden.tensor("x").dims[1], bindings);
        let expected = |quantity: &str| golden.data(&format!("{case}.{}.{quantity}", way.precision()));
        let v: Vec<f64> = sequence(&results, neuron.membrane).iter().map(|v| v + neuron.rest).collect();
        ledger.spikes(way, case, &results["s"], golden.data(&format!("{case}.s")));
        ledger.close(way, case, "v", &v, expected("v"));
        ledger.close(way, case, "gx", &results["g:x"], expected("gx"));
        if let Some((state, left)) = neuron.current {
            let i: Vec<f64> = sequence(&results, state).iter().map(|i| i * left).collect();
            ledger.close(way, case, "i", &i, expected("i"));
        }
    }
}

/// A layer that sees its own spikes of the step before, as the library writes it.
fn recurrent(ledger: &mut Ledger, golden: &Golden) {
    let x = golden.tensor("rlif.x");
    let n = golden.tensor("rlif.w_in").dims[0];
    let neuron = cuba(golden, 0.0, 0.0, "strict = true, detach_reset = true, surrogate = super_spike(alpha = 1.0)");
    let text = format!(
        "{}\nuse std.neurons {{ DiscreteCubaLIF }}\nuse std.blocks {{ Recurrent }}\n\
         model Case {{\n input x: spikes[{}]\n time {}\n x -> Recurrent({n}, neuron = {neuron})\n}}\n",
        surrogates::DECLARATIONS,
        x.dims[2],
        x.dims[0]
    );
    let model = compile(&text);
    let wanted = Probe::default().wanted(&model);
    let mut bindings = Bindings::new();
    bind(&mut bindings, "x", x);
    bind(&mut bindings, "gs", golden.tensor("rlif.gs"));
    let weights = [("forward", "w_in"), ("feedback", "w_rec")];
    let weight = |path: &str| weights.iter().find(|(ours, _)| path.contains(ours) && path.ends_with("weight"));
    for parameter in &model.parameters {
        match weight(&parameter.path) {
            Some((_, peer)) => bind(&mut bindings, &parameter.path, golden.tensor(&format!("rlif.{peer}"))),
            None => drop(bindings.insert(parameter.path.clone(), snn_graph::Tensor::full(&parameter.dims, 0.0))),
        }
    }
    for way in ALL {
        let results = wanted.compute(way, x.dims[1], &bindings);
        ledger.spikes(way, "rlif", &results["s"], golden.data("rlif.s"));
        for parameter in &model.parameters {
            if let Some((_, peer)) = weight(&parameter.path) {
                let found = &results[&format!("g:{}", parameter.path)];
                ledger.close(way, "rlif", &format!("g_{peer}"), found, golden.data(&format!("rlif.g_{peer}")));
            }
        }
    }
}
