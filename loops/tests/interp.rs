//! Small programs with the numbers that they must give.
//!
//! The tests must never know how the interpreter walks a program.

use snn_loops::draw::element;
use snn_loops::interp::{Memory, run};
use snn_loops::verify::verify;
use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Distribution, Draw, Dtype, Expr, Extent, Ix, Kernel,
    Launch, LoopKind, NestBuilder, Operand, Program, RandomKey, Role, Scalar, WeightValues,
};

fn launch(program: &mut Program, kernel: Kernel) -> Launch {
    Launch::Run(program.add_kernel(kernel))
}

fn nest(program: &mut Program, nest: NestBuilder) -> Launch {
    launch(program, Kernel::Nest(nest.finish()))
}

/// Verifies and runs a program with these inputs.
fn execute(program: &Program, inputs: &[(BufferId, &[f64])]) -> Memory {
    verify(program).unwrap_or_else(|errors| panic!("{errors:#?}\n{program}"));
    let mut memory = Memory::new(program);
    inputs.iter().for_each(|(id, values)| memory.write(*id, values).unwrap());
    run(program, &mut memory, RandomKey::default()).unwrap();
    memory
}

/// Row sums of squares: rows in parallel blocks, side by side in lanes, columns one after the other.
#[test]
fn blocks_and_lanes() {
    let (rows, columns) = (5, 3);
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", rows * columns, Role::Input);
    let y = program.add_buffer("y", rows, Role::Output);
    let mut b = NestBuilder::new("row sums");
    let (block, lane, column) = (b.fresh_var(), b.fresh_var(), b.fresh_var());
    let sum = b.fresh_reg();
    let row = Ix::var(block).times(4).plus(&Ix::var(lane));
    b.open(block, Extent::Fixed(2), LoopKind::Parallel);
    b.open(lane, Extent::Block { block, size: 4, total: rows }, LoopKind::Lanes);
    let zero = b.constant(0.0);
    b.set(sum, zero);
    b.open(column, Extent::Fixed(columns), LoopKind::Serial);
    let element = b.load(Access::new(x, row.times(columns as i64).plus(&Ix::var(column))));
    let square = b.scalar(Scalar::Mul, &[element, element]);
    let before = b.get(sum);
    let after = b.scalar(Scalar::Add, &[before, square]);
    b.set(sum, after);
    b.close();
    let total = b.get(sum);
    b.store(Access::new(y, row), total);
    let launch = nest(&mut program, b);
    program.launches.push(launch);

    let values: Vec<f64> = (0..15).map(f64::from).collect();
    assert_eq!(execute(&program, &[(x, &values)]).buffer(y), [5.0, 50.0, 149.0, 302.0, 509.0]);
}

/// Emits one step of a leaky integrate-and-fire neuron with soft reset: `v' = v / 2 + x`, a spike from 1 on.
fn lif_step(b: &mut NestBuilder, v: snn_loops::Val, x: snn_loops::Val) -> [snn_loops::Val; 2] {
    let (half, one, zero) = (b.constant(0.5), b.constant(1.0), b.constant(0.0));
    let decayed = b.scalar(Scalar::Mul, &[v, half]);
    let charged = b.scalar(Scalar::Add, &[decayed, x]);
    let fires = b.scalar(Scalar::Le, &[one, charged]);
    let spike = b.scalar(Scalar::Select, &[fires, one, zero]);
    [b.scalar(Scalar::Sub, &[charged, spike]), spike]
}

