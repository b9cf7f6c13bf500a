//! How long a training step and an inference take, on random data.
//!
//! The learning rate is 0, so that weights and firing rates stay as they are while time is taken. The batch is in place
//! before the clock runs, and an inference leaves its result in place. Must never print.

use std::time::{Duration, Instant};

use snn_runtime::process;
use snn_runtime::session::{Session, SessionOptions};

use crate::error::{Error, Result};
use crate::model::Model;
use crate::random::random_batch;

/// Steps on the batch before the clock runs, beside the one that brought it: memory is touched, threads are awake.
const WARM_UP: usize = 1;

/// The most samples of one phase.
const MAX_SAMPLES: usize = 10_000;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How the session computes.
    pub options: SessionOptions,
    /// Whether training is measured; ignored where the model has no `train`.
    pub training: bool,
    /// Whether inference is measured.
    pub inference: bool,
    /// The fewest samples of each.
    pub runs: usize,
    /// How long each is measured at least.
    pub time: Duration,
}

/// The spread of a duration over samples, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The shortest.
    pub min: f64,
    /// The longest.
    pub max: f64,
    /// Number of samples.
    pub runs: usize,
}

/// What was measured of training or of inference.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// From the checked model to a program that runs, in milliseconds.
    pub compile_ms: f64,
    /// One step over a batch.
    pub step: Spread,
    /// Firing rate of each layer of neurons, by path, spikes per neuron and step, or per neuron where there are no steps.
    pub firing_rates: Vec<(String, f64)>,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// A training step, where the model has a `train`.
    pub training: Option<Phase>,
    /// An inference.
    pub inference: Option<Phase>,
    /// The most memory that the process had so far, in bytes, where the system says.
    pub peak_memory: Option<u64>,
}

impl Report {
    /// The firing rates of the last phase.
    pub fn firing_rates(&self) -> &[(String, f64)] {
        let phase = self.inference.as_ref().or(self.training.as_ref());
        phase.map_or(&[], |phase| &phase.firing_rates)
    }

    /// The mean firing rate over layers; `None` where there are none.
    pub fn mean_rate(&self) -> Option<f64> {
        let rates = self.firing_rates();
        (!rates.is_empty()).then(|| rates.iter().map(|(_, rate)| rate).sum::<f64>() / rates.len() as f64)
    }
}

/// Measures a model on a batch of random data.
///
/// # Errors
/// If the model cannot be run, or there is nothing to measure.
pub fn bench(model: &Model, settings: &Settings) -> Result<Report> {
    let training = settings.training && model.recipe().is_some();
    if !training && !settings.inference {
        return Err(Error::new(
            format!("`{}` has no `train`, so only its inference can be measured", model.name()),
            "leave `--only train` out",
        ));
    }
    let values = random_batch(model, settings.options.batch, settings.options.seed);
    let batch: Vec<(&str, &[f32])> = values.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
    let n_inputs = model.graph().inputs.len();
    let inputs = batch.get(..n_inputs).unwrap_or(&batch);
    let mut report = Report { training: None, inference: None, peak_memory: None };
    if training {
        let mut session = model.session(settings.options)?;
        let compile_ms = timed(|| Ok(session.prepare_training()?))?;
        let mut rates = session.train_batch(&batch, 0.0)?.rates;
        let step = spread(settings, || {
            rates = session.train_again(0.0)?.rates;
            Ok(())
        })?;
        report.training = Some(Phase { compile_ms, step, firing_rates: named(&session, rates) });
    }
    if settings.inference {
        let mut session = model.inference_session(settings.options)?;
        let compile_ms = timed(|| Ok(session.prepare_evaluation()?))?;
        drop(session.infer_batch(inputs)?);
        let mut rates = Vec::new();
        let step = spread(settings, || {
            rates = session.infer_again()?;
            Ok(())
        })?;
        report.inference = Some(Phase { compile_ms, step, firing_rates: named(&session, rates) });
    }
    report.peak_memory = process::peak_memory();
    Ok(report)
}

fn named(session: &Session, rates: Vec<f64>) -> Vec<(String, f64)> {
    session.layers().into_iter().zip(rates).collect()
}

/// Milliseconds that something takes.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let clock = Instant::now();
    work()?;
    Ok(milliseconds(clock.elapsed()))
}

fn spread(settings: &Settings, mut step: impl FnMut() -> Result<()>) -> Result<Spread> {
    for _ in 0..WARM_UP {
        step()?;
    }
    let clock = Instant::now();
    let mut samples = Vec::new();
    while samples.len() < settings.runs.clamp(1, MAX_SAMPLES)
        || clock.elapsed() < settings.time && samples.len() < MAX_SAMPLES
    {
        samples.push(timed(&mut step)?);
    }
    Ok(Spread::of(samples))
}

impl Spread {
    /// The spread of at least one sample.
    fn of(mut samples: Vec<f64>) -> Spread {
        samples.sort_by(f64::total_cmp);
        let at = |at: usize| samples.get(at).copied().unwrap_or(f64::NAN);
        let runs = samples.len();
        let median = (at(runs.saturating_sub(1) / 2) + at(runs / 2)) / 2.0;
        Spread { median, min: at(0), max: at(runs.saturating_sub(1)), runs }
    }
}

fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let spread = Spread::of(vec![3.0, 1.0, 10.0]);
        assert_eq!(spread, Spread { median: 3.0, min: 1.0, max: 10.0, runs: 3 });
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Spread::of(vec![4.0]), Spread { median: 4.0, min: 4.0, max: 4.0, runs: 1 });
    }
}
