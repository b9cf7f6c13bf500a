//! The folder of a training run: which files it has, how it is created, and that nothing of the user's is ever lost.
//!
//! Must never know how a model is trained.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::checkpoint::{self, NamedTensor, TensorFile};
use crate::error::{Result, RuntimeError};
use crate::files;
use crate::hash::sha256;
use crate::health::Health;
use crate::kernels::{Recorded, RecordedChoices};
use crate::metrics::MetricsLog;
use crate::session::TrainOutcome;

/// What tells a folder of ours from any other.
const FORMAT: &str = "snnc-run-1";

const MANIFEST: &str = "manifest.json";
const MODEL: &str = "model.snn";
const METRICS: &str = "metrics.jsonl";
const WEIGHTS: &str = "weights.safetensors";
const BEST_WEIGHTS: &str = "weights-best.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";
const CHECKPOINT_STATE: &str = "checkpoint.json";

/// Under which name the tensors of a checkpoint carry the training state.
const STATE_NOTE: &str = "training_state";

/// All files that a run writes.
const FILES: [&str; 7] = [MANIFEST, MODEL, METRICS, WEIGHTS, BEST_WEIGHTS, CHECKPOINT, CHECKPOINT_STATE];

/// What a run was made from: enough to do it again and to tell whether it is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of snnc.
    pub snnc_version: String,
    /// The model's name.
    pub model: String,
    /// What messages call the model's file, as the user wrote it.
    pub model_file: String,
    /// SHA-256 of `model.snn`.
    pub model_sha256: String,
    /// The user's other files that the model uses.
    pub imports: Vec<Import>,
    /// The folder that paths of data in the model are relative to, absolute.
    pub base_dir: String,
    /// The folder given in place of the model's own path of data, absolute.
    pub data_dir: Option<String>,
    /// The data set's name.
    pub data: String,
    /// The data set's fingerprint.
    pub data_sha256: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Settings given on the command line, in their order, as (name, value).
    pub overrides: Vec<(String, String)>,
    /// The kind of machine: `cpu` or `reference`.
    pub device: String,
    /// The number of threads.
    pub threads: usize,
    /// `f32` or `f64`.
    pub precision: String,
    /// The machine, in words; results are reproducible on the same.
    pub machine: String,
    /// The kernels that the run began with, where the kind of machine has a choice.
    #[serde(default)]
    pub kernels: Option<Recorded>,
    /// The contractions of which it was known who computes them when the run began, where libraries are asked.
    #[serde(default)]
    pub choices: Option<RecordedChoices>,
}

/// A file that a model uses, kept whole so that the run can be continued without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// What messages call it: its path, relative to where the model's file was named from.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// `manifest.json`: the manifest and the mark that the folder is ours.
#[derive(Serialize, Deserialize)]
struct MarkedManifest {
    format: String,
    #[serde(flatten)]
    manifest: Manifest,
}

/// Where a training run stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainingState {
    /// Epochs that are done.
    pub epoch: u64,
    /// Updates that are done.
    pub updates: u64,
    /// The highest test accuracy so far and its epoch.
    pub best: Option<Best>,
    /// What the epoch in progress gave so far, where training was interrupted inside one.
    #[serde(default)]
    pub partial: Option<PartialEpoch>,
    /// The kernels that the last update was computed with, where the kind of machine has a choice.
    #[serde(default)]
    pub kernels: Option<Recorded>,
    /// Who computed which contraction until now, where libraries are asked.
    #[serde(default)]
    pub choices: Option<RecordedChoices>,
}

/// Running sums of an epoch in progress.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartialEpoch {
    /// Batches done.
    pub batches: u64,
    /// Sum of their mean losses.
    pub loss_sum: f64,
    /// Correctly predicted samples.
    pub correct: f64,
    /// Sum of the firing rates of each layer.
    pub rate_sums: Vec<f64>,
    /// Sums of what there is to say of layers on events.
    #[serde(default)]
    pub health: Vec<Health>,
    /// Wall-clock time spent.
    pub seconds: f64,
}

