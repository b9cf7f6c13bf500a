//! `index(axis) -> 0, 1, 2, ...`: the position along an axis, or the time step.
//!
//! Along the time it is a stepped number `0 .. T-1`; along an axis of extent `n` it is `[n]` with the values `0 .. n-1`.
//! No gradient. Inside one step of a time loop the time step is not available: the loop passes it in as a signal.

use snn_loops::{Expr, Ix, Val};

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, source};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexAxis {
    /// Time steps.
    Time,
    /// Positions along an axis of that extent.
    Dim(usize),
}

/// Counts along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexOp {
    /// What is counted.
    pub axis: IndexAxis,
}

impl OpRule for IndexOp {
    fn name(&self) -> &'static str {
        "index"
    }

    fn attributes(&self) -> String {
        match self.axis {
            IndexAxis::Time => "time".to_string(),
            IndexAxis::Dim(extent) => extent.to_string(),
        }
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [] = exactly("index", inputs)?;
        let ty = match self.axis {
            IndexAxis::Time => Ty { time: true, ..Ty::scalar() },
            IndexAxis::Dim(extent) => Ty::fixed(&[extent]),
        };
        source(context, &ty.with_kind(Kind::Counts))
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(Vec::new())
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Point(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], ty: &Ty) -> Tensor {
        context.tensor(ty, |at| at.dims.first().copied().unwrap_or(at.time) as f64)
    }

    fn samples() -> Vec<Sample> {
        [IndexAxis::Time, IndexAxis::Dim(5), IndexAxis::Dim(1)]
            .map(|axis| Sample { op: IndexOp { axis }.into(), inputs: Vec::new(), ranges: Vec::new() })
            .to_vec()
    }
}

impl PointRule for IndexOp {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        let index = match self.axis {
            IndexAxis::Time => at.time.clone(),
            IndexAxis::Dim(_) => at.dims.first().cloned().unwrap_or_else(|| Ix::constant(0)),
        };
        emitter.builder().define(Expr::Index(index))
    }
}
