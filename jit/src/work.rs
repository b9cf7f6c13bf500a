//! How a nest's parallel loop is cut into tasks.
//!
//! Cutting changes no result: iterations are independent. A task should take some tens of microseconds, against which
//! handing it to another thread is nothing; what is smaller in total runs on the calling thread.

use snn_loops::{Dtype, Expr, LoopKind, Nest, Scalar, Stmt};

use crate::value::Types;

/// Instructions of a task that is worth another thread.
const TASK: usize = 1 << 15;
/// More tasks than this for each thread only cost.
const TASKS_A_THREAD: usize = 8;

/// What is known about the parallel loop of a nest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    /// Iterations; 1 where there is no parallel loop.
    pub iterations: usize,
    /// About how many instructions one takes.
    pub work: usize,
}

impl Schedule {
    /// The schedule of a verified nest.
    pub fn of(nest: &Nest, dtype: Dtype) -> Schedule {
        let lanes = Types::of(dtype).lanes;
        match nest.body.as_slice() {
            [Stmt::For { extent, kind: LoopKind::Parallel, body, .. }] => {
                Schedule { iterations: extent.limit(), work: work(body, lanes) }
            }
            body => Schedule { iterations: 1, work: work(body, lanes) },
        }
    }

    /// Whether all of it is one task, however many threads there are.
    pub fn is_one_task(&self) -> bool {
        self.iterations.saturating_mul(self.work) <= TASK || self.iterations <= 1
    }

    /// Iterations of one task.
    pub fn grain(&self, threads: usize) -> usize {
        let worthwhile = TASK.div_ceil(self.work.max(1));
        let few = self.iterations.div_ceil(threads.saturating_mul(TASKS_A_THREAD).max(1));
        worthwhile.max(few).max(1)
    }
}

fn work(body: &[Stmt], lanes: usize) -> usize {
    let each = body.iter().map(|stmt| match stmt {
        Stmt::For { extent, kind, body, .. } => {
            let iterations = match kind {
                LoopKind::Lanes => extent.limit().div_ceil(lanes),
                LoopKind::Parallel | LoopKind::Serial | LoopKind::Reverse => extent.limit(),
            };
            iterations.saturating_mul(work(body, lanes).saturating_add(1))
        }
        Stmt::Let(_, Expr::Scalar(Scalar::Div | Scalar::Sqrt, _)) => 4,
        Stmt::Let(_, Expr::Scalar(..) | Expr::Load(_) | Expr::Index(_)) | Stmt::Store(..) => 1,
        Stmt::Let(_, Expr::Const(_) | Expr::Get(_)) | Stmt::Set(..) => 0,
    });
    each.fold(0, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_nests_are_one_task_and_large_ones_few() {
        let small = Schedule { iterations: 100, work: 10 };
        assert!(small.grain(8) >= small.iterations && small.is_one_task());
        let large = Schedule { iterations: 1 << 20, work: 1 << 10 };
        assert_eq!(large.iterations.div_ceil(large.grain(4)), 32);
        assert!(!large.is_one_task());
        let heavy = Schedule { iterations: 3, work: 1 << 30 };
        assert_eq!(heavy.grain(64), 1);
    }
}
