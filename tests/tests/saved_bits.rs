//! What the backward pass of a neuron reads of the forward pass: bits where they are all that its gradient needs, else what
//! its states are computed again from. Either way the gradients are the same bits, and those of the reference.

use std::collections::BTreeMap;

use snn_graph::autodiff;
use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::lower::{LowerOptions, Lowered, lower};
use snn_graph::ops::InputOp;
use snn_graph::passes::{self, PassContext, strip};
use snn_graph::{Axes, Graph, Kind, NodeId, Op, Tensor, Ty};
use snn_jit::{Instance, Options};
use snn_loops::plan::touched;
use snn_loops::{Distribution, Dtype, Kernel, LoopKind, RandomKey, Role, Stmt, draw, interp, verify};
use snnc::Model;

const STEPS: usize = 6;
/// Odd, so that lanes have remainders.
const BATCH: usize = 3;
const KEY: RandomKey = RandomKey { seed: 3, run: 0 };

/// Neurons whose backward pass needs bits alone, and how many.
const BITS: &[(&str, usize)] = &[
    ("LIF(surrogate = rect(a = 0.8), detach_reset = true)", 2),
    ("LIF(surrogate = rect(), detach_reset = true, v_reset = -0.25)", 2),
    ("LIF(surrogate = rect(a = 0.5), reset = soft)", 1),
    ("LIF(surrogate = rect(a = 0.5), reset = soft, detach_reset = true)", 1),
    ("LIF(surrogate = rect(), decay_input = false, strict = true, detach_reset = true)", 2),
    ("IF(surrogate = rect(), detach_reset = true)", 2),
    ("IF(surrogate = rect(a = 0.75), reset = soft)", 1),
    ("IterativeLIF(detach_reset = true)", 2),
    ("DiscreteCubaLIF(detach_reset = true)", 2),
    ("DiscreteCubaLIF(reset = soft)", 1),
    ("CubaLIF(surrogate = rect())", 1),
    ("Leaky(surrogate = rect(a = 0.8), reset_delay = false)", 1),
    ("Leaky(surrogate = rect(a = 0.8))", 1),
    ("Synaptic(surrogate = rect())", 1),
    ("Steep()", 3),
];

/// Neurons whose backward pass needs a membrane potential: because of the surrogate, of a reset with a gradient, or of a
/// time constant that is learned.
const NUMBERS: &[&str] = &[
    "LIF()",
    "LIF(detach_reset = true)",
    "LIF(reset = soft)",
    "LIF(surrogate = rect())",
    "LIF(surrogate = triangle(), detach_reset = true)",
    "IterativeLIF()",
    "DiscreteCubaLIF()",
    "CubaLIF()",
    "Leaky(reset_delay = false)",
    "Leaky()",
    "Synaptic()",
    "PLIF(surrogate = rect(), detach_reset = true)",
];

/// A program of so many neurons, driven at every step or by a current that does not change.
fn program(neuron: &str, input: &str, steps: usize) -> String {
    format!(
        "use std.neurons {{ LIF, IF, IterativeLIF, CubaLIF, DiscreteCubaLIF, Leaky, Synaptic, PLIF }}
use std.surrogates {{ rect, triangle }}

/// A surrogate of two heights, neither of them 0, under a name that no compiler knows.
surrogate steep()(x) = where(x < 0.25, where(-0.25 < x, 2.0, 0.25), 0.25)

neuron Steep()(x) {{
    state v = 0.0
    let u = 0.5 * v + x
    let s = spike(u - 1.0, steep())
    next v = u * (1 - detach(s))
    s
}}

/// Lets input spikes through after enough of them, so that its gradient is a product of the upstream gradient and spikes.
neuron Gate()(x) {{
    state v = 0.0
    let u = 0.5 * v + x
    let passed = x * detach(spike(u - 1.25, steep()))
    next v = detach(u - passed)
    passed
}}

model Alone {{
    input current: {input}
    time {steps} of 5ms

    current -> {neuron}
}}
"
    )
}

/// The mean of the spikes, and the gradients of a weighted sum of them with respect to the current and whatever is
/// learned: as differentiation leaves them.
fn differentiated(text: &str) -> (Graph, Vec<NodeId>) {
    let model = Model::from_text("alone.snn", text, &[]).unwrap_or_else(|error| panic!("{text}: {error}"));
    let model = passes::run(model.graph(), &PassContext::new(model.graph(), true), None).unwrap();
    let mut graph = model.graph.clone();
    let ty = Ty::signal(true, &graph.ty(model.output).dims);
    let axes = Axes { time: true, batch: true, dims: (0..ty.dims.len()).collect() };
    let mut outputs = vec![graph.mean(model.output, &axes).unwrap()];
    let weight = graph.push(InputOp { name: "weight".to_owned(), ty }, &[]).unwrap();
    let inputs = model.inputs.iter().map(|input| input.node);
    let wrt: Vec<NodeId> = inputs.chain(model.parameters.iter().map(|parameter| parameter.node)).collect();
    let gradients = autodiff::gradients(&mut graph, &[(model.output, weight)], &wrt).unwrap();
    assert!(gradients.iter().all(Option::is_some), "everything has a gradient");
    outputs.extend(gradients.into_iter().flatten());
    (graph, outputs)
}

