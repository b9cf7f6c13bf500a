//! Memory of threads: short histories lie in the thread's own, long ones in the workspace, with the same results.

use snn_cuda::{Arch, Argument, Emission, Instance, Precision, Target, emit};
use snn_loops::interp::{self, Memory};
use snn_loops::{
    Access, BufferId, Dtype, Expr, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, Role, Scalar, Var,
    verify,
};

use crate::instances::{compiled, read, with_fakes, write};
use crate::programs::KEY;

/// Elements: not a multiple of a warp.
const LEN: usize = 37;

/// Running sums of `x` over the steps, kept in one history after the other, then `y = sum of kept / (at + 1)` backward in
/// time, and for each element whether that is positive.
struct Histories {
    program: Program,
    x: BufferId,
    y: BufferId,
}

fn histories(dtype: Dtype, steps: &[usize]) -> Histories {
    let mut program = Program::new(dtype);
    let most = steps.iter().copied().max().unwrap();
    let x = program.add_buffer("x", most * LEN, Role::Input);
    let y = program.add_buffer("y", LEN, Role::Output);
    let bits = program.add_packed_buffer("bits", 64);
    let all: Vec<(BufferId, usize)> =
        steps.iter().map(|steps| (program.add_buffer("history", *steps, Role::Scratch), *steps)).collect();
    let mut nest = NestBuilder::new("histories");
    let (lane, sum) = (nest.fresh_var(), nest.fresh_reg());
    nest.open(lane, Extent::Fixed(LEN), LoopKind::Lanes);
    let zero = nest.constant(0.0);
    nest.set(sum, zero);
    let add = |nest: &mut NestBuilder, value| {
        let before = nest.get(sum);
        let after = nest.scalar(Scalar::Add, &[before, value]);
        nest.set(sum, after);
        after
    };
    for (history, steps) in &all {
        let time = nest.fresh_var();
        nest.open(time, Extent::Fixed(*steps), LoopKind::Serial);
        let value = nest.load(Access::new(x, Ix::var(time).times(LEN as i64).plus(&Ix::var(lane))));
        let after = add(&mut nest, value);
        nest.store(Access::new(*history, Ix::var(time)), after);
        nest.close();
    }
    let back = |nest: &mut NestBuilder, time: Var, history: BufferId| {
        let kept = nest.load(Access::new(history, Ix::var(time)));
        let at = nest.define(Expr::Index(Ix::var(time).plus(&Ix::constant(1))));
        let part = nest.scalar(Scalar::Div, &[kept, at]);
        add(nest, part);
    };
    for (history, steps) in &all {
        let time = nest.fresh_var();
        nest.open(time, Extent::Fixed(*steps), LoopKind::Reverse);
        back(&mut nest, time, *history);
        nest.close();
    }
    let total = nest.get(sum);
    nest.store(Access::new(y, Ix::var(lane)), total);
    let is_positive = nest.scalar(Scalar::Lt, &[zero, total]);
    let one = nest.constant(1.0);
    let bit = nest.scalar(Scalar::Select, &[is_positive, one, zero]);
    nest.store(Access::new(bits, Ix::var(lane)), bit);
    let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
    program.launches.push(Launch::Run(kernel));
    assert_eq!(verify::verify(&program), Ok(()));
    Histories { program, x, y }
}

fn emitted(histories: &Histories) -> Emission {
    let target = Target { arch: Arch::Sm80, dtype: histories.program.dtype, precision: Precision::F32 };
    emit(&histories.program, &target)
}

/// Bytes of each thread's own, and of workspace.
fn bytes(histories: &Histories) -> (usize, usize) {
    let emission = emitted(histories);
    let local = emission.units.iter().flat_map(|unit| unit.local_bytes.values()).sum();
    let calls: Vec<_> = emission.kernels.iter().flatten().collect();
    let takes_workspace = calls.iter().any(|call| call.arguments.contains(&Argument::Workspace(0)));
    assert_eq!(takes_workspace, emission.workspace > 0);
    (local, emission.workspace)
}

#[test]
fn long_histories_lie_in_the_workspace() {
    // Threads are whole warps, since lanes make words of bits together.
    let threads = 64;
    assert_eq!(bytes(&histories(Dtype::F32, &[256])), (1024, 0));
    assert_eq!(bytes(&histories(Dtype::F32, &[257])), (0, 257 * threads * 4));
    assert_eq!(bytes(&histories(Dtype::F64, &[100, 200, 28])), (1024, 200 * threads * 8));
    assert_eq!(bytes(&histories(Dtype::F32, &[300, 200, 70])), (800, 370 * threads * 4));
}

#[test]
fn histories_are_the_same_wherever_they_lie() {
    if !with_fakes("scratch::histories_are_the_same_wherever_they_lie") {
        return;
    }
    for (dtype, steps) in [(Dtype::F32, &[256][..]), (Dtype::F32, &[300, 200, 70]), (Dtype::F64, &[100, 200, 28])] {
        let histories = histories(dtype, steps);
        let count = steps.iter().max().unwrap() * LEN;
        let values: Vec<f64> = (0..count).map(|at| dtype.round((at as f64 * 0.17) % 1.5 - 0.75)).collect();
        let mut memory = Memory::new(&histories.program);
        memory.write(histories.x, &values).unwrap();
        interp::run(&histories.program, &mut memory, KEY).unwrap();
        let mut instance = Instance::new(&compiled(&histories.program)).unwrap();
        write(&mut instance, dtype, histories.x, &values);
        instance.run(KEY).unwrap();
        assert_eq!(read(&instance, dtype, histories.y), memory.buffer(histories.y), "{steps:?}");
    }
}
