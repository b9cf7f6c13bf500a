//! Generated nests: all kinds of loops, registers, strides, bounds and steps, against the bits of the interpreter.

mod common;

use common::{DTYPES, Numbers, assert_equals_interpreter};
use snn_loops::scalar::ScalarType;
use snn_loops::{
    Access, BufferId, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, Reg, Role, Scalar, Val, Var,
};

/// Everything random that a nest is made of.
struct Generator {
    numbers: Numbers,
    program: Program,
    inputs: Vec<(BufferId, Vec<f64>)>,
    builder: NestBuilder,
    /// Open loops with the number of iterations, outermost first.
    open: Vec<(Var, usize)>,
    /// Element of a store that no other iteration touches, and the number of such elements.
    unique: (Ix, usize),
    floats: Vec<Val>,
    masks: Vec<Val>,
    steps: usize,
}

impl Generator {
    fn new(seed: u64, dtype: Dtype) -> Generator {
        let mut numbers = Numbers(seed);
        let steps = *numbers.pick(&[0, 0, 3]);
        // With steps, every step stores to elements of its own.
        let unique = if steps > 0 { (Ix::step(), steps) } else { (Ix::constant(0), 1) };
        Generator {
            numbers,
            program: Program::new(dtype),
            inputs: Vec::new(),
            builder: NestBuilder::new("generated"),
            open: Vec::new(),
            unique,
            floats: Vec::new(),
            masks: Vec::new(),
            steps,
        }
    }

    /// Runs `body` in a loop; values that it defines do not leave it.
    fn in_loop(&mut self, extent: Extent, kind: LoopKind, body: impl FnOnce(&mut Self)) {
        let var = self.builder.fresh_var();
        let unique = self.unique.clone();
        let (n, element) = match extent {
            Extent::Fixed(n) => (n, Ix::var(var)),
            // All blocks together count `total` elements, and the block's variable is already part of the element.
            Extent::Block { size, .. } => (size, Ix::var(var)),
        };
        let room = n.max(1);
        self.unique = (self.unique.0.times(room as i64).plus(&element), self.unique.1 * room);
        let (floats, masks) = (self.floats.len(), self.masks.len());
        self.builder.open(var, extent, kind);
        self.open.push((var, n.max(1)));
        body(self);
        self.open.pop();
        self.builder.close();
        self.floats.truncate(floats);
        self.masks.truncate(masks);
        self.unique = unique;
    }

    /// An index that is never negative, and its largest value.
    fn index(&mut self) -> (Ix, usize) {
        let mut sum = Ix::constant(self.numbers.below(3) as i64);
        let mut largest = sum.base() as usize;
        if self.steps > 0 && self.numbers.below(3) == 0 {
            sum = sum.plus(&Ix::step().times(2));
            largest += 2 * (self.steps - 1);
        }
        for (var, n) in self.open.clone() {
            let (term, most) = match self.numbers.below(8) {
                0 => continue,
                1 => {
                    let by = 2 + self.numbers.below(3);
                    let inner = Ix::var(var).times(3).offset(1);
                    (inner.divide(by as i64, &|_| None), (3 * (n - 1) + 1) / by)
                }
                2 => {
                    let by = 2 + self.numbers.below(3);
                    (Ix::var(var).plus(&sum).modulo(by as i64, &|_| None), by - 1)
                }
                3 => (Ix::var(var).times(3), 3 * (n - 1)),
                4 => (Ix::var(var).times(-1).offset(n as i64 - 1), n - 1),
                _ => (Ix::var(var), n - 1),
            };
            sum = sum.plus(&term);
            largest += most;
        }
        (sum, largest)
    }

    fn load(&mut self) -> Val {
        let (index, largest) = self.index();
        let mut access = Access::new(BufferId(0), index.clone());
        let mut len = largest + 1;
        match self.numbers.below(4) {
            // A window that may hang over both ends.
            0 => {
                let shift = self.numbers.below(3) as i64;
                access.index = index.offset(-shift);
                len = (largest / 2 + 1).max(1);
                access.bounds = vec![(access.index.clone(), len as i64)];
                access.otherwise = self.numbers.pick(&[0.0, -0.0, 2.5, f64::INFINITY]).to_bits();
            }
            // A condition on something else than the index.
            1 => {
                let (other, most) = self.index();
                access.bounds = vec![(other.offset(-1), (most / 2 + 1) as i64), (index, largest as i64 + 1)];
                access.otherwise = 1f64.to_bits();
            }
            _ => {}
        }
        access.buffer = self.program.add_buffer("input", len, Role::Input);
        let values = self.numbers.floats(len);
        self.inputs.push((access.buffer, values));
        self.builder.load(access)
    }

