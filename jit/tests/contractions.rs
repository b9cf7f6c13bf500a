//! Contractions of all kinds and many shapes: close to the interpreter, and the same bits for any number of threads.

mod common;

use common::{DTYPES, Numbers, execute, interpret};
use snn_jit::{Isa, Kernels, Options, SpikeKernels};
use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Dtype, Extent, Ix, Kernel, Launch, LoopKind,
    NestBuilder, Operand, Program, Role, WORD, WeightValues,
};

const KINDS: [ContractionKind; 3] =
    [ContractionKind::Forward, ContractionKind::InputGradient, ContractionKind::WeightGradient];

/// `[cin, cout, groups]`, input, kernel, stride, pad, dilation, output, rows.
type Case = ([usize; 3], [usize; 2], [usize; 2], [usize; 2], [usize; 2], [usize; 2], [usize; 2], usize);

const CASES: &[Case] = &[
    // Linear layers: one row, a few, many; narrow and wide.
    ([5, 7, 1], [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], [1, 1], 1),
    ([33, 10, 1], [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], [1, 1], 3),
    ([70, 150, 1], [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], [1, 1], 19),
    ([3, 2, 1], [1, 1], [1, 1], [1, 1], [0, 0], [1, 1], [1, 1], 2100),
    // 3x3, same size.
    ([3, 8, 1], [6, 6], [3, 3], [1, 1], [1, 1], [1, 1], [6, 6], 2),
    ([17, 35, 1], [9, 7], [3, 3], [1, 1], [1, 1], [1, 1], [9, 7], 3),
    // So many pixels that there are several panels and parts.
    ([8, 6, 1], [24, 24], [3, 3], [1, 1], [1, 1], [1, 1], [24, 24], 5),
    // A window longer than a block of columns.
    ([50, 9, 1], [5, 5], [3, 3], [1, 1], [1, 1], [1, 1], [5, 5], 3),
    // Stride 2, with rows and columns that no window reaches.
    ([4, 6, 1], [8, 8], [3, 3], [2, 2], [1, 1], [1, 1], [4, 4], 3),
    ([4, 6, 1], [9, 8], [3, 2], [2, 3], [0, 1], [1, 1], [4, 3], 2),
    ([6, 4, 1], [8, 8], [1, 1], [2, 2], [0, 0], [1, 1], [4, 4], 3),
    // No padding, too much padding, different sides.
    ([3, 4, 1], [7, 6], [5, 3], [1, 1], [0, 0], [1, 1], [3, 4], 2),
    ([2, 3, 1], [3, 3], [2, 2], [1, 1], [3, 2], [1, 1], [8, 6], 2),
    ([2, 3, 1], [4, 4], [3, 3], [1, 1], [1, 0], [1, 1], [4, 2], 2),
    // An output smaller than the windows allow.
    ([3, 3, 1], [8, 8], [3, 3], [1, 1], [1, 1], [1, 1], [5, 6], 2),
    // Dilation.
    ([3, 4, 1], [9, 9], [3, 3], [1, 1], [2, 2], [2, 2], [9, 9], 2),
    ([3, 4, 1], [9, 9], [3, 2], [2, 1], [2, 0], [2, 3], [5, 6], 2),
    // Groups, with stride and dilation.
    ([6, 4, 2], [5, 5], [3, 3], [1, 1], [1, 1], [1, 1], [5, 5], 2),
    ([8, 12, 4], [6, 5], [3, 3], [2, 2], [1, 1], [1, 1], [3, 3], 3),
    ([6, 9, 3], [7, 7], [2, 3], [1, 2], [1, 1], [2, 1], [7, 4], 2),
    ([6, 4, 2], [4, 4], [1, 1], [1, 1], [0, 0], [1, 1], [4, 4], 3),
    ([3, 6, 3], [5, 5], [3, 3], [1, 1], [1, 1], [1, 1], [5, 5], 2),
    // Depthwise.
    ([5, 5, 5], [6, 6], [3, 3], [1, 1], [1, 1], [1, 1], [6, 6], 2),
    ([4, 4, 4], [7, 9], [3, 5], [2, 2], [1, 2], [1, 1], [4, 5], 20),
    ([4, 4, 4], [7, 9], [2, 3], [1, 2], [2, 2], [2, 2], [9, 5], 3),
    // One-dimensional.
    ([4, 5, 1], [1, 20], [1, 5], [1, 1], [0, 2], [1, 1], [1, 20], 4),
    // Nothing to do.
    ([4, 5, 1], [3, 3], [3, 3], [1, 1], [1, 1], [1, 1], [3, 3], 0),
    ([4, 5, 1], [3, 3], [3, 3], [1, 1], [1, 1], [1, 1], [3, 0], 2),
    ([4, 5, 1], [0, 3], [3, 3], [1, 1], [1, 1], [1, 1], [2, 3], 2),
    ([0, 5, 1], [3, 3], [3, 3], [1, 1], [1, 1], [1, 1], [3, 3], 2),
    ([4, 0, 1], [3, 3], [3, 3], [1, 1], [1, 1], [1, 1], [3, 3], 2),
];

