//! What whole models take of a device's memory beside the forecast, and streams beside the whole sequence.
//!
//! Must never know kernels.

use snnc::graph::InputKind;
use snnc::runtime::device::first_cuda;
use snnc::runtime::session::BatchValues;
use snnc::{Accelerators, Device, Model, Precision, Purpose, SessionOptions, WeightValues, random_batch};

use crate::outcome::Outcome;
use crate::training::device;

/// How far a stream's results may be from the sequence's, relative to the largest: products of one step are summed in
/// another order.
const STREAMED: f64 = 1e-4;

/// What a model's memory is looked at for.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// Training or inference.
    pub purpose: Purpose,
    /// What weights are rounded to.
    pub weights: WeightValues,
    /// What products are computed in.
    pub precision: Precision,
}

/// What [`check_memory`] is called.
pub fn memory_name(model: &str, of: Use) -> String {
    let what = match (of.purpose, of.weights) {
        (Purpose::Training, _) => "training",
        (Purpose::Inference, WeightValues::Any) => "inference",
        (Purpose::Inference, WeightValues::Int8) => "inference with int8 weights",
    };
    format!("{model}.memory of {what} {}", of.precision.name())
}

/// Whether training or inference takes the bytes that were forecast.
pub fn check_memory(name: String, model: &Model, of: Use, batch: usize) -> Outcome {
    match bytes(model, of, batch) {
        Err(problem) => Outcome::failed(name, problem.to_string()),
        Ok([forecast, taken]) if forecast == taken => Outcome::passed(name, format!("{taken} bytes")),
        Ok([forecast, taken]) => Outcome::failed(name, format!("{forecast} bytes forecast, {taken} taken")),
    }
}

/// The bytes that are forecast, and those that are taken. What libraries take beside our kernels is no part of either: which
/// of them compute is known when they have been timed.
fn bytes(model: &Model, of: Use, batch: usize) -> snnc::Result<[usize; 2]> {
    let Use { purpose, weights, precision } = of;
    let device = Device::Cuda { ordinal: first_cuda().unwrap_or_default(), precision, accelerators: Accelerators::OFF };
    let options = SessionOptions { batch, device, weights, ..model.options() };
    let forecast = model.forecast(purpose, &options)?.total();
    let mut session = model.session(options)?;
    let [training, inference] = match purpose {
        Purpose::Training => session.prepare_training().map(|()| session.memory_bytes()),
        Purpose::Inference => session.prepare_evaluation().map(|()| session.memory_bytes()),
    }?;
    Ok([forecast, training + inference])
}

/// Whether a model can go step by step.
pub fn has_stream(model: &Model, batch: usize) -> bool {
    let session = model.session(SessionOptions { batch, ..model.options() });
    session.is_ok_and(|session| session.stream().is_ok())
}

/// Whether a model gives step by step what it gives for a sequence.
pub fn check_stream(name: String, model: &Model, batch: usize) -> Outcome {
    match streamed(model, batch) {
        Err(problem) => Outcome::failed(name, problem.to_string()),
        Ok((found, expected)) => {
            let most = expected.iter().fold(1e-3_f64, |most, value| most.max(value.abs()));
            let apart = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs() / most);
            let worst = apart.fold(0.0_f64, |worst, apart| if apart.is_nan() { apart } else { worst.max(apart) });
            match found.len() == expected.len() && worst <= STREAMED {
                true => Outcome::passed(name, format!("{} numbers, {worst:.1e} apart at most", found.len())),
                false => Outcome::failed(name, format!("{found:?} and should be {expected:?}")),
            }
        }
    }
}

/// The result of a stream, of all steps where the model's is stepped and else of the last, and that of the sequence.
fn streamed(model: &Model, batch: usize) -> snnc::Result<(Vec<f64>, Vec<f64>)> {
    let mut session = model.session(SessionOptions { batch, device: device(Precision::F32), ..model.options() })?;
    let (steps, inputs) = (model.graph().graph.steps, &model.graph().inputs);
    let values = random_batch(model, batch, 5);
    let values: Vec<(&str, &[f32])> =
        values.iter().take(inputs.len()).map(|(name, values)| (name.as_str(), values.as_slice())).collect();
    let whole = session.infer_batch(&values)?;
    let (mut stream, mut found) = (session.stream()?, Vec::new());
    for step in 0..steps {
        let mut given: Vec<(&str, &[f32])> = Vec::new();
        for (input, (name, values)) in inputs.iter().zip(&values) {
            let len = values.len() / steps;
            let all = 0..values.len();
            let row = if input.kind == InputKind::Static { all } else { step * len..(step + 1) * len };
            given.push((name, values.get(row).unwrap_or_default()));
        }
        let given: BatchValues<'_> = &given;
        let result = stream.step(given)?;
        if !whole.stepped {
            found.clear();
        }
        found.extend_from_slice(&result.output);
    }
    Ok((found, whole.output.data))
}
