//! Every rule of the verifier refuses a program that breaks just that rule, and accepts its nearest neighbors.
//!
//! The tests must never know how a rule is checked.

use snn_loops::verify::verify;
use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Distribution, Draw, Dtype, Expr, Extent, Ix, Kernel,
    KernelId, Launch, LoopKind, NestBuilder, Operand, Program, Reg, Role, Scalar, Stmt, Val, Var,
};

/// A program with an input b0, an output b1, a temporary b2, a constant b3 and scratch b4, of 12 elements each, and 256
/// bits b5.
fn program() -> Program {
    let mut program = Program::new(Dtype::F32);
    program.add_buffer("input", 12, Role::Input);
    program.add_buffer("output", 12, Role::Output);
    program.add_buffer("temporary", 12, Role::Temporary);
    program.add_buffer("constant", 12, Role::Constant(vec![0.0; 12]));
    program.add_buffer("scratch", 12, Role::Scratch);
    program.add_packed_buffer("bits", 256);
    program
}

const INPUT: BufferId = BufferId(0);
const OUTPUT: BufferId = BufferId(1);
const TEMPORARY: BufferId = BufferId(2);
const CONSTANT: BufferId = BufferId(3);
const SCRATCH: BufferId = BufferId(4);
const BITS: BufferId = BufferId(5);
/// A buffer that there is not.
const NONE: BufferId = BufferId(6);

/// The rules that a program breaks.
fn broken(program: &Program) -> Vec<u8> {
    verify(program).err().unwrap_or_default().iter().map(|error| error.rule).collect()
}

fn with_nest(emit: impl Fn(&mut NestBuilder)) -> Program {
    let mut program = program();
    let mut b = NestBuilder::new("k");
    emit(&mut b);
    let kernel = program.add_kernel(Kernel::Nest(b.finish()));
    program.launches.push(Launch::Run(kernel));
    program
}

fn at(index: i64) -> Ix {
    Ix::constant(index)
}

fn fixed(b: &mut NestBuilder, n: usize, kind: LoopKind) -> Var {
    let var = b.fresh_var();
    b.open(var, Extent::Fixed(n), kind);
    var
}

/// Opens a loop of blocks of 5 and a loop over each block, 12 iterations together.
fn blocks(b: &mut NestBuilder, outer: LoopKind, inner: LoopKind) -> Ix {
    let block = fixed(b, 3, outer);
    let var = b.fresh_var();
    b.open(var, Extent::Block { block, size: 5, total: 12 }, inner);
    Ix::var(block).times(5).plus(&Ix::var(var))
}

fn store_one(b: &mut NestBuilder, buffer: BufferId, index: Ix) {
    let one = b.constant(1.0);
    b.store(Access::new(buffer, index), one);
}

type Emit = fn(&mut NestBuilder);

