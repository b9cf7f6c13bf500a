//! `convert`: the same weights under other settings of the model.
//!
//! Must never know how well a model does.

use snn_graph::Model;

use super::frame::BodyKind;
use super::overrides::Change;
use super::*;
use crate::ast::{self, Config, ExprKind};
use crate::diagnostic::nearest;

/// The most variants of one `convert`.
const MAX_VARIANTS: usize = 64;

/// The model under other settings.
#[derive(Clone, Debug)]
pub struct Variant {
    /// The settings that are changed, as text.
    pub settings: Vec<(String, String)>,
    /// The model; its parameters have the paths of the trained one.
    pub model: Model,
}

/// What must not get worse.
#[derive(Clone, Debug, PartialEq)]
pub struct Keep {
    /// The criterion, such as `accuracy(within = 0.2)`.
    pub criterion: ExternCall,
}

/// What a `convert` changes and what it keeps.
#[derive(Clone, Debug)]
pub struct ConvertPlan {
    /// The model's name.
    pub model: String,
    /// One variant for each combination of the listed values, in the order of the lists.
    pub variants: Vec<Variant>,
    /// What must not get worse.
    pub keep: Option<Keep>,
}

/// The changes of each variant: which entries, and which element of those that are lists.
pub(crate) fn variants<'p>(config: &'p Config, model: &'p ast::Model, report: &mut Report) -> Vec<Vec<Change<'p>>> {
    let mut all: Vec<Vec<Change<'p>>> = vec![Vec::new()];
    for entry in config.entries.iter().filter(|entry| entry.key.text != "keep") {
        let Some(param) = model.settings.iter().find(|param| param.name.text == entry.key.text) else {
            let known = || model.settings.iter().map(|param| param.name.as_str()).chain(["keep"]);
            let message = format!("`{}` has no setting `{}` to change", model.name.text, entry.key.text);
            let error = Diagnostic::error(Code::UnknownTrainSetting, message)
                .at(entry.key.span, "unknown setting")
                .because(model.name.span, "the model");
            report.add(match nearest(&entry.key.text, known()) {
                Some(near) => error.help(format!("did you mean `{near}`?")),
                None => error.help(format!("it has {}", known().collect::<Vec<_>>().join(", "))),
            });
            continue;
        };
        let takes_list = matches!(&param.default, Some(ast::Expr { kind: ExprKind::List(_), .. }));
        let picks: Vec<Option<usize>> = match &entry.value.kind {
            ExprKind::List(elements) if !takes_list => (0..elements.len()).map(Some).collect(),
            _ => vec![None],
        };
        if all.len().saturating_mul(picks.len()) > MAX_VARIANTS {
            let message = format!("this `convert` has more than {MAX_VARIANTS} variants");
            report.add(Diagnostic::error(Code::TooLarge, message).at(entry.span, "too many values"));
            return Vec::new();
        }
        let change = |pick| Change { name: &param.name.text, value: &entry.value, pick };
        all = all
            .into_iter()
            .flat_map(|changes| picks.iter().map(move |pick| changes.iter().copied().chain([change(*pick)]).collect()))
            .collect();
    }
    all
}

/// The changes of a variant as text.
pub(crate) fn described(changes: &[Change<'_>], text: impl Fn(Span) -> String) -> Vec<(String, String)> {
    changes
        .iter()
        .map(|change| {
            let span = match (&change.value.kind, change.pick) {
                (ExprKind::List(elements), Some(at)) => {
                    elements.get(at).map_or(change.value.span, |element| element.span)
                }
                _ => change.value.span,
            };
            (change.name.to_string(), text(span))
        })
        .collect()
}

/// The weights that a variant has and the trained model has not.
pub(crate) fn missing_weights(trained: &Model, variant: &Model) -> Vec<String> {
    let known = |path: &str, dims: &[usize]| {
        trained.parameters.iter().any(|parameter| parameter.path == path && parameter.dims == dims)
    };
    let missing = variant.parameters.iter().filter(|parameter| !known(&parameter.path, &parameter.dims));
    missing.map(|parameter| format!("{} {:?}", parameter.path, parameter.dims)).collect()
}

impl<'p> Elaborator<'p, '_> {
    /// The criterion of a `convert`.
    pub(crate) fn keep(mut self, config: &'p Config) -> Option<Keep> {
        let entry = config.entries.iter().find(|entry| entry.key.text == "keep")?;
        self.enter(BodyKind::Train, &config.model, config.model.span);
        let env = self.scopes.root(self.program.main());
        let value = self.expr(&entry.value, &env);
        let criterion = match &value {
            Value::Builtin(builtin) if builtin.decl.kind.text == "criterion" && builtin.called => {
                self.extern_call(builtin, entry.value.span)
            }
            Value::Poison => None,
            other => {
                let error = Diagnostic::error(Code::WrongBuiltin, "`keep` takes a criterion")
                    .at(entry.value.span, format!("this is {}", other.describe()))
                    .help("write `keep = accuracy(within = 0.2)`");
                self.fail(error);
                None
            }
        };
        criterion.map(|criterion| Keep { criterion })
    }
}
