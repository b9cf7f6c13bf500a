//! What of a model runs: the programs of its training and evaluation, or of its gradient where it has no `train`.
//!
//! Must never know devices.

use snn_loops::{Kernel, Program, WeightValues};
use snnc::graph::lower::{LowerOptions, lower};
use snnc::graph::ops::InputOp;
use snnc::graph::passes::{self, PassContext};
use snnc::graph::{Kind, NodeId, autodiff};
use snnc::{Device, Model, Precision, SessionOptions};

/// The name of the evaluation with weights of 8 bits.
pub const INT8: &str = "int8";

/// Whether it is a contraction with weights of 8 bits.
pub fn is_int8(kernel: &Kernel) -> bool {
    matches!(kernel, Kernel::Contraction(contraction) if contraction.weights == WeightValues::Int8)
}

/// The programs of a model for a batch as CUDA devices run them, with names: that of the evaluation with weights of 8 bits
/// where it has any.
///
/// # Errors
/// If it cannot be lowered.
pub fn of(model: &Model, batch: usize) -> Result<Vec<(&'static str, Program)>, String> {
    if model.recipe().is_none() {
        return Ok(vec![("gradient", gradient(model, batch)?)]);
    }
    let text = |error: snnc::RuntimeError| error.to_string();
    let options = SessionOptions { batch, device: Device::cuda(0, Precision::F32), ..model.options() };
    let session = model.session(options).map_err(|error| error.to_string())?;
    let train = session.lower_training().map_err(text)?.program;
    let eval = session.lower_evaluation().map_err(text)?.program;
    let rounded = model
        .inference_session(SessionOptions { weights: WeightValues::Int8, ..options })
        .map_err(|error| error.to_string())?;
    let int8 = Some(rounded.lower_evaluation().map_err(text)?.program).filter(|int8| int8.kernels.iter().any(is_int8));
    Ok([("train", train), ("eval", eval)].into_iter().chain(int8.map(|int8| (INT8, int8))).collect())
}

/// A model's result, and what derivatives by it become for parameters and inputs.
///
/// # Errors
/// If it cannot be compiled.
pub fn gradient(model: &Model, batch: usize) -> Result<Program, String> {
    let prepared = passes::run(model.graph(), &PassContext::new(model.graph(), true), None);
    let prepared = prepared.map_err(|error| error.to_string())?;
    let mut graph = prepared.graph.clone();
    let ty = graph.ty(prepared.output).with_kind(Kind::Real);
    let shape = |error: snnc::graph::ShapeError| error.to_string();
    let seed = graph.push(InputOp { name: "seed".into(), ty }, &[]).map_err(shape)?;
    let parameters = prepared.parameters.iter().map(|parameter| parameter.node);
    let wrt: Vec<NodeId> = parameters.chain(prepared.inputs.iter().map(|input| input.node)).collect();
    let gradients = autodiff::gradients(&mut graph, &[(prepared.output, seed)], &wrt).map_err(shape)?;
    let mut outputs = vec![("output".to_owned(), prepared.output)];
    outputs.extend(gradients.into_iter().flatten().enumerate().map(|(at, node)| (format!("gradient{at}"), node)));
    let options = LowerOptions { count_planes: false, ..LowerOptions::new(batch, model.options().dtype) };
    Ok(lower(&graph, &outputs, options).map_err(|error| error.message)?.program)
}
