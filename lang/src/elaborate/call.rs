//! Calls: what stands before the parentheses decides whether they hold settings or signals.
//!
//! Must never know what any one declaration does.

use super::budget::reserved;
use super::frame::{BodyKind, Frame};
use super::scope::Env;
use super::settings::Takes;
use super::*;
use crate::ast::{Arg, Expr, ExprKind, FnDecl, Name, Param};
use crate::builtins::{Formal, Intrinsic};
use crate::diagnostic::nearest;
use crate::resolve::names;
use crate::value::{FunctionTarget, FunctionValue, Spanned, SurrogateValue, UnitValue};

/// Arguments by name.
type Named<'p> = Vec<(&'p Name, Spanned<'p>)>;

impl<'p> Elaborator<'p, '_> {
    /// The value of a call.
    pub(super) fn call(&mut self, expr: &'p Expr, callee: &'p Expr, args: &'p [Arg], env: &Env<'p>) -> Value<'p> {
        let value = self.callee(callee, args, env);
        // `LIF(tau = 2.0)(x)`: behind a list of settings stands one of signals.
        let second_list = matches!(callee.kind, ExprKind::Call { .. });
        match value {
            Value::Unit(_) | Value::Pipe(_) | Value::Surrogate(_) if second_list => {
                let signals = self.signals(args, env);
                self.apply(Spanned { value, span: callee.span }, signals, expr.span)
            }
            Value::Unit(unit) => {
                let takes =
                    Takes { owner: &unit.decl.name.text, params: &unit.decl.settings, reserved: reserved(unit.decl) };
                let given = self.give(takes, &unit.given, args, env);
                let instance = Some(self.new_instance(expr.span));
                given.map_or(Value::Poison, |given| Value::Unit(UnitValue { given: Rc::new(given), instance, ..unit }))
            }
            Value::Surrogate(surrogate) => {
                let takes = Takes::declared(&surrogate.decl.name.text, &surrogate.decl.settings);
                let given = self.give(takes, &surrogate.given, args, env);
                given.map_or(Value::Poison, |given| {
                    Value::Surrogate(SurrogateValue { given: Rc::new(given), ..surrogate })
                })
            }
            Value::Pipe(pipe) => match args.first() {
                None => self.renew(&pipe),
                Some(arg) => {
                    let message = "a stage that is a pipe has no settings";
                    let error = self.error_at(Code::UnknownSetting, message, arg.span, "cannot be given here");
                    self.fail(error.help("give settings to the stages inside it"))
                }
            },
            Value::Function(function) => {
                let (positional, named) = self.arguments(&function, args, env);
                self.call_with(&function, positional, named, expr.span)
            }
            Value::Builtin(builtin) => self.call_builtin(&builtin, args, env, expr.span),
            Value::Poison => {
                args.iter().for_each(|arg| {
                    self.argument(arg, true, false, env);
                });
                Value::Poison
            }
            other => {
                let message = format!("{} cannot be called", other.describe());
                let error =
                    self.error_at(Code::WrongType, message, callee.span, "not something with settings or signals");
                self.fail(error)
            }
        }
    }

    fn callee(&mut self, callee: &'p Expr, args: &[Arg], env: &Env<'p>) -> Value<'p> {
        if let ExprKind::Name(name) = &callee.kind
            && let Some(intrinsic) = crate::builtins::intrinsic(name)
            && env.get(name).is_none()
            && !self.wants_init
            && let Some(Value::Builtin(_)) = self.peek(name, env)
            && takes(intrinsic, args)
        {
            // `normal` and `uniform` are initializers only where an initializer is asked for.
            let target = FunctionTarget::Intrinsic(intrinsic);
            return Value::Function(Rc::new(FunctionValue { target, positional: Vec::new(), named: Vec::new() }));
        }
        self.expr(callee, env)
    }

    fn signals(&mut self, args: &'p [Arg], env: &Env<'p>) -> Vec<Spanned<'p>> {
        let mut signals = Vec::new();
        for arg in args {
            if let Some(name) = &arg.name {
                let message = format!("`{}` is given among the signals", name.text);
                let error = self.error_at(Code::UnknownSetting, message, arg.span, "signals are given by position");
                self.fail(error.help("settings stand in the first list"));
            }
            let value = self.expr(&arg.value, env);
            signals.push(Spanned { value: self.test_signal(value, arg.value.span), span: arg.value.span });
        }
        signals
    }

    /// The value of one argument. A bare word that nothing local bears is itself where a word is expected.
    pub(super) fn argument(&mut self, arg: &'p Arg, takes_word: bool, takes_init: bool, env: &Env<'p>) -> Spanned<'p> {
        if let ExprKind::Name(word) = &arg.value.kind
            && takes_word
            && env.get(word).is_none()
        {
            let value = if word == "none" { Value::Nothing } else { Value::text(word) };
            return Spanned { value, span: arg.value.span };
        }
        let before = std::mem::replace(&mut self.wants_init, takes_init);
        let value = self.spanned(&arg.value, env);
        self.wants_init = before;
        value
    }

    fn arguments(
        &mut self,
        function: &FunctionValue<'p>,
        args: &'p [Arg],
        env: &Env<'p>,
    ) -> (Vec<Spanned<'p>>, Named<'p>) {
        let (mut positional, mut named) = (Vec::new(), Vec::new());
        for arg in args {
            let takes_word = match (function.target, &arg.name) {
                (FunctionTarget::Intrinsic(intrinsic), Some(name)) => {
                    intrinsic.formals.iter().any(|formal| formal.name == name.text && formal.word)
                }
                (FunctionTarget::Intrinsic(intrinsic), None) => {
                    intrinsic.formals.get(positional.len()).is_some_and(|formal| formal.word)
                }
                (FunctionTarget::Declared(_, decl), Some(name)) => {
                    decl.params.iter().any(|param| param.name.text == name.text && names::takes_word(param))
                }
                (FunctionTarget::Declared(_, decl), None) => {
                    decl.params.get(positional.len()).is_some_and(names::takes_word)
                }
            };
            let value = self.argument(arg, takes_word, false, env);
            match &arg.name {
                Some(name) => named.push((name, value)),
                None => positional.push(Spanned { value: self.test_signal(value.value, value.span), span: value.span }),
            }
        }
        (positional, named)
    }

    /// Calls a function with what was given before and what is given now. One that lacks its first argument is a stage.
    pub(super) fn call_with(
        &mut self,
        function: &FunctionValue<'p>,
        positional: Vec<Spanned<'p>>,
        named: Named<'p>,
        span: Span,
    ) -> Value<'p> {
        let positional: Vec<Spanned<'p>> = positional.into_iter().chain(function.positional.iter().cloned()).collect();
        let named: Named<'p> = function.named.iter().cloned().chain(named).collect();
        let target = function.target;
        let parameters: Vec<(&str, bool)> = match target {
            FunctionTarget::Intrinsic(intrinsic) => intrinsic.formals.iter().map(|f| (f.name, f.required)).collect(),
            FunctionTarget::Declared(_, decl) => {
                decl.params.iter().map(|param| (param.name.as_str(), param.default.is_none())).collect()
            }
        };
        let by_name = |wanted: &str| named.iter().any(|(name, _)| name.text == wanted);
        let missing = parameters
            .iter()
            .enumerate()
            .filter(|(at, (name, required))| *required && *at >= positional.len() && !by_name(name));
        let first_by_name = parameters.first().is_some_and(|(name, _)| by_name(name));
        if missing.count() == 1 && !first_by_name && self.body_takes_stages() {
            return Value::Function(Rc::new(FunctionValue { target, positional, named }));
        }
        match self.matched(target.name(), &parameters, positional, &named, span) {
            None => Value::Poison,
            Some(arguments) => match target {
                FunctionTarget::Intrinsic(intrinsic) => self.run_intrinsic(intrinsic, arguments, span),
                FunctionTarget::Declared(id, decl) => self.run_function(id, decl, arguments, span),
            },
        }
    }

    /// Whether a function that lacks its first argument may be a stage here: a surrogate's or neuron's body has no pipes.
    fn body_takes_stages(&self) -> bool {
        !matches!(self.body_kind(), BodyKind::Neuron | BodyKind::Surrogate)
    }

    /// Arguments in the order of the parameters.
    fn matched(
        &mut self,
        function: &str,
        parameters: &[(&str, bool)],
        positional: Vec<Spanned<'p>>,
        named: &Named<'p>,
        span: Span,
    ) -> Option<Vec<Option<Spanned<'p>>>> {
        let mut slots: Vec<Option<Spanned<'p>>> = vec![None; parameters.len()];
        let before = self.report.n_errors();
        let n_positional = positional.len();
        for (at, value) in positional.into_iter().enumerate() {
            match slots.get_mut(at) {
                Some(slot) => *slot = Some(value),
                None => {
                    let message = format!("`{function}` takes {} arguments, not {n_positional}", parameters.len());
                    let error = self.error_at(Code::WrongSignals, message, value.span, "one too many");
                    self.fail(error);
                }
            }
        }
        for (name, value) in named {
            let found = parameters.iter().position(|(parameter, _)| *parameter == name.text);
            match found.and_then(|at| slots.get_mut(at)) {
                Some(slot @ None) => *slot = Some(value.clone()),
                Some(Some(first)) => {
                    let first = first.span;
                    let message = format!("`{}` is given twice", name.text);
                    let error = self.error_at(Code::DuplicateSetting, message, name.span, "the second time");
                    self.fail(error.because(first, "the first time"));
                }
                None => {
                    let error = unknown_setting(function, name, parameters.iter().map(|(name, _)| *name));
                    self.fail(error);
                }
            }
        }
        for ((name, required), slot) in parameters.iter().zip(&slots) {
            if *required && slot.is_none() {
                let error =
                    self.error_at(Code::MissingSetting, format!("`{function}` needs `{name}`"), span, "not given here");
                self.fail(error);
            }
        }
        let poisoned = slots.iter().flatten().any(|slot| slot.value.is_poison());
        (self.report.n_errors() == before && !poisoned).then_some(slots)
    }

    fn run_function(
        &mut self,
        id: DeclId,
        decl: &'p FnDecl,
        arguments: Vec<Option<Spanned<'p>>>,
        span: Span,
    ) -> Value<'p> {
        if self.broken.contains(&id) {
            return Value::Poison;
        }
        let set = arguments.iter().position(|slot| matches!(slot, Some(Spanned { value: Value::Set(_), .. })));
        if let Some(at) = set
            && let Some(Some(Spanned { value: Value::Set(members), span: place })) = arguments.get(at).cloned()
        {
            return self.map_set(&members, |this, id_| {
                let mut arguments = arguments.clone();
                if let Some(slot) = arguments.get_mut(at) {
                    *slot = Some(Spanned { value: Value::Signal(id_), span: place });
                }
                this.run_function(id, decl, arguments, span)
            });
        }
        if self.out_of_limits(span) || self.frames.len() > MAX_APPLICATIONS {
            return self.too_deep(span);
        }
        self.record_loss(id, decl, &arguments, span);
        let seconds = self.frames.last().is_some_and(|frame| frame.seconds);
        let (rest, first_signal) = (None, None);
        let frame = Frame {
            id: self.next_frame_id(),
            kind: BodyKind::Function,
            name: &decl.name.text,
            site: span,
            first_signal,
            rest,
            spikes: false,
            seconds,
        };
        let env = self.scopes.root(id.module);
        self.frames.push(frame);
        let bound =
            decl.params.iter().zip(arguments).all(|(param, argument)| self.bind_argument(param, argument, &env));
        let value = if bound { self.expr(&decl.value, &env) } else { Value::Poison };
        self.frames.pop();
        value
    }

    fn bind_argument(&mut self, param: &'p Param, argument: Option<Spanned<'p>>, env: &Env<'p>) -> bool {
        let given = argument.is_some();
        let value = match (argument, &param.default) {
            (Some(value), _) => value,
            (None, Some(default)) => self.spanned(default, env),
            (None, None) => return false,
        };
        let checked = if matches!(value.value, Value::Signal(_)) {
            Some(value.value)
        } else {
            self.checked_setting(param, value.clone(), given, true, env)
        };
        let Some(checked) = checked else { return false };
        if let Some(crate::ast::Annotation::Shape(shape)) = &param.annotation {
            let Some(id) = self.as_signal(&checked, value.span) else { return false };
            if self.match_pattern(&param.name.text, shape, id, value.span, env).is_none() {
                return false;
            }
            env.bind(&param.name.text, Value::Signal(id));
            return true;
        }
        env.bind(&param.name.text, checked);
        true
    }

    /// Reports declarations that use each other without end.
    pub(super) fn too_deep(&mut self, span: Span) -> Value<'p> {
        if !self.exhausted {
            self.depth += MAX_DEPTH;
            self.out_of_limits(span);
            self.depth -= MAX_DEPTH;
        }
        Value::Poison
    }

    /// A number for a new frame.
    pub(super) fn next_frame_id(&mut self) -> u32 {
        self.next_frame += 1;
        self.next_frame
    }
}

/// Whether a call could be one of an intrinsic.
fn takes(intrinsic: &Intrinsic, args: &[Arg]) -> bool {
    let named = |formal: &Formal, name: &Name| formal.name == name.text;
    args.iter()
        .all(|arg| arg.name.as_ref().is_some_and(|name| intrinsic.formals.iter().any(|formal| named(formal, name))))
}

/// The error for a setting that a declaration does not have.
pub(super) fn unknown_setting<'a>(
    owner: &str,
    name: &Name,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let error = Diagnostic::error(Code::UnknownSetting, format!("`{owner}` has no setting `{}`", name.text))
        .at(name.span, "unknown setting");
    match nearest(&name.text, known.clone()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => {
            let known: Vec<&str> = known.collect();
            if known.is_empty() {
                error.help("it has no settings")
            } else {
                error.help(format!("it has {}", known.join(", ")))
            }
        }
    }
}
