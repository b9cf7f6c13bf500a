//! Stages: giving them signals, and making them anew.
//!
//! Must never know how a stage was written.

use super::scope::Env;
use super::*;
use crate::value::{PipeStage, Spanned};

impl<'p> Elaborator<'p, '_> {
    /// What a stage makes of signals; `span` is where it stands.
    pub(super) fn apply(&mut self, stage: Spanned<'p>, signals: Vec<Spanned<'p>>, span: Span) -> Value<'p> {
        let poisoned = signals.iter().any(|signal| signal.value.is_poison());
        match stage.value {
            Value::Poison => Value::Poison,
            Value::Unit(unit) if unit.instance.is_none() => {
                let name = &unit.decl.name.text;
                let message = format!("`{name}` is a declaration; a pipe takes an instance of it");
                let error = self.error_at(Code::BareDeclaration, message, stage.span, "no parentheses");
                self.fail(error.help(format!("write `{name}()`")))
            }
            _ if poisoned && stage.value.is_stage() => Value::Poison,
            Value::Unit(unit) => self.apply_unit(&unit, signals, span),
            Value::Pipe(pipe) => self.apply_pipe(&pipe, signals, span),
            Value::Function(function) => self.call_with(&function, signals, Vec::new(), span),
            Value::Surrogate(surrogate) => self.apply_surrogate(&surrogate, signals, span),
            other => {
                let message = format!("{} cannot take a signal", other.describe());
                let mut error = self.error_at(Code::NotAStage, message, stage.span, "not a stage");
                if matches!(other, Value::Signal(_)) {
                    error = error.help("behind `->` stands a stage, such as `LIF()`; add signals with `+`");
                }
                self.fail(error)
            }
        }
    }

    fn apply_pipe(&mut self, pipe: &PipeStage<'p>, signals: Vec<Spanned<'p>>, span: Span) -> Value<'p> {
        let mut items = pipe.items.iter();
        let Some(first) = items.next() else {
            return match <[Spanned<'p>; 1]>::try_from(signals) {
                Ok([signal]) => signal.value,
                Err(_) => Value::Poison,
            };
        };
        let mut value = self.apply(first.clone(), signals, self.place_of(first.span, span));
        for item in items {
            let place = self.place_of(item.span, span);
            value = self.apply(item.clone(), vec![Spanned { value, span: place }], place);
        }
        value
    }

    /// Where a stage of a named pipe is shown: at itself, if that is the user's text, else where the pipe is used.
    fn place_of(&self, own: Span, used: Span) -> Span {
        if self.program.is_library(own.file) { used } else { own }
    }

    /// `unit()`: every stage that was made with parentheses inside is made anew.
    pub(super) fn renew(&mut self, pipe: &PipeStage<'p>) -> Value<'p> {
        let env: &Env<'p> = &pipe.env;
        match self.expr(pipe.source, env) {
            // An `if` without `else` whose stage is not there.
            Value::Pipe(renewed) => Value::Pipe(renewed),
            other => other,
        }
    }
}
