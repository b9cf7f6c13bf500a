//! `with_gradient(value, input, derivative) -> value`: a value whose derivative with respect to `input` is declared.
//!
//! The one op behind every surrogate (Neftci et al. 2019, "Surrogate gradient learning in spiking neural networks"): the
//! value of a step function, the derivative of something smooth. The gradient with respect to `input` is upstream times
//! `derivative`; `value` and `derivative` themselves get none.

use snn_loops::Val;

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{Emitter, GradientKind, Lowering, OpRule, Point, PointRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{broadcast_all, exactly, number};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Declares a derivative. Operands: value, input, derivative; the latter two broadcast to the value's shape.
#[derive(Clone, Debug, PartialEq)]
pub struct WithGradient {}

impl OpRule for WithGradient {
    fn name(&self) -> &'static str {
        "with_gradient"
    }

    fn attributes(&self) -> String {
        String::new()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Declared
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [value, input, derivative] = exactly("with_gradient", inputs)?;
        inputs.iter().try_for_each(|ty| number("with_gradient", ty))?;
        if !broadcast_all(&[value, input, derivative])?.same_shape(value) {
            return Err(ShapeError::new(format!(
                "the value is {value}, but its derivative is {derivative}, with respect to what is {input}"
            ))
            .help("the input and the derivative must have the shape of the value"));
        }
        Ok(value.clone())
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        let [_, input, derivative] = backward.graph.node(node).inputs[..] else { return Ok(Vec::new()) };
        if !backward.wants(input) {
            return Ok(vec![None, None, None]);
        }
        let ty = backward.graph.ty(input).clone();
        let part = backward.graph.mul(upstream, derivative)?;
        Ok(vec![None, Some(backward.graph.sum_to(part, &ty)?), None])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Point(self)
    }

    fn eval(&self, _context: &mut EvalContext<'_>, inputs: &[&Tensor], _ty: &Ty) -> Tensor {
        inputs[0].clone()
    }

    fn samples() -> Vec<Sample> {
        let sample = |value: Ty, input: Ty, derivative: Ty| Sample {
            op: WithGradient {}.into(),
            inputs: vec![value, input, derivative],
            ranges: vec![(0.0, 1.0), (-1.0, 1.0), (0.1, 1.0)],
        };
        let all = Ty::signal(true, &[2, 3]);
        vec![
            sample(all.with_kind(Kind::Spikes), all.clone(), all.clone()),
            sample(all.clone(), Ty::fixed(&[2]), Ty::scalar()),
        ]
    }
}

impl PointRule for WithGradient {
    fn emit(&self, emitter: &mut dyn Emitter, _ty: &Ty, at: &Point) -> Val {
        emitter.operand(0, at)
    }
}
