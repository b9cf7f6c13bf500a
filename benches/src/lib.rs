//! What the benchmarks run: programs of one contraction, neurons alone, models.
//!
//! Must never time anything: that is what the files under `benches/` are for.

use snn_jit::{Executable, Instance, JitError, Options, compile};
use snn_loops::{
    BufferId, Contraction, ContractionKind, ConvShape, Dtype, Kernel, Launch, Operand, Program, RandomKey, Role,
};
use snnc::graph::passes::{self, PassContext};
use snnc::graph::training::gradient_graph;
use snnc::graph::{Axes, Input, InputKind, NodeId, Ty, ops::InputOp};
use snnc::runtime::noise::random_values;
use snnc::runtime::step::Step;
use snnc::{Device, Dtype as Float, Model, Result};

/// The key of every run: the same random numbers each time.
pub const KEY: RandomKey = RandomKey { seed: 1, run: 0 };

/// Neurons alone.
pub const NEURONS: &str = include_str!("../../examples/bench/lif.snn");
/// A network of two layers.
pub const MLP: &str = include_str!("../../examples/bench/mlp.snn");
/// The residual network of nineteen layers.
pub const RESNET19: &str = include_str!("../../examples/models/tdbn_resnet19.snn");

/// A contraction of a residual network.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// Channels in and out.
    pub channels: [usize; 2],
    /// Side of the input image.
    pub side: usize,
    /// Side of the kernel.
    pub kernel: usize,
    /// Distance between outputs.
    pub stride: usize,
}

impl Case {
    /// The geometry, with as many zeros around the image as keep its size at stride 1.
    pub fn shape(&self) -> ConvShape {
        let (pad, out) = (self.kernel / 2, self.side.div_ceil(self.stride));
        ConvShape {
            cin: self.channels[0],
            cout: self.channels[1],
            groups: 1,
            input: [self.side; 2],
            kernel: [self.kernel; 2],
            stride: [self.stride; 2],
            pad: [pad; 2],
            dilation: [1, 1],
            output: [out; 2],
        }
    }
}

const fn case(name: &'static str, channels: [usize; 2], side: usize, kernel: usize, stride: usize) -> Case {
    Case { name, channels, side, kernel, stride }
}

/// Every shape of ResNet-19.
pub const RESNET19_CONTRACTIONS: [Case; 9] = [
    case("stem", [3, 128], 32, 3, 1),
    case("stage1", [128, 128], 32, 3, 1),
    case("stage2_first", [128, 256], 32, 3, 2),
    case("stage2_skip", [128, 256], 32, 1, 2),
    case("stage2", [256, 256], 16, 3, 1),
    case("stage3_first", [256, 512], 16, 3, 2),
    case("stage3_skip", [256, 512], 16, 1, 2),
    case("stage3", [512, 512], 8, 3, 1),
    case("head", [512, 256], 1, 1, 1),
];

/// A contraction over so many images, with ones as its operands.
///
/// # Errors
/// If it cannot be compiled.
pub fn contraction(case: &Case, kind: ContractionKind, rows: usize, threads: usize) -> Result<Instance, JitError> {
    let shape = case.shape();
    let mut program = Program::new(Dtype::F32);
    let operand = Operand::whole(BufferId(0));
    let (a, b, out) = (operand.clone(), operand.clone(), operand);
    let mut contraction = Contraction { name: case.name.to_owned(), kind, shape, rows, packed: false, a, b, out };
    let [a_len, b_len, out_len] = contraction.lengths();
    let mut buffer = |name: &str, len, role| Operand::whole(program.add_buffer(name, len, role));
    contraction.a = buffer("a", a_len, Role::Input);
    contraction.b = buffer("b", b_len, Role::Input);
    contraction.out = buffer("out", out_len, Role::Output);
    let (a, b) = (contraction.a.buffer, contraction.b.buffer);
    let kernel = program.add_kernel(Kernel::Contraction(contraction));
    program.launches.push(Launch::Run(kernel));
    let executable: Executable = compile(&program, &Options::native(threads))?;
    let mut instance = Instance::new(&executable)?;
    for buffer in [a, b] {
        instance.slice_f32_mut(buffer)?.fill(1.0);
    }
    Ok(instance)
}

/// A model of a text.
///
/// # Errors
/// If it has errors.
pub fn model(name: &str, text: &str, overrides: &[(&str, &str)]) -> Result<Model> {
    Model::from_text(name, text, overrides)
}

/// Neurons with their input in place.
///
/// # Errors
/// If they cannot be compiled.
pub fn neurons(backward: bool, threads: usize) -> Result<Step> {
    let mut graph = model("lif.snn", NEURONS, &[])?.graph().clone();
    let outputs: Vec<(String, NodeId)>;
    let compiled = if backward {
        // The gradient of a weighted sum of the spikes, with weights that are given.
        let ty = Ty::signal(true, &graph.graph.ty(graph.output).dims);
        let weight = graph.graph.push(InputOp { name: "weight".to_owned(), ty: ty.clone() }, &[])?;
        let weighted = graph.graph.mul(graph.output, weight)?;
        let axes = Axes { time: true, dims: vec![0], ..Axes::default() };
        graph.loss = Some(graph.graph.sum(weighted, &axes)?);
        graph.targets =
            vec![Input { name: "weight".to_owned(), kind: InputKind::Frames, dims: ty.dims.clone(), node: weight }];
        let passed = passes::run(&graph, &PassContext::new(&graph, true), None)?;
        let plan = gradient_graph(&passed, true)?;
        outputs = plan.outputs.into_iter().filter(|(name, _)| name == "grad:current").collect();
        plan.graph
    } else {
        let passed = passes::run(&graph, &PassContext::new(&graph, false), None)?;
        outputs = vec![("spikes".to_owned(), passed.output)];
        passed.graph
    };
    let mut step = Step::new(&compiled, &outputs, 1, Float::F32, Device::cpu(threads))?;
    for input in graph.inputs.iter().chain(&graph.targets) {
        step.set_f32(&format!("input:{}", input.name), &random_values(input, graph.graph.steps, 1, 1))?;
    }
    Ok(step)
}

/// Unwraps what a benchmark cannot go on without.
pub fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
