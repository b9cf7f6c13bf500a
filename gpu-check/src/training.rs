//! Some steps of a training on the device beside the same steps on the CPU.
//!
//! Losses must stay together: each step begins with the weights that the device itself has learned, so errors of a step
//! show in all later ones. Must never know kernels.

use snnc::{Device, Model, Precision, Session, SessionOptions, random_batch};

use crate::outcome::Outcome;

/// Learning rate of the steps.
const RATE: f64 = 0.01;

/// How far losses may drift apart, relative to their size. Single precision adds up rounding of sums in other orders; a
/// spike at the threshold may fall the other way. Halves round every product.
fn tolerance(precision: Precision) -> f64 {
    match precision {
        Precision::F32 => 1e-3,
        Precision::Tf32 | Precision::F16 => 3e-2,
        Precision::Bf16 => 1e-1,
    }
}

/// Trains for so many steps on both machines.
pub fn check(name: &str, model: &Model, batch: usize, steps: u64, precision: Precision) -> Outcome {
    let name = format!("{name}.training {}", precision.name());
    let losses = |device: Device| losses(model, batch, steps, device).map_err(|error| error.to_string());
    let both = losses(Device::cpu(1)).and_then(|cpu| Ok((cpu, losses(Device::Cuda { ordinal: 0, precision })?)));
    match both {
        Err(problem) => Outcome::failed(name, problem),
        Ok((cpu, cuda)) => compare(name, &cpu, &cuda, tolerance(precision)),
    }
}

fn compare(name: String, cpu: &[f64], cuda: &[f64], tolerance: f64) -> Outcome {
    let mut worst = 0.0_f64;
    for (step, (expected, found)) in cpu.iter().zip(cuda).enumerate() {
        let error = (expected - found).abs() / expected.abs().max(1e-3);
        // Also where one of them is no number.
        if !(error <= tolerance) {
            return Outcome::failed(name, format!("the loss of step {step} is {found:?} and should be {expected:?}"));
        }
        worst = worst.max(error);
    }
    Outcome::passed(name, format!("{} losses, {worst:.1e} apart at most", cuda.len()))
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
