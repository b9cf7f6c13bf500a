//! The training loop: epochs of shuffled batches, evaluation, metrics, checkpoints.
//!
//! Everything that happens is a function of seed, data and settings; where it was interrupted never shows in the result.
//! Must never print: what it has to say goes to an [`Observer`].

use std::collections::BTreeMap;
use std::time::Instant;

use crate::checkpoint;
use crate::data::augment::{Augment, Augmentation};
use crate::data::batch::BatchPlan;
use crate::data::{Dataset, Split};
use crate::error::{Result, RuntimeError};
use crate::feed::Feed;
use crate::health::Health;
use crate::kernels::{Recorded, RecordedChoices};
use crate::metrics::EpochRecord;
use crate::run_dir::{Best, PartialEpoch, RunDir, TrainingState};
use crate::schedule::Schedule;
use crate::session::Session;

/// What a training does.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    /// Learning rate before the schedule.
    pub lr: f64,
    /// Its change over time.
    pub schedule: Schedule,
    /// Random changes of training samples, in order.
    pub augment: Vec<Augment>,
    /// Number of epochs.
    pub epochs: u64,
    /// Stop after so many updates in all, wherever that is; for trials.
    pub max_updates: Option<u64>,
}

/// Something that happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A batch was learned from.
    Batch {
        /// Epoch, counted from 1.
        epoch: u64,
        /// Batches done in this epoch.
        done: usize,
        /// Batches of an epoch.
        of: usize,
        /// Loss of the batch.
        loss: f64,
        /// Training samples a second in this epoch.
        samples_per_second: f64,
    },
    /// An epoch ended.
    Epoch(&'a EpochRecord),
}

/// Who is told, and who may stop the training.
pub trait Observer {
    /// Called after every batch and epoch.
    fn event(&mut self, event: Event<'_>);
    /// Asked after every batch.
    fn stop(&self) -> bool;
}

/// An observer that wants to know nothing and never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&mut self, _event: Event<'_>) {}

    fn stop(&self) -> bool {
        false
    }
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Where it stands.
    pub state: TrainingState,
    /// Whether all epochs are done.
    pub finished: bool,
}

/// Trains from `state` on. With a run directory, saves metrics and a checkpoint after each epoch and when stopped.
///
/// # Errors
/// If the data do not fit the model, the loss is no longer finite, or a file cannot be written.
pub fn train(
    session: &mut Session,
    data: &Dataset,
    config: &TrainConfig,
    run: Option<&RunDir>,
    mut state: TrainingState,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    check(session, data, config)?;
    let mut feed = Feed::new(session.model(), &data.train, session.options().batch)?;
    session.prepare_training()?;
    session.set_updates(state.updates);
    state.kernels = session.options().device.kernels().map(Recorded);
    while state.epoch < config.epochs {
        if config.max_updates.is_some_and(|most| state.updates >= most) {
            return Ok(Outcome { state, finished: false });
        }
        let finished = epoch(session, data, config, &mut feed, &mut state, observer)?;
        if !finished {
            save(session, run, &mut state)?;
            return Ok(Outcome { state, finished: false });
        }
        let record = close_epoch(session, data, &mut state)?;
        if let Some(run) = run {
            run.metrics().append(&record)?;
            let better = record.test_accuracy.is_some_and(|now| state.best.is_none_or(|best| now > best.test_accuracy));
            if let (true, Some(test_accuracy)) = (better, record.test_accuracy) {
                state.best = Some(Best { epoch: state.epoch, test_accuracy });
                checkpoint::save(&run.best_weights(), &session.tensors(false)?, &BTreeMap::new())?;
            }
            checkpoint::save(&run.weights(), &session.tensors(false)?, &BTreeMap::new())?;
        }
        save(session, run, &mut state)?;
        observer.event(Event::Epoch(&record));
        if observer.stop() && state.epoch < config.epochs {
            return Ok(Outcome { state, finished: false });
        }
    }
    Ok(Outcome { state, finished: true })
}

/// Whether the data and the settings go with the model, before anything is computed or written.
///
/// # Errors
/// Says what does not fit.
pub fn check(session: &Session, data: &Dataset, config: &TrainConfig) -> Result<()> {
    let batch = session.options().batch;
    if data.train.len() < batch {
        return Err(RuntimeError::new(format!("a batch of {batch} is larger than the {} samples", data.train.len()))
            .with_help("choose a smaller batch, e.g. `--set batch=16`"));
    }
    for split in [&data.train, &data.test] {
        Feed::new(session.model(), split, batch)?;
    }
    for field in &data.train.inputs {
        config.augment.iter().try_for_each(|augment| augment.check(&field.shape))?;
    }
    Ok(())
}

fn save(session: &mut Session, run: Option<&RunDir>, state: &mut TrainingState) -> Result<()> {
    // Programs that were compiled meanwhile have added theirs.
    state.choices = session.options().device.choices().map(RecordedChoices::from);
    match run {
        Some(run) => run.save_checkpoint(&session.tensors(true)?, state),
        None => Ok(()),
    }
}

