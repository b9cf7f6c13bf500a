//! Learned parameters and moving averages.
//!
//! Must never know how a parameter learns.

use snn_graph::ops::{AverageOp, ParamOp, Running};
use snn_graph::{Init, Parameter, RunningAverage, Ty};

use super::scope::Env;
use super::*;
use crate::ast::{self, ExprKind, ParamStmt, Shape};
use crate::value::Spanned;

impl<'p> Elaborator<'p, '_> {
    /// `param name: [shape] = value`, or `~ initializer`.
    pub(super) fn param(&mut self, param: &'p ParamStmt, env: &Env<'p>) {
        let name = &param.name;
        env.bind(&name.text, Value::Poison);
        let Some(init) = self.init(param, env) else { return };
        let (dims, time) = match &param.shape {
            None => (Vec::new(), false),
            Some(shape) => match self.shape_dims(shape, env) {
                Some(found) => found,
                None => return,
            },
        };
        if time
            && self
                .refuse_in_block_loop(&format!("the parameter `{}`, which has one value a step,", name.text), name.span)
        {
            return;
        }
        let ty = Ty { time, ..Ty::fixed(&dims) };
        let Some(owner) = self.applications.last().map(|application| Rc::clone(&application.instance)) else { return };
        let known = owner.params.borrow().get(&name.text).copied();
        let node = match known {
            Some(node) if self.graph.ty(node).same_shape(&ty) => node,
            Some(node) => {
                let error = self.shared_shape(&owner, &name.text, node, &dims, name.span);
                self.fail(error);
                return;
            }
            None => {
                let path = self.own_path(&name.text);
                let op = ParamOp { path: path.clone(), ty };
                let Some(node) = self.node(name.span, |graph| graph.push(op, &[])) else { return };
                let steps = if time { vec![self.graph.steps] } else { Vec::new() };
                let dims = steps.into_iter().chain(dims).collect();
                self.recorded.parameters.push(Parameter { path, dims, time, init, node });
                owner.params.borrow_mut().insert(name.text.clone(), node);
                node
            }
        };
        env.bind(&name.text, Value::Signal(node));
    }

    fn shared_shape(&self, owner: &Instance, name: &str, node: NodeId, dims: &[usize], span: Span) -> Diagnostic {
        let uses = owner.uses.borrow();
        let message = format!(
            "one instance is used with signals of different shapes: its `{name}` would be {:?} and {dims:?}",
            self.graph.ty(node).dims
        );
        let place = uses.last().copied().unwrap_or(span);
        let mut error = Diagnostic::error(Code::SharedShape, message).at(place, "this use");
        if let Some(first) = uses.first().filter(|first| **first != place) {
            error = error.because(*first, "the first use");
        }
        error.help("write it with parentheses in each place, so that each has weights of its own")
    }

    fn init(&mut self, param: &'p ParamStmt, env: &Env<'p>) -> Option<Init> {
        let name = &param.name.text;
        match &param.init {
            None => {
                let error = self.error_at(
                    Code::MissingSetting,
                    format!("the parameter `{name}` does not say how it starts"),
                    param.name.span,
                    "no start",
                );
                self.fail(error.help(format!("write `param {name} = 0.0`, or `~ kaiming_normal()`")));
                None
            }
            Some(ast::Init::Value(value)) => match self.expr(value, env) {
                // Plus zero, because -ln(1) is a negative zero.
                Value::Number(number) => Some(Init::Constant(number + 0.0)),
                Value::Init(init) => Some(init),
                Value::Poison => None,
                other => {
                    let text = format!("this is {}", other.describe());
                    let error = self.error_at(
                        Code::WrongType,
                        format!("the parameter `{name}` starts at a number"),
                        value.span,
                        text,
                    );
                    self.fail(error);
                    None
                }
            },
            Some(ast::Init::Draw(value)) => {
                let before = std::mem::replace(&mut self.wants_init, true);
                let made = self.expr(value, env);
                self.wants_init = before;
                match made {
                    Value::Init(init) => Some(init),
                    Value::Poison => None,
                    other => {
                        let text = format!("this is {}", other.describe());
                        let error = self.error_at(
                            Code::WrongType,
                            format!("the parameter `{name}` is not drawn from an initializer"),
                            value.span,
                            text,
                        );
                        self.fail(error.help("initializers are written with parentheses, such as `kaiming_normal()`"));
                        None
                    }
                }
            }
        }
    }

    /// The extents of a parameter or state, and whether it has a time axis.
    pub(super) fn shape_dims(&mut self, shape: &'p Shape, env: &Env<'p>) -> Option<(Vec<usize>, bool)> {
        let mut dims = Vec::new();
        let mut time = false;
        for (at, dim) in shape.dims.iter().enumerate() {
            let first = self.frames.last().and_then(|frame| frame.first_signal);
            let signal_dims = first.map(|id| self.graph.ty(id).dims.clone()).unwrap_or_default();
            if matches!(dim.kind, ExprKind::Rest) {
                let rest = self.frames.last().and_then(|frame| frame.rest.clone());
                match rest {
                    Some(axes) => dims.extend(axes.iter().filter_map(|axis| signal_dims.get(*axis))),
                    None => dims.extend(signal_dims.iter().skip(dims.len())),
                }
                continue;
            }
            match self.expr(dim, env) {
                Value::Text(word) if &*word == "time" && at == 0 => time = true,
                Value::Text(word) if &*word == "channel" && !signal_dims.is_empty() => dims.extend(signal_dims.first()),
                value => dims.push(self.size(&value, "an extent", dim.span)?),
            }
        }
        if dims.contains(&0) {
            let error = self.error_at(
                Code::WrongType,
                format!("the shape {dims:?} holds nothing"),
                shape.span,
                "an extent is 0",
            );
            self.fail(error);
            return None;
        }
        Some((dims, time))
    }

    /// `running(value, momentum, start, store)`: the value in training, its moving average in evaluation.
    pub(super) fn running(
        &mut self,
        value: &Spanned<'p>,
        momentum: &Spanned<'p>,
        start: Option<&Spanned<'p>>,
        store: Option<&Spanned<'p>>,
        span: Span,
    ) -> Value<'p> {
        let numbers = (self.number_setting("momentum", Some(momentum), 0.0), self.number_setting("start", start, 0.0));
        let (Some(momentum), Some(start)) = numbers else { return Value::Poison };
        let Some(id) = self.as_signal(&value.value, value.span) else { return Value::Poison };
        let stored = match store {
            Some(store) => match self.as_signal(&store.value, store.span) {
                Some(stored) => stored,
                None => return Value::Poison,
            },
            None => id,
        };
        let ty = self.graph.ty(id).clone();
        if ty.batch || (ty.time && self.refuse_stepped_average(span)) {
            if ty.batch {
                let message =
                    "a moving average is the same for all samples, but this value differs from sample to sample";
                let error = self.error_at(
                    Code::ShapeMismatch,
                    message,
                    value.span,
                    format!("this is {}", nodes::describe(&ty)),
                );
                self.fail(error.help("take its mean over `batch`"));
            }
            return Value::Poison;
        }
        let path = self.average_path();
        let Some(owner) = self.applications.last().map(|application| Rc::clone(&application.instance)) else {
            return Value::Poison;
        };
        let known = owner.averages.borrow().get(&path).copied();
        let at = match known {
            Some(at) => {
                if let Some(average) = self.recorded.averages.get_mut(at) {
                    average.stored.push(stored);
                }
                at
            }
            None => {
                let op = AverageOp { path: path.clone(), dims: ty.dims.clone() };
                let Some(node) = self.node(span, |graph| graph.push(op, &[])) else { return Value::Poison };
                let average = RunningAverage {
                    path: path.clone(),
                    dims: ty.dims.clone(),
                    start,
                    momentum,
                    node,
                    stored: vec![stored],
                };
                self.recorded.averages.push(average);
                owner.averages.borrow_mut().insert(path.clone(), self.recorded.averages.len() - 1);
                self.recorded.averages.len() - 1
            }
        };
        let Some(node) = self.recorded.averages.get(at).map(|average| average.node) else { return Value::Poison };
        self.signal(span, |graph| graph.push(Running { path }, &[id, node]))
    }

    /// A value of each step may be averaged only in a loop, where the mean over its steps is what is kept.
    fn refuse_stepped_average(&mut self, span: Span) -> bool {
        if !self.loops.is_empty() {
            return false;
        }
        let error = self.error_at(
            Code::ShapeMismatch,
            "a moving average is the same for all steps, but this value changes with time",
            span,
            "averaged here",
        );
        self.fail(error.help("take its mean over `time`"));
        true
    }

    /// The path of a moving average: that of the `let` that holds it.
    fn average_path(&mut self) -> String {
        // Inside an instance the first element is its own path.
        let own = usize::from(self.applications.len() > 1);
        let path = if self.prefix.len() > own { self.prefix.join(".") } else { self.own_path("running") };
        let Some(application) = self.applications.last_mut() else { return path };
        let count = application.averages.entry(path.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { path } else { format!("{path}{count}") }
    }

    /// A setting of an intrinsic that is a number known now.
    pub(super) fn number_setting(&mut self, name: &str, value: Option<&Spanned<'p>>, default: f64) -> Option<f64> {
        match value.map(|value| (&value.value, value.span)) {
            None => Some(default),
            Some((Value::Number(number), _)) => Some(*number),
            Some((Value::Poison, _)) => None,
            Some((other, span)) => {
                let message = format!("`{name}` must be a number known when the model is compiled");
                let error = self.error_at(Code::SettingType, message, span, other.describe());
                self.fail(error);
                None
            }
        }
    }
}
