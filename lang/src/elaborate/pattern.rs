//! The shapes in a list of signals: `x: [c, h, w]` binds sizes, `..` lets any axes through.
//!
//! Must never know what is done with the signals.

use snn_graph::NodeId;

use super::scope::Env;
use super::*;
use crate::ast::{ExprKind, Param, Shape};
use crate::value::Spanned;

impl<'p> Elaborator<'p, '_> {
    /// Binds the signals of a declaration to nodes and their sizes to names; the axes behind `..` of the first are the
    /// result's second part.
    pub(super) fn bind_signals(
        &mut self,
        owner: &str,
        params: &'p [Param],
        signals: &[Spanned<'p>],
        env: &Env<'p>,
        span: Span,
    ) -> Option<(Vec<NodeId>, Option<Vec<usize>>)> {
        if signals.len() != params.len() {
            let signal = |n: usize| counted(n, "signal", "signals");
            let message = format!("`{owner}` takes {}, not {}", signal(params.len()), signal(signals.len()));
            let error = self.error_at(Code::WrongSignals, message, span, "given here");
            self.fail(error);
            return None;
        }
        let mut ids = Vec::with_capacity(params.len());
        let mut rest = None;
        let mut whole = true;
        for (at, (param, signal)) in params.iter().zip(signals).enumerate() {
            let Some(id) = self.as_signal(&signal.value, signal.span) else {
                whole = false;
                continue;
            };
            if let Some(crate::ast::Annotation::Shape(shape)) = &param.annotation {
                match self.match_pattern(&param.name.text, shape, id, span, env) {
                    Some(axes) if at == 0 => rest = axes,
                    Some(_) => {}
                    None => whole = false,
                }
            }
            env.bind(&param.name.text, Value::Signal(id));
            ids.push(id);
        }
        whole.then_some((ids, rest))
    }

    /// Matches a signal's shape. `None` if it does not fit, otherwise the axes behind `..`, if there is one.
    pub(super) fn match_pattern(
        &mut self,
        name: &str,
        pattern: &'p Shape,
        id: NodeId,
        span: Span,
        env: &Env<'p>,
    ) -> Option<Option<Vec<usize>>> {
        let dims = self.graph.ty(id).dims.clone();
        let rest_at = pattern.dims.iter().position(|dim| matches!(dim.kind, ExprKind::Rest));
        let n_fixed = pattern.dims.len() - usize::from(rest_at.is_some());
        let fits = if rest_at.is_some() { dims.len() >= n_fixed } else { dims.len() == n_fixed };
        if !fits {
            let error = self.misfit(
                name,
                pattern,
                id,
                span,
                &format!("the signal has {}", counted(dims.len(), "axis", "axes")),
            );
            self.fail(error);
            return None;
        }
        let n_rest = dims.len() - n_fixed;
        let mut axis = 0;
        let mut rest = None;
        for dim in &pattern.dims {
            if matches!(dim.kind, ExprKind::Rest) {
                rest = Some((axis..axis + n_rest).collect());
                axis += n_rest;
                continue;
            }
            let extent = dims.get(axis).copied().unwrap_or(1);
            axis += 1;
            let known = match &dim.kind {
                ExprKind::Name(size) => match env.get(size) {
                    Some(value) => Some((value, size.as_str())),
                    None => {
                        env.bind(size, Value::Number(extent as f64));
                        None
                    }
                },
                _ => Some((self.expr(dim, env), "this size")),
            };
            if let Some((value, size)) = known
                && !matches!(value, Value::Number(n) if n == extent as f64)
            {
                if value.is_poison() {
                    return None;
                }
                let found = format!("`{size}` is {} but axis {} has {extent}", settings::show(&value), axis - 1);
                let error = self.misfit(name, pattern, id, span, &found);
                self.fail(error);
                return None;
            }
        }
        Some(rest)
    }

    fn misfit(&self, name: &str, pattern: &Shape, id: NodeId, span: Span, why: &str) -> Diagnostic {
        let shape = snn_graph::ShapeError::new(format!(
            "the signal `{name}` should be {}, but is {:?}",
            written(pattern),
            self.graph.ty(id).dims
        ));
        let help = match (pattern.dims.len(), self.graph.ty(id).dims.len()) {
            (1, found) if found > 1 => Some("put `Flatten()` before it"),
            _ => None,
        };
        let error = self.shape_error(&shape.at(&[id]), span).because(pattern.span, why);
        match help {
            Some(help) => error.help(help),
            None => error,
        }
    }
}

/// A pattern as it was written.
fn written(pattern: &Shape) -> String {
    let dims: Vec<String> = pattern
        .dims
        .iter()
        .map(|dim| match &dim.kind {
            ExprKind::Name(name) => name.clone(),
            ExprKind::Rest => "..".to_string(),
            ExprKind::Number { value, .. } => value.to_string(),
            _ => "_".to_string(),
        })
        .collect();
    format!("[{}]", dims.join(", "))
}

fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}
