//! Settings: matching what is given with what is declared, units, kinds and ranges.
//!
//! Must never know what a setting does.

use super::call::unknown_setting;
use super::scope::Env;
use super::*;
use crate::ast::{Annotation, Arg, BinaryOp, Expr, ExprKind, Param, Range};
use crate::resolve::{ModuleId, names};
use crate::value::{Given, Spanned};

/// What kind of value a setting takes, as its default or annotation says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Number,
    Duration,
    Truth,
    Text,
    List,
    Stage,
    Surrogate,
    Init,
    Anything,
}

impl Expected {
    fn name(self) -> &'static str {
        match self {
            Expected::Number => "a number",
            Expected::Duration => "a duration",
            Expected::Truth => "`true` or `false`",
            Expected::Text => "a word",
            Expected::List => "a list",
            Expected::Stage => "a stage",
            Expected::Surrogate => "a surrogate",
            Expected::Init => "an initializer",
            Expected::Anything => "a value",
        }
    }

    fn takes(self, value: &Value<'_>) -> bool {
        match self {
            Expected::Number => matches!(value, Value::Number(_) | Value::Duration(_) | Value::List(_)),
            Expected::Duration => matches!(value, Value::Duration(_)),
            Expected::Truth => matches!(value, Value::Truth(_)),
            Expected::Text => {
                matches!(value, Value::Text(_) | Value::Number(_) | Value::List(_) | Value::Nothing | Value::Truth(_))
            }
            Expected::List => {
                matches!(value, Value::List(_) | Value::Number(_) | Value::Text(_) | Value::Axes(_) | Value::Rest)
            }
            Expected::Stage => value.is_stage() || matches!(value, Value::Nothing),
            Expected::Surrogate => matches!(value, Value::Surrogate(_)),
            Expected::Init => matches!(value, Value::Init(_)),
            Expected::Anything => true,
        }
    }
}

/// What a declaration takes in a list of settings.
#[derive(Clone, Copy)]
pub(super) struct Takes<'p> {
    /// Its name.
    pub owner: &'p str,
    /// The settings that it declares.
    pub params: &'p [Param],
    /// One that it takes by name without declaring it.
    pub reserved: Option<&'static str>,
}

impl<'p> Takes<'p> {
    /// What is declared and nothing else.
    pub fn declared(owner: &'p str, params: &'p [Param]) -> Takes<'p> {
        Takes { owner, params, reserved: None }
    }
}