/// Learns from what is left of an epoch; false if it was stopped.
fn epoch(
    session: &mut Session,
    data: &Dataset,
    config: &TrainConfig,
    feed: &mut Feed,
    state: &mut TrainingState,
    observer: &mut dyn Observer,
) -> Result<bool> {
    let options = *session.options();
    let plan = BatchPlan::training(data.train.len(), options.batch, options.seed, state.epoch);
    let augmentation = Augmentation { list: &config.augment, seed: options.seed, epoch: state.epoch };
    let n_layers = session.model().spikes.len();
    let mut part = state.partial.take().unwrap_or_else(|| PartialEpoch::new(n_layers));
    let before = part.seconds;
    let clock = Instant::now();
    for (done, batch) in plan.batches().enumerate().skip(part.batches as usize) {
        feed.load(&data.train, &batch, (!config.augment.is_empty()).then_some(&augmentation))?;
        let at = state.epoch as f64 + done as f64 / plan.n_batches() as f64;
        let lr = config.lr * config.schedule.factor(at, config.epochs as f64);
        let outcome = session.train_batch(&feed.values(), lr)?;
        if !outcome.loss.is_finite() {
            return Err(RuntimeError::new(format!(
                "the loss became {} at update {} (epoch {})",
                outcome.loss,
                session.updates(),
                state.epoch + 1
            ))
            .with_help("lower the learning rate, or check the range of the inputs"));
        }
        part.add(&outcome);
        part.seconds = before + clock.elapsed().as_secs_f64();
        state.updates = session.updates();
        let samples = part.batches as f64 * options.batch as f64;
        observer.event(Event::Batch {
            epoch: state.epoch + 1,
            done: done + 1,
            of: plan.n_batches(),
            loss: outcome.loss,
            samples_per_second: samples / part.seconds.max(1e-9),
        });
        let enough = config.max_updates.is_some_and(|most| state.updates >= most);
        if (observer.stop() || enough) && done + 1 < plan.n_batches() {
            state.partial = Some(part);
            return Ok(false);
        }
    }
    state.partial = Some(part);
    Ok(true)
}

/// Evaluates at the end of an epoch and writes down what the epoch gave.
fn close_epoch(session: &mut Session, data: &Dataset, state: &mut TrainingState) -> Result<EpochRecord> {
    let n_layers = session.model().spikes.len();
    let part = state.partial.take().unwrap_or_else(|| PartialEpoch::new(n_layers));
    let clock = Instant::now();
    let test = evaluate(session, &data.test)?;
    state.epoch += 1;
    let batches = (part.batches as f64).max(1.0);
    let samples = batches * session.options().batch as f64;
    let predicts = session.model().prediction.is_some();
    let rates = part.rate_sums.iter().map(|sum| sum / batches);
    let health = part.health.iter().map(|sum| Health { silent: sum.silent / batches, ..*sum });
    Ok(EpochRecord {
        epoch: state.epoch,
        train_loss: part.loss_sum / batches,
        train_accuracy: predicts.then_some(part.correct / samples),
        test_loss: test.loss,
        test_accuracy: test.accuracy,
        seconds: part.seconds + clock.elapsed().as_secs_f64(),
        samples_per_second: samples / part.seconds.max(1e-9),
        firing_rates: session.layers().into_iter().zip(rates).collect(),
        health: session.layers().into_iter().zip(health).collect(),
    })
}

/// What a split gave with the present weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Mean loss; NaN where the model has none.
    pub loss: f64,
    /// Fraction of samples predicted correctly, where the model predicts.
    pub accuracy: Option<f64>,
    /// Mean spikes a neuron a step of each layer, or a neuron where there are no steps.
    pub rates: Vec<f64>,
    /// Number of samples.
    pub samples: usize,
}

/// Evaluates a whole split.
///
/// # Errors
/// If the data do not fit the model.
pub fn evaluate(session: &mut Session, split: &Split) -> Result<Evaluation> {
    let batch = session.options().batch;
    let mut feed = Feed::new(session.model(), split, batch)?;
    let plan = BatchPlan::evaluation(split.len(), batch);
    let (mut loss_sum, mut correct) = (0.0, 0.0);
    let mut rates = vec![0.0; session.model().spikes.len()];
    for (number, batch) in plan.batches().enumerate() {
        feed.load(split, &batch, None)?;
        let outcome = session.evaluate_batch(&feed.values(), feed.weights(), number as u64)?;
        loss_sum += outcome.loss_sum;
        correct += outcome.correct;
        let weight = batch.samples().len() as f64;
        rates.iter_mut().zip(&outcome.rates).for_each(|(sum, rate)| *sum += weight * rate);
    }
    let samples = plan.n_samples();
    let model = session.model();
    Ok(Evaluation {
        loss: if model.loss.is_some() { loss_sum / samples as f64 } else { f64::NAN },
        accuracy: model.prediction.is_some().then_some(correct / samples as f64),
        rates: rates.into_iter().map(|sum| sum / (samples as f64).max(1.0)).collect(),
        samples,
    })
}
