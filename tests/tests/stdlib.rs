//! Every item of the standard library, forwards and backwards, on every back end: reference evaluation, interpreter and
//! compiled code agree in f64, interpreter and compiled code in f32, and the compiled bits do not depend on the threads.
//!
//! The list of items is read from the library itself (`snn_gpu_check::library`).

use std::collections::BTreeMap;

use snn_gpu_check::library::models;
use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::lower::storage::rearrange;
use snn_graph::lower::{LowerOptions, Lowered, Port, lower};
use snn_graph::ops::InputOp;
use snn_graph::passes::{self, PassContext};
use snn_graph::{Graph, Kind, Model, NodeId, Tensor, Ty, autodiff};
use snn_jit::{Instance, Kernels, Options, SpikeKernels};
use snn_lang::compile;
use snn_lang::source::NoFiles;
use snn_loops::{Distribution, Dtype, RandomKey, draw, interp};

const BATCH: usize = 3;
const KEY: RandomKey = RandomKey { seed: 3, run: 1 };

fn values(ty: &Ty, steps: usize, stream: u64) -> Tensor {
    let dims = ty.extents(steps, BATCH);
    let len: usize = dims.iter().product();
    let unit = |e: usize| draw::element(Distribution::Uniform, KEY, stream, e as u64);
    // Exact in f32, so that all precisions see the same numbers.
    Tensor { dims, data: (0..len).map(|e| f64::from((2.5 * unit(e) - 0.5) as f32)).collect() }
}

/// The item's result and its gradients, with values for all that they read.
fn problem(model: &Model) -> (Graph, Vec<(String, NodeId)>, BTreeMap<String, Tensor>) {
    let mut graph = model.graph.clone();
    let mut bindings = BTreeMap::new();
    for (at, input) in model.inputs.iter().enumerate() {
        bindings.insert(input.name.clone(), values(graph.ty(input.node), graph.steps, at as u64));
    }
    for (at, parameter) in model.parameters.iter().enumerate() {
        bindings.insert(parameter.path.clone(), values(graph.ty(parameter.node), graph.steps, 20 + at as u64));
    }
    for average in &model.averages {
        bindings.insert(average.path.clone(), Tensor::full(&average.dims, average.start));
    }
    let ty = graph.ty(model.output).with_kind(Kind::Real);
    bindings.insert("seed".into(), values(&ty, graph.steps, 99));
    let seed = graph.push(InputOp { name: "seed".into(), ty }, &[]).unwrap();
    let wrt: Vec<NodeId> =
        model.parameters.iter().map(|p| p.node).chain(model.inputs.iter().map(|input| input.node)).collect();
    let gradients = autodiff::gradients(&mut graph, &[(model.output, seed)], &wrt).unwrap();
    let mut outputs = vec![("y".to_owned(), model.output)];
    outputs.extend(gradients.into_iter().flatten().enumerate().map(|(at, g)| (format!("gradient {at}"), g)));
    (graph, outputs, bindings)
}

fn arranged(port: &Port, from: &[f64], to_memory: bool) -> Vec<f64> {
    let mut to = vec![0.0; from.len()];
    let n = port.ty.elements().max(1);
    for (from, to) in from.chunks(n).zip(to.chunks_mut(n)) {
        rearrange(port.layout, &port.ty.dims, from, to, to_memory);
    }
    to
}

fn inputs(lowered: &Lowered, bindings: &BTreeMap<String, Tensor>) -> Vec<(snn_loops::BufferId, Vec<f64>)> {
    let value = |port: &Port| &bindings[port.name.split_once(':').map_or("", |(_, name)| name)].data;
    lowered.inputs.iter().map(|port| (port.buffer, arranged(port, value(port), true))).collect()
}

