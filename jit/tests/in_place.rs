//! Results written over the inputs that they replace: only where that changes nothing.

mod common;

use common::KEY;
use snn_jit::{Footprint, Instance, Options, compile};
use snn_loops::{
    Access, BufferId, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, Role, Scalar, Val,
};

/// Not a multiple of any number of lanes.
const LEN: usize = 1037;
const BLOCK: usize = 256;

struct Update {
    program: Program,
    weight: BufferId,
    next: BufferId,
    sum: BufferId,
}

impl Update {
    fn new() -> Update {
        let mut program = Program::new(Dtype::F32);
        let weight = program.add_buffer("weight", LEN, Role::Input);
        let next = program.add_buffer("next", LEN, Role::Output);
        let sum = program.add_buffer("sum", LEN, Role::Output);
        Update { program, weight, next, sum }
    }

    /// A kernel over all elements, in blocks; `body` gets the element's index.
    fn launch(&mut self, kind: LoopKind, body: impl FnOnce(&mut NestBuilder, &Ix)) {
        let mut nest = NestBuilder::new("kernel");
        let (block, lane) = (nest.fresh_var(), nest.fresh_var());
        let outer = if kind == LoopKind::Lanes { LoopKind::Parallel } else { LoopKind::Serial };
        nest.open(block, Extent::Fixed(LEN.div_ceil(BLOCK)), outer);
        nest.open(lane, Extent::Block { block, size: BLOCK, total: LEN }, kind);
        body(&mut nest, &Ix::var(block).times(BLOCK as i64).plus(&Ix::var(lane)));
        let kernel = self.program.add_kernel(Kernel::Nest(nest.finish()));
        self.program.launches.push(Launch::Run(kernel));
    }

    /// `next = weight / 2 + weight`
    fn update(&mut self, kind: LoopKind, shift: i64) {
        let (weight, next) = (self.weight, self.next);
        self.launch(kind, |nest, at| {
            let from = if shift == 0 { at.clone() } else { Ix::constant(shift) };
            let old = nest.load(Access::new(weight, at.clone()));
            let other = nest.load(Access::new(weight, from));
            let new = half_more(nest, old, other);
            nest.store(Access::new(next, at.clone()), new);
        });
    }

    /// `sum = from + from`
    fn read(&mut self, from: BufferId) {
        let sum = self.sum;
        self.launch(LoopKind::Lanes, |nest, at| {
            let value = nest.load(Access::new(from, at.clone()));
            let value = nest.scalar(Scalar::Add, &[value, value]);
            nest.store(Access::new(sum, at.clone()), value);
        });
    }

    /// `next = 3` and then, of the old weight, `sum = weight + weight`.
    fn replace(&mut self) {
        let (weight, next, sum) = (self.weight, self.next, self.sum);
        self.launch(LoopKind::Lanes, |nest, at| {
            let old = nest.load(Access::new(weight, at.clone()));
            let three = nest.constant(3.0);
            nest.store(Access::new(next, at.clone()), three);
            let twice = nest.scalar(Scalar::Add, &[old, old]);
            nest.store(Access::new(sum, at.clone()), twice);
        });
    }

    /// `next = weight / 2 + weight` and then, of the new weight, `sum = next + next`, in one kernel.
    fn update_and_read(&mut self) {
        let (weight, next, sum) = (self.weight, self.next, self.sum);
        self.launch(LoopKind::Lanes, |nest, at| {
            let old = nest.load(Access::new(weight, at.clone()));
            let new = half_more(nest, old, old);
            nest.store(Access::new(next, at.clone()), new);
            let twice = nest.scalar(Scalar::Add, &[new, new]);
            nest.store(Access::new(sum, at.clone()), twice);
        });
    }

    fn is_shared(&self) -> bool {
        let footprint = Footprint::of(&self.program, &[(self.next, self.weight)]).unwrap();
        footprint.of_buffers[self.next.0 as usize] == 0
    }

    /// What three runs make of the weight, and of the sum one after another, with or without leave to share.
    fn three_runs(&self, pairs: &[(BufferId, BufferId)]) -> (Vec<f32>, Vec<f32>) {
        let executable = compile(&self.program, &Options::native(2)).unwrap();
        let mut instance = Instance::replacing(&executable, pairs).unwrap();
        let start: Vec<f32> = (0..LEN).map(|at| 1.0 + at as f32 * 0.01).collect();
        instance.write_f32(self.weight, &start).unwrap();
        let mut sums = Vec::new();
        for _ in 0..3 {
            instance.run(KEY).unwrap();
            instance.swap(self.next, self.weight).unwrap();
            sums.extend(instance.read_f32(self.sum).unwrap());
        }
        (instance.read_f32(self.weight).unwrap(), sums)
    }

    fn assert_sharing_changes_nothing(&self) {
        assert_eq!(self.three_runs(&[(self.next, self.weight)]), self.three_runs(&[]));
    }
}

fn half_more(nest: &mut NestBuilder, old: Val, other: Val) -> Val {
    let half = nest.constant(0.5);
    let half = nest.scalar(Scalar::Mul, &[half, other]);
    nest.scalar(Scalar::Add, &[old, half])
}

#[test]
fn an_update_element_by_element_is_written_over_the_old_values() {
    let mut update = Update::new();
    update.read(update.weight);
    update.update(LoopKind::Lanes, 0);
    assert!(update.is_shared());
    update.assert_sharing_changes_nothing();
    let mut update = Update::new();
    update.update(LoopKind::Lanes, 0);
    update.read(update.next);
    assert!(update.is_shared());
    update.assert_sharing_changes_nothing();
}

#[test]
fn what_was_computed_of_the_old_values_may_be_used_behind_the_new_ones() {
    let mut update = Update::new();
    update.update_and_read();
    assert!(update.is_shared());
    update.assert_sharing_changes_nothing();
}

#[test]
fn what_needs_the_old_values_keeps_them() {
    let mut behind = Update::new();
    behind.replace();
    let mut later = Update::new();
    later.update(LoopKind::Lanes, 0);
    later.read(later.weight);
    let mut elsewhere = Update::new();
    elsewhere.read(elsewhere.weight);
    elsewhere.update(LoopKind::Lanes, 7);
    let mut in_order = Update::new();
    in_order.read(in_order.weight);
    in_order.update(LoopKind::Serial, 0);
    let mut twice = Update::new();
    twice.read(twice.weight);
    twice.update(LoopKind::Lanes, 0);
    twice.update(LoopKind::Lanes, 0);
    for (name, update) in
        [("later", later), ("elsewhere", elsewhere), ("in order", in_order), ("twice", twice), ("behind", behind)]
    {
        update.assert_sharing_changes_nothing();
        assert!(!update.is_shared(), "{name}");
    }
}
