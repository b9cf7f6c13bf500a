//! Every op, lowered and interpreted, gives what its reference evaluation gives; so do its gradients and small networks.

use std::collections::BTreeMap;

use snn_graph::Axes;
use snn_graph::eval::{EvalContext, evaluate};
use snn_graph::lower::storage::rearrange;
use snn_graph::lower::{LowerOptions, Port, lower};
use snn_graph::op::{Lowering, Sample};
use snn_graph::ops::reduce::Reducer;
use snn_graph::ops::{InputOp, Reduce};
use snn_graph::{Graph, Kind, NodeId, Op, OpRule, Tensor, Ty, autodiff};
use snn_loops::{Dtype, RandomKey, draw, interp, verify};

const STEPS: usize = 3;
const BATCH: usize = 2;

fn random(ty: &Ty, range: (f64, f64), stream: u64) -> Tensor {
    let key = RandomKey { seed: 11, run: 0 };
    let dims = ty.extents(STEPS, BATCH);
    let len: usize = dims.iter().product();
    let unit = |e: usize| draw::element(draw::Distribution::Uniform, key, stream, e as u64);
    let value = |e: usize| match ty.kind {
        Kind::Truth | Kind::Spikes => unit(e).round(),
        Kind::Scaled | Kind::Counts | Kind::Real => range.0 + (range.1 - range.0) * unit(e),
    };
    Tensor { dims, data: (0..len).map(value).collect() }
}

fn each_sample(port: &Port, from: &[f64], to_memory: bool) -> Vec<f64> {
    let mut to = vec![0.0; from.len()];
    let n = port.ty.elements().max(1);
    for (from, to) in from.chunks(n).zip(to.chunks_mut(n)) {
        rearrange(port.layout, &port.ty.dims, from, to, to_memory);
    }
    to
}

