//! `times_of(spikes) -> times`: when each spike of a train happens, in seconds and ascending; infinite in empty slots.
//!
//! Only without a grid of steps; the pass [`events`](crate::passes::events) replaces it by the train itself. Any smooth
//! function of spike times is an ordinary expression over it. Caveat: without that pass it has no value, so reference
//! evaluation is an error that names it.

use crate::autodiff::Backward;
use crate::eval::{EvalContext, EvalError};
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::exactly;
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// The times of spikes.
#[derive(Clone, Debug, PartialEq)]
pub struct TimesOf {}

impl OpRule for TimesOf {
    fn name(&self) -> &'static str {
        "times_of"
    }

    fn attributes(&self) -> String {
        String::new()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Declared
    }

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [spikes] = exactly("times_of", inputs)?;
        if spikes.kind != Kind::Spikes || !spikes.time {
            return Err(ShapeError::new(format!("only spikes have times, and this is {spikes}")));
        }
        Ok(spikes.with_kind(Kind::Real))
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Err(ShapeError::new("the pass `events` must run before differentiating"))
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::Unlowered("events")
    }

    fn eval(&self, context: &mut EvalContext<'_>, _inputs: &[&Tensor], ty: &Ty) -> Tensor {
        context.fail(EvalError::Unlowered("events"));
        context.zeros(ty)
    }

    /// None: the op has neither a value nor loops.
    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}
