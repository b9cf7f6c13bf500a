//! `running(value, average) -> value`: the value itself in training, its moving average in evaluation.
//!
//! The average broadcasts to the value's shape. The gradient goes to the value, never to the average: in
//! evaluation that is a declaration, not the derivative. The pass [`mode`](crate::passes::mode) replaces it by one of its
//! operands before lowering.

use crate::autodiff::Backward;
use crate::eval::EvalContext;
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{broadcast_all, exactly, number};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Chooses between a value and its moving average.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Path of the average, e.g. `stem.tdbn1.mu`.
    pub path: String,
}

impl OpRule for Running {
    fn name(&self) -> &'static str {
        "running"
    }

    fn attributes(&self) -> String {
        self.path.clone()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Declared
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [value, average] = exactly("running", inputs)?;
        number("running", value)?;
        if !broadcast_all(&[value, average])?.same_shape(value) {
            return Err(ShapeError::new(format!(
                "the value is {value}, which its running average, {average}, cannot replace"
            ))
            .help("take the mean over the axes that the average lacks"));
        }
        Ok(value.with_kind(Kind::Real))
    }

    fn gradient(
        &self,
        _backward: &mut Backward<'_>,
        _node: NodeId,
        upstream: NodeId,
    ) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Ok(vec![Some(upstream), None])
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Unlowered("mode")
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let chosen = context.view(inputs, if context.training { 0 } else { 1 });
        context.tensor(ty, |at| chosen.at(at))
    }

    fn samples() -> Vec<Sample> {
        [(Ty::fixed(&[3]), Ty::fixed(&[3])), (Ty { time: true, ..Ty::fixed(&[2]) }, Ty::scalar())]
            .map(|(value, average)| Sample {
                op: Running { path: "average".to_string() }.into(),
                inputs: vec![value, average],
                ranges: vec![(-1.0, 1.0), (-1.0, 1.0)],
            })
            .to_vec()
    }
}
