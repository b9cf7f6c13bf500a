//! A kernel with other buffers in the place of its own.
//!
//! Must never know what a kernel computes.

use std::collections::BTreeMap;

use snn_loops::event_sweep::SweepPass;
use snn_loops::{BufferId, Expr, Kernel, Operand, Stmt};

/// The kernel with each of its buffers called as `names` says; others keep theirs.
pub(super) fn renamed(kernel: &Kernel, names: &BTreeMap<BufferId, BufferId>) -> Kernel {
    let mut kernel = kernel.clone();
    let rename = |buffer: &mut BufferId| *buffer = names.get(buffer).copied().unwrap_or(*buffer);
    match &mut kernel {
        Kernel::Nest(nest) => each_buffer(&mut nest.body, &rename),
        Kernel::Contraction(contraction) => {
            for operand in [&mut contraction.a, &mut contraction.b, &mut contraction.out] {
                rename(&mut operand.buffer);
            }
        }
        Kernel::Draw(draw) => rename(&mut draw.out.buffer),
        Kernel::EventSweep(sweep) => {
            for synapses in &mut sweep.synapses {
                rename(&mut synapses.weight.buffer);
                optional(&mut synapses.train, &rename);
                optional(&mut synapses.delay, &rename);
            }
            match &mut sweep.pass {
                SweepPass::Forward { times, memory, counters } => {
                    rename(&mut times.buffer);
                    optional(memory, &rename);
                    optional(counters, &rename);
                }
                SweepPass::Adjoint { times, memory, errors, gradients } => {
                    for operand in [times, memory, errors] {
                        rename(&mut operand.buffer);
                    }
                    for gradients in gradients {
                        optional(&mut gradients.train, &rename);
                        optional(&mut gradients.weight, &rename);
                        optional(&mut gradients.delay, &rename);
                    }
                }
            }
        }
    }
    kernel
}

fn optional(operand: &mut Option<Operand>, rename: &impl Fn(&mut BufferId)) {
    if let Some(operand) = operand {
        rename(&mut operand.buffer);
    }
}

fn each_buffer(body: &mut [Stmt], rename: &impl Fn(&mut BufferId)) {
    for stmt in body {
        match stmt {
            Stmt::For { body, .. } => each_buffer(body, rename),
            Stmt::Let(_, Expr::Load(access)) | Stmt::Store(access, _) => rename(&mut access.buffer),
            Stmt::Let(..) | Stmt::Set(..) => {}
        }
    }
}
