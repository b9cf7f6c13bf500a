//! Contractions of small counts, as pooling makes them of spikes, read them as planes of bits. Whatever computes them, the
//! results are those of the reference; and where counts are not small, of too few channels or read as they are, they stay
//! floats.

use std::collections::BTreeMap;

use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::lower::storage::rearrange;
use snn_graph::lower::{LowerOptions, Lowered, Port, lower};
use snn_graph::ops::InputOp;
use snn_graph::passes::{self, PassContext};
use snn_graph::{Graph, Kind, NodeId, Tensor, autodiff};
use snn_jit::{Instance, Kernels, Options, SpikeKernels};
use snn_loops::{Distribution, Dtype, Kernel, RandomKey, draw, interp, verify};
use snnc::Model;

const BATCH: usize = 3;
const KEY: RandomKey = RandomKey { seed: 3, run: 0 };

/// Layers behind spikes of some shape, and the planes that their contractions read, forward ones first.
const NETS: &[(&str, &str, &[usize])] = &[
    ("[16, 9, 10]", "AvgPool2d(2) -> Conv2d(20, 3)", &[3, 3]),
    ("[70, 8, 8]", "AvgPool2d(2) -> Conv2d(33, 3, padding = 0)", &[3, 3]),
    ("[20, 11, 9]", "AvgPool2d(3, stride = 2, padding = 1) -> Conv2d(17, 5, stride = 2)", &[4, 4]),
    ("[16, 6, 6]", "AvgPool2d(2) -> Conv2d(9, 1)", &[3, 3]),
    ("[16, 6, 6]", "AvgPool2d(2) -> Flatten() -> Linear(10)", &[3, 3]),
    ("[16, 6, 6]", "AvgPool2d(2) -> MaxPool2d(2) -> Conv2d(18, 3)", &[1, 1]),
    ("[130]", "Thrice() -> Linear(10)", &[2, 2]),
    ("[16, 8, 8]", "AvgPool2d(4) -> Conv2d(20, 3)", &[1, 1]),
    ("[16, 8, 8]", "AvgPool2d(2) -> Around()", &[1, 1]),
    ("[8, 8, 8]", "AvgPool2d(2) -> Conv2d(20, 3)", &[1, 1]),
    ("[16, 8, 8]", "AvgPool2d(2) -> Conv2d(16, 3, groups = 2)", &[1, 1]),
];

/// The output of a net, and the gradients of a weighted sum of it with respect to the parameters and the spikes.
fn net(shape: &str, layers: &str) -> (Graph, Vec<(String, NodeId)>) {
    let text = format!(
        "use std.layers {{ Conv2d, AvgPool2d, MaxPool2d, Flatten, Linear }}

/// Counts of up to three that are no pool.
layer Thrice()(x: [c]) {{ x + maximum(x, x) + x }}

/// A block that reads counts beside its convolution.
layer Around()(x: [c, h, w]) {{
    let y = x -> Conv2d(c, 3)
    x + y
}}

model Net {{
    input events: spikes{shape}
    time 4
    events -> {layers}
}}
"
    );
    let model = Model::from_text("net.snn", &text, &[]).unwrap_or_else(|error| panic!("{layers}: {error}"));
    let model = passes::run(model.graph(), &PassContext::new(model.graph(), true), None).unwrap();
    let mut graph = model.graph.clone();
    let ty = graph.ty(model.output).with_kind(Kind::Real);
    let seed = graph.push(InputOp { name: "seed".to_owned(), ty }, &[]).unwrap();
    let parameters = model.parameters.iter().map(|parameter| parameter.node);
    let wrt: Vec<NodeId> = parameters.chain(model.inputs.iter().map(|input| input.node)).collect();
    let gradients = autodiff::gradients(&mut graph, &[(model.output, seed)], &wrt).unwrap();
    let mut nodes = vec![model.output];
    nodes.extend(gradients.into_iter().flatten());
    let (graph, nodes) = passes::finish(&graph, &nodes).unwrap();
    (graph, nodes.into_iter().enumerate().map(|(at, node)| (format!("y{at}"), node)).collect())
}

fn lowered((graph, outputs): &(Graph, Vec<(String, NodeId)>), options: LowerOptions) -> Lowered {
    let lowered = lower(graph, outputs, options).unwrap();
    verify::verify(&lowered.program).unwrap_or_else(|errors| panic!("{errors:?}"));
    lowered
}

/// The planes that contractions read, but for gradients of inputs, which read none.
fn planes(lowered: &Lowered) -> Vec<usize> {
    let of = |kernel: &Kernel| match kernel {
        Kernel::Contraction(c) if c.kind != snn_loops::ContractionKind::InputGradient => Some(c.planes),
        _ => None,
    };
    lowered.program.kernels.iter().filter_map(of).collect()
}