/// The same with bits saved.
fn saving(text: &str) -> (Graph, Vec<NodeId>) {
    let (graph, outputs) = differentiated(text);
    passes::finish(&graph, &outputs).unwrap()
}

/// The same with every state computed again.
fn replaying(text: &str) -> (Graph, Vec<NodeId>) {
    let (graph, outputs) = differentiated(text);
    let stripped = strip::graph(&graph, &outputs).unwrap();
    passes::simplify(&stripped.graph, &stripped.nodes(&outputs).unwrap()).unwrap()
}

fn lowered(graph: &Graph, outputs: &[NodeId], options: LowerOptions) -> Lowered {
    let outputs: Vec<(String, NodeId)> = outputs.iter().enumerate().map(|(i, id)| (format!("y{i}"), *id)).collect();
    let lowered = lower(graph, &outputs, options).unwrap();
    verify::verify(&lowered.program).unwrap_or_else(|errors| panic!("{errors:?}"));
    lowered
}

fn f32s(graph: &(Graph, Vec<NodeId>)) -> Lowered {
    lowered(&graph.0, &graph.1, LowerOptions::new(BATCH, Dtype::F32))
}

fn walks_back(body: &[Stmt]) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::For { kind, body, .. } => *kind == LoopKind::Reverse || walks_back(body),
        _ => false,
    })
}

/// What the backward time loop of a program reads: names of buffers of floats, and the number of those of bits.
fn backward_reads(lowered: &Lowered) -> (Vec<&str>, usize) {
    let program = &lowered.program;
    let mut loops =
        program.kernels.iter().filter(|kernel| matches!(kernel, Kernel::Nest(nest) if walks_back(&nest.body)));
    let (backward, None) = (loops.next().unwrap(), loops.next()) else { panic!("one backward loop") };
    let read = touched(backward).reads.into_iter().map(|id| &program.buffers[id.0 as usize]);
    let (bits, floats): (Vec<_>, Vec<_>) = read.partition(|buffer| buffer.packed);
    (floats.into_iter().map(|buffer| buffer.name.as_str()).collect(), bits.len())
}

fn replays(lowered: &Lowered) -> bool {
    lowered.program.buffers.iter().any(|buffer| buffer.role == Role::Scratch)
}

#[test]
fn a_gradient_that_needs_bits_reads_bits_and_nothing_is_computed_again() {
    for (neuron, bits) in BITS {
        let lowered = f32s(&saving(&program(neuron, "frames[40]", STEPS)));
        assert_eq!(backward_reads(&lowered), (vec!["input:weight"], *bits), "{neuron}");
        assert!(!replays(&lowered), "{neuron}");
    }
}

#[test]
fn a_gradient_that_needs_the_membrane_computes_it_again() {
    for neuron in NUMBERS {
        let text = program(neuron, "frames[40]", STEPS);
        let lowered = f32s(&saving(&text));
        assert!(replays(&lowered), "{neuron}");
        assert_eq!(backward_reads(&lowered).1, 0, "{neuron}");
        let before = f32s(&replaying(&text));
        assert_eq!(lowered.program.to_string(), before.program.to_string(), "{neuron}: nothing changes");
    }
}

#[test]
fn what_is_cheaper_to_read_than_bits_is_read() {
    const NEURON: &str = "LIF(surrogate = rect(), detach_reset = true)";
    // Rows that are not packed would cost four bytes a bit, and a current that does not change costs four bytes for all steps:
    // saving writes and reads a bit a step and reads another, so that with whole words of channels 10 steps still cost less.
    for (input, steps, is_saved) in [
        ("frames[16]", STEPS, true),
        ("frames[8]", STEPS, false),
        ("frames[16, 3, 3]", STEPS, true),
        ("frames[4, 6, 6]", STEPS, false),
        ("[64]", 10, true),
        ("[64]", 11, false),
    ] {
        let lowered = f32s(&saving(&program(NEURON, input, steps)));
        assert_eq!(replays(&lowered), !is_saved, "{input}, {steps} steps");
    }
}