fn compiled(
    lowered: &Lowered,
    bindings: &BTreeMap<String, Tensor>,
    threads: usize,
    spikes: SpikeKernels,
) -> Vec<Vec<f64>> {
    let options = Options { threads, kernels: Kernels { spikes, ..Kernels::NATIVE } };
    let executable = snn_jit::compile(&lowered.program, &options).unwrap();
    let mut instance = Instance::new(&executable).unwrap();
    for (buffer, values) in inputs(lowered, bindings) {
        match lowered.program.dtype {
            Dtype::F64 => instance.write_f64(buffer, &values).unwrap(),
            Dtype::F32 => instance.write_f32(buffer, &values.iter().map(|v| *v as f32).collect::<Vec<_>>()).unwrap(),
        }
    }
    instance.run(KEY).unwrap();
    let read = |port: &Port| match lowered.program.dtype {
        Dtype::F64 => instance.read_f64(port.buffer).unwrap(),
        Dtype::F32 => instance.read_f32(port.buffer).unwrap().into_iter().map(f64::from).collect(),
    };
    lowered.outputs.iter().map(|port| arranged(port, &read(port), false)).collect()
}

fn interpreted(lowered: &Lowered, bindings: &BTreeMap<String, Tensor>) -> Vec<Vec<f64>> {
    let mut memory = interp::Memory::new(&lowered.program);
    for (buffer, values) in inputs(lowered, bindings) {
        memory.write(buffer, &values).unwrap();
    }
    interp::run(&lowered.program, &mut memory, KEY).unwrap();
    lowered.outputs.iter().map(|port| arranged(port, memory.buffer(port.buffer), false)).collect()
}

fn same(what: &str, names: &[(String, NodeId)], found: &[Vec<f64>], expected: &[Vec<f64>], tolerance: f64) {
    for (((name, _), found), expected) in names.iter().zip(found).zip(expected) {
        let scale = expected.iter().fold(1.0f64, |most, v| most.max(v.abs()));
        assert_eq!(found.len(), expected.len(), "{what}: {name}");
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            let close = (found - expected).abs() <= tolerance * scale;
            assert!(close || found == expected, "{what}: {name} [{at}] is {found}, not {expected}");
        }
    }
}

#[test]
fn every_item_agrees_on_every_back_end() {
    let models = models();
    assert!(models.len() > 30, "only {} items", models.len());
    for (name, text) in models {
        let compiled_text = compile(&NoFiles, &name, &text, &Default::default());
        let said = snn_lang::render::render_all(&compiled_text.diagnostics, &compiled_text.sources, false);
        assert!(!compiled_text.has_errors(), "{name}:\n{text}\n{said}");
        for training in [true, false] {
            let model = &compiled_text.models[0].model;
            let model = passes::run(model, &PassContext::new(model, training), None).unwrap();
            let (graph, outputs, bindings) = problem(&model);
            let what = format!("{name}, training {training}");
            let ids: Vec<NodeId> = outputs.iter().map(|(_, id)| *id).collect();
            let mut context = EvalContext::new(graph.steps, BATCH, &bindings);
            context.key = KEY;
            context.training = training;
            let reference = evaluate(&graph, &ids, &mut context).unwrap_or_else(|e| panic!("{what}: {e}"));
            let reference: Vec<Vec<f64>> = reference.into_iter().map(|tensor| tensor.data).collect();
            let lowered = |dtype, packed| {
                let options = LowerOptions { packed, ..LowerOptions::new(BATCH, dtype) };
                lower(&graph, &outputs, options).unwrap_or_else(|e| panic!("{what}: {e}"))
            };
            let [double, single] = [Dtype::F64, Dtype::F32].map(|dtype| lowered(dtype, true));
            same(&format!("{what}, interpreter"), &outputs, &interpreted(&double, &bindings), &reference, 1e-11);
            let one = compiled(&double, &bindings, 1, SpikeKernels::Auto);
            same(&format!("{what}, compiled f64"), &outputs, &one, &reference, 1e-11);
            assert_eq!(one, compiled(&double, &bindings, 2, SpikeKernels::Auto), "{what}: threads change bits");
            let expected = interpreted(&single, &bindings);
            for spikes in [SpikeKernels::Sparse, SpikeKernels::Dense] {
                let found = compiled(&single, &bindings, 2, spikes);
                same(&format!("{what}, compiled f32, {spikes:?}"), &outputs, &found, &expected, 1e-4);
            }
            // Bits in memory change no value that is no sum.
            let floats = lowered(Dtype::F64, false);
            let found = compiled(&floats, &bindings, 2, SpikeKernels::Auto);
            same(&format!("{what}, not packed"), &outputs, &found, &reference, 1e-11);
        }
    }
}
