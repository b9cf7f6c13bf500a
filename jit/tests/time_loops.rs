//! Scans over time inside of lanes, as neurons have them: what is carried from loop to loop in registers, values, masks,
//! scratch and bits. Long ones are regrouped by the compiler; no bit may change by that.

mod common;

use common::{DTYPES, Numbers, assert_equals_interpreter};
use snn_loops::{
    Access, BufferId, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, Reg, Role, Scalar, Val,
};

const STEPS: [usize; 4] = [1, 7, 8, 25];
const LANES: [usize; 9] = [1, 5, 63, 64, 65, 130, 257, 1000, 3000];

/// What is around the lanes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outer {
    Nothing,
    Rows(LoopKind),
    Blocks(usize),
}

const OUTERS: [Outer; 6] = [
    Outer::Nothing,
    Outer::Rows(LoopKind::Parallel),
    Outer::Rows(LoopKind::Serial),
    Outer::Blocks(64),
    Outer::Blocks(256),
    Outer::Blocks(1024),
];

const ROWS: usize = 2;

/// A neuron over time, forward and backward.
struct Neurons {
    numbers: Numbers,
    lanes: usize,
    steps: usize,
    /// Steps of a block of steps, where they are cut.
    cut: Option<usize>,
    rows: usize,
    b: NestBuilder,
    /// Row and lane of the present place.
    row: Ix,
    lane: Ix,
    start: BufferId,
    input: BufferId,
    output: BufferId,
    last: BufferId,
    spikes: BufferId,
    trace: BufferId,
}

impl Neurons {
    fn program(seed: u64, dtype: Dtype, outer: Outer, lanes: usize, steps: usize) -> (Program, Vec<(BufferId, usize)>) {
        let mut program = Program::new(dtype);
        let rows = if matches!(outer, Outer::Rows(_)) { ROWS } else { 1 };
        let (cells, all) = (rows * lanes, rows * steps * lanes);
        let pitch = lanes.next_multiple_of(64);
        let mut numbers = Numbers(seed);
        let mut neurons = Neurons {
            cut: (numbers.below(3) == 0).then_some(3),
            numbers,
            lanes,
            steps,
            rows,
            b: NestBuilder::new("neurons"),
            row: Ix::constant(0),
            lane: Ix::constant(0),
            start: program.add_buffer("start", cells, Role::Input),
            input: program.add_buffer("input", all, Role::Input),
            output: program.add_buffer("output", all, Role::Output),
            last: program.add_buffer("last", cells, Role::Output),
            spikes: program.add_packed_buffer("spikes", rows * steps * pitch),
            trace: program.add_buffer("trace", steps, Role::Scratch),
        };
        neurons.open(outer);
        neurons.body();
        let inputs = vec![(neurons.start, cells), (neurons.input, all)];
        let kernel = program.add_kernel(Kernel::Nest(neurons.b.finish()));
        program.launches.push(Launch::Run(kernel));
        (program, inputs)
    }

    fn open(&mut self, outer: Outer) {
        let (around, lane) = (self.b.fresh_var(), self.b.fresh_var());
        self.lane = Ix::var(lane);
        let mut extent = Extent::Fixed(self.lanes);
        match outer {
            Outer::Nothing => {}
            Outer::Rows(kind) => {
                self.b.open(around, Extent::Fixed(self.rows), kind);
                self.row = Ix::var(around);
            }
            Outer::Blocks(size) => {
                self.b.open(around, Extent::Fixed(self.lanes.div_ceil(size)), LoopKind::Parallel);
                extent = Extent::Block { block: around, size, total: self.lanes };
                self.lane = Ix::var(around).times(size as i64).plus(&self.lane);
            }
        }
        self.b.open(lane, extent, LoopKind::Lanes);
    }

    fn cell(&self) -> Ix {
        self.row.times(self.lanes as i64).plus(&self.lane)
    }

    /// An element of a step.
    fn at(&self, step: &Ix, pitch: usize) -> Ix {
        self.row.times(self.steps as i64).plus(step).times(pitch as i64).plus(&self.lane)
    }

    fn bit(&self, step: &Ix) -> Access {
        Access::new(self.spikes, self.at(step, self.lanes.next_multiple_of(64)))
    }

    /// Runs `body` for every step, in one loop or in blocks.
    fn each_step(&mut self, kind: LoopKind, body: impl FnOnce(&mut Self, &Ix)) {
        let (block, step) = (self.b.fresh_var(), self.b.fresh_var());
        match self.cut {
            None => {
                self.b.open(step, Extent::Fixed(self.steps), kind);
                body(self, &Ix::var(step));
            }
            Some(size) => {
                self.b.open(block, Extent::Fixed(self.steps.div_ceil(size)), kind);
                self.b.open(step, Extent::Block { block, size, total: self.steps }, kind);
                body(self, &Ix::var(block).times(size as i64).plus(&Ix::var(step)));
                self.b.close();
            }
        }
        self.b.close();
    }