fn bindings(lowered: &Lowered, steps: usize, percent: f64) -> BTreeMap<String, Tensor> {
    let tensor = |port: &Port| {
        let unit = |at: usize| draw::element(Distribution::Uniform, KEY, u64::from(port.buffer.0), at as u64);
        let value = |at: usize| match port.ty.kind {
            Kind::Spikes => f64::from(100.0 * unit(at) < percent),
            _ => f64::from((2.0 * unit(at) - 1.0) as f32),
        };
        let dims = port.ty.extents(steps, BATCH);
        let len = dims.iter().product();
        Tensor { dims, data: (0..len).map(value).collect() }
    };
    let name = |port: &Port| port.name.split_once(':').unwrap().1.to_owned();
    lowered.inputs.iter().map(|port| (name(port), tensor(port))).collect()
}

/// A port's samples from the order of the graph to that of memory, or back.
fn each_sample(port: &Port, from: &[f64], to_memory: bool) -> Vec<f64> {
    let mut to = vec![0.0; from.len()];
    let n = port.ty.elements().max(1);
    for (from, to) in from.chunks(n).zip(to.chunks_mut(n)) {
        rearrange(port.layout, &port.ty.dims, from, to, to_memory);
    }
    to
}

/// What a program computes of some values; by the interpreter where no kernels are given.
fn results(lowered: &Lowered, values: &BTreeMap<String, Tensor>, spikes: Option<SpikeKernels>) -> Vec<Vec<f64>> {
    let inputs = lowered.inputs.iter().map(|port| {
        let (_, name) = port.name.split_once(':').unwrap();
        (port.buffer, each_sample(port, &values[name].data, true))
    });
    let read: Vec<Vec<f64>> = match spikes {
        None => {
            let mut memory = interp::Memory::new(&lowered.program);
            inputs.for_each(|(buffer, values)| memory.write(buffer, &values).unwrap());
            interp::run(&lowered.program, &mut memory, KEY).unwrap();
            lowered.outputs.iter().map(|port| memory.buffer(port.buffer).to_vec()).collect()
        }
        Some(spikes) => {
            let options = Options { threads: 2, kernels: Kernels { spikes, ..Kernels::NATIVE } };
            let mut instance = Instance::new(&snn_jit::compile(&lowered.program, &options).unwrap()).unwrap();
            let is_double = lowered.program.dtype == Dtype::F64;
            inputs.for_each(|(buffer, values)| match is_double {
                true => instance.write_f64(buffer, &values).unwrap(),
                false => {
                    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
                    instance.write_f32(buffer, &values).unwrap();
                }
            });
            instance.run(KEY).unwrap();
            let read = |port: &Port| match is_double {
                true => instance.read_f64(port.buffer).unwrap(),
                false => instance.read_f32(port.buffer).unwrap().into_iter().map(f64::from).collect(),
            };
            lowered.outputs.iter().map(read).collect()
        }
    };
    lowered.outputs.iter().zip(read).map(|(port, values)| each_sample(port, &values, false)).collect()
}

#[test]
fn small_counts_are_read_as_planes() {
    for (shape, layers, expected) in NETS {
        let net = net(shape, layers);
        let usual = LowerOptions::new(BATCH, Dtype::F32);
        assert_eq!(planes(&lowered(&net, usual)), *expected, "{shape} -> {layers}");
        for options in [LowerOptions { packed: false, ..usual }, LowerOptions { count_planes: false, ..usual }] {
            assert!(planes(&lowered(&net, options)).iter().all(|planes| *planes == 1), "{shape} -> {layers}");
        }
    }
}

#[test]
fn every_kernel_computes_what_the_graph_means() {
    for (shape, layers, _) in NETS {
        let net = net(shape, layers);
        let (graph, outputs) = &net;
        for percent in [0.0, 5.0, 60.0, 100.0] {
            let double = lowered(&net, LowerOptions::new(BATCH, Dtype::F64));
            let single = lowered(&net, LowerOptions::new(BATCH, Dtype::F32));
            let values = bindings(&double, graph.steps, percent);
            let nodes: Vec<NodeId> = outputs.iter().map(|(_, node)| *node).collect();
            let mut context = EvalContext::new(graph.steps, BATCH, &values);
            let expected = evaluate(graph, &nodes, &mut context).unwrap();
            let ways = SpikeKernels::ALL.map(|spikes| (&single, Some(spikes), 3e-5));
            let ways = [(&double, None, 1e-12), (&double, Some(SpikeKernels::Auto), 1e-12)].into_iter().chain(ways);
            for (lowered, spikes, tolerance) in ways {
                let found = results(lowered, &values, spikes);
                for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let squares: f64 = expected.data.iter().map(|value| value * value).sum();
                    let scale = (squares / expected.data.len() as f64).sqrt().max(1.0);
                    for (found, expected) in found.iter().zip(&expected.data) {
                        let is_close = (found - expected).abs() <= tolerance * scale;
                        assert!(is_close, "{layers}, {percent} %, {spikes:?}: y{at} has {found}, not {expected}");
                    }
                }
            }
        }
    }
}
