//! `spike_at(times) -> spikes`: neurons that spike at these times in seconds, and never where they are infinite; once, or
//! where the times are those of a train (ascending, one in each slot) as often as it has spikes.
//!
//! It stands for a train without a grid; the pass [`events`](crate::passes::events) replaces it. Derivative: the train's
//! times are the operand. Caveat: without that pass it has no value, so reference evaluation is an error that names it.

use crate::autodiff::Backward;
use crate::eval::{EvalContext, EvalError};
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::ops::operands::{exactly, number};
use crate::tensor::Tensor;
use crate::ty::{Kind, Ty};

/// Spikes at given times.
#[derive(Clone, Debug, PartialEq)]
pub struct SpikeAt {}

impl OpRule for SpikeAt {
    fn name(&self) -> &'static str {
        "spike_at"
    }

    fn attributes(&self) -> String {
        String::new()
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::Declared
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [times] = exactly("spike_at", inputs)?;
        number("spike_at", times)?;
        Ok(Ty { time: !context.is_step, ..times.with_kind(Kind::Spikes) })
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
