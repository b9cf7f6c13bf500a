//! `test`: a graph without inputs, and what must hold of it.
//!
//! Must never evaluate anything.

use snn_graph::{Kind, NodeId, TimeAxis, Ty};

use super::frame::BodyKind;
use super::scope::Env;
use super::*;
use crate::ast::{BinaryOp, Expr, ExprKind, StmtKind, Test};
use crate::value::Spanned;

/// The tolerance of `~` where none is given: this much, and this much of the right side.
const TOLERANCE: f64 = 1e-6;

/// How two values are compared, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Relation {
    /// They are equal.
    Equal,
    /// They differ by at most `absolute + relative * |right|`.
    Near {
        /// The absolute tolerance.
        absolute: f64,
        /// The tolerance relative to the right side.
        relative: f64,
    },
}

/// One `expect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// How the sides are compared; they broadcast.
    pub relation: Relation,
    /// The left side.
    pub left: NodeId,
    /// The right side.
    pub right: NodeId,
    /// The condition in the text.
    pub span: Span,
}

/// A test, ready to be evaluated by any back end.
#[derive(Clone, Debug)]
pub struct CompiledTest {
    /// Its title.
    pub title: String,
    /// Whether it runs in training.
    pub training: bool,
    /// The graph with its parameters; it has no inputs, and its result means nothing.
    pub model: Model,
    /// What must hold, in order.
    pub expectations: Vec<Expectation>,
    /// Where the title stands.
    pub span: Span,
    /// Places of the nodes, by origin less one.
    pub places: Vec<Span>,
}

impl<'p> Elaborator<'p, '_> {
    /// Elaborates a test. `None` if anything about it is wrong.
    pub(crate) fn test(mut self, id: DeclId, test: &'p Test) -> Option<CompiledTest> {
        if self.broken.contains(&id) {
            return None;
        }
        let before = self.report.n_errors();
        self.enter(BodyKind::Test, &test.title, test.title.span);
        let env = self.scopes.root(id.module);
        let inner = self.scopes.child(&env);
        let joined = Ty { batch: false, ..Ty::signal(true, &[]) };
        let mut expectations = Vec::new();
        for stmt in &test.body.stmts {
            match &stmt.kind {
                StmtKind::Time(time) => {
                    if let Some(axis) = self.time_axis(time, &env) {
                        self.set_time(axis);
                    }
                }
                StmtKind::Expect { condition, within } => {
                    expectations.extend(self.expectation(condition, within.as_ref(), &inner));
                }
                _ => {
                    self.statement(stmt, &test.title.text, &joined, &inner);
                }
            }
        }
        let n_expects = test.body.stmts.iter().filter(|stmt| matches!(stmt.kind, StmtKind::Expect { .. })).count();
        if n_expects == 0 {
            let error = Diagnostic::error(Code::BadExpectation, "this test checks nothing");
            self.fail(error.at(test.title.span, "no `expect`").help("add `expect out == [0, 1]`"));
        }
        if self.report.n_errors() > before || self.exhausted {
            return None;
        }
        let output = expectations.first()?.left;
        let sides: Vec<NodeId> =
            expectations.iter().flat_map(|expectation| [expectation.left, expectation.right]).collect();
        let top = model::Top { inputs: Vec::new(), targets: Vec::new(), output, loss: None, prediction: None };
        let time = self.time.unwrap_or(TimeAxis::Steps(1));
        let places = self.origins.places(|span| self.program.is_library(span.file));
        let title = test.title.text.clone();
        let (model, _) = self.into_model(&title, time, top, &sides);
        Some(CompiledTest { title, training: test.training, model, expectations, span: test.title.span, places })
    }

    /// `expect a == b`, `expect a ~ b within t`, `expect condition`.
    fn expectation(&mut self, condition: &'p Expr, within: Option<&'p Expr>, env: &Env<'p>) -> Option<Expectation> {
        let relation = match (&condition.kind, within) {
            (ExprKind::Binary { op: BinaryOp::Eq, .. }, None) => Some(Relation::Equal),
            (ExprKind::Binary { op: BinaryOp::Approx, .. }, None) => {
                Some(Relation::Near { absolute: TOLERANCE, relative: TOLERANCE })
            }
            (ExprKind::Binary { op: BinaryOp::Approx, .. }, Some(within)) => {
                Some(Relation::Near { absolute: self.tolerance(within, env)?, relative: 0.0 })
            }
            (_, Some(within)) => {
                let error = Diagnostic::error(Code::BadExpectation, "only `~` compares within a tolerance");
                self.fail(error.at(within.span, "a tolerance").help("write `expect a ~ b within 1e-6`"));
                return None;
            }
            (_, None) => None,
        };
        let (left, right) = match (&condition.kind, relation) {
            (ExprKind::Binary { left, right, .. }, Some(_)) => (self.side(left, env)?, self.side(right, env)?),
            _ => self.truth(condition, env)?,
        };
        if self.graph.ty(left).broadcast(self.graph.ty(right)).is_none() {
            let message =
                format!("{:?} cannot be compared with {:?}", self.graph.ty(left).dims, self.graph.ty(right).dims);
            let error = snn_graph::ShapeError::new(message).at(&[left, right]);
            let error = self.shape_error(&error, condition.span);
            self.fail(error);
            return None;
        }
        Some(Expectation { relation: relation.unwrap_or(Relation::Equal), left, right, span: condition.span })
    }

    fn tolerance(&mut self, within: &'p Expr, env: &Env<'p>) -> Option<f64> {
        match self.expr(within, env) {
            Value::Number(tolerance) if tolerance >= 0.0 => Some(tolerance),
            Value::Poison => None,
            other => {
                let error = Diagnostic::error(Code::BadExpectation, "a tolerance is a number that is not negative");
                self.fail(error.at(within.span, settings::show(&other)));
                None
            }
        }
    }

    fn side(&mut self, side: &'p Expr, env: &Env<'p>) -> Option<NodeId> {
        let value = self.expr(side, env);
        if let Value::Truth(_) | Value::Text(_) | Value::Nothing = value {
            let error = Diagnostic::error(Code::BadExpectation, "an `expect` compares signals");
            self.fail(error.at(side.span, format!("this is {}", value.describe())));
            return None;
        }
        let value = Spanned { value: self.test_signal(value, side.span), span: side.span };
        self.as_signal(&value.value, side.span)
    }

    /// A condition that is no comparison of two sides: it must be true everywhere.
    fn truth(&mut self, condition: &'p Expr, env: &Env<'p>) -> Option<(NodeId, NodeId)> {
        let value = self.expr(condition, env);
        if let Value::Truth(truth) = value {
            let held = self.constant(if truth { 1.0 } else { 0.0 }, condition.span)?;
            return Some((held, self.constant(1.0, condition.span)?));
        }
        let id = self.as_signal(&value, condition.span)?;
        if self.graph.ty(id).kind != Kind::Truth {
            let error = Diagnostic::error(Code::BadExpectation, "this `expect` compares nothing");
            let text = format!("this is {}", nodes::describe(self.graph.ty(id)));
            self.fail(error.at(condition.span, text).help("write `expect a == b` or `expect a ~ b`"));
            return None;
        }
        let held = self.node(condition.span, |graph| {
            let (one, zero) = (graph.constant(1.0)?, graph.constant(0.0)?);
            graph.select(id, one, zero)
        })?;
        Some((held, self.constant(1.0, condition.span)?))
    }
}
