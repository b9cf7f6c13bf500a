//! A compiled model, the handle by which programs hold it: its structure, its data, sessions that run it.
//!
//! Must never print, nor know the command line.

use std::path::Path;
use std::sync::Arc;

use snn_graph::exact::{self, Explanation};
use snn_graph::passes::discretise;
use snn_graph::{Model as Graph, Origin as NodeOrigin, TimeAxis};
use snn_lang::CompiledModel;
use snn_lang::elaborate::{StageRow, TrainPlan};
use snn_runtime::calibration;
use snn_runtime::data::{self, Dataset};
use snn_runtime::device::{Device, Precision};
use snn_runtime::hash::sha256;
use snn_runtime::kernels::{Recorded, RecordedChoices};
use snn_runtime::optim::UpdateRule;
use snn_runtime::run_dir::Manifest;
use snn_runtime::session::{Session, SessionOptions};
use snn_runtime::stream::Stream;

use crate::error::{Error, Result};
use crate::program::{Origin, Override, Program};
use crate::recipe::Recipe;
use crate::source::{Source, absolute};
use crate::training::{Training, load_weights};

/// A model without errors.
///
/// ```no_run
/// # fn main() -> Result<(), snnc::Error> {
/// let model = snnc::Model::from_file("digits.snn", &[("epochs", "3")])?;
/// let mut training = model.training(model.options(), None)?;
/// training.train(&mut snnc::Silent)?;
/// println!("accuracy {:?}", training.evaluate()?.accuracy);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    origin: Arc<Origin>,
    compiled: CompiledModel,
    recipe: Option<Recipe>,
}

impl Model {
    /// Compiles the one model of a file, with settings given from outside as (name, expression).
    ///
    /// # Errors
    /// If the file cannot be read, the program has errors, or there is not exactly one model to choose.
    pub fn from_file(path: impl AsRef<Path>, overrides: &[(&str, &str)]) -> Result<Model> {
        Program::compile(Source::from_file(path.as_ref())?, &owned(overrides))?.model()
    }

    /// Compiles the one model of a text, called `name` in messages.
    ///
    /// # Errors
    /// If the program has errors, or there is not exactly one model to choose.
    pub fn from_text(name: &str, text: &str, overrides: &[(&str, &str)]) -> Result<Model> {
        Program::compile(Source::from_text(name, text), &owned(overrides))?.model()
    }

    pub(crate) fn new(origin: Arc<Origin>, compiled: CompiledModel) -> Result<Model> {
        let recipe = compiled.train.as_ref().map(Recipe::from_plan).transpose()?;
        Ok(Model { origin, compiled, recipe })
    }

    /// Its name in the program.
    pub fn name(&self) -> &str {
        &self.compiled.model.name
    }

    /// Its graph with inputs, parameters and results.
    pub fn graph(&self) -> &Graph {
        &self.compiled.model
    }

    /// Its neurons, layers and blocks, in the order of use.
    pub fn stages(&self) -> &[StageRow] {
        &self.compiled.stages
    }

    /// How it is trained, where the program says.
    pub fn recipe(&self) -> Option<&Recipe> {
        self.recipe.as_ref()
    }

    /// The mathematics of its neurons that are given by equations: how they are solved, by name of their layer. Without a
    /// grid of steps those are exact spike times, otherwise the flow over a step.
    ///
    /// # Errors
    /// If the equations of a neuron cannot be solved so.
    pub fn explain(&self) -> Result<Vec<Explanation>> {
        let model = self.graph();
        match model.time {
            TimeAxis::Continuous(_) => Ok(exact::explain(&model.graph)?),
            _ => Ok(discretise::explain(&model.graph, model.time.dt())?),
        }
    }

    /// How it is trained, in the words of the program.
    pub fn train_plan(&self) -> Option<&TrainPlan> {
        self.compiled.train.as_ref()
    }

    /// The batch, precision and seed that its `train` asks for, on all cores; a batch of one where there is no `train`.
    pub fn options(&self) -> SessionOptions {
        let default = SessionOptions::default();
        match &self.recipe {
            None => default,
            Some(recipe) => SessionOptions { batch: recipe.batch, dtype: recipe.dtype, seed: recipe.seed, ..default },
        }
    }

    /// How linear maps and convolutions round where a machine has a choice.
    pub fn precision(&self) -> Precision {
        self.recipe.as_ref().map_or(Precision::F32, |recipe| recipe.precision)
    }

    /// The model with fresh weights, ready to run; with a `train`, ready to learn.
    ///
    /// # Errors
    /// If an initializer does not fit its parameter.
    pub fn session(&self, options: SessionOptions) -> Result<Session> {
        self.session_with(self.recipe.as_ref().map(|recipe| recipe.optimizer.rule), options)
    }

    /// The model with fresh weights, ready to run but not to learn: nothing of an optimizer is kept.
    ///
    /// # Errors
    /// As [`Self::session`].
    pub fn inference_session(&self, options: SessionOptions) -> Result<Session> {
        self.session_with(None, options)
    }

    fn session_with(&self, rule: Option<UpdateRule>, options: SessionOptions) -> Result<Session> {
        Ok(Session::new(self.graph().clone(), rule, options)?)
    }

