//! Pipes: a head and the stages it flows through, or stages alone.
//!
//! Must never know what a stage is.

use super::scope::Env;
use super::*;
use crate::ast::{Expr, Pipe};
use crate::value::{PipeStage, Spanned};

impl<'p> Elaborator<'p, '_> {
    /// The value of a pipe: that of its last stage, or a stage if it has no head.
    pub(super) fn pipe(&mut self, expr: &'p Expr, pipe: &'p Pipe, env: &Env<'p>) -> Value<'p> {
        let labels = labels(pipe);
        let mut items = pipe.items.iter().zip(labels);
        let Some((first, label)) = items.next() else { return Value::Poison };
        let head = self.labelled(label, |this| this.spanned(&first.expr, env));
        if head.value.is_stage() {
            let rest: Vec<Spanned<'p>> =
                items.map(|(item, label)| self.labelled(label, |this| this.spanned(&item.expr, env))).collect();
            let items = std::iter::once(head).chain(rest).collect();
            return Value::Pipe(Rc::new(PipeStage { items, source: expr, env: Rc::clone(env) }));
        }
        let mut current = Spanned { value: self.test_signal(head.value, head.span), span: head.span };
        for (item, label) in items {
            // A stage behind something wrong is still looked at for mistakes of its own.
            let value = self.labelled(label, |this| {
                let stage = this.spanned(&item.expr, env);
                this.apply(stage, vec![current.clone()], item.expr.span)
            });
            current = Spanned { value, span: item.expr.span };
        }
        current.value
    }

    fn labelled<T>(&mut self, label: Option<&str>, inner: impl FnOnce(&mut Self) -> T) -> T {
        match label {
            Some(label) => self.held_by(label, inner),
            None => inner(self),
        }
    }
}

/// For each item the label of the stretch that it belongs to: that of the next labelled item.
fn labels(pipe: &Pipe) -> Vec<Option<&str>> {
    let mut labels = Vec::with_capacity(pipe.items.len());
    let mut current = None;
    for item in pipe.items.iter().rev() {
        current = item.label.as_ref().map(|label| label.text.as_str()).or(current);
        labels.push(current);
    }
    labels.reverse();
    labels
}
