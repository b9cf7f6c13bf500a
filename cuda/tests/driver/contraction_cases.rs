//! Contractions of every kind and shape as one program, and what their results may differ by.

use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Dtype, Extent, Ix, Kernel, Launch, LoopKind,
    NestBuilder, Operand, Program, Role, WORD, WeightValues,
};

/// A contraction of a program, between inputs and an output that a host can reach.
pub struct Case {
    pub label: String,
    pub inputs: [BufferId; 2],
    /// Whether the first input holds zeros and ones.
    pub is_spikes: bool,
    pub output: BufferId,
}

/// A convolution whose output is as large as its input and padding allow.
pub fn convolution(channels: [usize; 2], input: [usize; 2], kernel: [usize; 2]) -> ConvShape {
    geometry(channels, 1, input, kernel, [1, 1], [kernel[0] / 2, kernel[1] / 2], [1, 1])
}

fn geometry(
    [cin, cout]: [usize; 2],
    groups: usize,
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    pad: [usize; 2],
    dilation: [usize; 2],
) -> ConvShape {
    let output =
        [0, 1].map(|axis| (input[axis] + 2 * pad[axis] - dilation[axis] * (kernel[axis] - 1) - 1) / stride[axis] + 1);
    ConvShape { cin, cout, groups, input, kernel, stride, pad, dilation, output }
}

/// Shapes with their number of images. Few are multiples of anything.
pub fn shapes() -> Vec<(&'static str, ConvShape, usize)> {
    vec![
        ("few products", convolution([3, 5], [4, 5], [3, 3]), 2),
        ("linear", ConvShape::linear(100, 70), 33),
        ("linear, few outputs", ConvShape::linear(600, 10), 40),
        ("few channels", convolution([2, 32], [9, 8], [3, 3]), 2),
        ("whole words", convolution([64, 64], [6, 6], [3, 3]), 1),
        ("many outputs", convolution([24, 136], [6, 5], [3, 3]), 2),
        ("stride", geometry([32, 48], 1, [7, 9], [3, 3], [2, 2], [1, 1], [1, 1]), 2),
        ("odd", geometry([33, 37], 1, [6, 5], [3, 2], [2, 1], [1, 0], [1, 2]), 3),
        ("a pixel of four", geometry([40, 72], 1, [6, 6], [1, 1], [2, 2], [0, 0], [1, 1]), 3),
        ("patches", geometry([3, 40], 1, [16, 16], [4, 4], [4, 4], [0, 0], [1, 1]), 2),
        ("groups", geometry([64, 32], 2, [5, 5], [3, 3], [1, 1], [1, 1], [1, 1]), 2),
        ("groups within words", geometry([48, 60], 2, [5, 5], [3, 3], [2, 2], [2, 2], [2, 2]), 2),
        ("a channel a group", geometry([20, 20], 20, [6, 6], [3, 3], [2, 2], [1, 1], [1, 1]), 2),
    ]
}

/// Adds a copy of a buffer's elements; whole words where either is packed.
pub fn copy(program: &mut Program, to: BufferId, from: BufferId, len: usize) {
    let mut nest = NestBuilder::new("copy");
    let (word, lane) = (nest.fresh_var(), nest.fresh_var());
    nest.open(word, Extent::Fixed(len.div_ceil(WORD)), LoopKind::Parallel);
    nest.open(lane, Extent::Block { block: word, size: WORD, total: len }, LoopKind::Lanes);
    let at = Ix::var(word).times(WORD as i64).plus(&Ix::var(lane));
    let value = nest.load(Access::new(from, at.clone()));
    nest.store(Access::new(to, at), value);
    run(program, Kernel::Nest(nest.finish()));
}

/// Adds a kernel and its launch.
pub fn run(program: &mut Program, kernel: Kernel) {
    let id = program.add_kernel(kernel);
    program.launches.push(Launch::Run(id));
}