impl<'p> Elaborator<'p, '_> {
    /// The settings given by a call, on top of those given before. `None` if the call is wrong.
    pub(super) fn give(
        &mut self,
        takes: Takes<'p>,
        before: &[Given<'p>],
        args: &'p [Arg],
        env: &Env<'p>,
    ) -> Option<Vec<Given<'p>>> {
        let Takes { owner, params, reserved } = takes;
        let mut now: Vec<Given<'p>> = Vec::new();
        let mut whole = true;
        for (at, arg) in args.iter().enumerate() {
            let param = match &arg.name {
                Some(name) => params.iter().find(|param| param.name.text == name.text),
                None => params.get(at),
            };
            let takes_word = param.is_some_and(|param| names::takes_word(param) || param.default.is_none());
            let takes_init = param.is_some_and(|param| self.expected(param, env.module()) == Expected::Init);
            let takes_word = takes_word && !self.names_something(&arg.value, param, env);
            let value = self.held_by(param.map_or("", |param| param.name.as_str()), |this| {
                this.argument(arg, takes_word, takes_init, env)
            });
            let reserved = reserved.filter(|reserved| arg.name.as_ref().is_some_and(|name| name.text == *reserved));
            let Some(setting) = param.map(|param| param.name.as_str()).or(reserved) else {
                let known = params.iter().map(|param| param.name.as_str()).chain(takes.reserved);
                let error = match &arg.name {
                    Some(name) => unknown_setting(owner, name, known),
                    None => {
                        let message = format!("`{owner}` has {} settings, not {}", params.len(), args.len());
                        let rest = args.last().map_or(arg.span, |last| arg.span.to(last.span));
                        let error = self.error_at(Code::UnknownSetting, message, rest, "too many");
                        self.fail(error.help("signals stand in a second list, or before `->`"));
                        return None;
                    }
                };
                self.fail(error);
                whole = false;
                continue;
            };
            if let Some(first) = now.iter().find(|given| given.name == setting) {
                let first = first.value.span;
                let message = format!("`{setting}` is given twice");
                let error = self.error_at(Code::DuplicateSetting, message, arg.span, "the second time");
                self.fail(error.because(first, "the first time"));
                whole = false;
                continue;
            }
            now.push(Given { name: setting, value });
        }
        let kept = before.iter().filter(|given| now.iter().all(|new| new.name != given.name)).cloned();
        let all: Vec<Given<'p>> = kept.collect::<Vec<_>>().into_iter().chain(now).collect();
        let poisoned = all.iter().any(|given| given.value.value.is_poison());
        (whole && !poisoned).then_some(all)
    }

    /// Whether a bare name given for a setting without default means a declaration rather than itself: `neuron = LIF`.
    fn names_something(&self, value: &Expr, param: Option<&Param>, env: &Env<'p>) -> bool {
        let ExprKind::Name(name) = &value.kind else { return true };
        let is_word = param.is_some_and(names::takes_word);
        !is_word
            && (self.peek(name, env).is_some() || !crate::builtins::is_known(name))
            && crate::builtins::word_named(name).is_none()
    }

    /// The scope of a declaration's settings: those given, and the defaults of the others.
    pub(super) fn bind_settings(
        &mut self,
        owner: &str,
        module: ModuleId,
        params: &'p [Param],
        given: &[Given<'p>],
        passes_durations: bool,
        span: Span,
    ) -> Option<Env<'p>> {
        let env = self.scopes.root(module);
        let mut whole = true;
        for param in params {
            let found = given.iter().find(|given| given.name == param.name.text);
            let value = match (found, &param.default) {
                (Some(given), _) => given.value.clone(),
                (None, Some(default)) => {
                    let init = self.expected(param, module) == Expected::Init;
                    let before = std::mem::replace(&mut self.wants_init, init);
                    let value = self.held_by(&param.name.text, |this| this.spanned(default, &env));
                    self.wants_init = before;
                    value
                }
                (None, None) => {
                    let message = format!("`{owner}` needs the setting `{}`", param.name.text);
                    let error = self.error_at(Code::MissingSetting, message, span, "not given here");
                    self.fail(error.because(param.span, "declared here without a default"));
                    whole = false;
                    continue;
                }
            };
            match self.checked_setting(param, value, found.is_some(), !passes_durations, &env) {
                Some(value) => env.bind(&param.name.text, value),
                None => whole = false,
            }
        }
        whole.then_some(env)
    }

    /// A setting's value in its unit, if it is of the right kind and in its range.
    pub(super) fn checked_setting(
        &mut self,
        param: &'p Param,
        value: Spanned<'p>,
        given: bool,
        counts_steps: bool,
        env: &Env<'p>,
    ) -> Option<Value<'p>> {
        let Spanned { mut value, span } = value;
        if value.is_poison() {
            return None;
        }
        let name = &param.name.text;
        let expected = self.expected(param, env.module());
        if given && (!expected.takes(&value) || matches!(value, Value::Signal(_))) {
            let error = self.wrong_kind(param, expected, &value, span);
            self.fail(error);
            return None;
        }
        if let Value::Duration(seconds) = value
            && expected != Expected::Duration
            && (counts_steps || param.default.is_some())
        {
            value = Value::Number(self.in_steps(seconds, span)?);
        }
        if let Some(range) = &param.range
            && !self.in_range(range, &value, env)?
        {
            let (low, high) = (self.expr(&range.low, env), self.expr(&range.high, env));
            let (open, close) = (if range.low_closed { '[' } else { '(' }, if range.high_closed { ']' } else { ')' });
            let interval = format!("{open}{}, {}{close}", show(&low), show(&high));
            let message = format!("`{name}` is {}, but must lie in {interval}", show(&value));
            let error = self.error_at(Code::SettingRange, message, span, "outside the range");
            self.fail(error.because(range.span, "the range is given here"));
            return None;
        }
        Some(value)
    }

    fn wrong_kind(&self, param: &Param, expected: Expected, value: &Value<'p>, span: Span) -> Diagnostic {
        let name = &param.name.text;
        match (expected, value) {
            (Expected::Duration, Value::Number(number)) => {
                let message = format!("`{name}` is a duration; {number} has no unit");
                self.error_at(Code::SettingUnit, message, span, "a number without a unit")
                    .because(param.span, "declared as a duration")
                    .help(format!("write it with its unit, such as `{number}ms`"))
            }
            (_, Value::Signal(_)) => {
                let message = format!("the setting `{name}` must be known when the model is compiled");
                self.error_at(Code::SettingType, message, span, "a signal")
                    .help("signals stand in a second list, or before `->`")
            }
            _ => {
                let message = format!("`{name}` takes {}, not {}", expected.name(), value.describe());
                self.error_at(Code::SettingType, message, span, value.describe()).because(param.span, "declared here")
            }
        }
    }

    /// Whether a value lies in a range; what is no number lies in every range.
    fn in_range(&mut self, range: &'p Range, value: &Value<'p>, env: &Env<'p>) -> Option<bool> {
        let values: Vec<f64> = match value {
            Value::List(elements) => elements.iter().filter_map(number).collect(),
            value => number(value).into_iter().collect(),
        };
        let low = number(&self.expr(&range.low, env))?;
        let high = number(&self.expr(&range.high, env))?;
        Some(values.iter().all(|value| {
            let above = if range.low_closed { *value >= low } else { *value > low };
            let below = if range.high_closed { *value <= high } else { *value < high };
            above && below
        }))
    }

    /// The kind of value that a setting takes.
    fn expected(&self, param: &Param, module: ModuleId) -> Expected {
        match (&param.annotation, &param.default) {
            (Some(Annotation::Kind(kind)), _) => match kind.text.as_str() {
                "string" | "word" => Expected::Text,
                "number" => Expected::Number,
                "duration" => Expected::Duration,
                "bool" => Expected::Truth,
                "list" => Expected::List,
                "stage" => Expected::Stage,
                "surrogate" => Expected::Surrogate,
                "initializer" => Expected::Init,
                _ => Expected::Anything,
            },
            (_, Some(default)) => self.kind_of(default, module),
            (_, None) if param.range.is_some() => Expected::Number,
            (_, None) => Expected::Anything,
        }
    }

    /// The kind of an expression's value, as far as its form tells.
    fn kind_of(&self, expr: &Expr, module: ModuleId) -> Expected {
        match &expr.kind {
            ExprKind::Number { .. } => Expected::Number,
            ExprKind::Duration(_) => Expected::Duration,
            ExprKind::Str(_) => Expected::Text,
            ExprKind::Bool(_) => Expected::Truth,
            ExprKind::List(_) => Expected::List,
            ExprKind::Pipe(_) | ExprKind::For(_) => Expected::Stage,
            ExprKind::Unary { operand, .. } => self.kind_of(operand, module),
            ExprKind::Binary { op: BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul, left, right, .. } => {
                match (self.kind_of(left, module), self.kind_of(right, module)) {
                    (Expected::Duration, Expected::Number) | (Expected::Number, Expected::Duration) => {
                        Expected::Duration
                    }
                    (a, b) if a == b => a,
                    _ => Expected::Anything,
                }
            }
            ExprKind::Call { callee, .. } => self.kind_of(callee, module),
            ExprKind::Name(name) => {
                let decl = self.program.lookup(module, name).and_then(|named| self.program.decl(named.decl));
                match decl.map(|decl| &decl.kind) {
                    Some(crate::ast::DeclKind::Unit(_)) => Expected::Stage,
                    Some(crate::ast::DeclKind::Surrogate(_)) => Expected::Surrogate,
                    Some(crate::ast::DeclKind::Extern(builtin)) if builtin.kind.text == "initializer" => Expected::Init,
                    _ => Expected::Anything,
                }
            }
            _ => Expected::Anything,
        }
    }
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number) | Value::Duration(number) => Some(*number),
        _ => None,
    }
}

/// A value for people.
pub(super) fn show(value: &Value<'_>) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Duration(seconds) => format!("{}ms", seconds * 1e3),
        Value::Truth(truth) => truth.to_string(),
        Value::Text(text) => text.to_string(),
        Value::List(elements) => format!("[{}]", elements.iter().map(show).collect::<Vec<_>>().join(", ")),
        other => other.describe().to_string(),
    }
}