const NESTS: &[(&str, &[u8], Emit)] = &[
    ("nothing", &[], |_| {}),
    ("missing buffer", &[1], |b| {
        b.load(Access::new(NONE, at(0)));
    }),
    ("value out of range", &[1], |b| {
        b.scalar(Scalar::Neg, &[Val(9)]);
    }),
    ("register out of range", &[1], |b| {
        let one = b.constant(1.0);
        b.set(Reg(0), one);
    }),
    ("variable out of range", &[1], |b| b.open(Var(0), Extent::Fixed(1), LoopKind::Serial)),
    ("value used before its definition", &[3], |b| {
        b.scalar(Scalar::Neg, &[Val(0)]);
    }),
    ("value used after its block", &[3], |b| {
        fixed(b, 2, LoopKind::Serial);
        let one = b.constant(1.0);
        b.close();
        b.scalar(Scalar::Neg, &[one]);
    }),
    ("value used in a nested block", &[], |b| {
        let one = b.constant(1.0);
        fixed(b, 2, LoopKind::Serial);
        b.scalar(Scalar::Neg, &[one]);
    }),
    ("variable used outside of its loop", &[3], |b| {
        let i = fixed(b, 2, LoopKind::Serial);
        b.close();
        b.define(Expr::Index(Ix::var(i)));
    }),
    ("variable of two loops", &[3], |b| {
        let i = fixed(b, 2, LoopKind::Serial);
        b.close();
        b.open(i, Extent::Fixed(2), LoopKind::Serial);
    }),
    ("blocks of no loop", &[3], |b| {
        let (i, j) = (b.fresh_var(), b.fresh_var());
        b.open(i, Extent::Block { block: j, size: 4, total: 12 }, LoopKind::Serial);
    }),
    ("empty blocks", &[3], |b| {
        let i = fixed(b, 2, LoopKind::Serial);
        let j = b.fresh_var();
        b.open(j, Extent::Block { block: i, size: 0, total: 12 }, LoopKind::Serial);
    }),
    ("too few arguments", &[4], |b| {
        let one = b.constant(1.0);
        b.scalar(Scalar::Add, &[one]);
    }),
    ("float for a mask", &[4], |b| {
        let one = b.constant(1.0);
        b.scalar(Scalar::Select, &[one, one, one]);
    }),
    ("mask for a float", &[4], |b| {
        let one = b.constant(1.0);
        let mask = b.scalar(Scalar::Lt, &[one, one]);
        b.scalar(Scalar::Neg, &[mask]);
    }),
    ("mask in a register", &[4], |b| {
        let (one, reg) = (b.constant(1.0), b.fresh_reg());
        let mask = b.scalar(Scalar::Lt, &[one, one]);
        b.set(reg, mask);
    }),
    ("mask in memory", &[4], |b| {
        let one = b.constant(1.0);
        let mask = b.scalar(Scalar::Lt, &[one, one]);
        b.store(Access::new(OUTPUT, at(0)), mask);
    }),
    ("register read before it is set", &[5], |b| {
        let reg = b.fresh_reg();
        b.get(reg);
    }),
    ("register set only inside a loop", &[5], |b| {
        let reg = b.fresh_reg();
        fixed(b, 2, LoopKind::Serial);
        let one = b.constant(1.0);
        b.set(reg, one);
        b.close();
        b.get(reg);
    }),
    ("register set before a loop", &[], |b| {
        let reg = b.fresh_reg();
        let one = b.constant(1.0);
        b.set(reg, one);
        fixed(b, 2, LoopKind::Serial);
        let value = b.get(reg);
        b.set(reg, value);
        b.close();
        b.get(reg);
    }),
    ("register on both sides of lanes", &[5], |b| {
        let reg = b.fresh_reg();
        let one = b.constant(1.0);
        b.set(reg, one);
        fixed(b, 2, LoopKind::Lanes);
        b.set(reg, one);
    }),
    ("parallel inside of serial", &[6], |b| {
        fixed(b, 2, LoopKind::Serial);
        fixed(b, 2, LoopKind::Parallel);
    }),
    ("parallel and a neighbor", &[6], |b| {
        fixed(b, 2, LoopKind::Parallel);
        b.close();
        b.constant(1.0);
    }),
    ("lanes inside of lanes", &[6], |b| {
        fixed(b, 2, LoopKind::Lanes);
        fixed(b, 2, LoopKind::Serial);
        fixed(b, 2, LoopKind::Lanes);
    }),
    ("lanes after lanes", &[], |b| {
        fixed(b, 2, LoopKind::Lanes);
        b.close();
        fixed(b, 2, LoopKind::Lanes);
        fixed(b, 2, LoopKind::Reverse);
    }),
    ("parallel iterations store to one element", &[7], |b| {
        fixed(b, 2, LoopKind::Parallel);
        store_one(b, OUTPUT, at(0));
    }),
    ("lanes store to one element", &[7], |b| {
        let i = fixed(b, 3, LoopKind::Serial);
        fixed(b, 2, LoopKind::Lanes);
        store_one(b, OUTPUT, Ix::var(i));
    }),
    ("one lane stores to one element", &[], |b| {
        fixed(b, 1, LoopKind::Lanes);
        store_one(b, OUTPUT, at(0));
    }),
    ("store with bounds", &[8], |b| {
        let one = b.constant(1.0);
        b.store(Access { bounds: vec![(at(0), 1)], ..Access::new(OUTPUT, at(0)) }, one);
    }),
    ("store to an input", &[8], |b| store_one(b, INPUT, at(0))),
    ("store to a constant", &[8], |b| store_one(b, CONSTANT, at(0))),
    ("load behind the end", &[9], |b| {
        let i = fixed(b, 13, LoopKind::Serial);
        b.load(Access::new(INPUT, Ix::var(i)));
    }),
    ("load before the start", &[9], |b| {
        let i = fixed(b, 12, LoopKind::Serial);
        b.load(Access::new(INPUT, Ix::var(i).offset(-1)));
    }),
    ("store behind the end", &[9], |b| store_one(b, OUTPUT, at(12))),
    ("load behind the end in a loop that never runs", &[], |b| {
        fixed(b, 0, LoopKind::Serial);
        b.load(Access::new(INPUT, at(20)));
    }),
    ("bounds keep a window inside", &[], |b| {
        let (y, x) = (fixed(b, 4, LoopKind::Serial), fixed(b, 4, LoopKind::Serial));
        let (y, x) = (Ix::var(y).offset(-1), Ix::var(x).offset(-1));
        let index = y.times(4).plus(&x);
        b.load(Access { bounds: vec![(y, 3), (x, 4)], ..Access::new(INPUT, index) });
    }),
    ("bounds too wide for the buffer", &[9], |b| {
        let (y, x) = (fixed(b, 6, LoopKind::Serial), fixed(b, 4, LoopKind::Serial));
        let y = Ix::var(y).offset(-1);
        let index = y.times(4).plus(&Ix::var(x));
        b.load(Access { bounds: vec![(y, 4)], ..Access::new(INPUT, index) });
    }),
    ("bounds that never hold", &[], |b| {
        b.load(Access { bounds: vec![(at(5), 5)], ..Access::new(INPUT, at(50)) });
    }),
    ("the last block is short", &[], |b| {
        let index = blocks(b, LoopKind::Parallel, LoopKind::Lanes);
        store_one(b, OUTPUT, index);
    }),
    ("the last block is short but offset", &[9], |b| {
        let index = blocks(b, LoopKind::Serial, LoopKind::Serial);
        b.load(Access::new(INPUT, index.offset(1)));
    }),
    ("quotient and remainder of a flat index", &[], |b| {
        let flat = Ix::var(fixed(b, 12, LoopKind::Serial));
        let none = |_: Var| None;
        let (row, column) = (flat.divide(4, &none), flat.modulo(4, &none));
        b.load(Access::new(INPUT, column.times(3).plus(&row)));
    }),
    ("far behind the end, whatever the remainder", &[9], |b| {
        let flat = Ix::var(fixed(b, 12, LoopKind::Serial));
        b.load(Access::new(INPUT, flat.modulo(5, &|_| None).offset(12)));
    }),
    ("a remainder that may lie behind the end", &[9], |b| {
        let flat = Ix::var(fixed(b, 100, LoopKind::Serial));
        b.load(Access::new(INPUT, flat.modulo(20, &|_| None)));
    }),
    ("a negative bound", &[9], |b| {
        let i = Ix::var(fixed(b, 12, LoopKind::Serial));
        b.load(Access { bounds: vec![(i.clone(), -1)], ..Access::new(INPUT, i) });
    }),
    ("step outside of a repeat", &[11], |b| {
        b.load(Access::new(INPUT, Ix::step()));
    }),
    ("temporary read first", &[12], |b| {
        b.load(Access::new(TEMPORARY, at(0)));
    }),
    ("output read first", &[12], |b| {
        b.load(Access::new(OUTPUT, at(0)));
    }),
    ("own result read", &[], |b| {
        store_one(b, TEMPORARY, at(0));
        b.load(Access::new(TEMPORARY, at(0)));
    }),
    ("bits of a row in lanes", &[], |b| {
        let row = fixed(b, 2, LoopKind::Parallel);
        let lane = fixed(b, 100, LoopKind::Lanes);
        store_one(b, BITS, Ix::var(row).times(128).plus(&Ix::var(lane)));
    }),
    ("bits in blocks of words", &[], |b| {
        let block = fixed(b, 4, LoopKind::Parallel);
        let lane = b.fresh_var();
        b.open(lane, Extent::Block { block, size: 64, total: 200 }, LoopKind::Lanes);
        store_one(b, BITS, Ix::var(block).times(64).plus(&Ix::var(lane)));
    }),
    ("a bit of every word", &[], |b| {
        let word = fixed(b, 4, LoopKind::Serial);
        store_one(b, BITS, Ix::var(word).times(64));
    }),
    ("bits of rows that share words", &[13], |b| {
        let row = fixed(b, 2, LoopKind::Parallel);
        let lane = fixed(b, 100, LoopKind::Lanes);
        store_one(b, BITS, Ix::var(row).times(100).plus(&Ix::var(lane)));
    }),
    ("bits from the middle of a word on", &[13], |b| {
        let lane = fixed(b, 64, LoopKind::Lanes);
        store_one(b, BITS, Ix::var(lane).offset(32));
    }),
    ("every other bit", &[13], |b| {
        let lane = fixed(b, 64, LoopKind::Lanes);
        store_one(b, BITS, Ix::var(lane).times(2));
    }),
    ("neighboring bits in a loop that is no lanes", &[13], |b| {
        let i = fixed(b, 64, LoopKind::Serial);
        store_one(b, BITS, Ix::var(i));
    }),
    ("bits in parallel", &[13], |b| {
        let i = fixed(b, 64, LoopKind::Parallel);
        store_one(b, BITS, Ix::var(i));
    }),
    ("any bit is loaded", &[], |b| {
        let lane = fixed(b, 64, LoopKind::Lanes);
        store_one(b, BITS, Ix::var(lane));
        b.close();
        let other = fixed(b, 20, LoopKind::Lanes);
        b.load(Access::new(BITS, Ix::var(other).times(3).offset(1)));
    }),
    ("scratch of every lane", &[], |b| {
        fixed(b, 3, LoopKind::Parallel);
        fixed(b, 5, LoopKind::Lanes);
        let step = fixed(b, 12, LoopKind::Serial);
        store_one(b, SCRATCH, Ix::var(step));
        b.close();
        let back = fixed(b, 12, LoopKind::Reverse);
        b.load(Access::new(SCRATCH, Ix::var(back).times(-1).offset(11)));
    }),
    ("scratch by lane", &[14], |b| {
        let lane = fixed(b, 5, LoopKind::Lanes);
        store_one(b, SCRATCH, Ix::var(lane));
    }),
    ("scratch by parallel iteration", &[14], |b| {
        let row = fixed(b, 5, LoopKind::Parallel);
        store_one(b, SCRATCH, Ix::var(row));
    }),
    ("scratch with bounds", &[14], |b| {
        fixed(b, 5, LoopKind::Lanes);
        store_one(b, SCRATCH, at(3));
        b.load(Access { bounds: vec![(at(3), 12)], ..Access::new(SCRATCH, at(3)) });
    }),
    ("scratch by a quotient", &[14], |b| {
        fixed(b, 5, LoopKind::Lanes);
        let step = fixed(b, 12, LoopKind::Serial);
        store_one(b, SCRATCH, Ix::var(step).divide(5, &|_| None));
    }),
];

