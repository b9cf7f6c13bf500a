//! `train`: the loss as graph, everything else as plain data.
//!
//! Must never know how training works.

use snn_graph::{Input, InputKind, Kind, NodeId, TimeAxis, Ty};

use super::frame::BodyKind;
use super::model::Body;
use super::overrides::Overrides;
use super::plain::FieldKind;
use super::scope::Env;
use super::*;
use crate::ast::{Config, Expr};
use crate::diagnostic::nearest;
use crate::value::{BuiltinValue, Given, Spanned};

mod data;
mod entries;

/// The entries that a `train` may have.
pub(crate) const ENTRIES: &[&str] = &[
    "data",
    "loss",
    "predict",
    "optimizer",
    "schedule",
    "augment",
    "epochs",
    "batch",
    "gradient",
    "max_spikes",
    "slope_min",
    "wake",
    "seed",
    "precision",
];

/// A `train` with the settings given from outside.
pub(crate) struct TrainDecl<'p> {
    /// The declaration.
    pub config: &'p Config,
    /// Settings given from outside.
    pub overrides: &'p Overrides,
}

/// How gradients come about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradientMethod {
    /// Spatio-temporal backpropagation with surrogates, on a grid of steps.
    Stbp,
    /// The exact gradient of spike times, without a grid.
    Exact,
}

/// In which numbers a model is computed. Weights, states, sums and the optimizer are single precision in all but `F64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Products of linear maps and convolutions round their operands to 10 bits of mantissa.
    Tf32,
    /// Their operands and results are bfloat16.
    Bf16,
    /// Their operands and results are half precision, and the loss is scaled.
    F16,
}

impl Precision {
    /// Every choice, with its name in programs.
    pub const ALL: [(&str, Precision); 5] = [
        ("f32", Precision::F32),
        ("f64", Precision::F64),
        ("tf32", Precision::Tf32),
        ("bf16", Precision::Bf16),
        ("f16", Precision::F16),
    ];
}

/// What a field of the data set is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feeds {
    /// The model's input of that number.
    Input(usize),
    /// The model's target of that number.
    Target(usize),
}

/// A field of the data set and what it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataField {
    /// Its name in the data set.
    pub name: String,
    /// What it is for.
    pub feeds: Feeds,
}

/// How a model is trained, as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainPlan {
    /// The model's name.
    pub model: String,
    /// The data set.
    pub data: ExternCall,
    /// What its fields are for, in its order.
    pub fields: Vec<DataField>,
    /// Number of classes, where the data set's signature says.
    pub classes: Option<usize>,
    /// Augmentations, in order.
    pub augment: Vec<ExternCall>,
    /// The optimizer.
    pub optimizer: ExternCall,
    /// The schedule of the learning rate; `None` keeps it.
    pub schedule: Option<ExternCall>,
    /// Number of passes over the data.
    pub epochs: usize,
    /// Samples in a batch.
    pub batch: usize,
    /// The method of gradient.
    pub gradient: GradientMethod,
    /// The most spikes of one neuron in a sample (`exact` only).
    pub max_spikes: usize,
    /// Slopes of membrane potentials at spikes count as at least this, per second (`exact` only).
    pub slope_min: f64,
    /// What an update adds to the weights of neurons that never spiked in a batch (`exact` only).
    pub wake: f64,
    /// The seed of every random number of the run.
    pub seed: u64,
    /// In which numbers it is computed.
    pub precision: Precision,
}

/// The ends of the graph that a `train` adds.
#[derive(Default)]
pub(super) struct Ends {
    /// What the loss reads besides the result.
    pub targets: Vec<Input>,
    /// The loss of each sample.
    pub loss: Option<NodeId>,
    /// The class of each sample.
    pub prediction: Option<NodeId>,
}

