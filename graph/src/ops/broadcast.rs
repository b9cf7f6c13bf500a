//! `broadcast(x) -> y`: a value repeated along new axes.
//!
//! Shapes align at their first axis; axes of extent 1 and axes that `x` lacks repeat. The derivative sums over them.

use snn_loops::Val;

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{broadcast_point, exactly, source};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Repeats a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Broadcast {
    /// The shape and implicit axes of the result; its kind is the operand's.
    pub ty: Ty,
}

impl OpRule for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn attributes(&self) -> String {
        String::new()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Exact
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [x] = exactly("broadcast", inputs)?;
        match x.broadcast(&self.ty) {
            Some(joined) if joined.same_shape(&self.ty) => source(context, &joined.with_kind(x.kind)),
            _ => Err(ShapeError::new(format!("a value that is {x} cannot be repeated to one that is {}", self.ty))),
        }
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        let Some(x) = backward.graph.node(node).inputs.first() else { return Ok(Vec::new()) };
        let ty = backward.graph.ty(*x).clone();
        Ok(vec![Some(backward.graph.sum_to(upstream, &ty)?)])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Point(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let x = context.view(inputs, 0);
        context.tensor(ty, |at| x.at(at))
    }

    fn samples() -> Vec<Sample> {
        let sample = |from: Ty, to: Ty| Sample {
            op: Broadcast { ty: to }.into(),
            inputs: vec![from],
            ranges: vec![(-1.0, 1.0)],
        };
        vec![
            sample(Ty::scalar(), Ty::signal(true, &[])),
            sample(Ty::fixed(&[2]), Ty::signal(true, &[2, 3])),
            sample(Ty::signal(false, &[2, 1]), Ty::signal(true, &[2, 3])),
            sample(Ty { time: true, ..Ty::fixed(&[1, 3]) }, Ty::signal(true, &[2, 3])),
            sample(Ty::signal(false, &[1]), Ty::signal(false, &[1, 1])),
            sample(Ty::fixed(&[2]).with_kind(Kind::Spikes), Ty::signal(false, &[2])),
        ]
    }
}

impl PointRule for Broadcast {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        let point = broadcast_point(emitter.operand_ty(0), at);
        emitter.operand(0, &point)
    }
}