/// Adds a contraction whose operands are temporary, so that they may lie in memory in any way.
pub fn add(
    program: &mut Program,
    label: &str,
    kind: ContractionKind,
    packed: bool,
    shape: ConvShape,
    rows: usize,
) -> Case {
    let whole = Operand::whole(BufferId(0));
    let mut c = Contraction {
        name: label.into(),
        kind,
        shape,
        rows,
        packed,
        planes: 1,
        weights: WeightValues::Any,
        a: whole.clone(),
        b: whole.clone(),
        out: whole,
    };
    let [a, b, out] = c.lengths();
    let inputs = [("a", a), ("b", b)].map(|(name, len)| program.add_buffer(name, len, Role::Input));
    let output = program.add_buffer("out", out, Role::Output);
    let first =
        if packed { program.add_packed_buffer("spikes", a) } else { program.add_buffer("first", a, Role::Temporary) };
    let [second, result] = [b, out].map(|len| program.add_buffer("other", len, Role::Temporary));
    copy(program, first, inputs[0], a);
    copy(program, second, inputs[1], b);
    (c.a, c.b, c.out) = (Operand::whole(first), Operand::whole(second), Operand::whole(result));
    run(program, Kernel::Contraction(c));
    copy(program, output, result, out);
    let spikes = if packed { " of spikes" } else { "" };
    Case { label: format!("{label}: {kind:?}{spikes}"), inputs, is_spikes: packed, output }
}

/// All shapes, kinds and forms of the first operand as one program.
pub fn everything(dtype: Dtype) -> (Program, Vec<Case>) {
    let labels: Vec<&str> = shapes().into_iter().map(|(label, ..)| label).collect();
    some(dtype, &labels)
}

/// Some shapes in all kinds and forms of the first operand as one program.
pub fn some(dtype: Dtype, labels: &[&str]) -> (Program, Vec<Case>) {
    let mut program = Program::new(dtype);
    let mut cases = Vec::new();
    for (label, shape, rows) in shapes().into_iter().filter(|(label, ..)| labels.contains(label)) {
        for kind in [ContractionKind::Forward, ContractionKind::InputGradient, ContractionKind::WeightGradient] {
            for packed in [false, true] {
                if !packed || kind != ContractionKind::InputGradient {
                    cases.push(add(&mut program, label, kind, packed, shape, rows));
                }
            }
        }
    }
    (program, cases)
}

/// Numbers in -1..1: multiples of 1/64, which every type holds, or any.
pub fn numbers(len: usize, seed: u64, is_exact: bool) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            if is_exact {
                (state >> 32) as f64 % 129.0 / 64.0 - 1.0
            } else {
                (state >> 40) as f64 / (1 << 23) as f64 - 1.0
            }
        })
        .collect()
}

/// Weights of 8 bits: those of each of `channels` are multiples of a number of its own, one of them 127 of it; powers of two
/// where they are to be exact.
pub fn multiples(len: usize, channels: usize, seed: u64, is_exact: bool) -> Vec<f64> {
    let of_channel = len / channels;
    let mut values = numbers(len, seed, false);
    for (channel, values) in values.chunks_mut(of_channel).enumerate() {
        let scale = if is_exact { 0.5_f32.powi(6 + (channel % 3) as i32) } else { 0.01 / (1.0 + channel as f32) };
        let scale = if channel == 1 { 0.0 } else { scale };
        values.iter_mut().for_each(|value| *value = f64::from((*value * 127.0).floor() as f32 * scale));
        values[channel % of_channel] = f64::from(-127.0 * scale);
    }
    values
}

/// Says of all contractions of spikes that their weights have 8 bits.
pub fn with_multiples(program: &mut Program) {
    for kernel in &mut program.kernels {
        if let Kernel::Contraction(c) = kernel
            && c.packed
            && c.kind == ContractionKind::Forward
        {
            c.weights = WeightValues::Int8;
        }
    }
}

/// Zeros and ones.
pub fn spikes(len: usize, seed: u64) -> Vec<f64> {
    numbers(len, seed, false).into_iter().map(|number| f64::from(u8::from(number > 0.4))).collect()
}

/// The largest difference, relative to the root mean square of what is expected.
pub fn difference(got: &[f64], expected: &[f64]) -> f64 {
    let square: f64 = expected.iter().map(|value| value * value).sum();
    let rms = (square / expected.len() as f64).sqrt();
    got.iter()
        .zip(expected)
        .map(|(got, expected)| (got - expected).abs() / rms)
        .fold(0.0, |a, b| if b <= a { a } else { b })
}