impl PartialEpoch {
    /// Nothing yet, for that many layers of neurons.
    pub fn new(n_layers: usize) -> Self {
        let rate_sums = vec![0.0; n_layers];
        Self { batches: 0, loss_sum: 0.0, correct: 0.0, rate_sums, health: Vec::new(), seconds: 0.0 }
    }

    /// Adds a batch.
    pub fn add(&mut self, outcome: &TrainOutcome) {
        self.batches += 1;
        self.loss_sum += outcome.loss;
        self.correct += outcome.correct;
        self.rate_sums.iter_mut().zip(&outcome.rates).for_each(|(sum, rate)| *sum += rate);
        self.health.resize(outcome.health.len(), Health::default());
        self.health.iter_mut().zip(&outcome.health).for_each(|(sum, health)| sum.add(health));
    }
}

/// The best epoch so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Counted from 1.
    pub epoch: u64,
    /// Fraction of the test samples, 0 to 1.
    pub test_accuracy: f64,
}

/// What to do with a folder that already holds a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExistingRun {
    /// Refuse, and say so.
    Keep,
    /// Remove the files of the old run; other files stay.
    Replace,
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Creates `runs/<model>-<n>` in `base`, with the next free number.
    ///
    /// # Errors
    /// If the folder cannot be created.
    pub fn create_numbered(base: &Path, model: &str, manifest: &Manifest) -> Result<Self> {
        let runs = base.join("runs");
        create_folders(&runs)?;
        let stem: String =
            model.chars().map(|c| if c.is_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect();
        let mut number = highest_number(&runs, &stem)?.saturating_add(1);
        loop {
            let path = runs.join(format!("{stem}-{number}"));
            match fs::create_dir(&path) {
                Ok(()) => return Self { path }.marked(manifest),
                // Another process took the number in between.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < u64::MAX => number += 1,
                Err(error) => return Err(RuntimeError::io("create the folder", &path, &error)),
            }
        }
    }

    /// Creates the run in a folder that the user chose.
    ///
    /// # Errors
    /// If the folder holds files but no run, or a run that is to be kept; nothing is changed then.
    pub fn create_at(path: &Path, existing: ExistingRun, manifest: &Manifest) -> Result<Self> {
        create_folders(path)?;
        let run = Self { path: path.to_owned() };
        let mut entries = fs::read_dir(path).map_err(|error| RuntimeError::io("read the folder", path, &error))?;
        if entries.next().is_some() {
            let shown = path.display();
            if run.manifest().is_err() {
                return Err(RuntimeError::new(format!("`{shown}` is not empty and holds no run of snnc"))
                    .with_help("choose a new or an empty folder with `--out`"));
            }
            if existing == ExistingRun::Keep {
                return Err(RuntimeError::new(format!("`{shown}` already holds a run"))
                    .with_help("continue it, or choose another folder with `--out`"));
            }
            run.remove_files()?;
        }
        run.marked(manifest)
    }

    /// The folder of an existing run.
    ///
    /// # Errors
    /// If there is none.
    pub fn open(path: &Path) -> Result<Self> {
        let run = Self { path: path.to_owned() };
        run.manifest()?;
        Ok(run)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the run was made from.
    ///
    /// # Errors
    /// If `manifest.json` is missing or not ours.
    pub fn manifest(&self) -> Result<Manifest> {
        let path = self.path.join(MANIFEST);
        let marked: MarkedManifest = read_json(&path).map_err(|error| {
            error.with_help(format!("`{}` is not the folder of a run of snnc", self.path.display()))
        })?;
        if marked.format != FORMAT {
            return Err(RuntimeError::new(format!(
                "`{}` has the format `{}`, this version of snnc knows `{FORMAT}`",
                path.display(),
                marked.format
            )));
        }
        Ok(marked.manifest)
    }

    /// Writes `model.snn`: the text of the model's file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_model(&self, source: &str) -> Result<()> {
        files::write(&self.path.join(MODEL), source.as_bytes())
    }

    /// The text of `model.snn`.
    ///
    /// # Errors
    /// If the file cannot be read or is not what the run was made from.
    pub fn model(&self) -> Result<String> {
        let path = self.path.join(MODEL);
        let text = files::read_text(&path)?;
        if sha256(text.as_bytes()) == self.manifest()?.model_sha256 {
            return Ok(text);
        }
        Err(RuntimeError::new(format!("`{}` is not the model that this run was made from", path.display()))
            .with_help("restore the file, or start a new run from it"))
    }

    /// The measurements, `metrics.jsonl`.
    pub fn metrics(&self) -> MetricsLog {
        MetricsLog::new(self.path.join(METRICS))
    }

    /// Where the weights of the last epoch go.
    pub fn weights(&self) -> PathBuf {
        self.path.join(WEIGHTS)
    }

    /// Where the weights of the epoch with the best test accuracy go.
    pub fn best_weights(&self) -> PathBuf {
        self.path.join(BEST_WEIGHTS)
    }

    /// Writes what a resumed run needs: `checkpoint.safetensors`, which holds the state too so that the two can never
    /// disagree, and `checkpoint.json` for people to read.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save_checkpoint(&self, tensors: &[NamedTensor], state: &TrainingState) -> Result<()> {
        let path = self.path.join(CHECKPOINT);
        let notes = BTreeMap::from([(STATE_NOTE.to_owned(), to_json(&path, state)?)]);
        checkpoint::save(&path, tensors, &notes)?;
        write_json(&self.path.join(CHECKPOINT_STATE), state)
    }

    /// Reads what [`Self::save_checkpoint`] wrote, and gives the path of the tensors for errors about them.
    ///
    /// # Errors
    /// If there is no checkpoint, or a damaged one.
    pub fn load_checkpoint(&self) -> Result<(PathBuf, TensorFile, TrainingState)> {
        let path = self.path.join(CHECKPOINT);
        if !path.exists() {
            return Err(RuntimeError::new(format!("`{}` has no checkpoint", self.path.display()))
                .with_help("only a run that was interrupted or finished an epoch can be continued"));
        }
        let file = checkpoint::load(&path)?;
        let note = file.metadata.get(STATE_NOTE).map(String::as_str).unwrap_or_default();
        let state = serde_json::from_str(note).map_err(|error| {
            RuntimeError::new(format!("`{}` does not say where training stands: {error}", path.display()))
                .with_help("weights alone can be evaluated, but not trained on as the same run")
        })?;
        Ok((path, file, state))
    }

    fn marked(self, manifest: &Manifest) -> Result<Self> {
        let marked = MarkedManifest { format: FORMAT.to_owned(), manifest: manifest.clone() };
        write_json(&self.path.join(MANIFEST), &marked)?;
        Ok(self)
    }

    fn remove_files(&self) -> Result<()> {
        for name in FILES {
            let path = self.path.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(RuntimeError::io("remove", &path, &error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn create_folders(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| RuntimeError::io("create the folder", path, &error))
}

/// The highest `n` of the entries `<stem>-<n>`, or 0.
fn highest_number(runs: &Path, stem: &str) -> Result<u64> {
    let fail = |error| RuntimeError::io("read the folder", runs, &error);
    let mut highest = 0;
    for entry in fs::read_dir(runs).map_err(fail)? {
        let name = entry.map_err(fail)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(stem)?.strip_prefix('-')?.parse().ok());
        highest = highest.max(number.unwrap_or(0));
    }
    Ok(highest)
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T> {
    serde_json::from_str(&files::read_text(path)?)
        .map_err(|error| RuntimeError::new(format!("`{}` is not what snnc writes: {error}", path.display())))
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    files::write(path, (to_json(path, value)? + "\n").as_bytes())
}

fn to_json<T: Serialize>(path: &Path, value: &T) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|error| RuntimeError::new(format!("cannot write `{}`: {error}", path.display())))
}

#[cfg(test)]
mod tests;
