//! Some steps of a training on the device beside the same steps on the CPU.
//!
//! In single precision losses must stay together: each step begins with the weights that the device itself has learned, so
//! errors of a step show in all later ones. Where products round more, spikes at the threshold fall the other way, and nets
//! as small as these go other ways soon: there the first loss must be near, and all must be numbers. Must never know kernels.

use snnc::runtime::device::first_cuda;
use snnc::{Device, Model, Precision, Session, SessionOptions, WeightValues, random_batch};

use crate::outcome::Outcome;

/// Learning rate of the steps.
const RATE: f64 = 0.01;

/// How far the loss of a step may be from the CPU's, relative to its size; `None` for any number.
fn tolerance(precision: Precision, step: usize) -> Option<f64> {
    match (precision, step) {
        (Precision::F32, _) => Some(1e-3),
        (Precision::Tf32 | Precision::F16 | Precision::Bf16, 0) => Some(0.2),
        (Precision::Tf32 | Precision::F16 | Precision::Bf16, _) => None,
    }
}

/// The device that is checked.
pub(crate) fn device(precision: Precision) -> Device {
    Device::cuda(first_cuda().unwrap_or_default(), precision)
}

/// What the check of a model's training is called.
pub fn name(model: &str, precision: Precision) -> String {
    format!("{model}.training {}", precision.name())
}

/// What the check of a model's evaluation is called.
pub fn inference_name(model: &str, precision: Precision, weights: WeightValues) -> String {
    let of_8_bits = if weights == WeightValues::Int8 { ", int8 weights" } else { "" };
    format!("{model}.inference {}{of_8_bits}", precision.name())
}

/// Trains for so many steps on both machines.
pub fn check(name: String, model: &Model, batch: usize, steps: u64, precision: Precision) -> Outcome {
    let losses = |device: Device| losses(model, batch, steps, device).map_err(|error| error.to_string());
    let both = losses(Device::cpu(1)).and_then(|cpu| Ok((cpu, losses(device(precision))?)));
    match both {
        Err(problem) => Outcome::failed(name, problem),
        Ok((cpu, cuda)) => compare(name, &cpu, &cuda, precision),
    }
}

fn compare(name: String, cpu: &[f64], cuda: &[f64], precision: Precision) -> Outcome {
    let mut worst = 0.0_f64;
    for (step, (expected, found)) in cpu.iter().zip(cuda).enumerate() {
        let error = (expected - found).abs() / expected.abs().max(1e-3);
        if !error.is_finite() || tolerance(precision, step).is_some_and(|most| error > most) {
            return Outcome::failed(name, format!("the loss of step {step} is {found:?} and should be {expected:?}"));
        }
        worst = worst.max(error);
    }
    let ends = (cuda.first().copied().unwrap_or(f64::NAN), cuda.last().copied().unwrap_or(f64::NAN));
    let detail = format!("{} losses from {:.6} to {:.6}, {worst:.1e} apart at most", cuda.len(), ends.0, ends.1);
    Outcome::passed(name, detail)
}

/// An evaluation of a batch on both machines: in single precision each number of the result must be near, and where
/// products round more at least be a number.
pub fn check_inference(
    name: String,
    model: &Model,
    batch: usize,
    precision: Precision,
    weights: WeightValues,
) -> Outcome {
    let inferred = |device: Device| inferred(model, batch, device, weights);
    let both = inferred(Device::cpu(1)).and_then(|cpu| Ok((cpu, inferred(device(precision))?)));
    let (expected, found) = match both {
        Ok(both) => both,
        Err(problem) => return Outcome::failed(name, problem.to_string()),
    };
    let most = expected.iter().filter(|value| value.is_finite()).fold(0.0_f64, |most, value| most.max(value.abs()));
    let mut worst = 0.0_f64;
    for (at, (expected, found)) in expected.iter().zip(&found).enumerate() {
        let error = if expected == found { 0.0 } else { (expected - found).abs() / most.max(1e-3) };
        if error.is_nan() || (precision == Precision::F32 && error > 1e-4) {
            return Outcome::failed(name, format!("the result's element {at} is {found:?} and should be {expected:?}"));
        }
        worst = worst.max(error);
    }
    Outcome::passed(name, format!("{} numbers, {worst:.1e} apart at most", found.len()))
}

fn inferred(model: &Model, batch: usize, device: Device, weights: WeightValues) -> snnc::Result<Vec<f64>> {
    let mut session: Session = model.session(SessionOptions { batch, device, weights, ..model.options() })?;
    let values = random_batch(model, batch, 5);
    let n_inputs = model.graph().inputs.len();
    let values: Vec<(&str, &[f32])> =
        values.iter().take(n_inputs).map(|(name, v)| (name.as_str(), v.as_slice())).collect();
    let inference = session.infer_batch(&values)?;
    let rates = inference.firing_rates.into_iter().map(|(_, rate)| rate);
    Ok(inference.output.data.into_iter().chain(rates).collect())
}

/// The loss of each step, each on a batch of its own.
fn losses(model: &Model, batch: usize, steps: u64, device: Device) -> snnc::Result<Vec<f64>> {
    let mut session: Session = model.session(SessionOptions { batch, device, ..model.options() })?;
    let mut losses = Vec::new();
    for step in 0..steps {
        let values = random_batch(model, batch, step);
        let values: Vec<(&str, &[f32])> = values.iter().map(|(name, v)| (name.as_str(), v.as_slice())).collect();
        losses.push(session.train_batch(&values, RATE)?.loss);
    }
    Ok(losses)
}
