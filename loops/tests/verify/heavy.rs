//! Rules for heavy kernels.

use snn_loops::{
    BufferId, Contraction, ContractionKind, ConvShape, Distribution, Draw, Ix, Kernel, Launch, Operand, Var,
    WeightValues,
};

use super::*;

fn operand(buffer: BufferId, offset: Ix) -> Operand {
    Operand { buffer, offset }
}

/// A product of a 2x3 by a 3x4 matrix: operands of 6, 12 and 8 elements.
fn product() -> Contraction {
    Contraction {
        name: "product".into(),
        kind: ContractionKind::Forward,
        shape: ConvShape::linear(3, 4),
        rows: 2,
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        a: Operand::whole(INPUT),
        b: Operand::whole(CONSTANT),
        out: Operand::whole(OUTPUT),
    }
}

#[test]
fn rules_for_contractions() {
    type Change = fn(&mut Contraction);
    let cases: &[(&str, &[u8], Change)] = &[
        ("unchanged", &[], |_| {}),
        ("no groups", &[10], |c| c.shape.groups = 0),
        ("groups that do not divide", &[10], |c| c.shape.groups = 2),
        ("no stride", &[10], |c| c.shape.stride = [1, 0]),
        ("more elements than can be counted", &[10], |c| c.rows = usize::MAX),
        ("last offset that fits", &[], |c| c.a.offset = at(6)),
        ("offset too large", &[10], |c| c.a.offset = at(7)),
        ("offset negative", &[10], |c| c.out.offset = at(-1)),
        ("loop variable", &[10], |c| c.a.offset = Ix::var(Var(0))),
        ("too many rows", &[10, 10], |c| c.rows = 5),
        ("scratch for an operand", &[14, 12], |c| c.b.buffer = SCRATCH),
        ("bits without a word", &[10, 12], |c| c.a.buffer = BITS),
        ("bits that are none", &[10, 10], |c| c.packed = true),
        ("planes of floats", &[10], |c| c.planes = 2),
        ("no planes", &[10], |c| c.planes = 0),
        ("weights of 8 bits for numbers", &[10], |c| c.weights = WeightValues::Int8),
        ("missing buffer", &[1], |c| c.b.buffer = NONE),
        ("result in an input", &[8], |c| (c.a.buffer, c.out.buffer) = (CONSTANT, INPUT)),
        ("unwritten operand", &[12], |c| c.a.buffer = TEMPORARY),
        ("step outside of a repeat", &[11], |c| c.a.offset = Ix::step()),
        ("result over an operand", &[10, 12], |c| c.a.buffer = OUTPUT),
        ("result behind an operand", &[12], |c| {
            c.rows = 1;
            c.a.buffer = OUTPUT;
            c.out.offset = at(3);
        }),
    ];
    for (name, rules, change) in cases {
        let mut program = program();
        let mut contraction = product();
        change(&mut contraction);
        let kernel = program.add_kernel(Kernel::Contraction(contraction));
        program.launches.push(Launch::Run(kernel));
        assert_eq!(broken(&program), *rules, "{name}");
    }
}

#[test]
fn operands_that_move_with_the_step() {
    for (steps, rules) in [(0, &[][..]), (3, &[]), (4, &[10])] {
        let mut program = program();
        let mut contraction = product();
        contraction.a.offset = Ix::step().times(3);
        let kernel = program.add_kernel(Kernel::Contraction(contraction));
        program.launches.push(Launch::Repeat { steps, reverse: false, body: vec![Launch::Run(kernel)] });
        assert_eq!(broken(&program), rules, "{steps} steps");
    }
}

#[test]
fn rules_for_draws() {
    for (buffer, len, rules) in [
        (OUTPUT, 12, &[][..]),
        (OUTPUT, 13, &[10]),
        (INPUT, 1, &[8]),
        (BITS, 1, &[10]),
        (SCRATCH, 1, &[14]),
        (BufferId(9), 1, &[1]),
    ] {
        let mut program = program();
        let draw =
            Draw { name: "d".into(), distribution: Distribution::Uniform, stream: 0, len, out: operand(buffer, at(0)) };
        let kernel = program.add_kernel(Kernel::Draw(draw));
        program.launches.push(Launch::Run(kernel));
        assert_eq!(broken(&program), rules, "{len} into {buffer:?}");
    }
}