#[test]
fn rules_for_nests() {
    for (name, rules, emit) in NESTS {
        assert_eq!(broken(&with_nest(emit)), *rules, "{name}");
    }
}

#[test]
fn a_value_defined_twice() {
    let mut program = with_nest(|b| {
        b.constant(1.0);
    });
    let Kernel::Nest(nest) = &mut program.kernels[0] else { panic!() };
    nest.body.push(Stmt::Let(Val(0), Expr::Const(2.0)));
    assert_eq!(broken(&program), [3]);
}

#[test]
fn a_constant_of_another_length() {
    let mut program = program();
    program.buffers[3].role = Role::Constant(vec![1.0]);
    assert_eq!(broken(&program), [2]);
}

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

/// k0 writes the temporary, k1 reads it, k2 reads its previous element within bounds.
fn three_kernels(launches: Vec<Launch>) -> Program {
    let mut program = program();
    let emits: [Emit; 3] = [
        |b| store_one(b, TEMPORARY, at(0)),
        |b| {
            b.load(Access::new(TEMPORARY, at(0)));
        },
        |b| {
            let previous = Ix::step().offset(-1);
            b.load(Access { bounds: vec![(previous.clone(), 3)], ..Access::new(TEMPORARY, previous) });
        },
    ];
    for emit in emits {
        let mut b = NestBuilder::new("k");
        emit(&mut b);
        program.add_kernel(Kernel::Nest(b.finish()));
    }
    program.launches = launches;
    program
}

