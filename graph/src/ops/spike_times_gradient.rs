//! `spike_times_gradient(operands of the layer.., times, memory, errors) -> gradients..`: the adjoint of
//! [`SpikeTimes`](crate::ops::SpikeTimes).
//!
//! `errors` is the gradient with respect to the layer's train; what stands at empty slots is not read. Result k is the
//! gradient with respect to operand k of the layer; those that nobody asks for are not computed. Gradients by weights and
//! delays are summed over samples. There is no second derivative.

use std::rc::Rc;

use snn_loops::EventLayer;
use snn_loops::event_sweep::{Source, adjoint};

use super::spike_times::{check_operands, n_operands, of_sample, sample_of, set_sample};
use crate::autodiff::Backward;
use crate::eval::{EvalContext, EvalError};
use crate::graph::NodeId;
use crate::op::{GradientKind, Lowering, OpRule, Sample, ShapeContext, ShapeError};
use crate::tensor::Tensor;
use crate::ty::Ty;

/// The gradient of a layer of neurons on events.
#[derive(Clone, Debug, PartialEq)]
pub struct SpikeTimesGradient {
    /// The layer in numbers.
    pub layer: Rc<EventLayer>,
    /// Its shape.
    pub dims: Vec<usize>,
    /// Types of the layer's operands, and of the results.
    pub tys: Vec<Ty>,
}

impl SpikeTimesGradient {
    /// The type of a result; `None` if there are fewer.
    pub fn result_ty(&self, index: usize) -> Option<Ty> {
        self.tys.get(index).cloned()
    }
}

impl OpRule for SpikeTimesGradient {
    fn name(&self) -> &'static str {
        "spike_times_gradient"
    }

    fn attributes(&self) -> String {
        format!("{:?}", self.dims)
    }

    fn gradient_kind(&self) -> GradientKind {
        GradientKind::None
    }

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let n = n_operands(&self.layer);
        if inputs.len() != n + 3 || self.tys.len() != n {
            return Err(ShapeError::new("the gradient of a layer takes its operands, times, memory and errors"));
        }
        check_operands(&self.layer, context.steps, inputs)?;
        let train = Ty::signal(true, &self.dims);
        if !inputs[n].same_shape(&train) || !inputs[n + 2].same_shape(&train) {
            return Err(ShapeError::new("the errors of a train have its shape"));
        }
        self.result_ty(0).ok_or_else(|| ShapeError::new("a layer without synapses"))
    }

    fn gradient(&self, _: &mut Backward<'_>, _: NodeId, _: NodeId) -> Result<Vec<Option<NodeId>>, ShapeError> {
        Err(ShapeError::new("spike times have no second derivative"))
    }

    fn lower(&self) -> Lowering<'_> {
        Lowering::SpikeTimesGradient(self)
    }

    fn eval(&self, context: &mut EvalContext<'_>, inputs: &[&Tensor], ty: &Ty) -> Tensor {
        let (operands, own) = inputs.split_at(n_operands(&self.layer).min(inputs.len()));
        let batch = context.batch;
        let mut results: Vec<Tensor> = self.tys.iter().map(|ty| context.zeros(ty)).collect();
        let [times, memory, errors] = own else { return context.zeros(ty) };
        let memory_dims = context.view(inputs, operands.len() + 1).ty.dims;
        for at in 0..batch {
            let sample = sample_of(&self.layer, &self.tys, operands, batch, at);
            let times = of_sample(times, &self.dims, batch, at);
            let memory = of_sample(memory, &memory_dims, batch, at);
            let errors = of_sample(errors, &self.dims, batch, at);
            let Ok(found) = adjoint(&self.layer, &sample, &times, &memory, &errors) else {
                context.fail(EvalError::Unlowered("events"));
                break;
            };
            let mut slots = results.iter_mut().zip(&self.tys);
            for (group, synapses) in self.layer.synapses.iter().enumerate() {
                if matches!(synapses.source, Source::Train(_))
                    && let Some((train, ty)) = slots.next()
                {
                    set_sample(train, &ty.dims, batch, at, &found.trains[group]);
                }
                if let Some((weight, _)) = slots.next() {
                    weight.data.iter_mut().zip(&found.weights[group]).for_each(|(sum, part)| *sum += part);
                }
                if synapses.source == Source::Own(true)
                    && let Some((delay, _)) = slots.next()
                {
                    delay.data.iter_mut().for_each(|sum| *sum += found.delays[group]);
                }
            }
        }
        let first = results.first().cloned();
        context.set_results(results);
        first.unwrap_or_else(|| context.zeros(ty))
    }

    /// None: what it computes is tested with networks, where operands are trains.
    fn samples() -> Vec<Sample> {
        Vec::new()
    }
}
