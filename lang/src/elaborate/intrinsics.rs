//! What the functions do that the elaborator itself knows.
//!
//! Arguments come matched with the parameters of [`crate::builtins`]. On numbers a pointwise function is computed at once.
//! Must never know a declaration of the library.

use snn_graph::NodeId;
use snn_graph::ops::pointwise::Function;

use super::frame::BodyKind;
use super::*;
use crate::builtins::{Action, Intrinsic};
use crate::value::Spanned;

mod reduce;
mod tensor;

/// The arguments of an intrinsic, in the order of its parameters.
pub(super) struct Arguments<'p>(Vec<Option<Spanned<'p>>>);

impl<'p> Arguments<'p> {
    /// An argument, if it was given.
    pub(super) fn get(&self, at: usize) -> Option<&Spanned<'p>> {
        self.0.get(at).and_then(Option::as_ref)
    }
}

impl<'p> Elaborator<'p, '_> {
    /// Calls an intrinsic.
    pub(super) fn run_intrinsic(
        &mut self,
        intrinsic: &'static Intrinsic,
        arguments: Vec<Option<Spanned<'p>>>,
        span: Span,
    ) -> Value<'p> {
        let arguments = Arguments(arguments);
        if let Some(Spanned { value: Value::Set(members), span: place }) = arguments.get(0)
            && !matches!(intrinsic.action, Action::Reduce(_) | Action::Mean)
        {
            let (members, place) = (Rc::clone(members), *place);
            return self.map_set(&members, |this, id| {
                let mut arguments = arguments.0.clone();
                if let Some(first) = arguments.first_mut() {
                    *first = Some(Spanned { value: Value::Signal(id), span: place });
                }
                this.run_intrinsic(intrinsic, arguments, span)
            });
        }
        if is_tensor_op(intrinsic.action) && self.body_kind() == BodyKind::Neuron {
            let message = format!("a neuron cannot use `{}`", intrinsic.name);
            let error = self.error_at(Code::WrongBody, message, span, "a neuron is element-wise");
            return self.fail(error.help("put it into a `layer` before the neuron, or declare a `block`"));
        }
        self.act(intrinsic.action, &arguments, span).unwrap_or(Value::Poison)
    }

    fn act(&mut self, action: Action, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let first = arguments.get(0);
        Some(match action {
            Action::Pointwise(function) => self.scalar_function(function, arguments, span)?,
            Action::Clamp => self.clamp(arguments, span)?,
            Action::Where => self.where_(arguments, span)?,
            Action::Reduce(_) | Action::Mean | Action::Count => self.reduction(action, arguments, span)?,
            Action::Spike => self.spike_call(arguments, span)?,
            Action::SpikeAt => self.spike_at(first?, span)?,
            Action::SpikeTimes => self.spike_times(first?, span)?,
            Action::Detach => {
                let x = self.argument_signal(first)?;
                self.signal(span, |graph| graph.detach(x))
            }
            Action::Running => self.running(first?, arguments.get(1)?, arguments.get(2), arguments.get(3), span),
            Action::Random(draw) => self.random(draw, arguments, span)?,
            Action::Conv => self.conv(arguments, span)?,
            Action::Linear => {
                let (x, weight) = (self.argument_signal(first)?, self.argument_signal(arguments.get(1))?);
                self.lint_counts(x, span);
                self.signal(span, |graph| graph.linear(x, weight))
            }
            Action::Windows => self.windows(arguments, span)?,
            Action::Reshape => {
                let x = self.argument_signal(first)?;
                let shape = arguments.get(1)?;
                let dims = self.sizes(&shape.value, shape.span)?;
                self.signal(span, |graph| graph.reshape(x, &dims))
            }
            Action::Flatten => {
                let x = self.argument_signal(first)?;
                let elements = self.graph.ty(x).elements();
                self.signal(span, |graph| graph.reshape(x, &[elements]))
            }
            Action::OneHot => self.one_hot(arguments, span)?,
            Action::ArgMax => {
                let x = self.argument_signal(first)?;
                self.signal(span, |graph| graph.push(snn_graph::ops::ArgMax {}, &[x]))
            }
            Action::Iota => self.iota(first?, span)?,
            Action::Index => self.index(first?, span)?,
            Action::Error => {
                let text = match &first?.value {
                    Value::Text(text) => text.to_string(),
                    other => settings::show(other),
                };
                let error = self.error_at(Code::LibraryRefusal, text, span, "refused here");
                self.fail(error)
            }
        })
    }

    fn argument_signal(&mut self, argument: Option<&Spanned<'p>>) -> Option<NodeId> {
        argument.and_then(|argument| self.as_signal(&argument.value, argument.span))
    }

    fn scalar_function(&mut self, function: Function, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let mut numbers = [0.0; 3];
        let mut all_numbers = true;
        for (slot, argument) in numbers.iter_mut().zip(arguments.0.iter().flatten()) {
            match argument.value {
                Value::Number(number) => *slot = number,
                _ => all_numbers = false,
            }
        }
        if all_numbers {
            return Some(Value::Number(function.reference(numbers)));
        }
        let mut inputs = Vec::new();
        for argument in arguments.0.iter().flatten() {
            inputs.push(self.as_signal(&argument.value, argument.span)?);
        }
        Some(self.signal(span, |graph| graph.pointwise(function, &inputs)))
    }

    fn clamp(&mut self, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let (x, low, high) = (arguments.get(0)?, arguments.get(1)?, arguments.get(2)?);
        if let (Value::Number(x), Value::Number(low), Value::Number(high)) = (&x.value, &low.value, &high.value) {
            return Some(Value::Number(x.max(*low).min(*high)));
        }
        let x = self.as_signal(&x.value, x.span)?;
        let low = self.as_signal(&low.value, low.span)?;
        let high = self.as_signal(&high.value, high.span)?;
        let raised = self.pointwise(Function::Maximum, &[x, low], span)?;
        Some(self.signal(span, |graph| graph.pointwise(Function::Minimum, &[raised, high])))
    }

    fn where_(&mut self, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let (condition, then, otherwise) = (arguments.get(0)?, arguments.get(1)?, arguments.get(2)?);
        if let Value::Truth(truth) = condition.value {
            return Some(if truth { then.value.clone() } else { otherwise.value.clone() });
        }
        let condition = self.truth_node(&condition.value, condition.span);
        Some(self.choose(condition, then, otherwise, span))
    }
}

/// Whether an intrinsic is more than a function of single elements.
fn is_tensor_op(action: Action) -> bool {
    matches!(
        action,
        Action::Reduce(_)
            | Action::Mean
            | Action::Count
            | Action::Running
            | Action::Conv
            | Action::Linear
            | Action::Windows
            | Action::Reshape
            | Action::Flatten
            | Action::ArgMax
    )
}
