//! What a kernel moves and computes at least: the bytes of the buffers that it touches, and its scalar operations.
//!
//! Must never know how fast anything is.

use std::collections::BTreeMap;

use snn_loops::{BufferId, Expr, Extent, Kernel, Program, Role, Stmt, Var};

/// What one launch of a kernel takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Bytes of the elements that it reads and writes, each counted once.
    pub bytes: f64,
    /// Scalar operations; a multiplication and an addition are two.
    pub operations: f64,
    /// Products of an input and a weight; 0 for kernels that are no contractions.
    pub macs: f64,
}

impl Cost {
    /// What both take in one launch.
    pub fn with(self, other: Cost) -> Cost {
        Cost {
            bytes: self.bytes + other.bytes,
            operations: self.operations + other.operations,
            macs: self.macs + other.macs,
        }
    }
}

/// Bytes that an element of a buffer takes in memory, 0 if it is never there.
pub type ElementBytes<'a> = &'a dyn Fn(BufferId) -> f64;

/// The cost of a launch of each kernel.
pub fn costs(program: &Program, element_bytes: ElementBytes<'_>) -> Vec<Cost> {
    program.kernels.iter().map(|kernel| cost(program, kernel, element_bytes)).collect()
}

fn cost(program: &Program, kernel: &Kernel, element_bytes: ElementBytes<'_>) -> Cost {
    let size = program.dtype.size() as f64;
    match kernel {
        Kernel::Contraction(contraction) => {
            let [a, b, out] = contraction.lengths();
            let operands = [(a, &contraction.a), (b, &contraction.b), (out, &contraction.out)];
            let bytes = operands.into_iter().map(|(len, operand)| len as f64 * element_bytes(operand.buffer)).sum();
            let macs = contraction.shape.macs() as f64 * contraction.rows as f64;
            Cost { bytes, operations: 2.0 * macs, macs }
        }
        Kernel::EventSweep(sweep) => {
            let elements =
                |operands: Vec<(&snn_loops::Operand, usize)>| operands.iter().map(|(_, len)| *len as f64).sum::<f64>();
            // How much it computes depends on the number of spikes.
            Cost { bytes: size * (elements(sweep.reads()) + elements(sweep.writes())), operations: 0.0, macs: 0.0 }
        }
        Kernel::Draw(draw) => Cost { bytes: size * draw.len as f64, operations: draw.len as f64, macs: 0.0 },
        Kernel::Nest(nest) => {
            let mut counts = Counts::default();
            counts.block(&nest.body, 1.0);
            // A part of a buffer is touched at most as often as there are accesses to it.
            let touched = |(buffer, accesses): (&BufferId, &f64)| {
                let found = program.buffers.get(buffer.0 as usize).filter(|buffer| buffer.role != Role::Scratch);
                found.map_or(0.0, |found| accesses.min(found.len as f64) * element_bytes(*buffer))
            };
            let bytes: f64 = counts.accesses.iter().map(touched).sum();
            Cost { bytes, operations: counts.operations, macs: 0.0 }
        }
    }
}

/// What the statements of a nest do, each as often as it runs.
#[derive(Default)]
struct Counts {
    operations: f64,
    accesses: BTreeMap<BufferId, f64>,
    /// Iterations of the loops around.
    extents: BTreeMap<Var, f64>,
}

impl Counts {
    fn block(&mut self, body: &[Stmt], times: f64) {
        for stmt in body {
            match stmt {
                Stmt::For { var, extent, body, .. } => {
                    let iterations = match extent {
                        Extent::Fixed(n) => *n as f64,
                        // All blocks together make the total.
                        Extent::Block { block, total, .. } => {
                            *total as f64 / self.extents.get(block).copied().unwrap_or(1.0).max(1.0)
                        }
                    };
                    self.extents.insert(*var, iterations);
                    self.block(body, times * iterations);
                }
                Stmt::Let(_, Expr::Scalar(..)) => self.operations += times,
                Stmt::Let(_, Expr::Load(access)) | Stmt::Store(access, _) => {
                    *self.accesses.entry(access.buffer).or_default() += times;
                }
                Stmt::Let(..) | Stmt::Set(..) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use snn_loops::{Access, Dtype, Ix, Launch, LoopKind, NestBuilder, Scalar};

    use super::*;

    #[test]
    fn blocks_make_their_total_and_a_step_its_part() {
        let mut program = Program::new(Dtype::F32);
        let x = program.add_buffer("x", 100, Role::Input);
        let y = program.add_buffer("y", 400, Role::Output);
        let mut nest = NestBuilder::new("square");
        let (block, at) = (nest.fresh_var(), nest.fresh_var());
        nest.open(block, Extent::Fixed(7), LoopKind::Parallel);
        nest.open(at, Extent::Block { block, size: 16, total: 100 }, LoopKind::Lanes);
        let element = Ix::var(block).times(16).plus(&Ix::var(at));
        let value = nest.load(Access::new(x, element.clone()));
        let square = nest.scalar(Scalar::Mul, &[value, value]);
        nest.store(Access::new(y, element.plus(&Ix::step().times(100))), square);
        let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
        program.launches.push(Launch::Repeat { steps: 4, reverse: false, body: vec![Launch::Run(kernel)] });
        let [cost] = costs(&program, &|_| 4.0)[..] else { panic!("one kernel") };
        let [outside] = costs(&program, &|buffer| if buffer == x { 0.0 } else { 4.0 })[..] else {
            panic!("one kernel")
        };
        assert_eq!(outside.bytes, 400.0, "what lies in registers is not moved");
        assert!((cost.operations - 100.0).abs() < 1e-9 && cost.bytes == 800.0 && cost.macs == 0.0, "{cost:?}");
    }
}