impl<'p> Elaborator<'p, '_> {
    /// Elaborates a `train`. `None` if anything about it is wrong.
    pub(super) fn train(&mut self, train: &TrainDecl<'p>, body: &Body<'p>) -> Option<(TrainPlan, Ends)> {
        let before = self.report.n_errors();
        let config = train.config;
        self.enter(BodyKind::Train, &config.model, config.model.span);
        self.prefix.clear();
        self.check_entries(config);
        let env = self.scopes.root(self.program.main());
        let data = self.data_set(train, &env)?;
        let (fields, classes, targets) = self.match_fields(&data, body);
        env.bind("out", Value::Signal(body.output));
        let spikes = self.recorded.spikes.iter().map(|spikes| spikes.node).collect();
        env.bind("spikes", Value::Set(Rc::new(spikes)));
        for (target, name) in targets.iter().zip(data.target_names(&fields)) {
            env.bind(name, Value::Signal(target.node));
        }
        let loss = self.loss(train, &env);
        let prediction = match loss {
            Some(_) => self.prediction(train, &env, classes, &data),
            None => None,
        };
        let plan = self.plan(train, &env, &data, fields, classes)?;
        self.check_method(train, &plan);
        if self.report.n_errors() > before {
            return None;
        }
        Some((plan, Ends { targets, loss, prediction }))
    }

    fn check_entries(&mut self, config: &Config) {
        for entry in &config.entries {
            if !ENTRIES.contains(&entry.key.text.as_str()) {
                let message = format!("`train` has no setting `{}`", entry.key.text);
                let error = Diagnostic::error(Code::UnknownTrainSetting, message).at(entry.key.span, "unknown setting");
                self.fail(match nearest(&entry.key.text, ENTRIES.iter().copied()) {
                    Some(near) => error.help(format!("did you mean `{near}`?")),
                    None => error.help(format!("it has {}", ENTRIES.join(", "))),
                });
            }
        }
    }

    fn loss(&mut self, train: &TrainDecl<'p>, env: &Env<'p>) -> Option<NodeId> {
        let Some(loss) = train.entry("loss") else {
            let error = Diagnostic::error(Code::MissingTrainSetting, "this `train` has no `loss`")
                .at(train.config.model.span, "there is no `loss` to minimize")
                .help("write `loss = cross_entropy(mean(out, over = time), label)`");
            self.fail(error);
            return None;
        };
        let value = self.expr(loss, env);
        self.checked_loss(&value, loss.span)
    }

    fn prediction(
        &mut self,
        train: &TrainDecl<'p>,
        env: &Env<'p>,
        classes: Option<usize>,
        data: &data::DataSet<'p>,
    ) -> Option<NodeId> {
        let implied = self.implied_prediction();
        if let Some(predict) = train.entry("predict") {
            let value = self.expr(predict, env);
            self.recorded.losses.clear();
            return self.checked_prediction(&value, predict.span);
        }
        match implied {
            Some((value, span)) => self.checked_prediction(&value, span),
            None => {
                if let (Some(loss), true) = (train.entry("loss"), classes.is_some() || data.has_class()) {
                    let error =
                        Diagnostic::error(Code::BadPrediction, "this loss does not say which class is predicted")
                            .at(
                                loss.span,
                                "only a single classification loss, such as `cross_entropy`, implies a prediction",
                            )
                            .help("add `predict = argmax(mean(out, over = time))`");
                    self.fail(error);
                }
                None
            }
        }
    }

    /// Whether the method of gradient goes with the model's time.
    fn check_method(&mut self, train: &TrainDecl<'p>, plan: &TrainPlan) {
        let continuous = matches!(self.time, Some(TimeAxis::Continuous(_)));
        let span = train.entry("gradient").map_or(train.config.model.span, |entry| entry.span);
        let (message, help) = match plan.gradient {
            GradientMethod::Exact if !continuous => (
                "`gradient = exact` needs a model without a grid of steps",
                "give the model a duration, such as `time 200ms`, or take `gradient = stbp`",
            ),
            GradientMethod::Stbp if continuous => (
                "`gradient = stbp` needs a grid of time steps",
                "give the model steps, such as `time 100 of 2ms`, or take `gradient = exact`",
            ),
            GradientMethod::Exact => return self.check_spike_times(span),
            GradientMethod::Stbp => return,
        };
        let error = Diagnostic::error(Code::BadTime, message).at(span, "does not go with the model's time").help(help);
        self.fail(error);
    }
}

impl<'p> TrainDecl<'p> {
    /// The value of an entry, from outside or from the program.
    pub(super) fn entry(&self, name: &str) -> Option<&'p Expr> {
        let own = || self.config.entries.iter().find(|entry| entry.key.text == name).map(|entry| &entry.value);
        self.overrides.of_train(name).or_else(own)
    }
}
