//! `snnc eval`: trained weights on the test data.

use std::path::{Path, PathBuf};

use snnc::{Error, Evaluation, Result, Run, RuntimeError, SessionOptions, Training, load_weights};

use super::Status;
use super::firing;
use super::machine::{Kind, Machine, Rounding, Settings};
use super::terminal::say;

/// Evaluates trained weights on the test data.
///
/// Takes the folder of a run, or a program and a file of weights for it.
#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run, or a program.
    #[arg(value_name = "DIR|FILE")]
    target: PathBuf,
    /// The weights, a .safetensors file; for a run by default those of its last epoch.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The folder with the data, in place of the path in the program.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    machine: Machine,
    /// Which machine computes.
    #[arg(long, value_enum, default_value_t = Kind::Cpu)]
    device: Kind,
    #[command(flatten)]
    rounding: Rounding,
}

pub fn run(args: &Args) -> Result<Status> {
    let (evaluation, layers, unit) = if args.target.is_dir() { of_run(args)? } else { of_program(args, &args.target)? };
    report(&evaluation, &layers, unit);
    Ok(Status::Success)
}

fn of_run(args: &Args) -> Result<(Evaluation, Vec<String>, &'static str)> {
    if !args.settings.overrides.is_empty() {
        let error = RuntimeError::new("a run has its own settings, which `--set` cannot change");
        return Err(error.with_help("give the program and `--weights` instead of the folder").into());
    }
    let run = Run::open(&args.target)?;
    let options = SessionOptions { weights: args.rounding.weights(), ..args.machine.options_of(&run, args.device)? };
    let mut session = run.session(options, args.weights.as_deref())?;
    let data = run.data(args.data.as_deref())?;
    let evaluation = snnc::runtime::train::evaluate(&mut session, &data.test)?;
    Ok((evaluation, session.layers(), firing::unit(&run.model)))
}

fn of_program(args: &Args, file: &Path) -> Result<(Evaluation, Vec<String>, &'static str)> {
    let program = args.settings.compile(file)?;
    let weights = args.weights.as_deref().ok_or_else(|| {
        Error::Run(
            RuntimeError::new("a program alone has no trained weights")
                .with_help("give the folder of a run, or add `--weights FILE`"),
        )
    })?;
    let model = program.model()?;
    let (device, rounding) = (args.machine.device(args.device, &model)?, args.rounding.weights());
    let options = SessionOptions { device, weights: rounding, ..model.options() };
    let mut training: Training = model.training(options, args.data.as_deref())?;
    load_weights(training.session(), weights)?;
    Ok((training.evaluate()?, training.session().layers(), firing::unit(&model)))
}

fn report(evaluation: &Evaluation, layers: &[String], unit: &str) {
    say(format_args!("{} test samples", evaluation.samples));
    say(format_args!("loss {}", evaluation.loss));
    if let Some(accuracy) = evaluation.accuracy {
        say(format_args!("accuracy {:.2}%", 100.0 * accuracy));
    }
    for (layer, rate) in layers.iter().zip(&evaluation.rates) {
        say(format_args!("{layer}: {rate:.4} {unit}"));
    }
}
