//! `count(factor) -> factor * batch size`: how many elements a reduction covers.
//!
//! The batch size is unknown until lowering, so a mean over the batch divides by this. Built by
//! [`Graph::count`](crate::Graph::count). No gradient.

use snn_loops::Val;

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::exactly;
use crate::tensor::Tensor;
use crate::ty::Ty;

/// A multiple of the batch size.
#[derive(Clone, Debug, PartialEq)]
pub struct Count {
    /// Elements for each sample.
    pub factor: f64,
}

impl OpRule for Count {
    fn name(&self) -> &'static str {
        "count"
    }

    fn attributes(&self) -> String {
        format!("{:?} a sample", self.factor)
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [] = exactly("count", inputs)?;
        Ok(Ty::scalar())
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(Vec::new())
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Point(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], _ty: &Ty) -> Tensor {
        Tensor::full(&[], self.factor * context.batch as f64)
    }

    fn samples() -> Vec<Sample> {
        vec![Sample { op: Count { factor: 6.0 }.into(), inputs: Vec::new(), ranges: Vec::new() }]
    }
}

impl PointRule for Count {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, _at: &Point) -> Val {
        let count = self.factor * emitter.batch() as f64;
        emitter.builder().constant(count)
    }
}
