//! A program as text at each stage of its compilation, for `snnc dump`.
//!
//! Must never know where the text goes.

use std::fmt::Write as _;

use snn_graph::lower::LowerOptions;
use snn_graph::passes::{self, PassContext};
use snn_graph::setup::{Split, split};
use snn_graph::training::{TrainStep, eval_step, train_step};
use snn_graph::{NodeId, print};
use snn_lang::ast_print;
use snn_lang::parse::parse_file;
use snn_lang::source::Sources;
use snn_runtime::device::Device;
use snn_runtime::listing::{Form, listing};

use crate::error::{Diagnostics, Error, Result};
use crate::model::Model;
use crate::source::Source;

/// The names and descriptions of all passes, in the order in which they run.
pub fn pass_list() -> impl Iterator<Item = (&'static str, &'static str)> {
    passes::PASSES.iter().map(|pass| (pass.name, pass.description))
}

/// The tokens of a text, one a line.
pub fn tokens(source: &Source) -> String {
    ast_print::dump_tokens(source.text())
}

/// The syntax tree of a text.
///
/// # Errors
/// If it cannot be parsed.
pub fn syntax_tree(source: &Source) -> Result<String> {
    let mut sources = Sources::new();
    let id = sources.add(source.name(), source.text());
    let (file, list) = parse_file(id, source.text());
    let diagnostics = Diagnostics { list, sources };
    if diagnostics.n_errors() > 0 {
        return Err(Error::Program(diagnostics));
    }
    Ok(ast_print::print_file(&file))
}

/// The graph as the program wrote it, or after the passes up to and including `until`.
///
/// # Errors
/// If there is no such pass, or one fails.
pub fn graph(model: &Model, until: Option<&str>, training: bool) -> Result<String> {
    let model = match until {
        None => model.graph().clone(),
        Some(_) => passes::run(model.graph(), &PassContext::new(model.graph(), training), until)?,
    };
    let mut results = vec![("output".to_owned(), model.output)];
    results.extend(model.loss.map(|loss| ("loss".to_owned(), loss)));
    results.extend(model.prediction.map(|prediction| ("prediction".to_owned(), prediction)));
    let mut nodes: Vec<NodeId> = results.iter().map(|(_, node)| *node).collect();
    nodes.extend(model.averages.iter().flat_map(|average| &average.stored));
    Ok(print::print_reachable(&model.graph, &nodes) + &named(&results))
}

/// The graph of a training update: forward pass, gradient and optimizer.
///
/// # Errors
/// If the model has no `train`.
pub fn gradient(model: &Model) -> Result<String> {
    let plan = plan(model, true)?;
    Ok(print::print(&plan.graph) + &named(&plan.outputs))
}

/// The program of a training update or of an evaluation at one of the stages behind the graph; of an evaluation both
/// parts, what runs when the weights change and what runs for every batch.
///
/// # Errors
/// If the model has no `train` to be trained by, or cannot be compiled.
pub fn program(model: &Model, form: Form, training: bool) -> Result<String> {
    let plan = plan(model, training)?;
    let options = model.options();
    let lowering = LowerOptions::new(options.batch, options.dtype);
    let lowering = match form {
        Form::Cuda(_, precision) if !training => Device::cuda(0, precision).evaluation(lowering),
        Form::Loops | Form::Clif | Form::Assembly | Form::Cuda(..) => lowering,
    };
    let text = |plan: &TrainStep| listing(&plan.graph, &plan.outputs, lowering, form);
    if training {
        return Ok(text(&plan)?);
    }
    let Split { setup, step } = split(&plan)?;
    if setup.outputs.is_empty() {
        return Ok(text(&step)?);
    }
    Ok(format!("; when the weights change\n{}\n; for every batch\n{}", text(&setup)?, text(&step)?))
}

fn plan(model: &Model, training: bool) -> Result<TrainStep> {
    // Explains models that cannot be run.
    model.session(model.options())?;
    let prepared = passes::run(model.graph(), &PassContext::new(model.graph(), training), None)?;
    if !training {
        return Ok(eval_step(&prepared)?);
    }
    let recipe = model.recipe().ok_or_else(|| {
        Error::new(format!("`{}` has no `train`, so there is no gradient", model.name()), "add a `train` declaration")
    })?;
    Ok(train_step(&prepared, &recipe.optimizer.rule)?)
}

fn named(results: &[(String, NodeId)]) -> String {
    let mut text = String::new();
    for (name, node) in results {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} = {node}");
    }
    text
}
