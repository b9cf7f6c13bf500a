//! The pipeline of this crate on one screen: texts, names, structure, elaboration.
//!
//! Every step reports what it finds and hands on what it understood, so one run tells all independent mistakes.
//! Must never know what any of the steps finds.

use std::collections::BTreeSet;

use snn_graph::Model;

use crate::ast::{self, Config, DeclKind};
use crate::codes::Code;
use crate::diagnostic::{Diagnostic, nearest};
use crate::elaborate::convert;
use crate::elaborate::model::Elaborated;
use crate::elaborate::overrides::{Change, Overrides};
use crate::elaborate::train::TrainDecl;
use crate::elaborate::{CompiledTest, ConvertPlan, Elaborator, StageRow, TrainPlan, Variant};
use crate::method::Method;
use crate::report::Report;
use crate::resolve::{self, DeclId, Program};
use crate::source::{Files, Sources, Span};
use crate::structure;

/// How a program is compiled.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Settings from outside, as (name, value): `epochs`, `optimizer.lr`, `model.steps`. The last one of a name wins.
    pub overrides: Vec<(String, String)>,
    /// Whether every spike becomes the smooth function whose derivative its surrogate is, so that finite differences can
    /// check gradients.
    pub smooth: bool,
    /// By which method models are compiled, in place of what they say themselves.
    pub method: Method,
}

/// A model with everything that the program says about it.
#[derive(Clone, Debug)]
pub struct CompiledModel {
    /// The model; with a `train`, its graph holds the loss and the prediction too.
    pub model: Model,
    /// How it is trained.
    pub train: Option<TrainPlan>,
    /// What it is converted to.
    pub convert: Option<ConvertPlan>,
    /// Its stages, in the order of use.
    pub stages: Vec<StageRow>,
    /// Places of its nodes: that of origin `n` is element `n - 1`.
    pub places: Vec<Span>,
}

/// What became of a program.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The models without errors, in the order of the text.
    pub models: Vec<CompiledModel>,
    /// The tests without errors, in the order of the text.
    pub tests: Vec<CompiledTest>,
    /// What there is to say, by place.
    pub diagnostics: Vec<Diagnostic>,
    /// All texts that took part; spans refer to them.
    pub sources: Sources,
}

impl Compiled {
    /// Whether anything keeps the program from being run.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Compiles one text, called `name` in messages.
pub fn compile(files: &dyn Files, name: &str, text: &str, options: &Options) -> Compiled {
    let mut sources = Sources::new();
    let mut report = Report::default();
    let program = resolve::load(files, name, text, &mut sources, &mut report);
    let used = resolve::names::check(&program, &mut report);
    let broken = structure::check(&program, &mut report);
    let overrides = Overrides::parse(&options.overrides, &mut sources, &mut report);
    overrides.check(&program, &mut report);
    let mut compiler = Compiler { program: &program, options, broken: &broken, sources: &sources, report: &mut report };
    let models = compiler.models(&overrides);
    let tests = compiler.tests();
    if !report.has_errors() {
        resolve::names::warn_of_unused(&program, &used, &mut report);
    }
    let mut diagnostics = report.finish();
    if let Some(note) = options.method.note() {
        let errors = diagnostics.iter_mut().filter(|diagnostic| diagnostic.is_error());
        errors.for_each(|error| error.notes.push(note.clone()));
    }
    Compiled { models, tests, diagnostics, sources }
}

struct Compiler<'p, 'r> {
    program: &'p Program,
    options: &'p Options,
    broken: &'p BTreeSet<DeclId>,
    sources: &'p Sources,
    report: &'r mut Report,
}

impl<'p> Compiler<'p, '_> {
    fn elaborator(&mut self) -> Elaborator<'p, '_> {
        Elaborator::new(self.program, self.options, self.broken, self.report)
    }

