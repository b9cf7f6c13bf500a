//! `average(path) -> value`: a moving average that training updates and evaluation reads.
//!
//! The update is written by [`training`](crate::training); this op only reads. Nothing learns through it.

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, source};
use crate::tensor::Tensor;
use crate::ty::Ty;

/// Reads a moving average.
#[derive(Clone, Debug, PartialEq)]
pub struct AverageOp {
    /// Its path, e.g. `stem.tdbn1.mu`.
    pub path: String,
    /// Its shape.
    pub dims: Vec<usize>,
}

impl OpRule for AverageOp {
    fn name(&self) -> &'static str {
        "average"
    }

    fn attributes(&self) -> String {
        self.path.clone()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [] = exactly("average", inputs)?;
        source(context, &Ty::fixed(&self.dims))
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(Vec::new())
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Stored
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], ty: &Ty) -> Tensor {
        context.binding(&self.path, ty)
    }

    /// None: it does what an input does.
    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}
