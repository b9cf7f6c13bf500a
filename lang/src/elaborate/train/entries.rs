//! The entries of a `train` that become plain data.
//!
//! Must never know what an optimizer does.

use super::data::DataSet;
use super::*;

/// Where the optimizer comes from that is taken if none is given.
const DEFAULT_OPTIMIZER: &str = "adam";

/// The most spikes of a neuron in a sample where neither `train` nor the neurons say more.
const DEFAULT_MAX_SPIKES: u64 = 10;

impl<'p> Elaborator<'p, '_> {
    /// Everything but the loss and the prediction.
    pub(super) fn plan(
        &mut self,
        train: &TrainDecl<'p>,
        env: &Env<'p>,
        data: &DataSet<'p>,
        fields: Vec<DataField>,
        classes: Option<usize>,
    ) -> Option<TrainPlan> {
        let augment = self.augmentations(train, env);
        let optimizer = self.optimizer(train, env);
        let schedule = self.schedule(train, env);
        let epochs = self.whole_entry(train, env, "epochs", 10, 1);
        let batch = self.whole_entry(train, env, "batch", 64, 1);
        let widest = self.recorded.spikes.iter().filter_map(|layer| layer.max_spikes).max().unwrap_or(1);
        let max_spikes = self.whole_entry(train, env, "max_spikes", DEFAULT_MAX_SPIKES.max(widest as u64), 1);
        let slope_min = self.number_entry(train, env, "slope_min");
        let wake = self.number_entry(train, env, "wake");
        let seed = self.whole_entry(train, env, "seed", 0, 0);
        let gradient = self.word_entry(train, env, "gradient", &["stbp", "exact"]);
        let precision = self.word_entry(train, env, "precision", &Precision::ALL.map(|(name, _)| name));
        let method = if gradient? == 1 { GradientMethod::Exact } else { GradientMethod::Stbp };
        Some(TrainPlan {
            model: train.config.model.text.clone(),
            data: data.call.clone(),
            fields,
            classes,
            augment: augment?,
            optimizer: optimizer?,
            schedule: schedule?,
            epochs: usize::try_from(epochs?).ok()?,
            batch: usize::try_from(batch?).ok()?,
            gradient: self.options.method.gradient(method),
            max_spikes: usize::try_from(max_spikes?).ok()?,
            slope_min: slope_min?,
            wake: wake?,
            seed: seed?,
            precision: Precision::ALL.get(precision?)?.1,
        })
    }

    /// The schedule, or that there is none. `None` if it is wrong.
    fn schedule(&mut self, train: &TrainDecl<'p>, env: &Env<'p>) -> Option<Option<ExternCall>> {
        let Some(entry) = train.entry("schedule") else { return Some(None) };
        let value = self.spanned(entry, env);
        if matches!(value.value, Value::Nothing) {
            return Some(None);
        }
        let builtin = self.builtin("schedule", "schedule", &value, train)?;
        self.extern_call(&builtin, entry.span).map(Some)
    }

    fn augmentations(&mut self, train: &TrainDecl<'p>, env: &Env<'p>) -> Option<Vec<ExternCall>> {
        let Some(entry) = train.entry("augment") else { return Some(Vec::new()) };
        let value = self.expr(entry, env);
        let elements = match value {
            Value::List(elements) => elements.to_vec(),
            other => vec![other],
        };
        let mut calls = Vec::new();
        for value in elements {
            let value = Spanned { value, span: entry.span };
            let builtin = self.builtin("augment", "augmentation", &value, train)?;
            calls.push(self.extern_call(&builtin, entry.span)?);
        }
        Some(calls)
    }

    fn optimizer(&mut self, train: &TrainDecl<'p>, env: &Env<'p>) -> Option<ExternCall> {
        let (mut value, span) = match train.entry("optimizer") {
            Some(entry) => (self.spanned(entry, env), entry.span),
            None => {
                let span = train.config.model.span;
                (Spanned { value: self.peek(DEFAULT_OPTIMIZER, env)?, span }, span)
            }
        };
        if let (Value::Builtin(builtin), None) = (&value.value, train.entry("optimizer")) {
            value.value = Value::Builtin(Rc::new(BuiltinValue { called: true, ..(**builtin).clone() }));
        }
        let builtin = self.builtin("optimizer", "optimizer", &value, train)?;
        self.extern_call(&builtin, span)
    }

    /// What an entry calls, if it is of the right kind, with what is overridden in it from outside.
    pub(super) fn builtin(
        &mut self,
        entry: &str,
        kind: &str,
        value: &Spanned<'p>,
        train: &TrainDecl<'p>,
    ) -> Option<BuiltinValue<'p>> {
        let builtin = match &value.value {
            Value::Poison => return None,
            Value::Builtin(builtin) if builtin.decl.kind.text == kind => (**builtin).clone(),
            other => {
                let found = match other {
                    Value::Builtin(builtin) => {
                        format!("`{}` is of the kind {}", builtin.decl.name.text, builtin.decl.kind.text)
                    }
                    other => format!("this is {}", other.describe()),
                };
                let error =
                    Diagnostic::error(Code::WrongBuiltin, format!("`{entry}` takes something of the kind {kind}"));
                self.fail(error.at(value.span, found));
                return None;
            }
        };
        if !builtin.called {
            let name = &builtin.decl.name.text;
            let error = Diagnostic::error(Code::BareDeclaration, format!("`{name}` is given without parentheses"));
            self.fail(error.at(value.span, "here").help(format!("write `{name}()`")));
            return None;
        }
        let mut given = builtin.given.to_vec();
        let env = self.scopes.root(self.program.main());
        for (setting, expr) in train.overrides.nested(entry) {
            let Some(param) = builtin.decl.settings.iter().find(|param| param.name.text == setting) else {
                let known = builtin.decl.settings.iter().map(|param| param.name.as_str());
                let message = format!("`{}` has no setting `{setting}` to override", builtin.decl.name.text);
                let error = Diagnostic::error(Code::UnknownOverride, message).at(expr.span, "given here");
                self.fail(match nearest(setting, known) {
                    Some(near) => error.help(format!("did you mean `{entry}.{near}`?")),
                    None => error,
                });
                return None;
            };
            let value = self.spanned(expr, &env);
            given.retain(|known: &Given<'p>| known.name != param.name.text);
            given.push(Given { name: &param.name.text, value });
        }
        Some(BuiltinValue { given: Rc::new(given), ..builtin })
    }

    /// An entry that is a whole number.
    fn whole_entry(
        &mut self,
        train: &TrainDecl<'p>,
        env: &Env<'p>,
        name: &str,
        default: u64,
        least: u64,
    ) -> Option<u64> {
        let Some(entry) = train.entry(name) else { return Some(default) };
        let value = self.expr(entry, env);
        self.whole(name, &value, least, entry.span)
    }

    /// A value that must be a whole number.
    pub(in crate::elaborate) fn whole(&mut self, name: &str, value: &Value<'p>, least: u64, span: Span) -> Option<u64> {
        /// Whole numbers up to here are exact.
        const MOST: f64 = 9_007_199_254_740_992.0;
        match value {
            Value::Number(n) if *n >= least as f64 && *n == n.trunc() && *n <= MOST => Some(*n as u64),
            Value::Poison => None,
            other => {
                let text = match other {
                    Value::Number(n) => n.to_string(),
                    other => other.describe().to_string(),
                };
                let message = format!("`{name}` is a whole number, at least {least}");
                let error = self.error_at(Code::SettingRange, message, span, text);
                self.fail(error);
                None
            }
        }
    }

    /// An entry that is a finite number and not negative; 0 if it is left out.
    fn number_entry(&mut self, train: &TrainDecl<'p>, env: &Env<'p>, name: &str) -> Option<f64> {
        let Some(entry) = train.entry(name) else { return Some(0.0) };
        match self.expr(entry, env) {
            Value::Number(n) if n.is_finite() && n >= 0.0 => Some(n),
            Value::Poison => None,
            other => {
                let text = match other {
                    Value::Number(n) => n.to_string(),
                    other => other.describe().to_string(),
                };
                let error = Diagnostic::error(Code::SettingRange, format!("`{name}` is a number that is not negative"));
                self.fail(error.at(entry.span, text));
                None
            }
        }
    }

    /// An entry that is one of some words; the first is the default. Gives which.
    fn word_entry(&mut self, train: &TrainDecl<'p>, env: &Env<'p>, name: &str, words: &[&str]) -> Option<usize> {
        let Some(entry) = train.entry(name) else { return Some(0) };
        let found = match self.expr(entry, env) {
            Value::Poison => return None,
            Value::Text(word) => {
                if let Some(at) = words.iter().position(|known| *known == &*word) {
                    return Some(at);
                }
                format!("`{word}`")
            }
            other => other.describe().to_string(),
        };
        let error = Diagnostic::error(Code::SettingRange, format!("`{name}` is {}", words.join(" or ")));
        self.fail(error.at(entry.span, found));
        None
    }
}