    fn float(&mut self) -> Val {
        match self.floats.is_empty() || self.numbers.below(4) == 0 {
            true => self.leaf(),
            false => self.floats[self.floats.len() - 1 - self.numbers.below(self.floats.len().min(4))],
        }
    }

    fn leaf(&mut self) -> Val {
        let val = match self.numbers.below(6) {
            0 => {
                let constant = *self.numbers.pick(&[0.0, -0.0, 1.0, 0.1, -3.5]);
                self.builder.constant(constant)
            }
            1 => {
                let (index, _) = self.index();
                self.builder.define(snn_loops::Expr::Index(index.times(2).offset(-1)))
            }
            _ => self.load(),
        };
        self.floats.push(val);
        val
    }

    fn mask(&mut self) -> Val {
        if self.masks.is_empty() {
            let args = [self.float(), self.float()];
            let mask = self.builder.scalar(Scalar::Lt, &args);
            self.masks.push(mask);
        }
        self.masks[self.numbers.below(self.masks.len())]
    }

    fn instructions(&mut self, n: usize) {
        // What these give is unspecified for most arguments; `scalars.rs` tests them.
        let specified = |op: &&Scalar| !matches!(op, Scalar::Pow2 | Scalar::Exponent | Scalar::Mantissa);
        let ops: Vec<Scalar> = Scalar::ALL.iter().filter(specified).copied().collect();
        for _ in 0..n {
            let op = *self.numbers.pick(&ops);
            let args: Vec<Val> = op
                .arguments()
                .iter()
                .map(|ty| match ty {
                    ScalarType::Float => self.float(),
                    ScalarType::Mask => self.mask(),
                })
                .collect();
            let val = self.builder.scalar(op, &args);
            match op.result() {
                ScalarType::Float => self.floats.push(val),
                ScalarType::Mask => self.masks.push(val),
            }
        }
    }

    fn store(&mut self) {
        let (index, len) = self.unique.clone();
        let scale = 1 + self.numbers.below(2);
        let out = self.program.add_buffer("out", len * scale + 1, Role::Output);
        let val = self.float();
        self.builder.store(Access::new(out, index.times(scale as i64).offset(1)), val);
    }

    /// A scan: registers set before a loop, read and set in it, and read after it.
    fn scan(&mut self) {
        let regs: Vec<Reg> = (0..1 + self.numbers.below(3)).map(|_| self.builder.fresh_reg()).collect();
        for reg in &regs {
            let start = self.float();
            self.builder.set(*reg, start);
        }
        let kind = *self.numbers.pick(&[LoopKind::Serial, LoopKind::Reverse]);
        let n = *self.numbers.pick(&[1, 2, 5]);
        self.in_loop(Extent::Fixed(n), kind, |g| {
            for reg in &regs {
                let val = g.builder.get(*reg);
                g.floats.push(val);
            }
            let count = 2 + g.numbers.below(6);
            g.instructions(count);
            for reg in &regs {
                let val = g.float();
                g.builder.set(*reg, val);
            }
            g.store();
        });
        for reg in &regs {
            let val = self.builder.get(*reg);
            self.floats.push(val);
        }
    }

    /// What the innermost independent loop does.
    fn body(&mut self) {
        let count = self.numbers.below(5);
        self.instructions(count);
        if self.numbers.below(2) == 0 {
            self.scan();
        }
        // Long bodies are emitted with fewer vectors side by side.
        let count = *self.numbers.pick(&[2, 4, 30, 90]);
        self.instructions(count);
        self.store();
    }

    fn lanes(&mut self, extent: Extent) {
        let kind = *self.numbers.pick(&[LoopKind::Lanes, LoopKind::Lanes, LoopKind::Lanes, LoopKind::Serial]);
        self.in_loop(extent, kind, Self::body);
    }

