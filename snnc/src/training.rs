//! A training: a session, the data and the recipe together; alone or with the folder of a run.
//!
//! Must never print; what happens goes to an observer.

use std::path::{Path, PathBuf};

use snn_runtime::RuntimeError;
use snn_runtime::checkpoint;
use snn_runtime::data::Dataset;
use snn_runtime::data::events::Lost;
use snn_runtime::device::{Accelerators, Choices, Device, Kernels, first_cuda};
use snn_runtime::feed;
use snn_runtime::run_dir::{RunDir, TrainingState};
use snn_runtime::session::{Session, SessionOptions};
use snn_runtime::train::{self, Evaluation, Observer, Outcome, TrainConfig};

use crate::error::{Error, Result};
use crate::kernels::KernelChoice;
use crate::model::{Model, machine};
use crate::program::Program;
use crate::source::Source;

/// A model that is being trained.
pub struct Training {
    session: Session,
    data: Dataset,
    config: TrainConfig,
    state: TrainingState,
}

impl Training {
    pub(crate) fn new(session: Session, data: Dataset, config: TrainConfig) -> Training {
        Training { session, data, config, state: TrainingState::default() }
    }

    /// Stops after so many updates in all, wherever in an epoch that is.
    pub fn stop_after(&mut self, updates: u64) {
        self.config.max_updates = Some(updates);
    }

    /// The model with its weights.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The data.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// What the model does not see of the events of the data: of each part, training and test, by field.
    pub fn lost_events(&self) -> [Vec<(String, Lost)>; 2] {
        [&self.data.train, &self.data.test].map(|split| feed::lost_events(self.session.model(), split))
    }

    /// Where it stands.
    pub fn state(&self) -> &TrainingState {
        &self.state
    }

    /// Checks that data and settings go with the model, and compiles the training.
    ///
    /// # Errors
    /// Says what does not fit.
    pub fn prepare(&mut self) -> Result<()> {
        train::check(&self.session, &self.data, &self.config)?;
        Ok(self.session.prepare_training()?)
    }

    /// Trains on from where it stands, in memory alone.
    ///
    /// # Errors
    /// If the data do not fit the model, or the loss is no longer finite.
    pub fn train(&mut self, observer: &mut dyn Observer) -> Result<Outcome> {
        self.go_on(None, observer)
    }

    /// Trains on from where it stands, and keeps metrics, weights and a checkpoint in the folder of a run.
    ///
    /// # Errors
    /// As [`Self::train`]; or if a file cannot be written.
    pub fn train_in(&mut self, run: &RunDir, observer: &mut dyn Observer) -> Result<Outcome> {
        self.go_on(Some(run), observer)
    }

    fn go_on(&mut self, run: Option<&RunDir>, observer: &mut dyn Observer) -> Result<Outcome> {
        let state = self.state.clone();
        let outcome = train::train(&mut self.session, &self.data, &self.config, run, state, observer)?;
        self.state = outcome.state.clone();
        Ok(outcome)
    }

    /// Evaluates the test part of the data with the present weights.
    ///
    /// # Errors
    /// If the data do not fit the model.
    pub fn evaluate(&mut self) -> Result<Evaluation> {
        Ok(train::evaluate(&mut self.session, &self.data.test)?)
    }
}

/// The folder of a run with the model that it was made from.
pub struct Run {
    /// The folder.
    pub dir: RunDir,
    /// The model, compiled from the run's own files with the run's own settings.
    pub model: Model,
    data_dir: Option<PathBuf>,
    device: String,
    machine: String,
    kernels: Kernels,
}

impl Run {
    /// Opens the folder of a run.
    ///
    /// # Errors
    /// If it is not one, or damaged.
    pub fn open(path: &Path) -> Result<Run> {
        let dir = RunDir::open(path)?;
        let manifest = dir.manifest()?;
        let program = Program::compile(Source::from_run(&dir)?, &manifest.overrides)?;
        let data_dir = manifest.data_dir.map(PathBuf::from);
        let kernels = manifest.kernels.map_or(Kernels::NATIVE, |recorded| recorded.0);
        let (device, machine) = (manifest.device, manifest.machine);
        Ok(Run { dir, model: program.model()?, data_dir, device, machine, kernels })
    }

