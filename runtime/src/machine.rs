//! What a machine can do at best: how fast it copies, how fast it multiplies and adds.
//!
//! Measured with compiled code in some tenths of a second, so that kernels can be held against it. Must never know a model.

use snn_loops::{
    Access, BufferId, Contraction, ContractionKind, ConvShape, Dtype, Extent, Ix, Kernel, Launch, LoopKind,
    NestBuilder, Operand, Program, RandomKey, Role, WeightValues,
};

use crate::device::{Device, Engine, Timings, Watch};
use crate::error::Result;

/// Elements that a processor copies: beyond all caches.
const COPIED: usize = 1 << 24;
/// Elements of one iteration of the copy's parallel loop.
const BLOCK: usize = 1 << 14;
/// Rows, columns and depth of a processor's matrix product.
const SIDE: usize = 768;
/// The best of so many trials counts.
const TRIALS: usize = 6;
/// Sizes for a device, of which nobody knows beforehand how large it is: the first that takes long enough counts, or the last.
const DEVICE_COPIED: [usize; 5] = [1 << 15, 1 << 18, 1 << 21, 1 << 24, 1 << 27];
const DEVICE_SIDES: [usize; 4] = [64, 256, 1024, 4096];
/// Seconds that are long enough: many times a launch.
const LONG: f64 = 1e-3;

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
        let (copied, sides) = match device {
            Device::Cuda { .. } => (&DEVICE_COPIED[..], &DEVICE_SIDES[..]),
            Device::Cpu { .. } | Device::Reference => (&[COPIED][..], &[SIDE][..]),
        };
        let bytes = |len: usize| (2 * len * dtype.size()) as f64;
        let operations = |side: usize| 2.0 * (side as f64).powi(3);
        Ok(Limits {
            bytes_per_second: rate(copied, bytes, |len| fastest(copy(dtype, len), device))?,
            operations_per_second: rate(sides, operations, |side| fastest(product(dtype, side), device))?,
        })
    }

    /// The shortest time in seconds in which that much can be moved and computed.
    pub fn floor(&self, bytes: f64, operations: f64) -> f64 {
        (bytes / self.bytes_per_second).max(operations / self.operations_per_second)
    }
}

/// How much is done a second at the first size that takes long enough, or the last.
fn rate(sizes: &[usize], amount: impl Fn(usize) -> f64, seconds: impl Fn(usize) -> Result<f64>) -> Result<f64> {
    let mut rate = 0.0;
    for (at, size) in sizes.iter().enumerate() {
        let seconds = match seconds(*size) {
            Ok(seconds) => seconds,
            Err(problem) if at == 0 => return Err(problem),
            // The memory of a small device, or of one that others use.
            Err(_) => break,
        };
        rate = amount(*size) / seconds;
        if seconds >= LONG {
            break;
        }
    }
    Ok(rate)
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
        let mut timings = Timings::new();
        engine.run_watched(key, Watch::Time(&mut timings))?;
        best = best.min(timings.kernels().iter().map(|time| time.nanoseconds as f64 * 1e-9).sum());
    }
    Ok(best.max(1e-9))
}

fn copy(dtype: Dtype, len: usize) -> Program {
    let mut program = Program::new(dtype);
    let from = program.add_buffer("from", len, Role::Input);
    let to = program.add_buffer("to", len, Role::Output);
    let mut nest = NestBuilder::new("copy");
    let (block, lane) = (nest.fresh_var(), nest.fresh_var());
    let at = Ix::var(block).times(BLOCK as i64).plus(&Ix::var(lane));
    nest.open(block, Extent::Fixed(len / BLOCK), LoopKind::Parallel);
    nest.open(lane, Extent::Fixed(BLOCK), LoopKind::Lanes);
    let value = nest.load(Access::new(from, at.clone()));
    nest.store(Access::new(to, at), value);
    let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
    program.launches.push(Launch::Run(kernel));
    program
}

fn product(dtype: Dtype, side: usize) -> Program {
    let mut program = Program::new(dtype);
    let mut buffer = |name: &str, role: Role| Operand::whole(program.add_buffer(name, side * side, role));
    let (a, b, out) = (buffer("a", Role::Input), buffer("b", Role::Input), buffer("out", Role::Output));
    let kernel = program.add_kernel(Kernel::Contraction(Contraction {
        name: "product".to_owned(),
        kind: ContractionKind::Forward,
        shape: ConvShape::linear(side, side),
        rows: side,
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
