//! `training() -> truth`: whether the graph is for training.
//!
//! The pass [`mode`](crate::passes::mode) replaces it by a constant before lowering. No gradient.

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::exactly;
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Whether the graph is for training.
#[derive(Clone, Debug, PartialEq)]
pub struct Training {}

impl OpRule for Training {
    fn name(&self) -> &'static str {
        "training"
    }

    fn attributes(&self) -> String {
        String::new()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [] = exactly("training", inputs)?;
        Ok(Ty::scalar().with_kind(Kind::Truth))
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(Vec::new())
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Unlowered("mode")
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], _ty: &Ty) -> Tensor {
        Tensor::full(&[], if context.training { 1.0 } else { 0.0 })
    }

    fn samples() -> Vec<Sample> {
        vec![Sample { op: Training {}.into(), inputs: Vec::new(), ranges: Vec::new() }]
    }
}
