//! `param(path) -> value`: a learned tensor.
//!
//! Every sample shares it; where `param p: [time]` says so it has one value a time step. How it starts is the affair of
//! [`Parameter`](crate::model::Parameter), how it learns that of [`training`](crate::training).

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, source};
use crate::tensor::Tensor;
use crate::ty::Ty;

/// Reads a learned tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamOp {
    /// Its path, e.g. `stage1.0.main.conv2d1.weight`.
    pub path: String,
    /// What is read; never batched.
    pub ty: Ty,
}

impl OpRule for ParamOp {
    fn name(&self) -> &'static str {
        "param"
    }

    fn attributes(&self) -> String {
        self.path.clone()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [] = exactly("param", inputs)?;
        if self.ty.batch {
            return Err(ShapeError::new(format!("the parameter `{}` cannot differ from sample to sample", self.path)));
        }
        source(context, &self.ty)
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
