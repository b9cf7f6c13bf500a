//! Spikes: the step function with a surrogate in the place of its derivative.
//!
//! Must never know a surrogate by name.

use snn_graph::NodeId;
use snn_graph::ops::WithGradient;
use snn_graph::ops::pointwise::Function;

use super::frame::{BodyKind, Frame};
use super::intrinsics::Arguments;
use super::*;
use crate::ast::Expr;
use crate::value::{Spanned, SurrogateValue};

impl<'p> Elaborator<'p, '_> {
    /// `spike(x, surrogate, strict = false)`
    pub(super) fn spike_call(&mut self, arguments: &Arguments<'p>, span: Span) -> Option<Value<'p>> {
        let (x, surrogate) = (arguments.get(0)?, arguments.get(1)?);
        let strict = match arguments.get(2).map(|strict| &strict.value) {
            None => false,
            Some(Value::Truth(strict)) => *strict,
            Some(other) => {
                let text = format!("this is {}", other.describe());
                let error = self.error_at(Code::SettingType, "`strict` is `true` or `false`", span, text);
                self.fail(error);
                return None;
            }
        };
        let Value::Surrogate(surrogate) = surrogate.value.clone() else {
            let text = format!("this is {}", surrogate.value.describe());
            let error = self.error_at(Code::WrongType, "a spike needs a surrogate", surrogate.span, text);
            self.fail(error.help("pass one on as a setting: `surrogate = atan()`"));
            return None;
        };
        let x = self.as_signal(&x.value, x.span)?;
        self.spike(x, &surrogate, strict, span).map(Value::Signal)
    }

    /// 1 where x >= 0 (or x > 0, `strict`), with the surrogate as its derivative.
    pub(super) fn spike(
        &mut self,
        x: NodeId,
        surrogate: &SurrogateValue<'p>,
        strict: bool,
        span: Span,
    ) -> Option<NodeId> {
        if let Some(frame) = self.frames.iter_mut().rev().find(|frame| frame.kind == BodyKind::Neuron) {
            frame.spikes = true;
        }
        if self.options.smooth {
            return self.smooth_spike(x, surrogate, span);
        }
        let value = self.node(span, |graph| {
            let zero = graph.constant(0.0)?;
            let fires = match strict {
                true => graph.pointwise(Function::Lt, &[zero, x])?,
                false => graph.pointwise(Function::Le, &[zero, x])?,
            };
            let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
            graph.select(fires, one, zero)
        })?;
        let derivative = self.surrogate_value(surrogate, x, &surrogate.decl.value, span)?;
        self.node(span, |graph| graph.push(WithGradient {}, &[value, x, derivative]))
    }

    /// The function whose derivative the surrogate is, as declared or by quadrature. Its derivative stays the surrogate, so
    /// that a gradient check compares the two.
    fn smooth_spike(&mut self, x: NodeId, surrogate: &SurrogateValue<'p>, span: Span) -> Option<NodeId> {
        let value = match &surrogate.decl.primitive {
            Some(primitive) => self.surrogate_value(surrogate, x, primitive, span)?,
            None => self.primitive_by_quadrature(x, surrogate, span)?,
        };
        let derivative = self.surrogate_value(surrogate, x, &surrogate.decl.value, span)?;
        self.node(span, |graph| graph.push(WithGradient {}, &[value, x, derivative]))
    }

    /// A surrogate called like a function.
    pub(super) fn apply_surrogate(
        &mut self,
        surrogate: &SurrogateValue<'p>,
        signals: Vec<Spanned<'p>>,
        span: Span,
    ) -> Value<'p> {
        let [signal] = signals.as_slice() else {
            let message = format!("the surrogate `{}` takes 1 signal, not {}", surrogate.decl.name.text, signals.len());
            let error = self.error_at(Code::WrongSignals, message, span, "called here");
            return self.fail(error);
        };
        match self.as_signal(&signal.value, signal.span) {
            Some(x) => {
                self.surrogate_value(surrogate, x, &surrogate.decl.value, span).map_or(Value::Poison, Value::Signal)
            }
            None => Value::Poison,
        }
    }

    /// One of a surrogate's functions at `x`.
    pub(super) fn surrogate_value(
        &mut self,
        surrogate: &SurrogateValue<'p>,
        x: NodeId,
        function: &'p Expr,
        span: Span,
    ) -> Option<NodeId> {
        let decl = surrogate.decl;
        if self.broken.contains(&surrogate.id) || self.out_of_limits(span) {
            return None;
        }
        let env =
            self.bind_settings(&decl.name.text, surrogate.id.module, &decl.settings, &surrogate.given, false, span)?;
        env.bind(decl.signals.first()?.name.as_str(), Value::Signal(x));
        let frame = Frame {
            id: self.next_frame_id(),
            kind: BodyKind::Surrogate,
            name: &decl.name.text,
            site: span,
            first_signal: None,
            rest: None,
            spikes: false,
            seconds: false,
        };
        self.frames.push(frame);
        let value = self.expr(function, &env);
        let id = self.as_signal(&value, function.span);
        self.frames.pop();
        id
    }
}