/// Values for what a graph reads, by name.
fn bindings(graph: &Graph) -> BTreeMap<String, Tensor> {
    let mut bindings = BTreeMap::new();
    for id in graph.ids() {
        let (name, low, high) = match &graph.node(id).op {
            Op::InputOp(input) if input.name == "weight" => (&input.name, -1.0, 1.0),
            Op::InputOp(input) => (&input.name, -0.4, 2.2),
            Op::ParamOp(param) => (&param.path, -0.3, 0.3),
            _ => continue,
        };
        let dims = graph.ty(id).extents(graph.steps, BATCH);
        let stream = bindings.len() as u64;
        let value = |e: usize| {
            let unit = draw::element(Distribution::Uniform, KEY, stream, e as u64);
            f64::from((low + (high - low) * unit) as f32)
        };
        let data = (0..dims.iter().product()).map(value).collect();
        bindings.insert(name.clone(), Tensor { dims, data });
    }
    bindings
}

/// Results of a program, from the interpreter or from machine code.
fn results(lowered: &Lowered, bindings: &BTreeMap<String, Tensor>, compiled: Option<usize>) -> Vec<Vec<f64>> {
    let inputs = lowered.inputs.iter().map(|port| (port.buffer, &bindings[port.name.split_once(':').unwrap().1].data));
    let Some(threads) = compiled else {
        let mut memory = interp::Memory::new(&lowered.program);
        inputs.for_each(|(buffer, values)| memory.write(buffer, values).unwrap());
        interp::run(&lowered.program, &mut memory, KEY).unwrap();
        return lowered.outputs.iter().map(|port| memory.buffer(port.buffer).to_vec()).collect();
    };
    let executable = snn_jit::compile(&lowered.program, &Options::native(threads)).unwrap();
    let mut instance = Instance::new(&executable).unwrap();
    for (buffer, values) in inputs {
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        instance.write_f32(buffer, &values).unwrap();
    }
    instance.run(KEY).unwrap();
    let read = |port: &snn_graph::lower::Port| instance.read_f32(port.buffer).unwrap();
    lowered.outputs.iter().map(|port| read(port).into_iter().map(f64::from).collect()).collect()
}

fn bits(results: &[Vec<f64>]) -> Vec<Vec<u64>> {
    results.iter().map(|values| values.iter().map(|value| value.to_bits()).collect()).collect()
}

#[test]
fn saved_bits_give_the_gradients_of_replayed_states_to_the_bit() {
    for (neuron, _) in BITS {
        let text = program(neuron, "frames[70]", STEPS);
        let (saving, replaying) = (f32s(&saving(&text)), f32s(&replaying(&text)));
        assert!(replays(&replaying) && !replays(&saving), "{neuron}");
        let bindings = bindings(&differentiated(&text).0);
        let expected = results(&replaying, &bindings, None);
        assert!(expected[0][0] > 0.02 && expected[1].iter().any(|value| *value != 0.0), "{neuron}: nothing happens");
        for compiled in [None, Some(1), Some(2)] {
            assert_eq!(bits(&results(&saving, &bindings, compiled)), bits(&expected), "{neuron}, {compiled:?}");
        }
        let floats = LowerOptions { packed: false, ..LowerOptions::new(BATCH, Dtype::F32) };
        let (graph, outputs) = self::saving(&text);
        assert_eq!(bits(&results(&lowered(&graph, &outputs, floats), &bindings, Some(1))), bits(&expected), "{neuron}");
    }
}

#[test]
fn gradients_are_those_of_the_reference() {
    for neuron in BITS.iter().map(|(neuron, _)| neuron).chain(NUMBERS) {
        let text = program(neuron, "frames[20]", STEPS);
        let (graph, outputs) = differentiated(&text);
        let bindings = bindings(&graph);
        let expected = evaluate(&graph, &outputs, &mut EvalContext::new(STEPS, BATCH, &bindings)).unwrap();
        let (graph, outputs) = saving(&text);
        let found = results(&lowered(&graph, &outputs, LowerOptions::new(BATCH, Dtype::F64)), &bindings, None);
        for (found, expected) in found.iter().zip(&expected) {
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
            assert!(found.len() == expected.data.len() && found.iter().zip(&expected.data).all(close), "{neuron}");
        }
    }
}

#[test]
fn a_gradient_is_a_number_whatever_is_known_of_the_value() {
    let text = program("Gate()", "spikes[40]", STEPS);
    let (graph, outputs) = differentiated(&text);
    let mut bindings = bindings(&graph);
    bindings.iter_mut().filter(|(name, _)| *name != "weight").for_each(|(_, current)| {
        current.data.iter_mut().for_each(|value| *value = f64::from(*value > 0.8));
    });
    let expected = evaluate(&graph, &outputs, &mut EvalContext::new(STEPS, BATCH, &bindings)).unwrap();
    let (graph, outputs) = saving(&text);
    let found = results(&lowered(&graph, &outputs, LowerOptions::new(BATCH, Dtype::F64)), &bindings, None);
    assert!(expected[1].data.iter().any(|value| *value != 0.0 && value.abs() != 1.0));
    assert_eq!(found[1], expected[1].data);
    let kinds: Vec<Kind> = outputs.iter().map(|id| graph.ty(*id).kind).collect();
    assert_eq!(kinds[1], Kind::Real, "{kinds:?}");
}
