//! From text to a model, as every command does it.

use snn_graph::Model;
use snn_graph::passes::{self, PassContext};
use snn_lang::source::NoFiles;
use snn_lang::{Options, compile as compile_text};

/// Compiles a text that holds one model.
pub fn compile(text: &str) -> Model {
    let mut compiled = compile_text(&NoFiles, "golden.snn", text, &Options::default());
    let errors: Vec<String> = compiled.diagnostics.iter().filter(|d| d.is_error()).map(|d| d.message.clone()).collect();
    assert!(errors.is_empty() && compiled.models.len() == 1, "{}\n{text}", errors.join("\n"));
    compiled.models.remove(0).model
}

/// The model as the passes leave it, for training or for evaluation.
pub fn prepare(model: &Model, training: bool) -> Model {
    passes::run(model, &PassContext::new(model, training), None).unwrap_or_else(|error| panic!("{error}"))
}

/// A number as it is written in a program.
pub fn literal(value: f64) -> String {
    format!("{value:?}")
}
