//! Every op and its gradient, compiled by the CPU back end, gives what the interpreter gives: in f64 and f32, for one and
//! two threads.

use snn_graph::lower::{LowerOptions, Lowered, lower};
use snn_graph::op::Lowering;
use snn_graph::ops::InputOp;
use snn_graph::{Graph, NodeId, Op, OpRule, Ty, autodiff};
use snn_jit::{Instance, Kernels, Options, SpikeKernels};
use snn_loops::{BufferId, Distribution, Dtype, Kernel, RandomKey, Role, draw, interp};

const STEPS: usize = 3;
/// Odd and larger than a vector, so that lanes have remainders.
const BATCH: usize = 7;
const KEY: RandomKey = RandomKey { seed: 5, run: 2 };

/// Values for every input of a program, in the program's type.
fn fill(lowered: &Lowered, ranges: &[(f64, f64)]) -> Vec<(BufferId, Vec<f64>)> {
    let mut values = Vec::new();
    for (id, buffer) in lowered.program.buffers.iter().enumerate() {
        if buffer.role != Role::Input {
            continue;
        }
        let number = buffer.name.rsplit('x').next().and_then(|n| n.parse::<usize>().ok());
        let (low, high) = number.and_then(|n| ranges.get(n)).copied().unwrap_or((-1.0, 1.0));
        let unit = |e: usize| draw::element(Distribution::Uniform, KEY, id as u64, e as u64);
        let data = (0..buffer.len).map(|e| f64::from((low + (high - low) * unit(e)) as f32)).collect();
        values.push((BufferId(id as u32), data));
    }
    values
}

fn compiled(lowered: &Lowered, inputs: &[(BufferId, Vec<f64>)], threads: usize, spikes: SpikeKernels) -> Vec<Vec<f64>> {
    let options = Options { threads, kernels: Kernels { spikes, ..Kernels::NATIVE } };
    let executable = snn_jit::compile(&lowered.program, &options).unwrap();
    let mut instance = Instance::new(&executable).unwrap();
    for (buffer, values) in inputs {
        match lowered.program.dtype {
            Dtype::F64 => instance.write_f64(*buffer, values).unwrap(),
            Dtype::F32 => {
                let values: Vec<f32> = values.iter().map(|v| *v as f32).collect();
                instance.write_f32(*buffer, &values).unwrap();
            }
        }
    }
    instance.run(KEY).unwrap();
    let read = |buffer: BufferId| match lowered.program.dtype {
        Dtype::F64 => instance.read_f64(buffer).unwrap(),
        Dtype::F32 => instance.read_f32(buffer).unwrap().into_iter().map(f64::from).collect(),
    };
    lowered.outputs.iter().map(|port| read(port.buffer)).collect()
}

/// Compares the back end with the interpreter: to the bit, or within `tolerance` where a contraction may sum in its own order.
fn check(what: &str, graph: &Graph, outputs: &[(String, NodeId)], ranges: &[(f64, f64)]) {
    // Kernels of spikes differ in f32 alone, and only where spikes are packed.
    const WAYS: [(Dtype, bool, SpikeKernels); 4] = [
        (Dtype::F64, true, SpikeKernels::Auto),
        (Dtype::F32, true, SpikeKernels::Sparse),
        (Dtype::F32, true, SpikeKernels::Dense),
        (Dtype::F32, false, SpikeKernels::Auto),
    ];
    for (dtype, packed, spikes) in WAYS {
        let what = format!("{what}, {dtype:?}, packed {packed}, {spikes:?}");
        let options = LowerOptions { packed, ..LowerOptions::new(BATCH, dtype) };
        let lowered = lower(graph, outputs, options).unwrap_or_else(|e| panic!("{what}: {e}"));
        let inputs = fill(&lowered, ranges);
        let mut memory = interp::Memory::new(&lowered.program);
        for (buffer, values) in &inputs {
            memory.write(*buffer, values).unwrap();
        }
        interp::run(&lowered.program, &mut memory, KEY).unwrap_or_else(|e| panic!("{what}: {e}"));
        let exact = !lowered.program.kernels.iter().any(|kernel| matches!(kernel, Kernel::Contraction(_)));
        let tolerance = match dtype {
            _ if exact => 0.0,
            Dtype::F64 => 1e-12,
            Dtype::F32 => 2e-5,
        };
        let one = compiled(&lowered, &inputs, 1, spikes);
        let two = compiled(&lowered, &inputs, 2, spikes);
        for ((port, one), two) in lowered.outputs.iter().zip(&one).zip(&two) {
            let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(one), bits(two), "{what}: threads change {}", port.name);
            for (at, (found, expected)) in one.iter().zip(memory.buffer(port.buffer)).enumerate() {
                let same = found == expected || found.is_nan() && expected.is_nan();
                let close = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
                assert!(same || close, "{what}: {} [{at}] is {found}, not {expected}", port.name);
            }
        }
    }
}

fn cases(mut visit: impl FnMut(&str, Graph, Vec<NodeId>, Vec<NodeId>, &[(f64, f64)])) -> usize {
    let mut seen = 0;
    for sample in Op::all_samples() {
        if matches!(sample.op.lower(), Lowering::Unlowered(_)) {
            continue;
        }
        let what = format!("{} {}", sample.op.name(), sample.op.attributes());
        let mut graph = Graph::new(STEPS);
        let input =
            |graph: &mut Graph, i: usize, ty: &Ty| graph.push(InputOp { name: format!("x{i}"), ty: ty.clone() }, &[]);
        let inputs: Vec<NodeId> =
            sample.inputs.iter().enumerate().map(|(i, ty)| input(&mut graph, i, ty).unwrap()).collect();
        let node = graph.push(sample.op.clone(), &inputs).unwrap();
        let results = match &sample.op {
            Op::Scan(scan) => (0..scan.n_results()).map(|i| graph.project(node, i).unwrap()).collect(),
            _ => vec![node],
        };
        visit(&what, graph, inputs, results, &sample.ranges);
        seen += 1;
    }
    seen
}

fn named(ids: &[NodeId]) -> Vec<(String, NodeId)> {
    ids.iter().enumerate().map(|(i, id)| (format!("y{i}"), *id)).collect()
}

#[test]
fn every_op_compiles_to_what_it_means() {
    let seen = cases(|what, graph, _, results, ranges| check(what, &graph, &named(&results), ranges));
    assert!(seen > 40, "only {seen} samples");
}

#[test]
fn every_gradient_compiles_to_what_it_means() {
    cases(|what, mut graph, inputs, results, ranges| {
        let seed = |graph: &mut Graph, (i, result): (usize, &NodeId)| {
            let ty = graph.ty(*result).with_kind(snn_graph::Kind::Real);
            (*result, graph.push(InputOp { name: format!("seed{i}"), ty }, &[]).unwrap())
        };
        let seeds: Vec<(NodeId, NodeId)> = results.iter().enumerate().map(|at| seed(&mut graph, at)).collect();
        let gradients = autodiff::gradients(&mut graph, &seeds, &inputs).unwrap_or_else(|e| panic!("{what}: {e}"));
        let gradients: Vec<NodeId> = gradients.into_iter().flatten().collect();
        if !gradients.is_empty() {
            check(&format!("gradient of {what}"), &graph, &named(&gradients), ranges);
        }
    });
}
