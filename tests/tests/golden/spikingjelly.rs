//! Neurons of SpikingJelly: LIF, IF, PLIF and CubaLIF with every reset, charge and surrogate.

use serde_json::Value;

use crate::files::{Golden, number, open, truth, word};
use crate::ledger::Ledger;
use crate::probe::{INITIAL, Probe, bind, bind_cotangents, bind_number, sequence};
use crate::source::{compile, literal};
use crate::surrogates;
use crate::ways::{ALL, Bindings};

/// The text of a model that is one neuron.
pub fn one_neuron(declarations: &str, golden: &Golden, neuron: &str) -> String {
    let dims = &golden.tensor("x").dims;
    let shape: Vec<String> = dims[2..].iter().map(ToString::to_string).collect();
    format!(
        "{declarations}\nuse std.neurons {{ IF, LIF, PLIF, DiscreteCubaLIF, IterativeLIF, Leaky, Synaptic }}\n\
         model Case {{\n    input x: frames[{}]\n    time {}\n\n    {neuron}\n}}\n",
        shape.join(", "),
        dims[0]
    )
}

/// The pipe of one case: `kind` is the file's neuron.
fn pipe(golden: &Golden, case: &Value) -> String {
    let neuron = match word(&golden.config, "kind") {
        "lif" => "LIF",
        "if" => "IF",
        "plif" => "PLIF",
        other => panic!("there is no neuron `{other}`"),
    };
    let mut settings = vec![
        format!("v_th = {}", literal(golden.number("v_threshold"))),
        format!("surrogate = {}", surrogates::spikingjelly(word(case, "surrogate"), case)),
        format!("detach_reset = {}", truth(case, "detach_reset")),
    ];
    if neuron != "IF" {
        settings.push(format!("tau = {}", literal(golden.number("tau"))));
        settings.push(format!("decay_input = {}", truth(case, "decay_input")));
    }
    match word(case, "reset") {
        "soft" => settings.push("reset = soft".to_owned()),
        _ => settings.push(format!("v_reset = {}", literal(number(case, "v_reset")))),
    }
    format!("x -> {neuron}({})", settings.join(", "))
}

fn check(golden: &Golden) {
    let mut ledger = Ledger::new(&golden.name);
    let mut bindings = Bindings::new();
    bind(&mut bindings, "x", golden.tensor("x"));
    bind(&mut bindings, INITIAL, golden.tensor("v0"));
    bind_cotangents(&mut bindings, golden.tensor("gs"), golden.tensor("gv"));
    let batch = golden.tensor("x").dims[1];
    for (case, settings) in golden.config["cases"].as_object().unwrap() {
        let text = one_neuron(surrogates::DECLARATIONS, golden, &pipe(golden, settings));
        let model = compile(&text);
        for parameter in &model.parameters {
            bind_number(&mut bindings, &parameter.path, golden.data("w")[0]);
        }
        let wanted = Probe { membrane: Some(0), states: &[0], initial: true, ..Probe::default() }.wanted(&model);
        let spikes: Vec<&str> = case.split('.').take(2).collect();
        for way in ALL {
            let results = wanted.compute(way, batch, &bindings);
            let expected = |quantity: &str| golden.data(&format!("{case}.{}.{quantity}", way.precision()));
            ledger.spikes(way, case, &results["s"], golden.data(&format!("{}.s", spikes.join("."))));
            ledger.close(way, case, "v", &sequence(&results, 0), expected("v"));
            ledger.close(way, case, "gx", &results["g:x"], expected("gx"));
            ledger.close(way, case, "gv0", &results["g:v0"], expected("gv0"));
            if let Some(parameter) = model.parameters.first() {
                ledger.close(way, case, "gw", &results[&format!("g:{}", parameter.path)], expected("gw"));
            }
        }
    }
    ledger.finish();
}

#[test]
fn sj_lif() {
    open("sj_lif").iter().for_each(check);
}

#[test]
fn sj_if() {
    open("sj_if").iter().for_each(check);
}

#[test]
fn sj_plif() {
    open("sj_plif").iter().for_each(check);
}

#[test]
fn sj_cubalif() {
    for golden in open("sj_cubalif") {
        let mut ledger = Ledger::new(&golden.name);
        let mut bindings = Bindings::new();
        bind(&mut bindings, "x", golden.tensor("x"));
        bind_cotangents(&mut bindings, golden.tensor("gs"), golden.tensor("gv"));
        for (case, reset) in [("hard0", "hard"), ("soft", "soft")] {
            let neuron = format!(
                "x -> DiscreteCubaLIF(c_decay = {}, v_decay = {}, v_th = {}, reset = {reset}, detach_reset = {})",
                literal(golden.number("c_decay")),
                literal(golden.number("v_decay")),
                literal(golden.number("v_threshold")),
                truth(&golden.config, "detach_reset"),
            );
            let model = compile(&one_neuron("", &golden, &neuron));
            let wanted = Probe { membrane: Some(1), states: &[0, 1], ..Probe::default() }.wanted(&model);
            for way in ALL {
                let results = wanted.compute(way, golden.tensor("x").dims[1], &bindings);
                ledger.spikes(way, case, &results["s"], golden.data(&format!("{case}.s")));
                for (quantity, found) in
                    [("c", sequence(&results, 0)), ("v", sequence(&results, 1)), ("gx", results["g:x"].clone())]
                {
                    ledger.close(way, case, quantity, &found, golden.data(&format!("{case}.{quantity}")));
                }
            }
        }
        ledger.finish();
    }
}
