//! `spike_at(times) -> spikes`: neurons that spike once, each at its own time in seconds, and never where that is infinite.
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

/// One spike of each neuron.
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
        if times.time || context.is_step {
            return Err(ShapeError::new("the time of a spike cannot itself change with time"));
        }
        Ok(Ty { time: true, ..times.with_kind(Kind::Spikes) })
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
