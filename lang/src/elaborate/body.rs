//! The statements that every body shares.
//!
//! Must never know which declaration the body belongs to.

use snn_graph::Ty;

use super::scope::Env;
use super::*;
use crate::ast::{Expr, Stmt, StmtKind};

impl<'p> Elaborator<'p, '_> {
    /// Runs statements in order; the value is that of the last, if that is an expression. `joined` is the type of a state
    /// whose declaration gives no shape.
    pub(super) fn body(&mut self, stmts: &'p [Stmt], owner: &str, joined: &Ty, env: &Env<'p>) -> Value<'p> {
        let mut result = Value::Poison;
        for stmt in stmts {
            if let StmtKind::Require { condition, message } = &stmt.kind {
                // What follows may count on it.
                if !self.require(condition, message.as_deref(), env) {
                    return Value::Poison;
                }
            } else {
                result = self.statement(stmt, owner, joined, env);
            }
        }
        result
    }

    /// Runs one statement.
    pub(super) fn statement(&mut self, stmt: &'p Stmt, owner: &str, joined: &Ty, env: &Env<'p>) -> Value<'p> {
        match &stmt.kind {
            StmtKind::Let { name, value } => self.bind_let(name, value, env),
            StmtKind::Param(param) => self.param(param, env),
            StmtKind::State(vars) => vars.iter().for_each(|var| self.state(var, owner, joined, env)),
            StmtKind::Next { name, value } => self.next(name, value, env),
            StmtKind::Require { condition, message } => {
                self.require(condition, message.as_deref(), env);
            }
            StmtKind::Expr(expr) => return self.expr(expr, env),
            // Those of a model, a test or equations are read by their owners.
            StmtKind::Input(_)
            | StmtKind::Time(_)
            | StmtKind::Expect { .. }
            | StmtKind::Equation { .. }
            | StmtKind::On { .. }
            | StmtKind::Spike(_)
            | StmtKind::Error => {}
        }
        Value::Poison
    }

    /// `require condition, "message"`: a relation between settings, checked now.
    fn require(&mut self, condition: &'p Expr, message: Option<&str>, env: &Env<'p>) -> bool {
        let error = match self.expr(condition, env) {
            Value::Truth(true) => return true,
            Value::Poison => return false,
            Value::Truth(false) => {
                let message = message.map_or_else(|| "these settings do not go together".to_string(), str::to_string);
                self.error_at(Code::SettingRelation, message, condition.span, "this does not hold")
            }
            other => {
                let text = format!("this is {}", other.describe());
                let message = "`require` takes what is known when the model is compiled";
                self.error_at(Code::WrongType, message, condition.span, text)
            }
        };
        self.fail(error);
        false
    }
}