/// Lowers, interprets and compares with the reference, output by output.
fn check(what: &str, graph: &Graph, outputs: &[(String, NodeId)], bindings: &BTreeMap<String, Tensor>) {
    let ids: Vec<NodeId> = outputs.iter().map(|(_, id)| *id).collect();
    let mut context = EvalContext::new(graph.steps, BATCH, bindings);
    let expected = evaluate(graph, &ids, &mut context).unwrap_or_else(|e| panic!("{what}: {e}"));
    let lowered = lower(graph, outputs, LowerOptions::new(BATCH, Dtype::F64)).unwrap_or_else(|e| panic!("{what}: {e}"));
    if let Err(errors) = verify::verify(&lowered.program) {
        panic!("{what}: {}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    }
    let mut memory = interp::Memory::new(&lowered.program);
    for port in &lowered.inputs {
        let name = port.name.split_once(':').map_or("", |(_, name)| name);
        memory.write(port.buffer, &each_sample(port, &bindings[name].data, true)).unwrap();
    }
    interp::run(&lowered.program, &mut memory, context.key).unwrap_or_else(|e| panic!("{what}: {e}"));
    for (port, expected) in lowered.outputs.iter().zip(&expected) {
        let found = each_sample(port, memory.buffer(port.buffer), false);
        assert_eq!(found.len(), expected.data.len(), "{what}: {}", port.name);
        for (at, (found, expected)) in found.iter().zip(&expected.data).enumerate() {
            let close = (found - expected).abs() <= 1e-11 * expected.abs().max(1.0);
            let same = close || found.is_nan() && expected.is_nan() || found == expected;
            assert!(same, "{what}: {} [{at}] is {found}, not {expected}", port.name);
        }
    }
}

type Built = (Graph, Vec<NodeId>, NodeId, BTreeMap<String, Tensor>);

/// The sample's op on inputs, with bindings for them.
fn build(sample: &Sample) -> Option<Built> {
    let mut graph = Graph::new(STEPS);
    let mut bindings = BTreeMap::new();
    let mut inputs = Vec::new();
    for (i, (ty, range)) in sample.inputs.iter().zip(&sample.ranges).enumerate() {
        let name = format!("x{i}");
        bindings.insert(name.clone(), random(ty, *range, i as u64));
        inputs.push(graph.push(InputOp { name, ty: ty.clone() }, &[]).ok()?);
    }
    let node = graph.push(sample.op.clone(), &inputs).ok()?;
    match &sample.op {
        Op::InputOp(op) => drop(bindings.insert(op.name.clone(), random(&op.ty, (-1.0, 1.0), 90))),
        Op::ParamOp(op) => drop(bindings.insert(op.path.clone(), random(&op.ty, (-1.0, 1.0), 91))),
        Op::AverageOp(op) => drop(bindings.insert(op.path.clone(), random(&Ty::fixed(&op.dims), (-1.0, 1.0), 92))),
        _ => {}
    }
    Some((graph, inputs, node, bindings))
}

fn results(graph: &mut Graph, node: NodeId) -> Vec<NodeId> {
    match graph.node(node).op.clone() {
        Op::Scan(scan) => (0..scan.n_results()).map(|i| graph.project(node, i).unwrap()).collect(),
        _ => vec![node],
    }
}

fn named(prefix: &str, ids: &[NodeId]) -> Vec<(String, NodeId)> {
    ids.iter().enumerate().map(|(i, id)| (format!("{prefix}{i}"), *id)).collect()
}

#[test]
fn every_op_lowers_to_what_it_means() {
    let mut seen = 0;
    for sample in Op::all_samples() {
        let what = format!("{} {}", sample.op.name(), sample.op.attributes());
        let Some((mut graph, _, node, bindings)) = build(&sample) else { panic!("{what}: the sample does not fit") };
        if matches!(sample.op.lower(), Lowering::Unlowered(_)) {
            continue;
        }
        let outputs = named("y", &results(&mut graph, node));
        check(&what, &graph, &outputs, &bindings);
        seen += 1;
    }
    assert!(seen > 40, "only {seen} samples");
}

/// Large enough for parts: some lanes kept, of parts that are not all as long; a single sum; a single sum side by side.
#[test]
fn reductions_in_parts() {
    for dims in [&[301, 173][..], &[40007], &[40000]] {
        let mut graph = Graph::new(STEPS);
        let ty = Ty::fixed(dims);
        let x = graph.push(InputOp { name: "x".into(), ty: ty.clone() }, &[]).unwrap();
        let axes = Axes { dims: vec![0], ..Axes::default() };
        let reduced: Vec<NodeId> = [Reducer::Deviation, Reducer::Sum, Reducer::Max, Reducer::Min]
            .map(|reducer| graph.push(Reduce { reducer, axes: axes.clone() }, &[x]).unwrap())
            .into();
        let bindings = BTreeMap::from([("x".to_owned(), random(&ty, (99.0, 101.0), 3))]);
        check(&format!("reductions of {dims:?}"), &graph, &named("y", &reduced), &bindings);
    }
}

#[test]
fn every_gradient_lowers_to_what_it_means() {
    let mut seen = 0;
    for sample in Op::all_samples() {
        let what = format!("gradient of {} {}", sample.op.name(), sample.op.attributes());
        if matches!(sample.op.lower(), Lowering::Unlowered(_) | Lowering::Draw(..)) {
            continue;
        }
        let Some((mut graph, inputs, node, mut bindings)) = build(&sample) else { panic!("{what}: does not fit") };
        let results = results(&mut graph, node);
        let mut seeds = Vec::new();
        for (i, result) in results.iter().enumerate() {
            let ty = graph.ty(*result).with_kind(Kind::Real);
            let name = format!("seed{i}");
            bindings.insert(name.clone(), random(&ty, (-1.0, 1.0), 50 + i as u64));
            seeds.push((*result, graph.push(InputOp { name, ty }, &[]).unwrap()));
        }
        let gradients = autodiff::gradients(&mut graph, &seeds, &inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
        let outputs = named("g", &gradients.into_iter().flatten().collect::<Vec<_>>());
        if outputs.is_empty() {
            continue;
        }
        check(&what, &graph, &outputs, &bindings);
        seen += 1;
    }
    assert!(seen > 30, "only {seen} samples");
}