#[test]
fn rules_for_launches() {
    let run = |id| Launch::Run(KernelId(id));
    let repeat = |steps, body| Launch::Repeat { steps, reverse: false, body };
    let cases = [
        ("in order", &[][..], vec![run(0), run(1)]),
        ("out of order", &[12], vec![run(1), run(0)]),
        ("missing kernel", &[1], vec![run(3)]),
        ("in a repeat, in order", &[], vec![repeat(3, vec![run(0), run(1)])]),
        ("in a repeat, out of order", &[12], vec![repeat(3, vec![run(1), run(0)])]),
        ("carried from step to step", &[], vec![repeat(3, vec![run(2), run(0)])]),
        ("written in a repeat that never runs", &[12], vec![repeat(0, vec![run(0)]), run(1)]),
        ("step outside of a repeat", &[11, 12], vec![run(2)]),
        ("nested", &[11], vec![repeat(3, vec![repeat(3, vec![run(0)])])]),
    ];
    for (name, rules, launches) in cases {
        assert_eq!(broken(&three_kernels(launches)), rules, "{name}");
    }
}

#[test]
fn errors_name_rule_kernel_and_place() {
    let errors = verify(&with_nest(|b| store_one(b, OUTPUT, at(12)))).unwrap_err();
    assert_eq!(errors[0].to_string(), "loops rule 9 in kernel `k`: a store at b1[12] reaches 12 to 12 of 12 elements");
    let errors = verify(&three_kernels(vec![Launch::Run(KernelId(7))])).unwrap_err();
    assert_eq!(errors[0].to_string(), "loops rule 1: k7 is launched but does not exist");
}
