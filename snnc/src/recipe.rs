//! How a model is trained, in the runtime's terms: from the plain calls of the front end to data sets, optimizers,
//! schedules and augmentations.
//!
//! Names and ranges are the standard library's; the front end has checked them. Must never know syntax.

use snn_lang::elaborate::{ExternCall, GradientMethod, Plain, Precision as Written, TrainPlan};
use snn_runtime::data::DatasetArgs;
use snn_runtime::data::augment::Augment;
use snn_runtime::device::Precision;
use snn_runtime::optim::{Optimizer, UpdateRule};
use snn_runtime::schedule::Schedule;
use snn_runtime::train::TrainConfig;
use snn_runtime::{Dtype, Result, RuntimeError};

/// What a `train` declaration says.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// The data set's registered name.
    pub data: String,
    /// The settings of the data set.
    pub data_args: DatasetArgs,
    /// Number of classes, where the data set always has the same.
    pub classes: Option<usize>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Random changes of training samples, in order.
    pub augment: Vec<Augment>,
    /// Number of epochs.
    pub epochs: u64,
    /// Samples in a batch.
    pub batch: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The type everything is computed in.
    pub dtype: Dtype,
    /// How linear maps and convolutions round, on machines that have a choice.
    pub precision: Precision,
    /// Whether gradients are those of exact spike times and not of surrogates.
    pub exact: bool,
    /// The declaration in a line, for people.
    pub summary: String,
}

impl Recipe {
    /// Translates a plan.
    ///
    /// # Errors
    /// If the runtime has no such optimizer, schedule or augmentation, or refuses a setting.
    pub(crate) fn from_plan(plan: &TrainPlan) -> Result<Recipe> {
        let recipe = Recipe {
            data: plan.data.name.clone(),
            data_args: data_args(&plan.data),
            classes: plan.classes,
            optimizer: optimizer(&plan.optimizer)?,
            schedule: plan.schedule.as_ref().map_or(Ok(Schedule::Constant), schedule)?,
            augment: plan.augment.iter().map(augment).collect::<Result<_>>()?,
            epochs: plan.epochs as u64,
            batch: plan.batch,
            seed: plan.seed,
            dtype: if plan.precision == Written::F64 { Dtype::F64 } else { Dtype::F32 },
            precision: match plan.precision {
                Written::F32 | Written::F64 => Precision::F32,
                Written::Tf32 => Precision::Tf32,
                Written::Bf16 => Precision::Bf16,
                Written::F16 => Precision::F16,
            },
            exact: plan.gradient == GradientMethod::Exact,
            summary: summary(plan),
        };
        recipe.optimizer.check()?;
        recipe.schedule.check()?;
        Ok(recipe)
    }

    /// What the training loop needs to know; `max_updates` ends it early.
    pub fn config(&self, max_updates: Option<u64>) -> TrainConfig {
        TrainConfig {
            lr: self.optimizer.lr,
            schedule: self.schedule.clone(),
            augment: self.augment.clone(),
            epochs: self.epochs,
            max_updates,
        }
    }
}

fn summary(plan: &TrainPlan) -> String {
    let calls = [&plan.data, &plan.optimizer];
    let calls: Vec<String> =
        calls.into_iter().chain(&plan.schedule).chain(&plan.augment).map(ExternCall::to_string).collect();
    let method = if plan.gradient == GradientMethod::Exact { "exact" } else { "stbp" };
    format!(
        "{}, {} epochs in batches of {}, gradient {method}, seed {}",
        calls.join(", "),
        plan.epochs,
        plan.batch,
        plan.seed
    )
}

fn data_args(call: &ExternCall) -> DatasetArgs {
    let mut args = DatasetArgs::default();
    for (name, value) in &call.settings {
        let text = match value {
            Plain::Text(text) => text.clone(),
            other => other.to_string(),
        };
        match name.as_str() {
            "path" => args.path = Some(text),
            _ => drop(args.settings.insert(name.clone(), text)),
        }
    }
    args
}

