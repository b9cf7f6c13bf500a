//! What whole models take of a device's memory beside the forecast, and streams beside the whole sequence.
//!
//! Must never know kernels.

use snnc::graph::InputKind;
use snnc::runtime::session::BatchValues;
use snnc::{Model, Precision, Purpose, SessionOptions, random_batch};

use crate::outcome::Outcome;
use crate::training::device;

/// How far a stream's results may be from the sequence's, relative to the largest: products of one step are summed in
/// another order.
const STREAMED: f64 = 1e-4;

/// Whether training and inference take the bytes that were forecast.
pub fn check_memory(name: &str, model: &Model, batch: usize, precision: Precision) -> Vec<Outcome> {
    let purposes = [("training", Purpose::Training), ("inference", Purpose::Inference)];
    let wanted = purposes.into_iter().filter(|(_, purpose)| *purpose == Purpose::Inference || model.recipe().is_some());
    wanted
        .map(|(what, purpose)| {
            let name = format!("{name}.memory of {what} {}", precision.name());
            match bytes(model, purpose, batch, precision) {
                Err(problem) => Outcome::failed(name, problem.to_string()),
                Ok([forecast, taken]) if forecast == taken => Outcome::passed(name, format!("{taken} bytes")),
                Ok([forecast, taken]) => Outcome::failed(name, format!("{forecast} bytes forecast, {taken} taken")),
            }
        })
        .collect()
}

/// The bytes that are forecast, and those that are taken.
fn bytes(model: &Model, purpose: Purpose, batch: usize, precision: Precision) -> snnc::Result<[usize; 2]> {
    let options = SessionOptions { batch, device: device(precision), ..model.options() };
    let forecast = model.forecast(purpose, &options)?.total();
    let mut session = model.session(options)?;
    let [training, inference] = match purpose {
        Purpose::Training => session.prepare_training().map(|()| session.memory_bytes()),
        Purpose::Inference => session.prepare_evaluation().map(|()| session.memory_bytes()),
    }?;
    Ok([forecast, training + inference])
}

/// Whether a model gives step by step what it gives for a sequence; nothing for a model that cannot go step by step.
pub fn check_stream(name: &str, model: &Model, batch: usize) -> Option<Outcome> {
    let name = format!("{name}.stream");
    let session = model.session(SessionOptions { batch, ..model.options() }).ok()?;
    session.stream().ok()?;
    Some(match streamed(model, batch) {
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
    })
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
        let of_step = |(input, (name, values)): (&snnc::graph::Input, &(_, &'_ [f32]))| {
            let len = values.len() / steps;
            let row =
                if input.kind == InputKind::Static { Some(*values) } else { values.get(step * len..(step + 1) * len) };
            (*name, row.unwrap_or_default())
        };
        let given: Vec<(&str, &[f32])> = inputs.iter().zip(&values).map(of_step).collect();
        let given: BatchValues<'_> = &given;
        let result = stream.step(given)?;
        if !whole.stepped {
            found.clear();
        }
        found.extend_from_slice(&result.output);
    }
    Ok((found, whole.output.data))
}
