//! `input(name) -> value`: a named value that the host supplies.
//!
//! A sample, a label, a learning rate; inside a scan's body also a state, a signal's value at the step, or a constant. It
//! has no operands and thus no gradient rule; gradients with respect to it are asked of
//! [`gradients`](crate::autodiff::gradients) by node.

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, source};
use crate::tensor::Tensor;
use crate::ty::Ty;

/// Reads what the host has bound to a name.
#[derive(Clone, Debug, PartialEq)]
pub struct InputOp {
    /// The name.
    pub name: String,
    /// What is read.
    pub ty: Ty,
}

impl OpRule for InputOp {
    fn name(&self) -> &'static str {
        "input"
    }

    fn attributes(&self) -> String {
        self.name.clone()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [] = exactly("input", inputs)?;
        source(context, &self.ty)
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(Vec::new())
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Stored
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], ty: &Ty) -> Tensor {
        context.binding(&self.name, ty)
    }

    /// None: the generic tests supply every operand through an input, so each of their cases is a sample of this op.
    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}
