//! What the benchmarks run: programs of one contraction, neurons alone, models.
//!
//! Must never time anything: that is what the files under `benches/` are for.

pub mod events;

use snn_jit::{Executable, Instance, JitError, Options, compile};
use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Dtype, Extent, Ix, Kernel, Launch, LoopKind,
    NestBuilder, Operand, Program, RandomKey, Role, WeightValues,
};
use snnc::graph::autodiff;
use snnc::graph::lower::LowerOptions;
use snnc::graph::passes::{self, PassContext};
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
    let mut contraction = Contraction {
        name: case.name.to_owned(),
        kind,
        shape,
        rows,
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        a,
        b,
        out,
    };
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

/// How often a run of [`spiking_contraction`] contracts the spikes that it packs once: packing then takes less than a
/// fortieth of the time of even the fastest contraction of a residual network.
pub const CONTRACTIONS: usize = 16;

/// A contraction of packed spikes over so many images, of which each has the same spikes in so many percent of its places;
/// a run packs them once and contracts them [`CONTRACTIONS`] times. The channels must fill whole words.
///
/// # Errors
/// If it cannot be compiled.
pub fn spiking_contraction(
    case: &Case,
    kind: ContractionKind,
    percent: u32,
    rows: usize,
    threads: usize,
) -> Result<Instance, JitError> {
    let shape = case.shape();
    let mut program = Program::new(Dtype::F32);
    let operand = Operand::whole(BufferId(0));
    let (a, b, out) = (operand.clone(), operand.clone(), operand);
    let mut contraction = Contraction {
        name: case.name.to_owned(),
        kind,
        shape,
        rows,
        packed: true,
        planes: 1,
        weights: WeightValues::Any,
        a,
        b,
        out,
    };
    let [a_len, b_len, out_len] = contraction.lengths();
    let image = a_len / rows.max(1);
    let floats = program.add_buffer("image", image, Role::Input);
    contraction.a = Operand::whole(program.add_packed_buffer("spikes", a_len));
    let b = program.add_buffer("b", b_len, Role::Input);
    contraction.b = Operand::whole(b);
    contraction.out = Operand::whole(program.add_buffer("out", out_len, Role::Output));
    let mut pack = NestBuilder::new("pack");
    let (row, lane) = (pack.fresh_var(), pack.fresh_var());
    pack.open(row, Extent::Fixed(rows), LoopKind::Parallel);
    pack.open(lane, Extent::Fixed(image), LoopKind::Lanes);
    let spike = pack.load(Access::new(floats, Ix::var(lane)));
    let to = Ix::var(row).times(image as i64).plus(&Ix::var(lane));
    pack.store(Access::new(contraction.a.buffer, to), spike);
    let pack = program.add_kernel(Kernel::Nest(pack.finish()));
    let contract = vec![Launch::Run(program.add_kernel(Kernel::Contraction(contraction)))];
    program.launches.push(Launch::Run(pack));
    program.launches.push(Launch::Repeat { steps: CONTRACTIONS, reverse: false, body: contract });
    let mut instance = Instance::new(&compile(&program, &Options::native(threads))?)?;
    instance.slice_f32_mut(b)?.fill(1.0);
    let mut state = 1;
    for spike in instance.slice_f32_mut(floats)? {
        *spike = f32::from(u8::from(below_100(&mut state) < percent));
    }
    Ok(instance)
}

/// The next of some numbers without a pattern, from 0 to 99 (Marsaglia's xorshift).
fn below_100(state: &mut u64) -> u32 {
    for shift in [13, -7, 17] {
        *state ^= if shift > 0 { *state << shift } else { *state >> -shift };
    }
    (*state >> 32) as u32 % 100
}

/// A model of a text.
///
/// # Errors
/// If it has errors.
pub fn model(name: &str, text: &str, overrides: &[(&str, &str)]) -> Result<Model> {
    Model::from_text(name, text, overrides)
}