fn shape(case: &Case) -> (ConvShape, usize) {
    let ([cin, cout, groups], input, kernel, stride, pad, dilation, output, rows) = *case;
    (ConvShape { cin, cout, groups, input, kernel, stride, pad, dilation, output }, rows)
}

fn program(kind: ContractionKind, shape: ConvShape, rows: usize, dtype: Dtype) -> Program {
    let mut program = Program::new(dtype);
    let contraction = Contraction {
        name: "contraction".into(),
        kind,
        shape,
        rows,
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        a: Operand::whole(BufferId(0)),
        b: Operand::whole(BufferId(1)),
        out: Operand::whole(BufferId(2)),
    };
    let [a, b, out] = contraction.lengths();
    program.add_buffer("a", a, Role::Input);
    program.add_buffer("b", b, Role::Input);
    program.add_buffer("out", out, Role::Output);
    let kernel = program.add_kernel(Kernel::Contraction(contraction));
    program.launches.push(Launch::Run(kernel));
    program
}

/// Rounding of a type.
fn epsilon(dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 => f64::from(f32::EPSILON),
        Dtype::F64 => f64::EPSILON,
    }
}

/// How many products make an element of the result.
fn terms(kind: ContractionKind, shape: &ConvShape, rows: usize) -> usize {
    match kind {
        ContractionKind::Forward => shape.weight_len() / shape.cout.max(1),
        ContractionKind::InputGradient => shape.weight_len() / shape.cin.max(1),
        ContractionKind::WeightGradient => rows * shape.output[0] * shape.output[1],
    }
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, context: &str) {
    assert_eq!(found.len(), expected.len(), "{context}");
    for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance, "{context}: element {at} is {found}, expected {expected}");
    }
}

#[test]
fn all_kinds_and_shapes() {
    let mut numbers = Numbers(1);
    for dtype in DTYPES {
        for case in CASES {
            let (shape, rows) = shape(case);
            for kind in KINDS {
                let program = program(kind, shape, rows, dtype);
                let inputs: Vec<_> =
                    (0..2).map(|at| (BufferId(at), numbers.floats(program.buffers[at as usize].len))).collect();
                let context = format!("{kind:?} of {case:?} in {dtype:?}");
                let expected = interpret(&program, &inputs);
                let found: Vec<_> =
                    [1, 2, 3].map(|threads| execute(&program, &inputs, &Options::native(threads))).into();
                assert!(found[0] == found[1] && found[0] == found[2], "{context} depends on threads");
                // Terms are at most 4; errors of sums grow like the number of terms at worst.
                let tolerance = 4.0 * terms(kind, &shape, rows).max(1) as f64 * epsilon(dtype);
                assert_close(&found[0][0], &expected[0], tolerance, &context);
            }
        }
    }
}

/// A contraction of spikes or numbers of several planes, which a nest packs from an input of floats; it packs all bits of the words, those behind the
/// last channel, too.
fn spiking_program(kind: ContractionKind, shape: ConvShape, rows: usize, planes: usize, dtype: Dtype) -> Program {
    let mut program = Program::new(dtype);
    let mut contraction = Contraction {
        name: "contraction".into(),
        kind,
        shape,
        rows,
        packed: true,
        planes,
        weights: WeightValues::Any,
        a: Operand::whole(BufferId(2)),
        b: Operand::whole(BufferId(1)),
        out: Operand::whole(BufferId(3)),
    };
    let [a, b, out] = contraction.lengths();
    let floats = program.add_buffer("floats", a, Role::Input);
    contraction.b.buffer = program.add_buffer("b", b, Role::Input);
    contraction.a.buffer = program.add_packed_buffer("spikes", a);
    contraction.out.buffer = program.add_buffer("out", out, Role::Output);
    let mut nest = NestBuilder::new("pack");
    let lane = nest.fresh_var();
    nest.open(lane, Extent::Fixed(a), LoopKind::Lanes);
    let value = nest.load(Access::new(floats, Ix::var(lane)));
    nest.store(Access::new(contraction.a.buffer, Ix::var(lane)), value);
    for kernel in [Kernel::Nest(nest.finish()), Kernel::Contraction(contraction)] {
        let kernel = program.add_kernel(kernel);
        program.launches.push(Launch::Run(kernel));
    }
    program
}

fn with_spikes(threads: usize, spikes: SpikeKernels) -> Options {
    Options { threads, kernels: Kernels { spikes, ..Kernels::NATIVE } }
}

/// Spikes of any density, by every method: close to the interpreter, and the same bits for any number of threads.
#[test]
fn all_shapes_of_spikes() {
    check_spikes(1, &[0, 3, 15, 60, 100], 2);
}

/// Counts, in planes of bits, likewise.
#[test]
fn all_shapes_of_counts() {
    for (planes, densities) in [(2, [10, 70]), (3, [0, 20]), (4, [5, 100])] {
        check_spikes(planes, &densities, planes as u64);
    }
}