    fn nest(&mut self) {
        let n = *self.numbers.pick(&[0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 16, 17, 23, 33]);
        match self.numbers.below(5) {
            0 => self.lanes(Extent::Fixed(n)),
            // Several loops side by side, a scan around lanes.
            1 => {
                self.scan();
                let outer = self.numbers.below(4);
                self.in_loop(Extent::Fixed(outer), LoopKind::Reverse, |g| {
                    g.instructions(2);
                    g.lanes(Extent::Fixed(n));
                    g.store();
                });
            }
            2 => {
                let outer = *self.numbers.pick(&[1, 3, 40]);
                self.in_loop(Extent::Fixed(outer), LoopKind::Parallel, |g| {
                    g.instructions(2);
                    g.lanes(Extent::Fixed(n));
                });
            }
            // Blocks, of which the last may be short.
            _ => {
                let size = *self.numbers.pick(&[1, 3, 4, 16, 20, 32]);
                let total = n.max(1) + self.numbers.below(2) * size;
                let kind = *self.numbers.pick(&[LoopKind::Parallel, LoopKind::Serial]);
                let block = Var(0);
                self.in_loop(Extent::Fixed(total.div_ceil(size)), kind, |g| {
                    g.lanes(Extent::Block { block, size, total });
                });
            }
        }
    }

    fn finish(mut self) -> (Program, Vec<(BufferId, Vec<f64>)>) {
        self.nest();
        let kernel = self.program.add_kernel(Kernel::Nest(self.builder.finish()));
        let body = vec![Launch::Run(kernel)];
        let reverse = self.numbers.below(2) == 0;
        self.program.launches = match self.steps {
            0 => body,
            steps => vec![Launch::Repeat { steps, reverse, body }],
        };
        (self.program, self.inputs)
    }
}

#[test]
fn generated_nests_give_the_bits_of_the_interpreter() {
    for dtype in DTYPES {
        for seed in 0..400 {
            let (mut program, inputs) = Generator::new(seed, dtype).finish();
            // What nothing stores is NaN in the interpreter and old in memory: only compare what is written.
            mask_unwritten(&mut program);
            assert_equals_interpreter(&program, &inputs, &format!("seed {seed} in {dtype:?}"));
        }
    }
}

/// Clears all outputs by nests that run first.
fn mask_unwritten(program: &mut Program) {
    let outputs: Vec<BufferId> = common::outputs(program).collect();
    for (at, out) in outputs.into_iter().enumerate() {
        let mut b = NestBuilder::new("clear");
        let var = b.fresh_var();
        b.open(var, Extent::Fixed(program.buffers[out.0 as usize].len), LoopKind::Lanes);
        let zero = b.constant(0.0);
        b.store(Access::new(out, Ix::var(var)), zero);
        let kernel = program.add_kernel(Kernel::Nest(b.finish()));
        program.launches.insert(at, Launch::Run(kernel));
    }
}

/// A buffer that is loaded and stored by the same lane, in place.
#[test]
fn in_place_updates() {
    for dtype in DTYPES {
        for n in [1, 4, 7, 64, 65] {
            let mut program = Program::new(dtype);
            let x = program.add_buffer("x", n, Role::Input);
            let y = program.add_buffer("y", n, Role::Output);
            for (from, repeat) in [(x, 1), (y, 3)] {
                let mut b = NestBuilder::new("in place");
                let (var, again) = (b.fresh_var(), b.fresh_var());
                b.open(var, Extent::Fixed(n), LoopKind::Lanes);
                b.open(again, Extent::Fixed(repeat), LoopKind::Serial);
                let value = b.load(Access::new(from, Ix::var(var)));
                let half = b.constant(0.3);
                let value = b.scalar(Scalar::Mul, &[value, half]);
                b.store(Access::new(y, Ix::var(var)), value);
                let kernel = program.add_kernel(Kernel::Nest(b.finish()));
                program.launches.push(Launch::Run(kernel));
            }
            let inputs = [(x, Numbers(7).floats(n))];
            assert_equals_interpreter(&program, &inputs, &format!("{n} elements in place"));
        }
    }
}