/// The membrane potential lives in a register; the last step is also read backwards.
#[test]
fn a_scan_in_registers() {
    let steps = 6;
    let mut program = Program::new(Dtype::F64);
    let x = program.add_buffer("x", 2, Role::Input);
    let spikes = program.add_buffer("spikes", steps * 2, Role::Output);
    let to_go = program.add_buffer("to go", steps * 2, Role::Output);
    let mut b = NestBuilder::new("lif");
    let (lane, t, back) = (b.fresh_var(), b.fresh_var(), b.fresh_var());
    let (v, count) = (b.fresh_reg(), b.fresh_reg());
    let at = |t| Ix::var(t).times(2).plus(&Ix::var(lane));
    b.open(lane, Extent::Fixed(2), LoopKind::Lanes);
    let zero = b.constant(0.0);
    b.set(v, zero);
    b.set(count, zero);
    let current = b.load(Access::new(x, Ix::var(lane)));
    b.open(t, Extent::Fixed(steps), LoopKind::Serial);
    let before = b.get(v);
    let [after, spike] = lif_step(&mut b, before, current);
    b.set(v, after);
    b.store(Access::new(spikes, at(t)), spike);
    b.close();
    b.open(back, Extent::Fixed(steps), LoopKind::Reverse);
    let spike = b.load(Access::new(spikes, at(back)));
    let later = b.get(count);
    let sum = b.scalar(Scalar::Add, &[later, spike]);
    b.set(count, sum);
    b.store(Access::new(to_go, at(back)), sum);
    b.close();
    let launch = nest(&mut program, b);
    program.launches.push(launch);

    let memory = execute(&program, &[(x, &[0.625, 1.0])]);
    assert_eq!(memory.buffer(spikes), [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
    assert_eq!(memory.buffer(to_go), [2.0, 6.0, 2.0, 5.0, 2.0, 4.0, 1.0, 3.0, 1.0, 2.0, 1.0, 1.0]);
}

/// The same neuron, one launch a step: the state lies in memory and is 0 before the first step.
#[test]
fn a_scan_in_a_repeat() {
    let steps = 6;
    let mut program = Program::new(Dtype::F64);
    let x = program.add_buffer("x", 1, Role::Input);
    let v = program.add_buffer("v", steps, Role::Temporary);
    let spikes = program.add_buffer("spikes", steps, Role::Output);
    let mut b = NestBuilder::new("lif step");
    let previous = Ix::step().offset(-1);
    let bounds = vec![(previous.clone(), steps as i64)];
    let before = b.load(Access { bounds, ..Access::new(v, previous) });
    let current = b.load(Access::new(x, Ix::constant(0)));
    let [after, spike] = lif_step(&mut b, before, current);
    b.store(Access::new(v, Ix::step()), after);
    b.store(Access::new(spikes, Ix::step()), spike);
    let step = nest(&mut program, b);
    program.launches.push(Launch::Repeat { steps, reverse: false, body: vec![step] });
    assert_eq!(execute(&program, &[(x, &[0.625])]).buffer(spikes), [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn repeats_run_backwards_too() {
    for (reverse, want) in [(false, [0.0, 1.0, 12.0]), (true, [210.0, 21.0, 2.0])] {
        let mut program = Program::new(Dtype::F32);
        let out = program.add_buffer("out", 3, Role::Output);
        let mut b = NestBuilder::new("digits");
        let neighbor = Ix::step().offset(if reverse { 1 } else { -1 });
        let before = b.load(Access { bounds: vec![(neighbor.clone(), 3)], ..Access::new(out, neighbor) });
        let ten = b.constant(10.0);
        let shifted = b.scalar(Scalar::Mul, &[before, ten]);
        let step = b.define(Expr::Index(Ix::step()));
        let sum = b.scalar(Scalar::Add, &[shifted, step]);
        b.store(Access::new(out, Ix::step()), sum);
        let step = nest(&mut program, b);
        program.launches.push(Launch::Repeat { steps: 3, reverse, body: vec![step] });
        assert_eq!(execute(&program, &[]).buffer(out), want, "reverse {reverse}");
    }
}

#[test]
fn every_instruction_rounds_to_the_programs_type() {
    for (dtype, want) in [(Dtype::F32, 0.0), (Dtype::F64, 1.0)] {
        let mut program = Program::new(dtype);
        let out = program.add_buffer("out", 1, Role::Output);
        let mut b = NestBuilder::new("(2^24 + 1) - 2^24");
        let (large, one) = (b.constant(16_777_216.0), b.constant(1.0));
        let sum = b.scalar(Scalar::Add, &[large, one]);
        let difference = b.scalar(Scalar::Sub, &[sum, large]);
        b.store(Access::new(out, Ix::constant(0)), difference);
        let launch = nest(&mut program, b);
        program.launches.push(launch);
        assert_eq!(execute(&program, &[]).buffer(out), [want]);
    }
}

fn contraction(kind: ContractionKind, shape: ConvShape, rows: usize, a: &[f64], b: &[f64]) -> Vec<f64> {
    let mut program = Program::new(Dtype::F64);
    let mut c = Contraction {
        name: "c".into(),
        kind,
        shape,
        rows,
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        a: Operand::whole(BufferId(0)),
        b: Operand::whole(BufferId(1)),
        out: Operand { buffer: BufferId(2), offset: Ix::constant(1) },
    };
    let [len_a, len_b, len_out] = c.lengths();
    c.a.buffer = program.add_buffer("a", len_a, Role::Input);
    c.b.buffer = program.add_buffer("b", len_b, Role::Input);
    c.out.buffer = program.add_buffer("out", len_out + 1, Role::Output);
    let (a_id, b_id, out) = (c.a.buffer, c.b.buffer, c.out.buffer);
    let launch = launch(&mut program, Kernel::Contraction(c));
    program.launches.push(launch);
    execute(&program, &[(a_id, a), (b_id, b)]).buffer(out)[1..].to_vec()
}

#[test]
fn a_linear_layer_and_a_convolution_by_hand() {
    use ContractionKind::Forward;
    let linear = contraction(Forward, ConvShape::linear(2, 3), 2, &[1., 2., 3., 4.], &[1., 0., 0., 1., 1., 1.]);
    assert_eq!(linear, [1., 2., 3., 3., 4., 7.]);
    let shape = ConvShape {
        input: [1, 4],
        kernel: [1, 3],
        stride: [1, 2],
        pad: [0, 1],
        output: [1, 2],
        ..ConvShape::linear(1, 1)
    };
    assert_eq!(contraction(Forward, shape, 1, &[1., 2., 3., 4.], &[1., 10., 100.]), [210., 432.]);
}

/// All three kinds are one trilinear form, so their products with the missing factor agree; integers keep it exact.
#[test]
fn gradients_are_adjoint() {
    use ContractionKind::{Forward, InputGradient, WeightGradient};
    let plain = ConvShape { input: [5, 4], kernel: [3, 2], output: [3, 3], ..ConvShape::linear(2, 3) };
    let strided = ConvShape {
        input: [5, 6],
        kernel: [3, 3],
        stride: [2, 1],
        pad: [1, 2],
        output: [3, 8],
        ..ConvShape::linear(2, 4)
    };
    let dilated =
        ConvShape { dilation: [2, 1], input: [7, 3], kernel: [3, 2], output: [3, 2], ..ConvShape::linear(4, 6) };
    let grouped = ConvShape { groups: 2, ..dilated };
    let depthwise = ConvShape { groups: 4, cout: 4, ..dilated };
    for shape in [ConvShape::linear(3, 2), plain, strided, dilated, grouped, depthwise] {
        let rows = 2;
        let numbers = |n: usize, k: usize| -> Vec<f64> { (0..n).map(|i| ((i * k) % 7) as f64 - 3.0).collect() };
        let x = numbers(rows * shape.input_len(), 3);
        let w = numbers(shape.weight_len(), 5);
        let dy = numbers(rows * shape.output_len(), 2);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let form = dot(&contraction(Forward, shape, rows, &x, &w), &dy);
        assert_ne!(form, 0.0, "{shape:?}");
        assert_eq!(dot(&contraction(InputGradient, shape, rows, &dy, &w), &x), form, "{shape:?}");
        assert_eq!(dot(&contraction(WeightGradient, shape, rows, &x, &dy), &w), form, "{shape:?}");
    }
}

#[test]
fn draws_count_on_through_a_repeat() {
    let (steps, len) = (3, 5);
    let mut program = Program::new(Dtype::F32);
    let out = program.add_buffer("out", steps * len, Role::Output);
    let draw = Draw {
        name: "noise".into(),
        distribution: Distribution::Normal,
        stream: 9,
        len,
        out: Operand { buffer: out, offset: Ix::step().times(len as i64) },
    };
    let body = vec![launch(&mut program, Kernel::Draw(draw))];
    program.launches.push(Launch::Repeat { steps, reverse: true, body });
    let large: Vec<f64> =
        (0..15).map(|e| f64::from(element(Distribution::Normal, RandomKey::default(), 9, e) as f32)).collect();
    assert_eq!(execute(&program, &[]).buffer(out), large);
}

/// Programs that the verifier would refuse give errors that name kernel and place, and never a panic.
#[test]
fn mistakes_give_errors() {
    type Emit = fn(&mut NestBuilder, BufferId);
    let cases: &[(Emit, &str)] = &[
        (
            |b, x| {
                let i = b.fresh_var();
                b.open(i, Extent::Fixed(5), LoopKind::Serial);
                b.load(Access::new(x, Ix::var(i)));
            },
            "kernel `k`: a load outside of memory: element 4 of b0, which has 4",
        ),
        (
            |b, x| {
                let one = b.constant(1.0);
                b.store(Access::new(x, Ix::constant(-1)), one);
            },
            "kernel `k`: a store outside of memory: element -1 of b0, which has 4",
        ),
        (
            |b, _| {
                let reg = b.fresh_reg();
                b.get(reg);
            },
            "kernel `k`: r0 is read before it is set",
        ),
        (
            |b, _| {
                let (i, reg) = (b.fresh_var(), b.fresh_reg());
                let one = b.constant(1.0);
                b.set(reg, one);
                b.open(i, Extent::Fixed(1), LoopKind::Lanes);
                b.get(reg);
            },
            "kernel `k`: r0 is read before it is set",
        ),
        (
            |b, _| {
                b.scalar(Scalar::Neg, &[snn_loops::Val(7)]);
            },
            "kernel `k`: v7 is used before it is defined",
        ),
        (
            |b, _| {
                let one = b.constant(1.0);
                b.scalar(Scalar::Add, &[one]);
            },
            "kernel `k`: `add` does not take the arguments [Float(1.0)]",
        ),
        (
            |b, x| {
                let i = b.fresh_var();
                b.load(Access::new(x, Ix::var(i)));
            },
            "kernel `k`: i0 is used outside of its loop",
        ),
        (
            |b, _| {
                b.load(Access::new(BufferId(3), Ix::constant(0)));
            },
            "kernel `k`: a load outside of memory: b3 does not exist",
        ),
    ];
    for (emit, want) in cases {
        let mut program = Program::new(Dtype::F32);
        let x = program.add_buffer("x", 4, Role::Temporary);
        let mut b = NestBuilder::new("k");
        emit(&mut b, x);
        let launch = nest(&mut program, b);
        program.launches.push(launch);
        let error = run(&program, &mut Memory::new(&program), RandomKey::default()).unwrap_err();
        assert_eq!(error.to_string(), *want);
    }
}

#[test]
fn memory_keeps_inputs_and_forgets_the_rest() {
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", 2, Role::Input);
    let y = program.add_buffer("y", 1, Role::Output);
    let w = program.add_buffer("w", 1, Role::Constant(vec![0.1]));
    let mut memory = Memory::new(&program);
    assert_eq!(memory.write(x, &[1.0]).unwrap_err(), "b0 has 2 elements, not 1");
    assert_eq!(memory.write(BufferId(9), &[1.0]).unwrap_err(), "b9 does not exist");
    memory.write(x, &[0.1, 2.0]).unwrap();
    memory.write(y, &[3.0]).unwrap();
    run(&program, &mut memory, RandomKey::default()).unwrap();
    assert_eq!(memory.buffer(x), [f64::from(0.1f32), 2.0]);
    assert_eq!(memory.buffer(w), [f64::from(0.1f32)]);
    assert!(memory.buffer(y)[0].is_nan());
}

/// What is stored counts as 1 unless it is 0, whatever its sign.
#[test]
fn bits_are_zeros_and_ones() {
    let values = [0.0, -0.0, 0.5, -3.0, f64::INFINITY, f64::NAN, 1e-300];
    let mut program = Program::new(Dtype::F64);
    let x = program.add_buffer("x", values.len(), Role::Input);
    let bits = program.add_packed_buffer("bits", 64);
    let y = program.add_buffer("y", values.len(), Role::Output);
    for (from, to) in [(x, bits), (bits, y)] {
        let mut b = NestBuilder::new("copy");
        let lane = b.fresh_var();
        b.open(lane, Extent::Fixed(values.len()), LoopKind::Lanes);
        let value = b.load(Access::new(from, Ix::var(lane)));
        b.store(Access::new(to, Ix::var(lane)), value);
        let launch = nest(&mut program, b);
        program.launches.push(launch);
    }
    assert_eq!(execute(&program, &[(x, &values)]).buffer(y), [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
}

/// Spikes of two pixels, or two planes of one, in words of their own, with bits behind the channels that count for nothing.
#[test]
fn a_contraction_of_bits_steps_over_what_is_behind_the_channels() {
    let mut values = [1.0; 128];
    values[..3].copy_from_slice(&[1.0, 0.0, 1.0]);
    values[64..67].copy_from_slice(&[0.0, 1.0, 0.0]);
    for (rows, planes, expected) in [(2, 1, &[101.0, 10.0][..]), (1, 2, &[121.0])] {
        let mut program = Program::new(Dtype::F32);
        let x = program.add_buffer("x", 128, Role::Input);
        let w = program.add_buffer("w", 3, Role::Input);
        let bits = program.add_packed_buffer("bits", 128);
        let y = program.add_buffer("y", rows, Role::Output);
        let mut b = NestBuilder::new("pack");
        let lane = b.fresh_var();
        b.open(lane, Extent::Fixed(128), LoopKind::Lanes);
        let value = b.load(Access::new(x, Ix::var(lane)));
        b.store(Access::new(bits, Ix::var(lane)), value);
        let pack = nest(&mut program, b);
        let contraction = Contraction {
            name: "product".into(),
            kind: ContractionKind::Forward,
            shape: ConvShape::linear(3, 1),
            rows,
            packed: true,
            planes,
            weights: WeightValues::Any,
            a: Operand::whole(bits),
            b: Operand::whole(w),
            out: Operand::whole(y),
        };
        let product = launch(&mut program, Kernel::Contraction(contraction));
        program.launches = vec![pack, product];
        assert_eq!(execute(&program, &[(x, &values), (w, &[1.0, 10.0, 100.0])]).buffer(y), expected);
    }
}

/// Every lane has scratch of its own: squares are kept on the way up and read on the way down.
#[test]
fn lanes_do_not_share_scratch() {
    let (lanes, steps) = (4, 3);
    let mut program = Program::new(Dtype::F64);
    let y = program.add_buffer("y", lanes * steps, Role::Output);
    let scratch = program.add_buffer("scratch", steps, Role::Scratch);
    let mut b = NestBuilder::new("there and back");
    let (lane, up, down) = (b.fresh_var(), b.fresh_var(), b.fresh_var());
    b.open(lane, Extent::Fixed(lanes), LoopKind::Lanes);
    b.open(up, Extent::Fixed(steps), LoopKind::Serial);
    let value = b.define(Expr::Index(Ix::var(lane).times(10).plus(&Ix::var(up))));
    b.store(Access::new(scratch, Ix::var(up)), value);
    b.close();
    b.open(down, Extent::Fixed(steps), LoopKind::Reverse);
    let value = b.load(Access::new(scratch, Ix::var(down)));
    b.store(Access::new(y, Ix::var(down).times(lanes as i64).plus(&Ix::var(lane))), value);
    let launch = nest(&mut program, b);
    program.launches.push(launch);
    let expected: Vec<f64> = (0..3).flat_map(|step| (0..4).map(move |lane| f64::from(10 * lane + step))).collect();
    assert_eq!(execute(&program, &[]).buffer(y), expected);
}
