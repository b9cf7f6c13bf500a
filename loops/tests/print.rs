//! The text form of a program that has one of everything.
//!
//! The test must never know more than the text.

use snn_loops::{
    Access, Contraction, ContractionKind, ConvShape, Distribution, Draw, Dtype, Expr, Extent, Ix, Kernel, Launch,
    LoopKind, NestBuilder, Operand, Program, Role, Scalar, WeightValues,
};

const WANT: &str = r#"program f32

buffers
  b0 input "x" [12]
  b1 constant "w" [2] = 0.5, -1.0
  b2 temporary "current" [6]
  b3 output "y" [6]
  b4 constant "long" [9] = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ...
  b5 packed temporary "spikes" [128]
  b6 scratch "trace" [5]

k0 nest "window"
  parallel i0 in 2
    lanes i1 in min(4, 6 - 4*i0)
      v0 = inf
      r0 = v0
      serial i2 in 3
        v1 = b0[4*i0 + i1 + i2 - 1] if 0 <= 4*i0 + i1 + i2 - 1 < 12 else -1.0
        v2 = r0
        v3 = min v1, v2
        r0 = v3
      v4 = r0
      v5 = index i1
      v6 = lt v4, v5
      v7 = select v6, v4, v5
      b3[4*i0 + i1] = v7

k1 contraction "dense"
  b2 = forward b0[2*step..], b1, rows 6
  cin 1, cout 1, groups 1, input 1x1, kernel 1x1, stride 1x1, pad 0x0, dilation 1x1, output 1x1

k2 draw "noise"
  b2[3..] = bernoulli 0.25, stream 7, len 3

launches
  k2
  repeat 3 reverse
    k1
  k0
"#;

#[test]
fn a_program_with_one_of_everything() {
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", 12, Role::Input);
    let w = program.add_buffer("w", 2, Role::Constant(vec![0.5, -1.0]));
    let current = program.add_buffer("current", 6, Role::Temporary);
    let y = program.add_buffer("y", 6, Role::Output);
    program.add_buffer("long", 9, Role::Constant(vec![0.0; 9]));
    program.add_packed_buffer("spikes", 128);
    program.add_buffer("trace", 5, Role::Scratch);

    let mut b = NestBuilder::new("window");
    let (block, lane, tap) = (b.fresh_var(), b.fresh_var(), b.fresh_var());
    let least = b.fresh_reg();
    let at = Ix::var(block).times(4).plus(&Ix::var(lane));
    b.open(block, Extent::Fixed(2), LoopKind::Parallel);
    b.open(lane, Extent::Block { block, size: 4, total: 6 }, LoopKind::Lanes);
    let infinity = b.constant(f64::INFINITY);
    b.set(least, infinity);
    b.open(tap, Extent::Fixed(3), LoopKind::Serial);
    let source = at.plus(&Ix::var(tap)).offset(-1);
    let bounds = vec![(source.clone(), 12)];
    let element = b.load(Access { bounds, otherwise: (-1f64).to_bits(), ..Access::new(x, source) });
    let before = b.get(least);
    let smaller = b.scalar(Scalar::Min, &[element, before]);
    b.set(least, smaller);
    b.close();
    let result = b.get(least);
    let index = b.define(Expr::Index(Ix::var(lane)));
    let is_less = b.scalar(Scalar::Lt, &[result, index]);
    let result = b.scalar(Scalar::Select, &[is_less, result, index]);
    b.store(Access::new(y, at), result);
    let window = program.add_kernel(Kernel::Nest(b.finish()));

    let dense = program.add_kernel(Kernel::Contraction(Contraction {
        name: "dense".into(),
        kind: ContractionKind::Forward,
        shape: ConvShape::linear(1, 1),
        rows: 6,
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        a: Operand { buffer: x, offset: Ix::step().times(2) },
        b: Operand::whole(w),
        out: Operand::whole(current),
    }));
    let noise = program.add_kernel(Kernel::Draw(Draw {
        name: "noise".into(),
        distribution: Distribution::Bernoulli(0.25),
        stream: 7,
        len: 3,
        out: Operand { buffer: current, offset: Ix::constant(3) },
    }));
    program.launches = vec![
        Launch::Run(noise),
        Launch::Repeat { steps: 3, reverse: true, body: vec![Launch::Run(dense)] },
        Launch::Run(window),
    ];
    snn_loops::verify::verify(&program).unwrap();
    assert_eq!(program.to_string(), WANT);
}
