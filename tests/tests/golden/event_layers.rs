//! Networks on events against spike times and derivatives that were computed with many digits.
//!
//! Files `event_*`: two layers of current-based neurons, `u' = (i - u) / tau`, `i' = -i / tau_s`, threshold `theta`, of which
//! a spike subtracts `delta`; times of all spikes, and derivatives of output times and of two losses. The first spike of a
//! neuron does not depend on its later ones, so output neurons that are cut at one spike must give what the files say of the
//! first.

use snn_graph::lower::{LowerOptions, lower};
use snn_graph::ops::InputOp;
use snn_graph::{Events, Model, NodeId, Op, TimeAxis, Ty, autodiff};
use snn_jit::{Instance, Options};
use snn_loops::{Dtype, Program, RandomKey, Role, interp};

use crate::files::{Golden, Values, open};
use crate::source::{compile, literal, prepare};

/// Spike times may be off by this many membrane time constants, derivatives by this part of the largest.
const TIMES: f64 = 1e-12;
const GRADIENTS: f64 = 1e-8;

fn word(golden: &Golden, key: &str) -> f64 {
    golden.config[key].as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no number `{key}`"))
}

fn sizes(golden: &Golden) -> Vec<usize> {
    let sizes = golden.config["sizes"].as_array().unwrap_or_else(|| panic!("no sizes"));
    sizes.iter().filter_map(|size| size.as_u64()).map(|size| size as usize).collect()
}

fn slots(golden: &Golden) -> usize {
    golden.config["max_spikes"].as_u64().unwrap_or(16) as usize
}

/// The network; `budget` is what stands in the parentheses of the output neurons.
fn network(golden: &Golden, budget: &str) -> Model {
    let number = |key| literal(word(golden, key));
    let (tau, tau_s, theta, delta) = (number("tau"), number("tau_s"), number("theta"), number("delta"));
    let sizes = sizes(golden);
    let text = format!(
        "use std.layers {{ Linear }}\nuse std.surrogates {{ atan }}\n\
         neuron Cell(surrogate = atan())(x) {{\n    state u = 0.0, i = 0.0\n    u' = (i - u) / {tau}\n    i' = -i / {tau_s}\n    \
         on x {{ i += x }}\n    spike when u >= {theta} {{ u -= {delta} }}\n}}\n\
         model Net {{\n    input e: spikes[{}]\n    time 60s\n    \
         e -> Linear({}, bias = false) -> Cell() -> Linear({}, bias = false) -> Cell({budget})\n}}\n",
        sizes[0], sizes[1], sizes[2]
    );
    let mut model = compile(&text);
    let max_spikes = slots(golden);
    model.time = TimeAxis::Continuous(Events { max_spikes, ..Events::lasting(word(golden, "tmax")) });
    model.graph.steps = max_spikes;
    prepare(&model, true)
}

/// A train `[neurons][spikes]` of a file as `[slots][neurons]`.
fn train(values: &Values, slots: usize, empty: f64) -> Vec<f64> {
    let (neurons, spikes) = (values.dims[0], values.dims[1]);
    let at = |slot: usize, neuron: usize| {
        let value = if slot < spikes { values.data[neuron * spikes + slot] } else { empty };
        if value.is_finite() { value } else { empty }
    };
    (0..slots).flat_map(|slot| (0..neurons).map(move |neuron| at(slot, neuron))).collect()
}

/// A program and its results by name, computed by both machines.
struct Machine {
    program: Program,
    outputs: Vec<(String, snn_loops::BufferId)>,
    compiled: Instance,
}

impl Machine {
    fn run(&mut self, inputs: &[(&str, Vec<f64>)]) -> [Vec<Vec<f64>>; 2] {
        let mut memory = interp::Memory::new(&self.program);
        for (at, buffer) in self.program.buffers.iter().enumerate().filter(|(_, buffer)| buffer.role == Role::Input) {
            let id = snn_loops::BufferId(at as u32);
            let (_, values) = inputs.iter().find(|(name, _)| buffer.name.ends_with(name)).unwrap();
            memory.write(id, values).unwrap();
            self.compiled.write_f64(id, values).unwrap();
        }
        interp::run(&self.program, &mut memory, RandomKey::default()).unwrap();
        self.compiled.run(RandomKey::default()).unwrap();
        let interpreted = self.outputs.iter().map(|(_, id)| memory.buffer(*id).to_vec()).collect();
        let compiled = self.outputs.iter().map(|(_, id)| self.compiled.read_f64(*id).unwrap()).collect();
        [interpreted, compiled]
    }
}

/// Hidden and output times, and the derivatives of a seed on the output times by both weights and the input times.
fn machine(model: &Model) -> Machine {
    let mut graph = model.graph.clone();
    let is_train = |id: &NodeId| match (&graph.node(*id).op, graph.node(*id).inputs.first()) {
        (Op::Project(project), Some(layer)) => project.index == 0 && matches!(graph.node(*layer).op, Op::SpikeTimes(_)),
        _ => false,
    };
    let trains: Vec<NodeId> = graph.ids().filter(is_train).collect();
    let ty = Ty::signal(true, &graph.ty(model.output).dims.clone());
    let seed = graph.push(InputOp { name: "seed".into(), ty }, &[]).unwrap();
    let wrt = [model.parameters[0].node, model.parameters[1].node, model.inputs[0].node];
    let found = autodiff::gradients(&mut graph, &[(model.output, seed)], &wrt).unwrap();
    let mut outputs = vec![("hidden".to_owned(), trains[0]), ("output".to_owned(), trains[1])];
    let names = ["W1", "W2", "in_times"];
    outputs.extend(names.iter().zip(found).map(|(name, node)| ((*name).to_owned(), node.unwrap())));
    let lowered = lower(&graph, &outputs, LowerOptions::new(1, Dtype::F64)).unwrap();
    let executable = snn_jit::compile(&lowered.program, &Options::native(2)).unwrap();
    Machine {
        outputs: lowered.outputs.iter().map(|port| (port.name.clone(), port.buffer)).collect(),
        compiled: Instance::new(&executable).unwrap(),
        program: lowered.program,
    }
}

fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of elements");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let same = found == expected || (found - expected).abs() <= tolerance;
        assert!(same, "{what}: element {at} is {found:e} instead of {expected:e}");
    }
}

fn check(golden: &Golden) {
    let model = network(golden, "");
    let slots = model.graph.steps;
    let mut machine = machine(&model);
    let inputs = |seed| inputs(golden, slots, seed);
    let tau = word(golden, "tau");
    for loss in ["quad", "ttfs"] {
        let seed = train(golden.tensor(&format!("{loss}.g_out_times")), slots, 0.0);
        for (results, by) in machine.run(&inputs(seed)).iter().zip(["interpreter", "compiled"]) {
            let what = format!("{} {loss} {by}", golden.name);
            for (result, layer) in results.iter().zip(["layer1", "layer2"]) {
                let expected = train(golden.tensor(&format!("{layer}.times")), slots, f64::INFINITY);
                close(&format!("{what} {layer}"), result, &expected, TIMES * tau);
            }
            let part = |name: &str| golden.data(&format!("{loss}.{name}"));
            gradients(&what, golden, results, [part("gW1"), part("gW2"), part("g_in_times")]);
        }
    }
    derivatives(golden, &mut machine, usize::MAX);
}

/// What the machine reads.
fn inputs(golden: &Golden, slots: usize, seed: Vec<f64>) -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("input:e", train(golden.tensor("in.times"), slots, f64::INFINITY)),
        ("linear1.weight", golden.data("W1").to_vec()),
        ("linear2.weight", golden.data("W2").to_vec()),
        ("input:seed", seed),
    ]
}

/// Compares derivatives by both weights and the input times.
fn gradients(what: &str, golden: &Golden, results: &[Vec<f64>], expected: [&[f64]; 3]) {
    let slots = slots(golden);
    let largest = |values: &[f64]| values.iter().fold(0.0f64, |most, value| most.max(value.abs())).max(1e-12);
    let shaped = Values { dims: golden.tensor("in.times").dims.clone(), data: expected[2].to_vec() };
    let by_times = train(&shaped, slots, 0.0);
    for (at, expected) in [expected[0], expected[1], &by_times].into_iter().enumerate() {
        let name = ["W1", "W2", "input times"][at];
        close(&format!("{what}, {name}"), &results[2 + at], expected, GRADIENTS * largest(expected));
    }
}

/// Compares the derivatives of single output spikes, of those among the first `most` of their neuron; gives how many.
fn derivatives(golden: &Golden, machine: &mut Machine, most: usize) -> usize {
    let (slots, n_out) = (slots(golden), sizes(golden)[2]);
    let Some(rows) = golden.tensors.get("jac.rows") else { return 0 };
    let mut compared = 0;
    for (at, row) in rows.data.chunks(2).enumerate().filter(|(_, row)| (row[1] as usize) < most) {
        let mut seed = vec![0.0; slots * n_out];
        seed[row[1] as usize * n_out + row[0] as usize] = 1.0;
        for (results, by) in machine.run(&inputs(golden, slots, seed)).iter().zip(["interpreter", "compiled"]) {
            let part = |name: &str| {
                let values = golden.tensor(&format!("jac.{name}"));
                let each = values.data.len() / values.dims[0];
                &values.data[at * each..(at + 1) * each]
            };
            let what = format!("{} derivative of spike {row:?} {by}", golden.name);
            gradients(&what, golden, results, [part("W1"), part("W2"), part("in_times")]);
            compared += 1;
        }
    }
    compared
}

/// Output neurons that may spike once: the first of their spikes and no other, and its derivatives.
fn check_cut(golden: &Golden) -> usize {
    let (slots, n_out) = (slots(golden), sizes(golden)[2]);
    let mut machine = machine(&network(golden, "max_spikes = 1"));
    let mut expected = train(golden.tensor("layer2.times"), slots, f64::INFINITY);
    expected[n_out..].fill(f64::INFINITY);
    for (results, by) in
        machine.run(&inputs(golden, slots, vec![0.0; slots * n_out])).iter().zip(["interpreter", "compiled"])
    {
        close(&format!("{} cut {by}", golden.name), &results[1], &expected, TIMES * word(golden, "tau"));
    }
    derivatives(golden, &mut machine, 1)
}

#[test]
fn spike_times_and_their_derivatives_are_exact() {
    open("event_").iter().for_each(check);
}

#[test]
fn a_budget_of_one_leaves_the_first_spike_and_its_derivatives() {
    let files = open("event_");
    let compared: usize = files.iter().map(check_cut).sum();
    assert!(files.is_empty() || compared > 0, "no derivative of a first spike was compared");
}