    /// The settings of its sessions, on so many threads (0: one a core), with the kernels that it began with but for what
    /// is asked for.
    pub fn options(&self, threads: usize, choice: &KernelChoice) -> SessionOptions {
        let device = match self.device.as_str() {
            "reference" => Device::Reference,
            _ => Device::Cpu { threads, kernels: choice.over(self.kernels) },
        };
        SessionOptions { device, ..self.model.options() }
    }

    /// Those of its training: on a machine of the same kind, with what was chosen until then.
    fn options_with(&self, threads: usize, kernels: Kernels, choices: Option<Choices>) -> SessionOptions {
        let device = match self.device.as_str() {
            "reference" => Device::Reference,
            "cuda" => {
                // Where there is none, whoever opens it says why.
                let (ordinal, precision) = (first_cuda().unwrap_or_default(), self.model.precision());
                Device::Cuda { ordinal, precision, accelerators: Accelerators::going_on(choices) }
            }
            _ => Device::Cpu { threads, kernels },
        };
        SessionOptions { device, ..self.model.options() }
    }

    /// Why a training that goes on will not give the bits that it would have given without the interruption; `None` if it
    /// will.
    ///
    /// # Errors
    /// If the machine lacks instructions that the training asks for.
    pub fn difference(&self, training: &Training) -> Result<Option<String>> {
        let device = training.session.options().device;
        let here = machine(device)?;
        if training.state.kernels.is_some_and(|before| device.kernels() != Some(before.0)) {
            return Ok(Some("other kernels are asked for than those of the checkpoint".to_owned()));
        }
        Ok((here != self.machine)
            .then(|| format!("the run began on another machine ({}, this one is {here})", self.machine)))
    }

    /// Its data; `data_dir` takes the place of the folder that the run was made with.
    ///
    /// # Errors
    /// If they cannot be read, or are not those of the run.
    pub fn data(&self, data_dir: Option<&Path>) -> Result<Dataset> {
        let data = self.model.data(data_dir.or(self.data_dir.as_deref()))?;
        if data.fingerprint == self.dir.manifest()?.data_sha256 {
            return Ok(data);
        }
        Err(Error::new(
            format!("the data set `{}` is not the one that `{}` was trained on", data.name, self.dir.path().display()),
            "restore the data, or say where they are with `--data DIR`",
        ))
    }

    /// A session with the weights of a file, by default those of the last epoch.
    ///
    /// # Errors
    /// If there are none, or they are not the model's.
    pub fn session(&self, options: SessionOptions, weights: Option<&Path>) -> Result<Session> {
        let mut session = self.model.session(options)?;
        let last = self.dir.weights();
        let path = weights.unwrap_or(&last);
        if weights.is_none() && !last.exists() {
            return Err(Error::new(
                format!("`{}` has no weights yet: no epoch was finished", self.dir.path().display()),
                format!("go on with `snnc run --resume {}`", self.dir.path().display()),
            ));
        }
        load_weights(&mut session, path)?;
        Ok(session)
    }

    /// The training, standing where it was interrupted, on so many threads (0: one a core), with the kernels of the
    /// checkpoint but for what is asked for, within a memory limit.
    ///
    /// # Errors
    /// If there is no checkpoint, or anything that it needs is damaged.
    pub fn training(
        &self,
        threads: usize,
        memory_limit: Option<usize>,
        choice: &KernelChoice,
        data_dir: Option<&Path>,
    ) -> Result<Training> {
        let recipe = self.model.recipe().ok_or_else(|| RuntimeError::new("the run's model has no `train`"))?;
        let (path, file, state) = self.dir.load_checkpoint()?;
        let kernels = state.kernels.map_or(self.kernels, |recorded| recorded.0);
        let choices = state.choices.clone().map(Choices::from);
        let options = SessionOptions { memory_limit, ..self.options_with(threads, choice.over(kernels), choices) };
        let mut session = self.model.session(options)?;
        session.restore(&file.take(&session.tensor_specs(true), &path)?)?;
        self.dir.metrics().truncate(state.epoch)?;
        let data = self.data(data_dir)?;
        Ok(Training { state, ..Training::new(session, data, recipe.config(None)) })
    }
}

/// Replaces a session's weights by those of a file.
///
/// # Errors
/// If the file cannot be read, or its tensors are not exactly those of the model.
pub fn load_weights(session: &mut Session, path: &Path) -> Result<()> {
    let file = checkpoint::load(path)?;
    let tensors = file.take(&session.tensor_specs(false), path)?;
    Ok(session.restore(&tensors)?)
}