    /// The models of the main text, and those that it brings in to train or convert.
    fn models(&mut self, overrides: &'p Overrides) -> Vec<CompiledModel> {
        let program = self.program;
        let mut wanted: Vec<(DeclId, &'p ast::Model)> = Vec::new();
        for (id, decl) in program.main_decls() {
            let found = match &decl.kind {
                DeclKind::Model(model) => Some((id, model)),
                DeclKind::Train(config) | DeclKind::Convert(config) => self.model_named(&config.model),
                _ => None,
            };
            wanted.extend(found.filter(|(id, _)| wanted.iter().all(|(known, _)| known != id)));
        }
        wanted.into_iter().filter_map(|(id, decl)| self.model(id, decl, overrides)).collect()
    }

    fn model_named(&mut self, name: &'p ast::Name) -> Option<(DeclId, &'p ast::Model)> {
        let program = self.program;
        let named = program.lookup(program.main(), &name.text);
        if let Some(id) = named.map(|named| named.decl)
            && let Some(DeclKind::Model(model)) = program.decl(id).map(|decl| &decl.kind)
        {
            return Some((id, model));
        }
        let error = Diagnostic::error(Code::UnknownName, format!("there is no model `{}`", name.text));
        let models = program.main_decls().filter_map(|(_, decl)| match &decl.kind {
            DeclKind::Model(model) => Some(model.name.as_str()),
            _ => None,
        });
        let error = error.at(name.span, "unknown model");
        self.report.add(match nearest(&name.text, models) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        });
        None
    }

    fn model(&mut self, id: DeclId, decl: &'p ast::Model, overrides: &'p Overrides) -> Option<CompiledModel> {
        let train = self.config(&decl.name.text, |kind| match kind {
            DeclKind::Train(config) => Some(config),
            _ => None,
        });
        let convert = self.config(&decl.name.text, |kind| match kind {
            DeclKind::Convert(config) => Some(config),
            _ => None,
        });
        let train = train.map(|config| TrainDecl { config, overrides });
        let changes = overrides.of_model();
        let Elaborated { model, stages, train: plan, places } =
            self.elaborator().model(id, decl, &changes, train.as_ref())?;
        let convert = match convert {
            Some(config) => Some(self.convert(id, decl, config, &changes, train.as_ref(), &model)?),
            None => None,
        };
        Some(CompiledModel { model, train: plan, convert, stages, places })
    }

    /// The one `train` or `convert` of a model that is whole.
    fn config(&mut self, model: &str, pick: fn(&DeclKind) -> Option<&Config>) -> Option<&'p Config> {
        let configs = self.program.main_decls().filter_map(|(id, decl)| Some((id, pick(&decl.kind)?)));
        let mut configs = configs.filter(|(_, config)| config.model.text == model);
        let (id, first) = configs.next()?;
        if let Some((_, second)) = configs.next() {
            let message = format!("`{model}` is given two of these");
            let error = Diagnostic::error(Code::DuplicateName, message).at(second.model.span, "the second");
            self.report
                .add(error.because(first.model.span, "the first").help("a model has one `train` and one `convert`"));
        }
        (!self.broken.contains(&id)).then_some(first)
    }

    fn convert(
        &mut self,
        id: DeclId,
        decl: &'p ast::Model,
        config: &'p Config,
        overridden: &[Change<'p>],
        train: Option<&TrainDecl<'p>>,
        trained: &Model,
    ) -> Option<ConvertPlan> {
        let keep = self.elaborator().keep(config);
        let sources = self.sources;
        let mut variants = Vec::new();
        for changes in convert::variants(config, decl, self.report) {
            let all: Vec<Change<'p>> = overridden.iter().chain(&changes).copied().collect();
            let Elaborated { model, .. } = self.elaborator().model(id, decl, &all, train)?;
            let missing = convert::missing_weights(trained, &model);
            if let Some(first) = missing.first() {
                let message = format!("the converted model has a weight that the trained one has not: `{first}`");
                let error = Diagnostic::error(Code::DataShape, message).at(config.model.span, "converted here");
                self.report.add(
                    error
                        .because(decl.name.span, "the model")
                        .help("change only settings that leave the weights as they are"),
                );
                return None;
            }
            let settings = convert::described(&changes, |span| sources.slice(span).to_string());
            variants.push(Variant { settings, model });
        }
        Some(ConvertPlan { model: decl.name.text.clone(), variants, keep })
    }

    fn tests(&mut self) -> Vec<CompiledTest> {
        let tests: Vec<_> = self.program.main_decls().collect();
        tests
            .into_iter()
            .filter_map(|(id, decl)| match &decl.kind {
                DeclKind::Test(test) => self.elaborator().test(id, test),
                _ => None,
            })
            .collect()
    }
}
