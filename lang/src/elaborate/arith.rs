//! Operators: on numbers at once, on signals as nodes.
//!
//! Must never know which declaration an operator stands in, but whether it is a test.

use snn_graph::ops::pointwise::Function;
use snn_graph::{Kind, NodeId, TimeAxis};

use super::frame::BodyKind;
use super::*;
use crate::ast::{BinaryOp, Expr, UnaryOp};
use crate::value::Spanned;

/// The operands of an operator, and where the operation stands.
pub(super) struct Operands<'p> {
    /// The left operand.
    pub left: Spanned<'p>,
    /// The right operand.
    pub right: Spanned<'p>,
    /// The whole operation.
    pub span: Span,
}

impl<'p> Elaborator<'p, '_> {
    /// `-x` and `!x`.
    pub(super) fn unary(&mut self, op: UnaryOp, operand: Spanned<'p>, span: Span) -> Value<'p> {
        match (op, operand.value) {
            (_, Value::Poison) => Value::Poison,
            (UnaryOp::Neg, Value::Number(x)) => Value::Number(-x),
            (UnaryOp::Neg, Value::Duration(x)) => Value::Duration(-x),
            (UnaryOp::Not, Value::Truth(x)) => Value::Truth(!x),
            (op, Value::Set(members)) => self.map_set(&members, |this, id| {
                this.unary(op, Spanned { value: Value::Signal(id), span: operand.span }, span)
            }),
            (op, value) => {
                let function = if op == UnaryOp::Neg { Function::Neg } else { Function::Not };
                match self.as_signal(&value, operand.span) {
                    Some(x) => self.pointwise(function, &[x], span).map_or(Value::Poison, Value::Signal),
                    None => Value::Poison,
                }
            }
        }
    }

    /// `a && b` and `a || b`; the right side is not looked at where the left decides.
    pub(super) fn logical(
        &mut self,
        op: BinaryOp,
        left: &'p Expr,
        right: &'p Expr,
        span: Span,
        env: &scope::Env<'p>,
    ) -> Value<'p> {
        let decided = op == BinaryOp::Or;
        let a = self.expr(left, env);
        if let Value::Truth(truth) = a
            && truth == decided
        {
            return a;
        }
        let b = self.expr(right, env);
        match (a, b) {
            (Value::Poison, _) | (_, Value::Poison) => Value::Poison,
            (Value::Truth(_), b @ (Value::Truth(_) | Value::Signal(_))) => b,
            (a, Value::Truth(truth)) if truth != decided => a,
            (_, Value::Truth(truth)) => Value::Truth(truth),
            (a, b) => {
                let function = if decided { Function::Or } else { Function::And };
                match (self.as_signal(&a, left.span), self.as_signal(&b, right.span)) {
                    (Some(a), Some(b)) => self.pointwise(function, &[a, b], span).map_or(Value::Poison, Value::Signal),
                    _ => Value::Poison,
                }
            }
        }
    }

    /// An operator with two operands that are both looked at.
    pub(super) fn binary(&mut self, op: BinaryOp, operands: Operands<'p>) -> Value<'p> {
        let Operands { left, right, span } = operands;
        match (&left.value, &right.value) {
            (Value::Poison, _) | (_, Value::Poison) => Value::Poison,
            (Value::Number(_) | Value::Duration(_), Value::Number(_) | Value::Duration(_)) => {
                self.number_op(op, &left, &right, span)
            }
            (Value::Set(members), _) => {
                let members = Rc::clone(members);
                self.map_set(&members, |this, id| {
                    let left = Spanned { value: Value::Signal(id), span: left.span };
                    this.binary(op, Operands { left, right: right.clone(), span })
                })
            }
            (_, Value::Set(members)) => {
                let members = Rc::clone(members);
                self.map_set(&members, |this, id| {
                    let right = Spanned { value: Value::Signal(id), span: right.span };
                    this.binary(op, Operands { left: left.clone(), right, span })
                })
            }
            (a, b) if matches!(op, BinaryOp::Eq | BinaryOp::Ne) && is_symbol(a, b) => {
                Value::Truth(same_symbol(a, b) == (op == BinaryOp::Eq))
            }
            _ => self.signal_op(op, &left, &right, span),
        }
    }

    fn number_op(&mut self, op: BinaryOp, left: &Spanned<'p>, right: &Spanned<'p>, span: Span) -> Value<'p> {
        let (a, a_duration) = number_of(&left.value);
        let (b, b_duration) = number_of(&right.value);
        // Zero and infinity need no unit.
        let mixed =
            a_duration != b_duration && (if a_duration { b } else { a }) != 0.0 && a.is_finite() && b.is_finite();
        let compares = !matches!(op, BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Pow);
        if mixed && (compares || matches!(op, BinaryOp::Add | BinaryOp::Sub)) {
            let message = format!("`{}` between a duration and a number", op.as_str());
            let error = self.error_at(Code::SettingUnit, message, span, "only one of the two has a unit");
            return self.fail(error.help("write both as durations, such as `20ms`, or both as numbers of steps"));
        }
        let compute = |function: Function| function.reference([a, b, 0.0]);
        let number = |value: f64, duration: bool| if duration { Value::Duration(value) } else { Value::Number(value) };
        match op {
            BinaryOp::Add => number(a + b, a_duration || b_duration),
            BinaryOp::Sub => number(a - b, a_duration || b_duration),
            BinaryOp::Mul => number(a * b, a_duration != b_duration),
            BinaryOp::Div => number(a / b, a_duration && !b_duration),
            BinaryOp::Pow => Value::Number(match b {
                n if n == n.trunc() && n.abs() <= 32.0 => Function::Powi(n as i32).reference([a, 0.0, 0.0]),
                0.5 => a.sqrt(),
                _ => compute(Function::Pow),
            }),
            BinaryOp::Eq => Value::Truth(a == b),
            BinaryOp::Ne => Value::Truth(a != b),
            BinaryOp::Lt => Value::Truth(a < b),
            BinaryOp::Le => Value::Truth(a <= b),
            BinaryOp::Gt => Value::Truth(a > b),
            BinaryOp::Ge => Value::Truth(a >= b),
            BinaryOp::Approx => self.misplaced_approx(span),
            BinaryOp::And | BinaryOp::Or => {
                let error = self.error_at(
                    Code::WrongType,
                    format!("`{}` takes truth values", op.as_str()),
                    span,
                    "not numbers",
                );
                self.fail(error)
            }
        }
    }

    fn misplaced_approx(&mut self, span: Span) -> Value<'p> {
        let error = self.error_at(Code::BadExpectation, "`~` compares only in an `expect`", span, "not here");
        self.fail(error)
    }

    fn signal_op(&mut self, op: BinaryOp, left: &Spanned<'p>, right: &Spanned<'p>, span: Span) -> Value<'p> {
        let (Some(a), Some(b)) = (self.as_signal(&left.value, left.span), self.as_signal(&right.value, right.span))
        else {
            return Value::Poison;
        };
        let made = match op {
            BinaryOp::Add => self.pointwise(Function::Add, &[a, b], span),
            BinaryOp::Sub => self.pointwise(Function::Sub, &[a, b], span),
            BinaryOp::Mul => self.pointwise(Function::Mul, &[a, b], span),
            BinaryOp::Div => self.pointwise(Function::Div, &[a, b], span),
            BinaryOp::Pow => self.node(span, |graph| graph.pow(a, b)),
            BinaryOp::Lt => self.pointwise(Function::Lt, &[a, b], span),
            BinaryOp::Le => self.pointwise(Function::Le, &[a, b], span),
            BinaryOp::Gt => self.pointwise(Function::Lt, &[b, a], span),
            BinaryOp::Ge => self.pointwise(Function::Le, &[b, a], span),
            BinaryOp::Eq => self.pointwise(Function::Eq, &[a, b], span),
            BinaryOp::Ne => {
                let equal = self.pointwise(Function::Eq, &[a, b], span);
                equal.and_then(|equal| self.pointwise(Function::Not, &[equal], span))
            }
            BinaryOp::And => self.pointwise(Function::And, &[a, b], span),
            BinaryOp::Or => self.pointwise(Function::Or, &[a, b], span),
            BinaryOp::Approx => return self.misplaced_approx(span),
        };
        made.map_or(Value::Poison, Value::Signal)
    }

    /// Applies a function to each member of a set.
    pub(super) fn map_set(
        &mut self,
        members: &[NodeId],
        mut each: impl FnMut(&mut Self, NodeId) -> Value<'p>,
    ) -> Value<'p> {
        let mut results = Vec::with_capacity(members.len());
        for member in members {
            match each(self, *member) {
                Value::Signal(id) => results.push(id),
                Value::Number(number) => match self.graph.constant(number) {
                    Ok(id) => results.push(id),
                    Err(_) => return Value::Poison,
                },
                _ => return Value::Poison,
            }
        }
        Value::Set(Rc::new(results))
    }

    /// A value as a node of the graph; what cannot be one is reported.
    pub(super) fn as_signal(&mut self, value: &Value<'p>, span: Span) -> Option<NodeId> {
        match value {
            Value::Signal(id) => Some(*id),
            Value::Number(number) => self.constant(*number, span),
            Value::Duration(seconds) => {
                let number = self.in_steps(*seconds, span)?;
                self.constant(number, span)
            }
            Value::Truth(truth) => {
                let one = self.constant(1.0, span)?;
                let other = self.constant(if *truth { 1.0 } else { 0.0 }, span)?;
                self.pointwise(Function::Eq, &[one, other], span)
            }
            Value::List(_) => self.list_signal(value, false, span),
            Value::Poison => None,
            other => {
                let message = format!("{} stands where a signal is needed", other.describe());
                let mut error = self.error_at(Code::WrongType, message, span, "not a signal");
                if other.is_stage() {
                    error = error.help("give it a signal: `x -> stage`");
                }
                self.fail(error);
                None
            }
        }
    }

    /// In a test, a list in the place of a signal has time outermost.
    pub(super) fn test_signal(&mut self, value: Value<'p>, span: Span) -> Value<'p> {
        match (&value, self.body_kind()) {
            (Value::List(_), BodyKind::Test) => {
                self.list_signal(&value, true, span).map_or(Value::Poison, Value::Signal)
            }
            _ => value,
        }
    }

    fn list_signal(&mut self, list: &Value<'p>, time: bool, span: Span) -> Option<NodeId> {
        let mut values = Vec::new();
        let Some(mut dims) = flatten(list, &mut values) else {
            let error = self.error_at(
                Code::WrongType,
                "this list is no tensor",
                span,
                "its rows differ, or it holds something else than numbers",
            );
            self.fail(error);
            return None;
        };
        if time {
            let steps = if dims.is_empty() { 0 } else { dims.remove(0) };
            if steps == 0 {
                let error = self.error_at(Code::BadTime, "a signal needs at least one time step", span, "no step");
                self.fail(error);
                return None;
            }
            if self.time.is_none() {
                self.time = Some(TimeAxis::Steps(steps));
                self.graph.steps = steps;
            }
        }
        self.tensor(time, dims, &values, span)
    }

    /// A duration as a number: of steps on a grid, of seconds in equations and where there is no grid.
    pub(super) fn in_steps(&mut self, seconds: f64, span: Span) -> Option<f64> {
        if self.frames.last().is_some_and(|frame| frame.seconds) {
            return Some(seconds);
        }
        match self.time {
            Some(TimeAxis::Grid { dt, .. }) => Some(seconds / dt),
            Some(TimeAxis::Continuous(_)) => Some(seconds),
            Some(TimeAxis::Steps(_)) | None => {
                let message =
                    "a duration is given where a number of steps is meant, and a step of this model has no length";
                let error = self.error_at(Code::SettingUnit, message, span, "a duration");
                self.fail(error.help("give the number of steps, or the model a step: `time 100 of 10ms`"));
                None
            }
        }
    }

    /// A truth value as a node, for `where` and `if`.
    pub(super) fn truth_node(&mut self, value: &Value<'p>, span: Span) -> Option<NodeId> {
        let id = self.as_signal(value, span)?;
        if self.graph.ty(id).kind == Kind::Truth {
            return Some(id);
        }
        let text = format!("this is {}", nodes::describe(self.graph.ty(id)));
        let error = self.error_at(Code::WrongType, "a condition must be a truth value", span, text);
        self.fail(error.help("compare it: `x > 0`"));
        None
    }
}