fn optimizer(call: &ExternCall) -> Result<Optimizer> {
    let number = |name| number(call, name);
    let rule = match call.name.as_str() {
        "sgd" => UpdateRule::Sgd {
            momentum: number("momentum")?,
            nesterov: call.truth("nesterov").unwrap_or(false),
            weight_decay: number("weight_decay")?,
        },
        "adam" => UpdateRule::Adam {
            beta1: number("beta1")?,
            beta2: number("beta2")?,
            eps: number("eps")?,
            weight_decay: number("weight_decay")?,
        },
        "adamw" => UpdateRule::AdamW {
            beta1: number("beta1")?,
            beta2: number("beta2")?,
            eps: number("eps")?,
            weight_decay: number("weight_decay")?,
        },
        _ => return Err(unknown(call)),
    };
    Ok(Optimizer { lr: number("lr")?, rule })
}

fn schedule(call: &ExternCall) -> Result<Schedule> {
    match call.name.as_str() {
        "step" => Ok(Schedule::Step { every: number(call, "every")?, factor: number(call, "factor")? }),
        "cosine" => Ok(Schedule::Cosine { min: number(call, "min")? }),
        "warmup" => {
            let then = match call.setting("then") {
                Some(Plain::Call(then)) => schedule(then)?,
                _ => Schedule::Constant,
            };
            Ok(Schedule::Warmup { epochs: number(call, "epochs")?, then: Box::new(then) })
        }
        _ => Err(unknown(call)),
    }
}

fn augment(call: &ExternCall) -> Result<Augment> {
    match call.name.as_str() {
        "random_crop" => Ok(Augment::RandomCrop { size: pixels(call, "size")?, padding: pixels(call, "padding")? }),
        "horizontal_flip" => Ok(Augment::HorizontalFlip { p: number(call, "p")? }),
        _ => Err(unknown(call)),
    }
}

fn number(call: &ExternCall, name: &str) -> Result<f64> {
    call.number(name).ok_or_else(|| RuntimeError::new(format!("`{}` needs the number `{name}`", call.name)))
}

/// A setting that counts pixels.
fn pixels(call: &ExternCall, name: &str) -> Result<usize> {
    let value = number(call, name)?;
    if value >= 0.0 && value.fract() == 0.0 && value < 1e9 {
        return Ok(value as usize);
    }
    Err(RuntimeError::new(format!("`{}({name} = {value})`: {name} must be a whole number of pixels", call.name)))
}

fn unknown(call: &ExternCall) -> RuntimeError {
    RuntimeError::new(format!("the {} `{}` is not available", call.kind, call.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(kind: &str, name: &str, settings: &[(&str, Plain)]) -> ExternCall {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        ExternCall { kind: kind.to_owned(), name: name.to_owned(), settings }
    }

    #[test]
    fn paths_and_settings_of_data_sets_come_through() {
        let text = |text: &str| Plain::Text(text.to_owned());
        let args =
            data_args(&call("dataset", "npz", &[("path", text("a b.npz")), ("full_scale", Plain::Number(255.0))]));
        assert_eq!(args.path.as_deref(), Some("a b.npz"));
        assert_eq!(args.settings.get("full_scale").map(String::as_str), Some("255"));
    }

    #[test]
    fn a_schedule_may_follow_a_warm_up() {
        let cosine = call("schedule", "cosine", &[("min", Plain::Number(0.1))]);
        let settings = [("epochs", Plain::Number(5.0)), ("then", Plain::Call(cosine))];
        let expected = Schedule::Warmup { epochs: 5.0, then: Box::new(Schedule::Cosine { min: 0.1 }) };
        assert_eq!(schedule(&call("schedule", "warmup", &settings)), Ok(expected));
        let settings = [("epochs", Plain::Number(5.0)), ("then", Plain::Nothing)];
        let expected = Schedule::Warmup { epochs: 5.0, then: Box::new(Schedule::Constant) };
        assert_eq!(schedule(&call("schedule", "warmup", &settings)), Ok(expected));
    }

    #[test]
    fn what_the_runtime_does_not_know_is_an_error() {
        assert!(optimizer(&call("optimizer", "lamb", &[])).is_err());
        assert!(schedule(&call("schedule", "lamb", &[])).is_err());
        assert!(augment(&call("augmentation", "mixup", &[])).is_err());
        assert!(optimizer(&call("optimizer", "sgd", &[])).is_err());
        let crop = [("size", Plain::Number(2.5)), ("padding", Plain::Number(0.0))];
        assert!(augment(&call("augmentation", "random_crop", &crop)).is_err());
    }
}