    /// The model step by step, with the weights of a file or else fresh ones.
    ///
    /// ```
    /// # fn main() -> Result<(), snnc::Error> {
    /// let text = "use std.neurons { LIF }\nmodel Pair {\n    input current: frames[2]\n    time 6\n    current -> LIF()\n}\n";
    /// let model = snnc::Model::from_text("pair.snn", text, &[])?;
    /// let mut stream = model.stream(model.options(), None)?;
    /// for _ in 0..100 {
    ///     let spikes = &stream.step(&[("current", &[1.5, 0.4])])?.output;
    ///     assert_eq!(spikes.len(), 2);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::session`]; or if a value at one step of the model depends on later ones.
    pub fn stream(&self, options: SessionOptions, weights: Option<&Path>) -> Result<Stream> {
        let mut session = self.session(options)?;
        if let Some(path) = weights {
            load_weights(&mut session, path)?;
        }
        Ok(session.stream()?)
    }

    /// Reads the data that its `train` names; `data_dir` takes the place of the path in the program.
    ///
    /// # Errors
    /// If there is no `train`, or the data cannot be read.
    pub fn data(&self, data_dir: Option<&Path>) -> Result<Dataset> {
        let recipe = self.required_recipe()?;
        Ok(data::open(&recipe.data, &recipe.data_args, self.origin.source.base_dir(), data_dir)?)
    }

    /// The model with fresh weights and its data, ready to be trained as its `train` says.
    ///
    /// # Errors
    /// As [`Self::session`] and [`Self::data`].
    pub fn training(&self, options: SessionOptions, data_dir: Option<&Path>) -> Result<Training> {
        let recipe = self.required_recipe()?;
        let session = self.session(options)?;
        Ok(Training::new(session, self.data(data_dir)?, recipe.config(None)))
    }

    fn required_recipe(&self) -> Result<&Recipe> {
        self.recipe.as_ref().ok_or_else(|| {
            Error::new(
                format!("`{}` has no `train`, so it has neither data nor a loss", self.name()),
                format!("add `train {} {{ data = ..., loss = ... }}` to the program", self.name()),
            )
        })
    }

    /// What a run of the model is made from.
    ///
    /// # Errors
    /// If the current folder cannot be told, or the machine lacks the instructions.
    pub fn manifest(&self, options: &SessionOptions, data: &Dataset, data_dir: Option<&Path>) -> Result<Manifest> {
        let source = &self.origin.source;
        let text = |path: &Path| Ok::<_, Error>(absolute(path)?.display().to_string());
        Ok(Manifest {
            snnc_version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.name().to_owned(),
            model_file: source.name().to_owned(),
            model_sha256: sha256(source.text().as_bytes()),
            imports: self.origin.imports.clone(),
            base_dir: text(source.base_dir())?,
            data_dir: data_dir.map(text).transpose()?,
            data: data.name.clone(),
            data_sha256: data.fingerprint.clone(),
            seed: options.seed,
            overrides: self.origin.overrides.clone(),
            device: options.device.name().to_owned(),
            threads: options.device.threads(),
            precision: precision(options).to_owned(),
            machine: machine(options.device)?,
            kernels: options.device.kernels().map(Recorded),
            choices: options.device.choices().map(RecordedChoices::from),
        })
    }

    /// The file and the line, counted from 1, that a node of its graph comes from: where the user wrote it, not inside of
    /// the library. `None` for what nobody wrote.
    pub fn line_of(&self, origin: NodeOrigin) -> Option<(&str, usize)> {
        let span = *self.compiled.places.get((origin.0 as usize).checked_sub(1)?)?;
        let sources = &self.origin.sources;
        Some((sources.get(span.file)?.name.as_str(), sources.line_and_column(span).0))
    }

    /// The text of a line of one of the program's files, without the space around it.
    pub fn line_text(&self, file: &str, line: usize) -> &str {
        let sources = &self.origin.sources;
        let text = sources.find(file).and_then(|id| sources.get(id)).map_or("", |file| file.text.as_str());
        text.lines().nth(line.saturating_sub(1)).unwrap_or("").trim()
    }

    /// The text of the program that the model is declared in.
    pub fn source_text(&self) -> &str {
        self.origin.source.text()
    }
}

fn owned(overrides: &[(&str, &str)]) -> Vec<Override> {
    overrides.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn precision(options: &SessionOptions) -> &'static str {
    match options.dtype {
        snn_runtime::Dtype::F32 => "f32",
        snn_runtime::Dtype::F64 => "f64",
    }
}

/// The machine in words, as manifests have it.
pub(crate) fn machine(device: Device) -> Result<String> {
    match device {
        Device::Cpu { kernels, .. } => Ok(calibration::machine(kernels.isa)?),
        Device::Cuda { ordinal, precision, accelerators } => {
            let mut words = vec![snn_runtime::device::cuda_name(ordinal)?, precision.name().to_owned()];
            if accelerators.is_on() {
                words.push(snn_runtime::device::accelerator_versions());
            }
            Ok(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(", "))
        }
        Device::Reference => Ok("interpreter".to_owned()),
    }
}
