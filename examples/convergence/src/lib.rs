//! From which first weights does training on exact spike times converge? For every pair of a mean and a deviation that
//! weights are drawn from, the best accuracy of a training of two patterns, averaged over repetitions: with several spikes
//! a neuron and with a single one. A model is compiled once, and its weights are set for every training.
//!
//! Must never know how the result is shown, but for its two forms in [`map`] and [`picture`].

pub mod map;
pub mod picture;

use std::path::Path;
use std::thread;

use snnc::graph::Init;
use snnc::runtime::data::batch::BatchPlan;
use snnc::runtime::feed::Feed;
use snnc::runtime::init::initial_values;
use snnc::{Device, Error, Program, Session, SessionOptions, Source};

use map::Map;

/// The models of `convergence.snn`: the one whose neurons spike several times, and the one whose neurons spike once.
pub const MODELS: [&str; 2] = ["SeveralSpikes", "SingleSpike"];

/// What weights are drawn from, and how often.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    /// Means and deviations.
    pub levels: Vec<f64>,
    /// Trainings of each pair.
    pub repeats: usize,
}

impl Grid {
    /// The grid of the paper: 0, 0.2, ... 2.4.
    pub fn of_the_paper(repeats: usize) -> Grid {
        Grid { levels: (0..=12).map(|fifth| f64::from(fifth) / 5.0).collect(), repeats }
    }
}

/// Trains a model from all pairs of a grid, on so many threads; no result depends on their number.
///
/// # Errors
/// If the program has no such model, or something about it or its data is wrong.
pub fn explore(model: &str, grid: &Grid, threads: usize) -> Result<Map, Error> {
    let threads = threads.clamp(1, grid.levels.len().max(1));
    let rows = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|first| scope.spawn(move || rows(model, grid, first, threads))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(lost)).collect::<Result<Vec<_>, Error>>()
    });
    let mut rows = rows?;
    rows.sort_by_key(|(row, _)| *row);
    Ok(Map { levels: grid.levels.clone(), accuracy: rows.into_iter().map(|(_, accuracy)| accuracy).collect() })
}

type Row = (usize, Vec<f64>);

fn lost<T>(_: T) -> Vec<Result<Row, Error>> {
    vec![Err(Error::Run(snnc::RuntimeError::new("a thread of the experiment has ended early")))]
}

/// Every `every`th row, beginning with `first`: of one deviation, the mean best accuracy for every mean.
fn rows(model: &str, grid: &Grid, first: usize, every: usize) -> Vec<Result<Row, Error>> {
    let mut trainer = match Trainer::new(model) {
        Ok(trainer) => trainer,
        Err(error) => return vec![Err(error)],
    };
    let n = grid.levels.len();
    let mut row = |(at, std): (usize, &f64)| {
        let mut accuracy = Vec::with_capacity(n);
        for (column, mean) in grid.levels.iter().enumerate() {
            let mut sum = 0.0;
            for repeat in 0..grid.repeats {
                let seed = ((at * n + column) * grid.repeats + repeat) as u64;
                sum += trainer.best_accuracy(&Init::Normal { mean: *mean, std: *std }, seed)?;
            }
            accuracy.push(sum / grid.repeats.max(1) as f64);
        }
        Ok((at, accuracy))
    };
    grid.levels.iter().enumerate().skip(first).step_by(every).map(&mut row).collect()
}

/// A compiled model with its two samples.
struct Trainer {
    session: Session,
    feed: Feed,
    lr: f64,
    epochs: u64,
}

impl Trainer {
    fn new(name: &str) -> Result<Trainer, Error> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("convergence.snn");
        let models = Program::compile(Source::from_file(&file)?, &[])?.models()?;
        let model = models.into_iter().find(|model| model.name() == name);
        let model = model.ok_or_else(|| Error::Run(snnc::RuntimeError::new(format!("there is no model `{name}`"))))?;
        let data = model.data(None)?.train;
        let options = SessionOptions { device: Device::cpu(1), ..model.options() };
        let mut feed = Feed::new(model.graph(), &data, options.batch)?;
        for batch in BatchPlan::evaluation(data.len(), options.batch).batches().take(1) {
            feed.load(&data, &batch, None)?;
        }
        let (lr, epochs) = model.recipe().map_or((0.0, 0), |recipe| (recipe.optimizer.lr, recipe.epochs));
        Ok(Trainer { session: model.session(options)?, feed, lr, epochs })
    }

    /// The best accuracy on both samples after any of the epochs, from weights that `init` and `seed` give.
    fn best_accuracy(&mut self, init: &Init, seed: u64) -> Result<f64, Error> {
        for spec in self.session.tensor_specs(false) {
            self.session.set_tensor(&spec.name, &initial_values(init, &spec.shape, seed, &spec.name)?)?;
        }
        let values = self.feed.values();
        let samples = self.feed.weights().len() as f64;
        let mut best = 0.0f64;
        // An update says what was right before it, so the last one is for its word on the one before.
        for update in 0..=self.epochs {
            let right = self.session.train_batch(&values, self.lr)?.correct;
            if update > 0 {
                best = best.max(right / samples);
            }
            if best == 1.0 {
                break;
            }
        }
        Ok(best)
    }
}
