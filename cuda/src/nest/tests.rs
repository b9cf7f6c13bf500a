//! Which loops become threads, seen from the text.

use snn_loops::{Access, BufferId, Dtype, Extent, Ix, LoopKind, Nest, NestBuilder, Program, Role, Scalar, Var, verify};

use super::emit;
use crate::emit::Storage;

/// Elements of both buffers.
const LEN: usize = 1 << 16;

/// The text of a nest that reads buffer 0 and writes buffer 1, which may hold bits.
fn text(nest: Nest, is_packed: bool) -> String {
    let mut program = Program::new(Dtype::F32);
    program.add_buffer("in", LEN, Role::Input);
    if is_packed {
        program.add_packed_buffer("out", LEN);
    } else {
        program.add_buffer("out", LEN, Role::Output);
    }
    program.add_buffer("scratch", 8, Role::Scratch);
    let id = program.add_kernel(snn_loops::Kernel::Nest(nest.clone()));
    program.launches.push(snn_loops::Launch::Run(id));
    assert_eq!(verify::verify(&program), Ok(()));
    let bits = if is_packed { Storage::Bits } else { Storage::Float };
    let emitted = emit(&nest, &program, &[Storage::Float, bits, Storage::Float]);
    emitted.functions.into_iter().map(|function| function.text).collect()
}

const IN: BufferId = BufferId(0);
const OUT: BufferId = BufferId(1);

fn at(terms: &[(Var, i64)]) -> Ix {
    terms.iter().fold(Ix::constant(0), |sum, (var, by)| sum.plus(&Ix::var(*var).times(*by)))
}

/// Tasks of 16 rows of `lanes` elements; what a row's lane does is `body`'s.
fn rows(lanes: usize, body: impl FnOnce(&mut NestBuilder, [Var; 3])) -> Nest {
    let mut nest = NestBuilder::new("rows");
    let [task, row, lane] = [nest.fresh_var(), nest.fresh_var(), nest.fresh_var()];
    nest.open(task, Extent::Fixed(4), LoopKind::Parallel);
    nest.open(row, Extent::Block { block: task, size: 16, total: 60 }, LoopKind::Serial);
    nest.open(lane, Extent::Fixed(lanes), LoopKind::Lanes);
    body(&mut nest, [task, row, lane]);
    nest.finish()
}

#[test]
fn rows_of_tasks_are_threads() {
    let nest = rows(8, |nest, [task, row, lane]| {
        let x = nest.load(Access::new(IN, at(&[(task, 128), (row, 8), (lane, 1)])));
        nest.store(Access::new(OUT, at(&[(task, 128), (row, 8), (lane, 1)])), x);
    });
    let text = text(nest, false);
    assert!(text.contains("if (thread >= 512u) return;"), "{text}");
    assert!(text.contains("if (i1 >= sn_rest<i32>(60, (i32)i0 * 16, 16)) return;"), "{text}");
    assert!(!text.contains("for ("), "{text}");
}

#[test]
fn rows_that_may_meet_stay_in_order() {
    // Two rows store to one element, which the text of the index alone does not say.
    let nest = rows(8, |nest, [task, row, lane]| {
        let x = nest.load(Access::new(IN, at(&[(row, 8), (lane, 1)])));
        nest.store(Access::new(OUT, at(&[(task, 128), (row, 4), (lane, 1)])), x);
    });
    let text = text(nest, false);
    assert!(text.contains("if (thread >= 32u) return;") && text.contains("for (i32 i1 = 0;"), "{text}");
}

#[test]
fn what_a_register_carries_stays_in_order() {
    let mut nest = NestBuilder::new("running sum");
    let [task, row, lane] = [nest.fresh_var(), nest.fresh_var(), nest.fresh_var()];
    let sum = nest.fresh_reg();
    nest.open(task, Extent::Fixed(4), LoopKind::Parallel);
    nest.open(lane, Extent::Fixed(8), LoopKind::Lanes);
    let zero = nest.constant(0.0);
    nest.set(sum, zero);
    nest.open(row, Extent::Fixed(16), LoopKind::Serial);
    let x = nest.load(Access::new(IN, at(&[(task, 128), (row, 8), (lane, 1)])));
    let before = nest.get(sum);
    let after = nest.scalar(Scalar::Add, &[before, x]);
    nest.set(sum, after);
    nest.store(Access::new(OUT, at(&[(task, 128), (row, 8), (lane, 1)])), after);
    let text = text(nest.finish(), false);
    assert!(text.contains("if (thread >= 32u) return;") && text.contains("for (i32 i1 = 0; i1 < 16; ++i1)"), "{text}");
}

#[test]
fn long_sums_of_few_threads_are_taken_by_warps_in_order() {
    let sum_of = |count: usize| {
        let mut nest = NestBuilder::new("sum");
        let [row, lane] = [nest.fresh_var(), nest.fresh_var()];
        let sum = nest.fresh_reg();
        nest.open(lane, Extent::Fixed(10), LoopKind::Lanes);
        let zero = nest.constant(0.0);
        nest.set(sum, zero);
        nest.open(row, Extent::Fixed(count), LoopKind::Serial);
        let x = nest.load(Access::new(IN, at(&[(row, 10), (lane, 1)])));
        let before = nest.get(sum);
        let after = nest.scalar(Scalar::Add, &[before, x]);
        nest.set(sum, after);
        nest.close();
        let total = nest.get(sum);
        nest.store(Access::new(OUT, at(&[(lane, 1)])), total);
        text(nest.finish(), false)
    };
    let long = sum_of(1000);
    assert!(
        long.contains("if (thread >= 320u) return;") && long.contains("__shfl_sync(0xffffffffu, v1, from)"),
        "{long}"
    );
    assert!(long.contains("if (member == 0) p1["), "{long}");
    let short = sum_of(40);
    assert!(short.contains("if (thread >= 10u) return;") && !short.contains("__shfl_sync"), "{short}");
}

#[test]
fn lanes_behind_the_last_vote_along() {
    let nest = rows(20, |nest, [task, row, lane]| {
        let x = nest.load(Access::new(IN, at(&[(task, 320), (row, 20), (lane, 1)])));
        nest.store(Access::new(OUT, at(&[(task, 1024), (row, 64), (lane, 1)])), x);
    });
    let text = text(nest, true);
    // 60 rows of a whole warp each, of which 20 lanes count.
    assert!(text.contains("if (thread >= 2048u) return;"), "{text}");
    assert!(text.contains("const bool on2 = lane < 20;"), "{text}");
    assert!(text.contains("__ballot_sync(0xffffffffu, on2 && "), "{text}");
}
