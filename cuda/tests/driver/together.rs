//! Nests that are one launch: which they are, that what they wait for stays where it is, and that results are the
//! interpreter's.

use snn_cuda::{Arch, Emission, Executable, Instance, Precision, Target, emit, emit_apart};
use snn_loops::interp::{self, Memory};
use snn_loops::{
    Access, BufferId, Distribution, Draw, Dtype, Extent, Ix, Kernel, KernelId, Launch, LoopKind, NestBuilder, Operand,
    Program, RandomKey, Role, Scalar, verify,
};

use crate::instances::{compiled, read, with_fakes, write};
use crate::programs::KEY;

/// Elements of the weights: of a few threads, of some blocks, cut into tasks, alike.
const LENGTHS: [usize; 4] = [37, 1000, 20_000, 1000];

fn emission(program: &Program) -> Emission {
    emit(program, &Target { arch: Arch::Sm80, dtype: program.dtype, precision: Precision::F32 })
}

fn run(program: &mut Program, kernel: Kernel) -> KernelId {
    let id = program.add_kernel(kernel);
    program.launches.push(Launch::Run(id));
    id
}

/// `to = from[0] * factor + from[1] + ...`, in tasks of `size` elements where there are more.
fn combine(program: &mut Program, to: BufferId, from: &[BufferId], factor: f64) -> KernelId {
    const SIZE: usize = 8192;
    let len = program.buffers[to.0 as usize].len;
    let mut nest = NestBuilder::new("combine");
    let (task, lane) = (nest.fresh_var(), nest.fresh_var());
    let mut at = Ix::var(lane);
    if len > SIZE {
        nest.open(task, Extent::Fixed(len.div_ceil(SIZE)), LoopKind::Parallel);
        nest.open(lane, Extent::Block { block: task, size: SIZE, total: len }, LoopKind::Lanes);
        at = at.plus(&Ix::var(task).times(SIZE as i64));
    } else {
        nest.open(lane, Extent::Fixed(len), LoopKind::Lanes);
    }
    let factor = nest.constant(factor);
    let first = nest.load(Access::new(from[0], at.clone()));
    let mut sum = nest.scalar(Scalar::Mul, &[first, factor]);
    for more in &from[1..] {
        let more = nest.load(Access::new(*more, at.clone()));
        sum = nest.scalar(Scalar::Add, &[sum, more]);
    }
    nest.store(Access::new(to, at), sum);
    run(program, Kernel::Nest(nest.finish()))
}

/// Gradients, which are drawn, one after the other, each followed by the update of its weight.
struct Training {
    program: Program,
    weights: Vec<BufferId>,
    next: Vec<BufferId>,
    updates: Vec<KernelId>,
}

fn training() -> Training {
    let mut program = Program::new(Dtype::F32);
    let weights: Vec<_> = LENGTHS.iter().map(|len| program.add_buffer("weight", *len, Role::Input)).collect();
    let next: Vec<_> = LENGTHS.iter().map(|len| program.add_buffer("next", *len, Role::Output)).collect();
    let mut updates = Vec::new();
    for (at, len) in LENGTHS.into_iter().enumerate() {
        let gradient = program.add_buffer("gradient", len, Role::Temporary);
        let out = Operand::whole(gradient);
        let (name, distribution) = ("draw".to_owned(), Distribution::Normal);
        run(&mut program, Kernel::Draw(Draw { name, distribution, stream: at as u64, len, out }));
        updates.push(combine(&mut program, next[at], &[weights[at], gradient], 0.5));
    }
    assert_eq!(verify::verify(&program), Ok(()));
    Training { program, weights, next, updates }
}

#[test]
fn updates_of_all_lengths_are_one_launch_of_one_text() {
    let training = training();
    let emission = emission(&training.program);
    let [earlier @ .., last] = training.updates.as_slice() else { unreachable!() };
    assert!(earlier.iter().all(|update| emission.kernels[update.0 as usize].is_empty()));
    assert!(emission.moved.iter().map(|moved| moved.kernel).eq(earlier.iter().copied()));
    assert!(emission.moved.iter().all(|moved| moved.to == *last));
    let [call] = emission.kernels[last.0 as usize].as_slice() else { panic!("one launch") };
    assert_eq!(call.grid, [1 + 4 + 79 + 4, 1]);
    let text: String = emission.units.iter().map(|unit| &unit.text[unit.begin..]).collect();
    assert_eq!(text.matches("SN_DEV void member_").count(), 1, "{text}");
    let target = Target { arch: Arch::Sm80, dtype: Dtype::F32, precision: Precision::F32 };
    let apart = emit_apart(&training.program, &target);
    assert!(apart.moved.is_empty() && apart.kernels.iter().all(|calls| calls.len() == 1));
}