fn check_spikes(planes: usize, densities: &[usize], seed: u64) {
    let mut numbers = Numbers(seed);
    for dtype in DTYPES {
        for case in CASES {
            let (shape, rows) = shape(case);
            for kind in [ContractionKind::Forward, ContractionKind::WeightGradient] {
                let program = spiking_program(kind, shape, rows, planes, dtype);
                let largest = (1 << planes) - 1;
                let tolerance = 4.0 * f64::from(largest) * terms(kind, &shape, rows).max(1) as f64 * epsilon(dtype);
                let pitch = shape.cin.next_multiple_of(WORD).max(1);
                for density in densities.iter().copied() {
                    let len = program.buffers[0].len;
                    // What is behind the channels is all spikes or none.
                    let garbage = numbers.below(2) as f64;
                    let spike = |at: usize, numbers: &mut Numbers| match at % pitch < shape.cin {
                        true => f64::from(u8::from(numbers.below(100) < density)),
                        false => garbage,
                    };
                    let spikes: Vec<f64> = (0..len).map(|at| spike(at, &mut numbers)).collect();
                    let inputs = [(BufferId(0), spikes), (BufferId(1), numbers.floats(program.buffers[1].len))];
                    let expected = interpret(&program, &inputs);
                    for method in SpikeKernels::ALL {
                        let context =
                            format!("{kind:?} of {case:?} in {dtype:?}, {planes} planes, {density} %, {method:?}");
                        let [one, three] =
                            [1, 3].map(|threads| execute(&program, &inputs, &with_spikes(threads, method)));
                        assert!(one == three, "{context} depends on threads");
                        assert_close(&one[0], &expected[0], tolerance, &context);
                    }
                }
            }
        }
    }
}

/// Shapes for transformed tiles (stride 1, and the largest images' gradient of the input at stride 2) and for reading pixels
/// in place (stride 2), at and beyond the edges of blocks of channels and tiles of pixels. Errors are held against the root mean square of the expected results: 3e-5 of it,
/// which is twice what was measured for transformed tiles of 128 channels; 1.5e-5 for plain sums.
#[test]
fn wide_shapes() {
    const CHANNELS: [[usize; 2]; 5] = [[16, 16], [17, 16], [16, 17], [64, 17], [64, 64]];
    const IMAGES: [[usize; 2]; 4] = [[5, 7], [8, 8], [33, 9], [32, 16]];
    let mut numbers = Numbers(3);
    for [cin, cout] in CHANNELS {
        for input in IMAGES {
            for stride in [1, 2] {
                let output = input.map(|size: usize| size.div_ceil(stride));
                let (kernel, stride) = ([3, 3], [stride; 2]);
                let shape = ConvShape { input, kernel, stride, pad: [1, 1], output, ..ConvShape::linear(cin, cout) };
                for kind in KINDS {
                    let program = program(kind, shape, 2, Dtype::F32);
                    let inputs = [0, 1].map(|at| (BufferId(at), numbers.floats(program.buffers[at as usize].len)));
                    let expected = interpret(&program, &inputs);
                    let squares: f64 = expected[0].iter().map(|value| value * value).sum();
                    let rms = (squares / expected[0].len() as f64).sqrt();
                    for (isa, precise) in Isa::ALL.into_iter().flat_map(|isa| [(isa, false), (isa, true)]) {
                        if isa.vectors().is_err() {
                            continue;
                        }
                        let kernels = Kernels { isa, precise, ..Kernels::NATIVE };
                        let [one, two] =
                            [1, 2].map(|threads| execute(&program, &inputs, &Options { threads, kernels }));
                        let context = format!("{kind:?} of {shape:?}, {isa:?}, precise {precise}");
                        assert!(one == two, "{context} depends on threads");
                        let tolerance = if precise { 1.5e-5 } else { 3e-5 };
                        assert_close(&one[0], &expected[0], tolerance * rms, &context);
                    }
                }
            }
        }
    }
}

/// Inside a `Repeat`, operands move with the step.
#[test]
fn operands_move_with_the_step() {
    let (steps, rows) = (3, 2);
    let shape = ConvShape::linear(4, 5);
    for dtype in DTYPES {
        let mut program = Program::new(dtype);
        let x = program.add_buffer("x", steps * rows * 4, Role::Input);
        let w = program.add_buffer("w", 20, Role::Input);
        let y = program.add_buffer("y", steps * rows * 5, Role::Output);
        let moving = |buffer, len: usize| Operand { buffer, offset: Ix::step().times(len as i64) };
        let kernel = program.add_kernel(Kernel::Contraction(Contraction {
            name: "step".into(),
            kind: ContractionKind::Forward,
            shape,
            rows,
            packed: false,
            planes: 1,
            weights: WeightValues::Any,
            a: moving(x, rows * 4),
            b: Operand::whole(w),
            out: moving(y, rows * 5),
        }));
        let body = vec![Launch::Run(kernel)];
        program.launches.push(Launch::Repeat { steps, reverse: true, body });
        // Small integers: every order of the sum gives the same bits.
        let integers = |len: usize| (0..len).map(|at| (at * 7 % 11) as f64 - 5.0).collect::<Vec<_>>();
        let inputs = [(x, integers(steps * rows * 4)), (w, integers(20))];
        common::assert_equals_interpreter(&program, &inputs, "moving operands");
    }
}
