//! Expressions: one arm for each kind; what is long has a file of its own.
//!
//! Must never know what a stage does with its signals.

use super::arith::Operands;
use super::scope::Env;
use super::*;
use crate::ast::{BinaryOp, Block, DeclKind, Expr, ExprKind, For, If, StmtKind};
use crate::builtins;
use crate::resolve::names;
use crate::value::{BuiltinValue, FunctionTarget, FunctionValue, PipeStage, Spanned, SurrogateValue, UnitValue};

/// The most repetitions of one stage.
const MAX_REPETITIONS: f64 = 10_000.0;

impl<'p> Elaborator<'p, '_> {
    /// The value of an expression.
    pub(super) fn expr(&mut self, expr: &'p Expr, env: &Env<'p>) -> Value<'p> {
        self.work += 1;
        self.depth += 1;
        let value = if self.out_of_limits(expr.span) { Value::Poison } else { self.expr_kind(expr, env) };
        self.depth -= 1;
        value
    }

    /// The value with its place.
    pub(super) fn spanned(&mut self, expr: &'p Expr, env: &Env<'p>) -> Spanned<'p> {
        Spanned { value: self.expr(expr, env), span: expr.span }
    }

    fn expr_kind(&mut self, expr: &'p Expr, env: &Env<'p>) -> Value<'p> {
        match &expr.kind {
            ExprKind::Number { value, .. } => Value::Number(*value),
            ExprKind::Duration(seconds) => Value::Duration(*seconds),
            ExprKind::Str(text) => Value::text(text),
            ExprKind::Bool(truth) => Value::Truth(*truth),
            ExprKind::Name(name) => self.name(name, expr.span, env),
            ExprKind::Rest => self.rest(),
            ExprKind::List(elements) => {
                Value::List(Rc::new(elements.iter().map(|element| self.expr(element, env)).collect()))
            }
            ExprKind::Unary { op, operand } => {
                let operand = self.operand(operand, env);
                self.unary(*op, operand, expr.span)
            }
            ExprKind::Binary { op: op @ (BinaryOp::And | BinaryOp::Or), left, right, .. } => {
                self.logical(*op, left, right, expr.span, env)
            }
            ExprKind::Binary { op: BinaryOp::Mul, left, right, .. } if self.is_stage_expr(right, env) => {
                self.repeat(expr, left, right, env)
            }
            ExprKind::Binary { op, left, right, .. } => {
                let left = self.operand(left, env);
                let right = self.operand(right, env);
                self.binary(*op, Operands { left, right, span: expr.span })
            }
            ExprKind::Call { callee, args } => self.call(expr, callee, args, env),
            ExprKind::Pipe(pipe) => self.pipe(expr, pipe, env),
            ExprKind::If(branch) => self.conditional(expr, branch, env),
            ExprKind::For(repeat) => self.for_each(expr, repeat, env),
        }
    }

    fn operand(&mut self, expr: &'p Expr, env: &Env<'p>) -> Spanned<'p> {
        let value = self.expr(expr, env);
        Spanned { value: self.test_signal(value, expr.span), span: expr.span }
    }

    /// `..`: the axes that the first signal's pattern leaves open, where it does.
    fn rest(&self) -> Value<'p> {
        match self.frames.last().and_then(|frame| frame.rest.clone()) {
            Some(dims) => Value::Axes(Rc::new(snn_graph::Axes { time: false, batch: false, dims })),
            None => Value::Rest,
        }
    }

    /// What a name is worth.
    pub(super) fn name(&mut self, name: &'p str, span: Span, env: &Env<'p>) -> Value<'p> {
        if name == "training" && self.peek(name, env).is_none() {
            return self.signal(span, |graph| graph.push(snn_graph::ops::Training {}, &[]));
        }
        if let Some(value) = self.peek(name, env).or_else(|| self.builtin_name(name)) {
            return value;
        }
        if self.program.is_missing(env.module(), name) {
            return Value::Poison;
        }
        let locals = env.names();
        let error = names::unknown(self.program, env.module(), name, span, locals);
        self.fail(error)
    }

    /// What a name refers to among what has been declared or bound.
    pub(super) fn peek(&self, name: &str, env: &Env<'p>) -> Option<Value<'p>> {
        env.get(name).or_else(|| self.program.lookup(env.module(), name).map(|named| self.decl_value(named.decl)))
    }

    fn builtin_name(&self, name: &str) -> Option<Value<'p>> {
        Some(match name {
            "pi" => Value::Number(std::f64::consts::PI),
            "inf" => Value::Number(f64::INFINITY),
            "steps" => Value::Number(self.graph.steps as f64),
            "duration" => Value::Number(match self.time {
                Some(TimeAxis::Continuous(events)) => events.duration,
                _ => self.graph.steps as f64,
            }),
            "on_grid" => Value::Truth(!matches!(self.time, Some(TimeAxis::Continuous(_)))),
            "none" => Value::Nothing,
            _ => match builtins::intrinsic(name) {
                Some(intrinsic) => function(FunctionTarget::Intrinsic(intrinsic)),
                None => Value::text(builtins::word_named(name)?),
            },
        })
    }

    /// What the name of a declaration is worth.
    fn decl_value(&self, id: DeclId) -> Value<'p> {
        let Some(decl) = self.program.decl(id) else { return Value::Poison };
        match &decl.kind {
            DeclKind::Unit(decl) => Value::Unit(UnitValue { id, decl, given: Rc::default(), instance: None }),
            DeclKind::Surrogate(decl) => Value::Surrogate(SurrogateValue { id, decl, given: Rc::default() }),
            DeclKind::Fn(decl) => function(FunctionTarget::Declared(id, decl)),
            DeclKind::Extern(decl) => {
                Value::Builtin(Rc::new(BuiltinValue { id, decl, given: Rc::default(), called: false }))
            }
            DeclKind::Model(_) => Value::Model,
            DeclKind::Train(_) | DeclKind::Convert(_) | DeclKind::Test(_) => Value::Poison,
        }
    }

    /// `if`: one branch where the condition is known now, otherwise both and a choice element by element.
    fn conditional(&mut self, expr: &'p Expr, branch: &'p If, env: &Env<'p>) -> Value<'p> {
        let condition = self.expr(&branch.condition, env);
        match (condition, &branch.otherwise) {
            (Value::Poison, _) => Value::Poison,
            (Value::Truth(true), _) => self.block(&branch.then, env),
            (Value::Truth(false), Some(otherwise)) => self.block(otherwise, env),
            // A stage that is not there hands its signal on.
            (Value::Truth(false), None) => {
                Value::Pipe(Rc::new(PipeStage { items: Vec::new(), source: expr, env: Rc::clone(env) }))
            }
            (condition, Some(otherwise)) => {
                let condition = self.truth_node(&condition, branch.condition.span);
                let then = Spanned { value: self.block(&branch.then, env), span: branch.then.span };
                let otherwise = Spanned { value: self.block(otherwise, env), span: otherwise.span };
                self.choose(condition, &then, &otherwise, expr.span)
            }
            (_, None) => {
                let error =
                    self.error_at(Code::WrongType, "this `if` has no `else`", expr.span, "its condition is a signal");
                self.fail(error.help("add `else { ... }`: the value where the condition does not hold"))
            }
        }
    }

    /// One of two values, element by element.
    pub(super) fn choose(
        &mut self,
        condition: Option<NodeId>,
        then: &Spanned<'p>,
        otherwise: &Spanned<'p>,
        span: Span,
    ) -> Value<'p> {
        let then = self.as_signal(&then.value, then.span);
        let otherwise = self.as_signal(&otherwise.value, otherwise.span);
        match (condition, then, otherwise) {
            (Some(condition), Some(then), Some(otherwise)) => {
                self.signal(span, |graph| graph.select(condition, then, otherwise))
            }
            _ => Value::Poison,
        }
    }

    /// The value of a block inside an expression.
    fn block(&mut self, block: &'p Block, env: &Env<'p>) -> Value<'p> {
        let inner = self.scopes.child(env);
        let mut result = Value::Poison;
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Let { name, value } => self.bind_let(name, value, &inner),
                StmtKind::Expr(expr) => result = self.expr(expr, &inner),
                _ => {}
            }
        }
        result
    }

    /// `let name = value`: the name holds what is made in the value.
    pub(super) fn bind_let(&mut self, name: &'p crate::ast::Name, value: &'p Expr, env: &Env<'p>) {
        let value = self.held_by(&name.text, |this| this.expr(value, env));
        env.bind(&name.text, value);
    }

    /// Whether an expression is a stage, without evaluating it.
    fn is_stage_expr(&self, expr: &'p Expr, env: &Env<'p>) -> bool {
        match &expr.kind {
            ExprKind::Name(name) => self.peek(name, env).is_some_and(|value| value.is_stage() && !is_function(&value)),
            ExprKind::Call { callee, .. } => match &callee.kind {
                ExprKind::Name(_) => self.is_stage_expr(callee, env),
                _ => false,
            },
            ExprKind::Pipe(pipe) => pipe.items.first().is_some_and(|item| self.is_stage_expr(&item.expr, env)),
            ExprKind::If(branch) => branch.then.result().is_some_and(|result| self.is_stage_expr(result, env)),
            ExprKind::For(_) => true,
            ExprKind::Binary { op: BinaryOp::Mul, right, .. } => self.is_stage_expr(right, env),
            _ => false,
        }
    }

    /// `n * stage`: a chain of n instances.
    fn repeat(&mut self, expr: &'p Expr, times: &'p Expr, stage: &'p Expr, env: &Env<'p>) -> Value<'p> {
        let times = self.spanned(times, env);
        let n = match times.value {
            Value::Poison => return Value::Poison,
            Value::Number(n) if n >= 0.0 && n == n.trunc() && n <= MAX_REPETITIONS => n as usize,
            other => {
                let text = match other {
                    Value::Number(n) => format!("{n} times"),
                    other => other.describe().to_string(),
                };
                let message = format!("a stage is repeated a whole number of times, at most {MAX_REPETITIONS}");
                let error = self.error_at(Code::WrongType, message, times.span, text);
                return self.fail(error);
            }
        };
        let mut items = Vec::new();
        for _ in 0..n {
            let value = self.repetition(|this| this.expr(stage, env));
            if self.exhausted {
                return Value::Poison;
            }
            items.push(Spanned { value, span: stage.span });
        }
        Value::Pipe(Rc::new(PipeStage { items, source: expr, env: Rc::clone(env) }))
    }

    /// `for c in values { stage }`: a chain of one instance for each value.
    fn for_each(&mut self, expr: &'p Expr, repeat: &'p For, env: &Env<'p>) -> Value<'p> {
        let values = match self.expr(&repeat.values, env) {
            Value::Poison => return Value::Poison,
            Value::List(values) => values,
            other => {
                let text = format!("this is {}", other.describe());
                let error = self.error_at(Code::WrongType, "`for` goes over a list", repeat.values.span, text);
                return self.fail(error.help("write `for c in [64, 128] { ... }`"));
            }
        };
        let mut items = Vec::new();
        for value in values.iter() {
            let inner = self.scopes.child(env);
            inner.bind(&repeat.variable.text, value.clone());
            let value = self.repetition(|this| this.block(&repeat.body, &inner));
            let span = repeat.body.result().map_or(repeat.body.span, |result| result.span);
            items.push(Spanned { value, span });
        }
        Value::Pipe(Rc::new(PipeStage { items, source: expr, env: Rc::clone(env) }))
    }
}

fn function<'p>(target: FunctionTarget<'p>) -> Value<'p> {
    Value::Function(Rc::new(FunctionValue { target, positional: Vec::new(), named: Vec::new() }))
}

fn is_function(value: &Value<'_>) -> bool {
    matches!(value, Value::Function(_))
}