#[test]
fn what_waits_stays_and_results_are_those_of_the_interpreter() {
    if !with_fakes("together::what_waits_stays_and_results_are_those_of_the_interpreter") {
        return;
    }
    let Training { program, weights, next, .. } = training();
    let executable = compiled(&program);
    let pairs: Vec<_> = next.iter().copied().zip(weights.iter().copied()).collect();
    for pairs_in_place in [&[][..], &pairs] {
        let mut instance = Instance::replacing(&executable, pairs_in_place).unwrap();
        let mut memory = Memory::new(&program);
        for at in 0..4 {
            let key = RandomKey { run: at, ..KEY };
            for weight in &weights {
                let values = vec![at as f64 + 0.25; memory.buffer(*weight).len()];
                write(&mut instance, Dtype::F32, *weight, &values);
                memory.write(*weight, &values).unwrap();
            }
            instance.run(key).unwrap();
            interp::run(&program, &mut memory, key).unwrap();
            for next in &next {
                assert_eq!(read(&instance, Dtype::F32, *next), memory.buffer(*next), "run {at}, b{}", next.0);
            }
        }
    }
    let apart: usize = program.buffers.iter().filter(|b| b.role != Role::Temporary).map(|b| b.len * 4).sum();
    let bytes = |pairs: &[_]| Instance::replacing(&executable, pairs).unwrap().memory_bytes();
    assert_eq!(bytes(&[]) - bytes(&pairs), apart / 2, "weights are replaced in place");
}

#[test]
fn nests_that_need_each_other_are_apart() {
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", 300, Role::Input);
    let [t, u] = ["t", "u"].map(|name| program.add_buffer(name, 300, Role::Temporary));
    let [y, z] = ["y", "z"].map(|name| program.add_buffer(name, 300, Role::Output));
    let chain = [combine(&mut program, t, &[x], 2.0), combine(&mut program, u, &[t], 3.0)];
    let [y, z] = [y, z].map(|to| combine(&mut program, to, &[u, t], 4.0));
    assert_eq!(verify::verify(&program), Ok(()));
    let emission = emission(&program);
    let calls = |kernel: KernelId| emission.kernels[kernel.0 as usize].len();
    assert_eq!(chain.map(calls), [1, 1]);
    assert_eq!([y, z].map(calls), [0, 1]);
}

#[test]
fn a_result_lies_over_no_input_that_somebody_reads_in_the_same_launch() {
    if !with_fakes("together::a_result_lies_over_no_input_that_somebody_reads_in_the_same_launch") {
        return;
    }
    let mut program = Program::new(Dtype::F32);
    let [old, x] = ["old", "x"].map(|name| program.add_buffer(name, 300, Role::Input));
    let [seen, new] = ["seen", "new"].map(|name| program.add_buffer(name, 300, Role::Output));
    combine(&mut program, seen, &[old], 2.0);
    combine(&mut program, new, &[x], 3.0);
    assert!(snn_loops::in_place::may_share(&program, new, old), "in the program's order");
    assert_eq!(emission(&program).moved.len(), 1);
    let executable = compiled(&program);
    let bytes = |pairs: &[_]| Instance::replacing(&executable, pairs).unwrap().memory_bytes();
    assert_eq!(bytes(&[]), bytes(&[(new, old)]));
}

#[test]
fn steps_of_a_loop_are_told_to_all_members() {
    if !with_fakes("together::steps_of_a_loop_are_told_to_all_members") {
        return;
    }
    const STEPS: usize = 3;
    let mut program = Program::new(Dtype::F32);
    let x = program.add_buffer("x", 41 * STEPS, Role::Input);
    let outs = [0, 1].map(|_| program.add_buffer("y", 40 * STEPS, Role::Output));
    let mut body = Vec::new();
    for (factor, out) in [3.0, 5.0].into_iter().zip(outs) {
        let mut nest = NestBuilder::new("a step");
        let lane = nest.fresh_var();
        nest.open(lane, Extent::Fixed(40), LoopKind::Lanes);
        let at = Ix::var(lane).plus(&Ix::step().times(40));
        let value = nest.load(Access::new(x, at.clone()));
        let factor = nest.constant(factor);
        let value = nest.scalar(Scalar::Mul, &[value, factor]);
        nest.store(Access::new(out, at), value);
        body.push(Launch::Run(program.add_kernel(Kernel::Nest(nest.finish()))));
    }
    program.launches.push(Launch::Repeat { steps: STEPS, reverse: true, body });
    assert_eq!(verify::verify(&program), Ok(()));
    assert_eq!(emission(&program).moved.len(), 1);
    let executable: Executable = compiled(&program);
    let mut instance = Instance::new(&executable).unwrap();
    let values: Vec<f64> = (0..41 * STEPS).map(|at| at as f64).collect();
    write(&mut instance, Dtype::F32, x, &values);
    instance.run(KEY).unwrap();
    for (factor, out) in [3.0, 5.0].into_iter().zip(outs) {
        let expected: Vec<f64> = values[..40 * STEPS].iter().map(|value| value * factor).collect();
        assert_eq!(read(&instance, Dtype::F32, out), expected);
    }
}

#[test]
fn a_launch_has_no_more_than_four_kilobytes_of_arguments() {
    let mut program = Program::new(Dtype::F32);
    for len in 1..=200 {
        let x = program.add_buffer("x", 10 + len, Role::Input);
        let y = program.add_buffer("y", 10 + len, Role::Output);
        combine(&mut program, y, &[x], 0.5);
    }
    let calls: Vec<usize> = emission(&program).kernels.iter().flatten().map(|call| call.arguments.len()).collect();
    // 4 entries each, and the step.
    assert_eq!(calls, [1 + 124 * 4, 1 + 76 * 4]);
}