/// Which neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neurons {
    /// As the example has them: a smooth surrogate and a reset with a gradient, so that the backward pass needs the
    /// membrane potential.
    Smooth,
    /// A rectangle as surrogate and a detached reset, so that the backward pass needs two bits.
    Compact,
}

impl Neurons {
    /// The model. Currents of 0 to 2.2 come from outside, so that the program does nothing but neurons.
    fn text(self) -> String {
        let text = NEURONS.replace("2.2 * current", "current");
        match self {
            Neurons::Smooth => text,
            Neurons::Compact => text
                .replace("std.surrogates { atan }", "std.surrogates { rect }")
                .replace("atan(alpha = 2.0)", "rect(a = 1.0), detach_reset = true"),
        }
    }
}

/// Neurons with their input in place; what they give is their firing rate, for which their spikes are
/// kept, and with `backward` the gradient of a weighted sum of the spikes.
///
/// # Errors
/// If they cannot be compiled.
pub fn neurons(which: Neurons, backward: bool, threads: usize) -> Result<Step> {
    let neurons = model("lif.snn", &which.text(), &[])?.graph().clone();
    let passed = passes::run(&neurons, &PassContext::new(&neurons, true), None)?;
    let mut graph = passed.graph.clone();
    let ty = Ty::signal(true, &graph.ty(passed.output).dims);
    let everything = Axes { time: true, batch: true, dims: vec![0] };
    let mut outputs = vec![("rate".to_owned(), graph.mean(passed.output, &everything)?)];
    let weight = graph.push(InputOp { name: "weight".to_owned(), ty: ty.clone() }, &[])?;
    if backward {
        let currents: Vec<NodeId> = passed.inputs.iter().map(|input| input.node).collect();
        let gradients = autodiff::gradients(&mut graph, &[(passed.output, weight)], &currents)?;
        outputs.extend(gradients.into_iter().flatten().map(|gradient| ("gradient".to_owned(), gradient)));
    }
    let (names, nodes): (Vec<String>, Vec<NodeId>) = outputs.into_iter().unzip();
    let (graph, nodes) = passes::finish(&graph, &nodes)?;
    let outputs: Vec<(String, NodeId)> = names.into_iter().zip(nodes).collect();
    let weight = Input { name: "weight".to_owned(), kind: InputKind::Frames, dims: ty.dims, node: passed.output };
    let mut step = Step::new(&graph, &outputs, LowerOptions::new(1, Float::F32), Device::cpu(threads))?;
    for input in passed.inputs.iter().chain([&weight]) {
        let values: Vec<f32> = random_values(input, neurons.time, 1, 1).iter().map(|value| 2.2 * value).collect();
        step.set_f32(&format!("input:{}", input.name), &values)?;
    }
    Ok(step)
}

/// A program that copies so many floats.
///
/// # Errors
/// If it cannot be compiled.
pub fn copy(elements: usize, threads: usize) -> Result<Instance, JitError> {
    const BLOCK: usize = 1 << 13;
    let mut program = Program::new(Dtype::F32);
    let from = program.add_buffer("from", elements, Role::Input);
    let to = program.add_buffer("to", elements, Role::Output);
    let mut nest = NestBuilder::new("copy");
    let (block, lane) = (nest.fresh_var(), nest.fresh_var());
    nest.open(block, Extent::Fixed(elements.div_ceil(BLOCK)), LoopKind::Parallel);
    nest.open(lane, Extent::Block { block, size: BLOCK, total: elements }, LoopKind::Lanes);
    let at = Ix::var(block).times(BLOCK as i64).plus(&Ix::var(lane));
    let value = nest.load(Access::new(from, at.clone()));
    nest.store(Access::new(to, at), value);
    let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
    program.launches.push(Launch::Run(kernel));
    let mut instance = Instance::new(&compile(&program, &Options::native(threads))?)?;
    instance.slice_f32_mut(from)?.fill(1.0);
    Ok(instance)
}

/// Unwraps what a benchmark cannot go on without.
pub fn must<T, E: std::fmt::Display>(result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
