//! What a machine can do at best: how fast it copies, how fast it multiplies and adds.
//!
//! Measured with compiled code in some tenths of a second, so that kernels can be held against it. Must never know a model.

use std::time::Instant;

use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Dtype, Extent, Ix, Kernel, Launch, LoopKind,
    NestBuilder, Operand, Program, RandomKey, Role, WeightValues,
};

use crate::device::{Device, Engine};
use crate::error::Result;

/// Elements that are copied: beyond all caches.
const COPIED: usize = 1 << 24;
/// Elements of one iteration of the copy's parallel loop.
const BLOCK: usize = 1 << 14;
/// Rows, columns and depth of the matrix product.
const SIDE: usize = 768;
/// The best of so many trials counts.
const TRIALS: usize = 6;

/// The limits of a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Bytes read and written by a copy, a second.
    pub bytes_per_second: f64,
    /// Multiplications and additions of a large matrix product, a second.
    pub operations_per_second: f64,
}

impl Limits {
    /// Measures a machine.
    ///
    /// # Errors
    /// If the programs that measure cannot be compiled.
    pub fn measure(device: Device, dtype: Dtype) -> Result<Limits> {
        let moved = 2 * COPIED * dtype.size();
        let operations = 2 * SIDE * SIDE * SIDE;
        Ok(Limits {
            bytes_per_second: moved as f64 / fastest(copy(dtype), device)?,
            operations_per_second: operations as f64 / fastest(product(dtype), device)?,
        })
    }

    /// The shortest time in seconds in which that much can be moved and computed.
    pub fn floor(&self, bytes: f64, operations: f64) -> f64 {
        (bytes / self.bytes_per_second).max(operations / self.operations_per_second)
    }
}

/// Seconds of the fastest run.
fn fastest(program: Program, device: Device) -> Result<f64> {
    let inputs = (0..).map(BufferId).zip(&program.buffers).filter(|(_, buffer)| buffer.role == Role::Input);
    let inputs: Vec<(BufferId, usize)> = inputs.map(|(id, buffer)| (id, buffer.len)).collect();
    let mut engine = Engine::load(program, device, &[])?;
    // Pages that nothing was written to are one page, which reads like a cache.
    for (id, len) in inputs {
        engine.write_f32(id, &vec![1.0; len])?;
    }
    let key = RandomKey { seed: 0, run: 0 };
    engine.run(key)?;
    let mut best = f64::INFINITY;
    for _ in 0..TRIALS {
        let clock = Instant::now();
        engine.run(key)?;
        best = best.min(clock.elapsed().as_secs_f64());
    }
    Ok(best.max(1e-9))
}

fn copy(dtype: Dtype) -> Program {
    let mut program = Program::new(dtype);
    let from = program.add_buffer("from", COPIED, Role::Input);
    let to = program.add_buffer("to", COPIED, Role::Output);
    let mut nest = NestBuilder::new("copy");
    let (block, lane) = (nest.fresh_var(), nest.fresh_var());
    let at = Ix::var(block).times(BLOCK as i64).plus(&Ix::var(lane));
    nest.open(block, Extent::Fixed(COPIED / BLOCK), LoopKind::Parallel);
    nest.open(lane, Extent::Fixed(BLOCK), LoopKind::Lanes);
    let value = nest.load(Access::new(from, at.clone()));
    nest.store(Access::new(to, at), value);
    let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
    program.launches.push(Launch::Run(kernel));
    program
}

fn product(dtype: Dtype) -> Program {
    let mut program = Program::new(dtype);
    let mut buffer = |name: &str, role: Role| Operand::whole(program.add_buffer(name, SIDE * SIDE, role));
    let (a, b, out) = (buffer("a", Role::Input), buffer("b", Role::Input), buffer("out", Role::Output));
    let kernel = program.add_kernel(Kernel::Contraction(Contraction {
        name: "product".to_owned(),
        kind: ContractionKind::Forward,
        shape: ConvShape::linear(SIDE, SIDE),
        rows: SIDE,
        packed: false,
        planes: 1,
        weights: WeightValues::Any,
        a,
        b,
        out,
    }));
    program.launches.push(Launch::Run(kernel));
    program
}
