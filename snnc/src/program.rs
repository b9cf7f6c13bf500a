//! A compiled program: its models, its tests, what the compiler says about it.
//!
//! Must never know machines or data.

use std::sync::Arc;

use snn_lang::elaborate::CompiledTest;
use snn_lang::source::Sources;
use snn_lang::{Compiled, CompiledModel, Method, Options, compile};
use snn_runtime::RuntimeError;
use snn_runtime::run_dir::Import;

use crate::error::{Diagnostics, Error, Result};
use crate::model::Model;
use crate::source::{Reader, Source};

/// A setting given from outside the program: its name (`epochs`, `optimizer.lr`, `model.steps`) and an expression.
pub type Override = (String, String);

/// What a program was made from; models keep it to be able to say so.
#[derive(Debug)]
pub(crate) struct Origin {
    pub source: Source,
    pub sources: Sources,
    pub imports: Vec<Import>,
    pub overrides: Vec<Override>,
}

/// A program without errors.
#[derive(Debug)]
pub struct Program {
    origin: Arc<Origin>,
    models: Vec<CompiledModel>,
    tests: Vec<CompiledTest>,
    diagnostics: Diagnostics,
}

impl Program {
    /// Compiles a text with the files that it uses.
    ///
    /// # Errors
    /// If it has errors, or an override names nothing.
    pub fn compile(source: Source, overrides: &[Override]) -> Result<Program> {
        Program::compile_as(source, overrides, Method::AsWritten)
    }

    /// The same program with another method of gradient, and the time axis that goes with it, than it says.
    ///
    /// # Errors
    /// As [`Self::compile`]; or if a model has no such meaning: neurons given by steps have no exact spike times, steps
    /// without a length no duration.
    pub fn compile_as(source: Source, overrides: &[Override], method: Method) -> Result<Program> {
        Program::compile_with(source, &Options { overrides: overrides.to_vec(), method, ..Options::default() })
    }

    /// The same program by a method, with every spike replaced by the smooth function whose derivative its surrogate is.
    ///
    /// # Errors
    /// As [`Self::compile_as`]; or if a surrogate has no such function.
    pub fn compile_smooth(source: Source, overrides: &[Override], method: Method) -> Result<Program> {
        Program::compile_with(source, &Options { overrides: overrides.to_vec(), smooth: true, method })
    }

    fn compile_with(source: Source, options: &Options) -> Result<Program> {
        let reader = Reader::new(&source);
        let Compiled { models, tests, diagnostics, sources } = compile(&reader, source.name(), source.text(), options);
        let imports = reader.into_imports();
        let diagnostics = Diagnostics { list: diagnostics, sources };
        if diagnostics.n_errors() > 0 {
            return Err(Error::Program(diagnostics));
        }
        let sources = diagnostics.sources.clone();
        let origin = Arc::new(Origin { source, sources, imports, overrides: options.overrides.clone() });
        Ok(Program { origin, models, tests, diagnostics })
    }

    /// The warnings.
    pub fn warnings(&self) -> &Diagnostics {
        &self.diagnostics
    }

    /// Its models, in the order of the text.
    ///
    /// # Errors
    /// If a `train` cannot be carried out.
    pub fn models(&self) -> Result<Vec<Model>> {
        self.models.iter().map(|compiled| Model::new(Arc::clone(&self.origin), compiled.clone())).collect()
    }

    /// The one model that the program is about: the only one, or the only one that it trains.
    ///
    /// # Errors
    /// If there is none or more than one.
    pub fn model(&self) -> Result<Model> {
        let name = self.origin.source.name();
        let trained: Vec<&CompiledModel> = self.models.iter().filter(|model| model.train.is_some()).collect();
        let compiled = match (self.models.as_slice(), trained.as_slice()) {
            ([only], _) => only,
            (_, [only]) => only,
            ([], _) => return Err(Error::new(format!("`{name}` declares no model"), "add a `model` declaration")),
            (several, _) => {
                let names: Vec<&str> = several.iter().map(|model| model.model.name.as_str()).collect();
                return Err(Error::new(
                    format!("`{name}` declares several models: {}", names.join(", ")),
                    "give exactly one of them a `train`, or a file of its own",
                ));
            }
        };
        Model::new(Arc::clone(&self.origin), compiled.clone())
    }

    pub(crate) fn tests(&self) -> &[CompiledTest] {
        &self.tests
    }

    /// `file:line:column` of a place in the program.
    pub(crate) fn place(&self, span: snn_lang::source::Span) -> String {
        let sources = &self.diagnostics.sources;
        let name = sources.get(span.file).map_or("", |file| file.name.as_str());
        let (line, column) = sources.line_and_column(span);
        format!("{name}:{line}:{column}")
    }

    /// The text at a place in the program.
    pub(crate) fn slice(&self, span: snn_lang::source::Span) -> &str {
        self.diagnostics.sources.slice(span)
    }
}

/// A text that brings in every module of the standard library, so that compiling it reads them all.
const WHOLE_LIBRARY: &str = "
use std.surrogates { atan }
use std.neurons { LIF }
use std.layers { Linear }
use std.norms { TdBN }
use std.encoders { latency }
use std.readouts { Vote }
use std.blocks { Delay }
";

/// Every file of the standard library as a program of its own.
///
/// # Errors
/// If the library itself has errors.
pub fn standard_library() -> Result<Vec<Source>> {
    let program = Program::compile(Source::from_text("library.snn", WHOLE_LIBRARY), &[])?;
    let files = program.diagnostics.sources.iter().map(|(_, file)| file);
    let library: Vec<Source> = files
        .filter(|file| file.name.starts_with("std/"))
        .map(|file| Source::from_text(&file.name, &file.text))
        .collect();
    match library.is_empty() {
        true => Err(RuntimeError::new("the standard library cannot be found").into()),
        false => Ok(library),
    }
}
