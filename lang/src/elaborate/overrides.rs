//! `--set epochs=3`, `--set model.steps=2`, `--set optimizer.lr=0.1`: settings from outside the program.
//!
//! Must never know what a setting does.

use crate::ast::{DeclKind, Expr, File};
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, nearest};
use crate::elaborate::train::ENTRIES;
use crate::parse;
use crate::report::Report;
use crate::resolve::Program;
use crate::source::{Sources, Span};

/// A setting of a model that has another value than its default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'p> {
    /// Its name.
    pub name: &'p str,
    /// Its value.
    pub value: &'p Expr,
    /// Which element, where the value is a list of values to try one after the other.
    pub pick: Option<usize>,
}

/// What an override changes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// A setting of the model.
    Model(String),
    /// An entry of `train`.
    Train(String),
    /// A setting of what an entry of `train` calls.
    Nested(String, String),
}

/// The overrides of one compilation.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    all: Vec<(Target, File, Span)>,
}

impl Overrides {
    /// Reads pairs of name and value; the values are expressions.
    pub(crate) fn parse(pairs: &[(String, String)], sources: &mut Sources, report: &mut Report) -> Overrides {
        let mut all = Vec::new();
        for (name, value) in pairs {
            let text = format!("fn value() = {value}");
            let file = sources.add(format!("--set {name}"), text.as_str());
            let (tree, diagnostics) = parse::parse_file(file, &text);
            report.extend(diagnostics);
            let end = u32::try_from(text.len()).unwrap_or(u32::MAX);
            let span = Span::new(file, 0, end);
            let target = match name.split_once('.') {
                Some(("model", setting)) => Target::Model(setting.to_string()),
                Some((entry, setting)) => Target::Nested(entry.to_string(), setting.to_string()),
                None => Target::Train(name.clone()),
            };
            all.push((target, tree, span));
        }
        Overrides { all }
    }

    /// The settings of the model that are overridden.
    pub(crate) fn of_model(&self) -> Vec<Change<'_>> {
        self.values()
            .filter_map(|(target, value)| match target {
                Target::Model(name) => Some(Change { name, value, pick: None }),
                _ => None,
            })
            .collect()
    }

    /// The value for an entry of `train`.
    pub(crate) fn of_train(&self, entry: &str) -> Option<&Expr> {
        // The last one given wins.
        self.values()
            .filter(|(target, _)| matches!(target, Target::Train(name) if name == entry))
            .last()
            .map(|(_, value)| value)
    }

    /// The settings for what an entry of `train` calls.
    pub(crate) fn nested(&self, entry: &str) -> Vec<(&str, &Expr)> {
        self.values()
            .filter_map(|(target, value)| match target {
                Target::Nested(owner, setting) if owner == entry => Some((setting.as_str(), value)),
                _ => None,
            })
            .collect()
    }

    fn values(&self) -> impl Iterator<Item = (&Target, &Expr)> {
        self.all.iter().filter_map(|(target, file, _)| match file.decls.as_slice() {
            [decl] => match &decl.kind {
                DeclKind::Fn(decl) => Some((target, &decl.value)),
                _ => None,
            },
            _ => None,
        })
    }

    /// Reports overrides that name nothing in the program.
    pub(crate) fn check(&self, program: &Program, report: &mut Report) {
        let models: Vec<&str> = program
            .main_decls()
            .filter_map(|(_, decl)| match &decl.kind {
                DeclKind::Model(model) => Some(model.settings.iter().map(|param| param.name.as_str())),
                _ => None,
            })
            .flatten()
            .collect();
        for (target, _, span) in &self.all {
            let (name, known, prefix): (&str, &[&str], &str) = match target {
                Target::Model(name) => (name, &models, "model."),
                Target::Train(name) | Target::Nested(name, _) => (name, ENTRIES, ""),
            };
            if known.contains(&name) {
                continue;
            }
            let error =
                Diagnostic::error(Code::UnknownOverride, format!("there is no setting `{prefix}{name}` to override"))
                    .at(*span, "given here");
            report.add(match nearest(name, known.iter().copied()) {
                Some(near) => error.help(format!("did you mean `{prefix}{near}`?")),
                None if models.contains(&name) => error.help(format!("a model's setting is written `model.{name}`")),
                None => error.help(format!("there are {}", known.join(", "))),
            });
        }
    }
}
