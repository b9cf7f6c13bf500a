//! Rules for nests, their values and their buffers.

use snn_loops::{Access, Expr, Extent, Ix, Kernel, LoopKind, Reg, Role, Scalar, Stmt, Val, Var};

use super::*;

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