    fn direction(&mut self) -> LoopKind {
        *self.numbers.pick(&[LoopKind::Serial, LoopKind::Reverse])
    }

    fn scaled(&mut self, value: Val, factor: f64) -> Val {
        let factor = self.b.constant(factor);
        self.b.scalar(Scalar::Mul, &[value, factor])
    }

    fn add(&mut self, a: Val, b: Val) -> Val {
        self.b.scalar(Scalar::Add, &[a, b])
    }

    fn select(&mut self, mask: Val, yes: Val, no: Val) -> Val {
        self.b.scalar(Scalar::Select, &[mask, yes, no])
    }

    /// A register with a value in it.
    fn register(&mut self, value: Val) -> Reg {
        let reg = self.b.fresh_reg();
        self.b.set(reg, value);
        reg
    }

    fn body(&mut self) {
        let start = self.b.load(Access::new(self.start, self.cell()));
        // The same for all lanes.
        let bias = self.b.load(Access::new(self.start, Ix::constant(0)));
        let zero = self.b.constant(0.0);
        let number = self.b.define(snn_loops::Expr::Index(self.lane.clone()));
        let is_negative = self.b.scalar(Scalar::Lt, &[start, zero]);
        let (potential, count) = (self.register(start), self.register(zero));
        let direction = self.direction();
        self.each_step(direction, |n, step| n.forward(step, potential, count, is_negative));
        // Values between loops.
        let total = self.b.get(count);
        let kept = self.scaled(total, 0.25);
        let many = self.b.scalar(Scalar::Lt, &[bias, kept]);
        let gradient = self.register(kept);
        if self.numbers.below(2) == 0 {
            // A loop that never sees the registers of the others.
            let other = self.register(number);
            let direction = self.direction();
            self.each_step(direction, |n, _| {
                let value = n.b.get(other);
                let value = n.scaled(value, 0.75);
                n.b.set(other, value);
            });
            let value = self.b.get(other);
            let value = self.add(value, kept);
            self.b.set(gradient, value);
        }
        let direction = self.direction();
        self.each_step(direction, |n, step| n.backward(step, gradient, [many, is_negative], [bias, number]));
        let (gradient, potential) = (self.b.get(gradient), self.b.get(potential));
        let sum = self.add(gradient, potential);
        self.b.store(Access::new(self.last, self.cell()), sum);
    }

    fn forward(&mut self, step: &Ix, potential: Reg, count: Reg, is_negative: Val) {
        let input = self.b.load(Access::new(self.input, self.at(step, self.lanes)));
        let before = self.b.get(potential);
        let decayed = self.scaled(before, 0.9);
        let now = self.add(decayed, input);
        let (threshold, one, zero) = (self.b.constant(0.5), self.b.constant(1.0), self.b.constant(0.0));
        let fires = self.b.scalar(Scalar::Lt, &[threshold, now]);
        let spike = self.select(fires, one, zero);
        self.b.store(Access::new(self.trace, step.clone()), now);
        self.b.store(self.bit(step), spike);
        let after = self.select(fires, zero, now);
        self.b.set(potential, after);
        let (so_far, other) = (self.b.get(count), self.scaled(spike, -2.0));
        let more = self.select(is_negative, spike, other);
        let sum = self.add(so_far, more);
        self.b.set(count, sum);
    }

    fn backward(&mut self, step: &Ix, gradient: Reg, masks: [Val; 2], values: [Val; 2]) {
        let [many, is_negative] = masks;
        let now = self.b.load(Access::new(self.trace, step.clone()));
        let spike = self.b.load(self.bit(step));
        let before = self.b.get(gradient);
        let decayed = self.scaled(before, 0.5);
        let term = self.b.scalar(Scalar::Mul, &[now, spike]);
        let sum = self.add(decayed, term);
        let sum = self.select(many, sum, decayed);
        let [bias, number] = values;
        let number = self.scaled(number, 0.125);
        let other = self.select(is_negative, bias, number);
        let sum = self.add(sum, other);
        self.b.set(gradient, sum);
        self.b.store(Access::new(self.output, self.at(step, self.lanes)), sum);
    }
}

#[test]
fn scans_give_the_bits_of_the_interpreter() {
    let mut seed = 0;
    for dtype in DTYPES {
        for steps in STEPS {
            for lanes in LANES {
                // Every pair meets every form over the types and sizes.
                for _ in 0..if lanes < 1000 { 3 } else { 1 } {
                    seed += 1;
                    let outer = OUTERS[(seed + lanes) % OUTERS.len()];
                    let (program, inputs) = Neurons::program(seed as u64, dtype, outer, lanes, steps);
                    let mut numbers = Numbers(seed as u64);
                    let inputs: Vec<_> = inputs.into_iter().map(|(id, len)| (id, numbers.floats(len))).collect();
                    let context = format!("{steps} steps of {lanes} lanes, {outer:?}, {dtype:?}, seed {seed}");
                    assert_equals_interpreter(&program, &inputs, &context);
                }
            }
        }
    }
}
