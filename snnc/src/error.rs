//! What can go wrong for a user of the facade: a program that cannot be compiled, or something at run time.
//!
//! Must never know exit codes or terminals.

use std::fmt;

use snn_graph::ShapeError;
use snn_graph::eval::EvalError;
use snn_lang::diagnostic::Diagnostic;
use snn_lang::render;
use snn_lang::source::Sources;
use snn_runtime::RuntimeError;

/// The result of fallible functions of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An explained error.
#[derive(Debug)]
pub enum Error {
    /// The program has errors, each with its place in the text.
    Program(Diagnostics),
    /// The data, the weights, a file or a setting do not go with the program.
    Run(RuntimeError),
}

/// What the compiler has to say about a program, ready to be drawn.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    pub(crate) list: Vec<Diagnostic>,
    pub(crate) sources: Sources,
}

impl Diagnostics {
    /// Number of errors; the others are warnings.
    pub fn n_errors(&self) -> usize {
        self.list.iter().filter(|diagnostic| diagnostic.is_error()).count()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The codes of all diagnostics, such as `E0201`, by place.
    pub fn codes(&self) -> Vec<&'static str> {
        self.list.iter().map(|diagnostic| diagnostic.code.as_str()).collect()
    }

    /// All diagnostics with the lines of the program that they are about, with colors for a terminal if `color` is set.
    pub fn render(&self, color: bool) -> String {
        render::render_all(&self.list, &self.sources, color)
    }
}

impl Error {
    /// An error at run time.
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Error {
        Error::Run(RuntimeError::new(message).with_help(help))
    }

    /// The text for people, with colors for a terminal if `color` is set.
    pub fn render(&self, color: bool) -> String {
        match self {
            Error::Program(diagnostics) => diagnostics.render(color).trim_end().to_owned(),
            Error::Run(error) => format!("error: {error}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Error {}

impl From<RuntimeError> for Error {
    fn from(error: RuntimeError) -> Self {
        Error::Run(error)
    }
}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Self {
        Error::Run(error.into())
    }
}

impl From<EvalError> for Error {
    fn from(error: EvalError) -> Self {
        Error::Run(RuntimeError::new(error.to_string()))
    }
}
