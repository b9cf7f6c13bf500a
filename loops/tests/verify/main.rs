//! Every rule of the verifier refuses a program that breaks just that rule, and accepts its nearest neighbors.
//!
//! The tests must never know how a rule is checked.

mod heavy;
mod launches;
mod nests;
mod packed;

use snn_loops::verify::verify;
use snn_loops::{
    Access, BufferId, Dtype, Extent, Ix, Kernel, KernelId, Launch, LoopKind, NestBuilder, Program, Role, Var,
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

#[test]
fn errors_name_rule_kernel_and_place() {
    let errors = verify(&with_nest(|b| store_one(b, OUTPUT, at(12)))).unwrap_err();
    assert_eq!(errors[0].to_string(), "loops rule 9 in kernel `k`: a store at b1[12] reaches 12 to 12 of 12 elements");
    let errors = verify(&launches::three_kernels(vec![Launch::Run(KernelId(7))])).unwrap_err();
    assert_eq!(errors[0].to_string(), "loops rule 1: k7 is launched but does not exist");
}