fn number_of(value: &Value<'_>) -> (f64, bool) {
    match value {
        Value::Number(number) => (*number, false),
        Value::Duration(seconds) => (*seconds, true),
        _ => (f64::NAN, false),
    }
}

/// Whether two values are compared as what they are, and not element by element.
fn is_symbol(a: &Value<'_>, b: &Value<'_>) -> bool {
    let symbol = |value: &Value<'_>| matches!(value, Value::Text(_) | Value::Nothing | Value::Truth(_));
    symbol(a) || symbol(b)
}

fn same_symbol(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::Truth(a), Value::Truth(b)) => a == b,
        (Value::Nothing, Value::Nothing) => true,
        _ => false,
    }
}

/// The numbers of a list of lists in order, and its extents; `None` if it is ragged or holds something else.
fn flatten(value: &Value<'_>, values: &mut Vec<f64>) -> Option<Vec<usize>> {
    let Value::List(elements) = value else {
        let Value::Number(number) = value else { return None };
        values.push(*number);
        return Some(Vec::new());
    };
    let mut inner: Option<Vec<usize>> = None;
    for element in elements.iter() {
        let dims = flatten(element, values)?;
        if inner.get_or_insert_with(|| dims.clone()) != &dims {
            return None;
        }
    }
    let mut dims = vec![elements.len()];
    dims.extend(inner.unwrap_or_default());
    Some(dims)
}
