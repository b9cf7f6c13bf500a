//! `detach(x) -> x`: a value through which no gradient flows.

use snn_loops::Val;

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::exactly;
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Stops gradients.
#[derive(Clone, Debug, PartialEq)]
pub struct Detach {}

impl OpRule for Detach {
    fn name(&self) -> &'static str {
        "detach"
    }

    fn attributes(&self) -> String {
        String::new()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Declared
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [x] = exactly("detach", inputs)?;
        Ok(x.clone())
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(vec![None])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Point(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], _ty: &Ty) -> Tensor {
        context.detach(inputs[0])
    }

    fn samples() -> Vec<Sample> {
        [Ty::signal(true, &[2, 3]), Ty::signal(false, &[1]).with_kind(Kind::Spikes), Ty::scalar()]
            .map(|ty| Sample { op: Detach {}.into(), inputs: vec![ty], ranges: vec![(-1.0, 1.0)] })
            .to_vec()
    }
}

impl PointRule for Detach {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        emitter.operand(0, at)
    }
}
