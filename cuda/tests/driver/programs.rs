//! Programs that tests run, and what the interpreter makes of them.

use snn_loops::interp::{self, Memory};
use snn_loops::{
    Access, BufferId, Distribution, Draw, Dtype, Extent, Ix, Kernel, KernelId, Launch, LoopKind, NestBuilder, Operand,
    Program, RandomKey, Role, Scalar, Val,
};

/// The key of most runs.
pub const KEY: RandomKey = RandomKey { seed: 0x5eed, run: 3 };

/// Elements of a step: not a multiple of a warp.
pub const LEN: usize = 37;
/// Steps of the repeat.
pub const STEPS: usize = 3;

/// Adds a nest over `LEN` elements, which stores what `body` makes of the element.
fn nest(program: &mut Program, to: BufferId, body: impl FnOnce(&mut NestBuilder, &Ix) -> Val) -> KernelId {
    let mut nest = NestBuilder::new(format!("to b{}", to.0));
    let var = nest.fresh_var();
    nest.open(var, Extent::Fixed(LEN), LoopKind::Lanes);
    let at = Ix::var(var);
    let value = body(&mut nest, &at);
    nest.store(Access::new(to, at), value);
    program.add_kernel(Kernel::Nest(nest.finish()))
}

/// `s = x / 3`, then for every step `s = s * s + z[step]`, then `y = s + c`: three kernels, the second repeated.
pub struct Loop {
    pub program: Program,
    pub x: BufferId,
    pub z: BufferId,
    pub y: BufferId,
}

impl Loop {
    pub fn new(dtype: Dtype, reverse: bool) -> Loop {
        let mut program = Program::new(dtype);
        let x = program.add_buffer("x", LEN, Role::Input);
        let z = program.add_buffer("z", STEPS * LEN, Role::Input);
        let constants = (0..LEN).map(|at| at as f64 * 0.3 - 1.0).collect();
        let c = program.add_buffer("c", LEN, Role::Constant(constants));
        let s = program.add_buffer("s", LEN, Role::Temporary);
        let y = program.add_buffer("y", LEN, Role::Output);
        let first = nest(&mut program, s, |nest, at| {
            let value = nest.load(Access::new(x, at.clone()));
            let three = nest.constant(3.0);
            nest.scalar(Scalar::Div, &[value, three])
        });
        let second = nest(&mut program, s, |nest, at| {
            let before = nest.load(Access::new(s, at.clone()));
            let input = nest.load(Access::new(z, at.plus(&Ix::step().times(LEN as i64))));
            let square = nest.scalar(Scalar::Mul, &[before, before]);
            nest.scalar(Scalar::Add, &[square, input])
        });
        let third = nest(&mut program, y, |nest, at| {
            let [value, constant] = [s, c].map(|buffer| nest.load(Access::new(buffer, at.clone())));
            nest.scalar(Scalar::Add, &[value, constant])
        });
        let body = vec![Launch::Run(second)];
        program.launches = vec![Launch::Run(first), Launch::Repeat { steps: STEPS, reverse, body }, Launch::Run(third)];
        snn_loops::verify::verify(&program).unwrap();
        Loop { program, x, z, y }
    }

    /// Inputs of a run.
    pub fn inputs(&self, run: u64) -> [(BufferId, Vec<f64>); 2] {
        let values = |len: usize, step: f64| (0..len).map(|at| ((at as f64 * step + run as f64) % 1.5) - 0.5).collect();
        [(self.x, values(LEN, 0.17)), (self.z, values(STEPS * LEN, 0.11))]
    }

    /// What the interpreter gives for the inputs of a run.
    pub fn expected(&self, run: u64) -> Vec<f64> {
        let mut memory = Memory::new(&self.program);
        for (id, values) in self.inputs(run) {
            let rounded: Vec<f64> = values.iter().map(|value| self.program.dtype.round(*value)).collect();
            memory.write(id, &rounded).unwrap();
        }
        interp::run(&self.program, &mut memory, KEY).unwrap();
        memory.buffer(self.y).to_vec()
    }
}

/// `next = weight / 2 + x`, where a weight is replaced by the next one after every run.
pub struct Update {
    pub program: Program,
    pub weight: BufferId,
    pub next: BufferId,
    pub x: BufferId,
}

impl Update {
    pub fn new() -> Update {
        let mut program = Program::new(Dtype::F32);
        let [weight, x] = ["weight", "x"].map(|name| program.add_buffer(name, LEN, Role::Input));
        let next = program.add_buffer("next", LEN, Role::Output);
        let kernel = nest(&mut program, next, |nest, at| {
            let [old, x] = [weight, x].map(|buffer| nest.load(Access::new(buffer, at.clone())));
            let half = nest.constant(0.5);
            let half = nest.scalar(Scalar::Mul, &[half, old]);
            nest.scalar(Scalar::Add, &[half, x])
        });
        program.launches.push(Launch::Run(kernel));
        snn_loops::verify::verify(&program).unwrap();
        Update { program, weight, next, x }
    }

    /// The weight after some runs, of the weight 1 and the input `at * scale`.
    pub fn expected(runs: usize, scale: f32) -> Vec<f32> {
        (0..LEN).map(|at| (0..runs).fold(1.0, |weight: f32, _| 0.5 * weight + at as f32 * scale)).collect()
    }
}

/// Random numbers, one outside of loops and one in every step of a repeat.
pub fn draws() -> (Program, [BufferId; 2]) {
    let mut program = Program::new(Dtype::F32);
    let once = program.add_buffer("once", LEN, Role::Output);
    let steps = program.add_buffer("steps", STEPS * LEN, Role::Output);
    let mut draw = |stream, buffer, offset| {
        let out = Operand { buffer, offset };
        let name = format!("draw {stream}");
        program.add_kernel(Kernel::Draw(Draw { name, distribution: Distribution::Uniform, stream, len: LEN, out }))
    };
    let first = draw(1, once, Ix::constant(0));
    let second = draw(2, steps, Ix::step().times(LEN as i64));
    program.launches.push(Launch::Run(first));
    program.launches.push(Launch::Repeat { steps: STEPS, reverse: false, body: vec![Launch::Run(second)] });
    (program, [once, steps])
}
