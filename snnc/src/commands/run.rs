//! `snnc run`: trains a model as its `train` says, in the folder of a run.

use std::path::{Path, PathBuf};

use snnc::runtime::run_dir::{ExistingRun, RunDir};
use snnc::{Model, Result, Run, Training};

use super::Status;
use super::firing;
use super::machine::{Kind, Machine, Memory, Settings};
use super::progress::Progress;
use super::simulate::simulate;
use super::table::grouped;
use super::terminal::{note, say};

/// Trains and evaluates a model as its `train` says.
///
/// Metrics, weights and checkpoints go to the folder of the run. A model
/// without `train` is simulated on random input.
///
/// Ctrl-C finishes the batch and saves a checkpoint; `snnc run --resume DIR` goes on from there to the same weights and
/// metrics, bit for bit, as if nothing had happened. A second Ctrl-C ends at once.
#[derive(clap::Args)]
pub struct Args {
    /// The program.
    #[arg(required_unless_present = "resume")]
    file: Option<PathBuf>,
    /// The folder with the data, in place of the path in the program.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The folder of the run; by default `runs/MODEL-N` in the current folder.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    machine: Machine,
    #[command(flatten)]
    memory: Memory,
    /// What computes.
    #[arg(long, value_enum, default_value_t = Kind::Cpu, conflicts_with = "resume")]
    device: Kind,
    /// Goes on with an interrupted run. Program and settings are those of the run.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "overrides"])]
    resume: Option<PathBuf>,
    /// Stops after so many updates in all and saves a checkpoint, as after Ctrl-C.
    #[arg(long, value_name = "N")]
    max_updates: Option<u64>,
}

pub fn run(args: &Args) -> Result<Status> {
    match (&args.resume, &args.file) {
        (Some(dir), _) => resume(args, dir),
        (None, Some(file)) => start(args, file),
        (None, None) => Ok(Status::Success),
    }
}

fn start(args: &Args, file: &Path) -> Result<Status> {
    let model = args.settings.compile(file)?.model()?;
    let options = args.machine.options(&model, args.device, &args.memory)?;
    if model.recipe().is_none() {
        return simulate(&model, options);
    }
    let mut training = model.training(options, args.data.as_deref())?;
    // What cannot be trained leaves no folder behind.
    training.prepare()?;
    let manifest = model.manifest(&options, training.data(), args.data.as_deref())?;
    let dir = match &args.out {
        Some(path) => RunDir::create_at(path, ExistingRun::Keep, &manifest)?,
        None => RunDir::create_numbered(Path::new(""), model.name(), &manifest)?,
    };
    dir.write_model(model.source_text())?;
    let count = grouped(training.session().parameter_count());
    say(format_args!("training {}: {count} parameters, {}", model.name(), dir.path().display()));
    train(&model, training, &dir, args.max_updates)
}

fn resume(args: &Args, path: &Path) -> Result<Status> {
    let run = Run::open(path)?;
    let (machine, memory_limit) = (&args.machine, args.memory.memory_limit);
    let training = run.training(machine.threads(), memory_limit, &machine.choice(), args.data.as_deref())?;
    let state = training.state();
    let epochs = run.model.recipe().map_or(0, |recipe| recipe.epochs);
    if state.epoch >= epochs {
        say(format_args!("`{}` is finished: all {epochs} epochs are done", path.display()));
        return Ok(Status::Success);
    }
    say(format_args!("training {} goes on after {} updates, {}", run.model.name(), state.updates, path.display()));
    if let Some(why) = run.difference(&training)? {
        note(format_args!("note: {why}: the results will not be those of an uninterrupted run to the last bit"));
    }
    train(&run.model, training, &run.dir, args.max_updates)
}

fn train(model: &Model, mut training: Training, dir: &RunDir, max_updates: Option<u64>) -> Result<Status> {
    if let Some(updates) = max_updates {
        training.stop_after(updates);
    }
    firing::lost_events(model, &training);
    let mut progress = Progress::begin(model.recipe().map_or(0, |recipe| recipe.epochs))?;
    let outcome = training.train_in(dir, &mut progress);
    progress.end();
    let outcome = outcome?;
    if !outcome.finished {
        note(format_args!("stopped after {} updates; to go on:", outcome.state.updates));
        note(format_args!("  snnc run --resume {}", shell_word(dir.path())));
        return Ok(Status::Success);
    }
    if let Some(best) = outcome.state.best {
        say(format_args!("best test accuracy {:.2}% in epoch {}", 100.0 * best.test_accuracy, best.epoch));
    }
    if let Some(last) = dir.metrics().read()?.last() {
        for (layer, rate) in &last.firing_rates {
            say(format_args!("{layer}: {rate:.4} {}", firing::unit(model)));
        }
        for (layer, health) in &last.health {
            firing::health(model, layer, health);
        }
    }
    say(format_args!("weights: {}", dir.weights().display()));
    Ok(Status::Success)
}

/// A path as one word of a shell.
fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        for (path, word) in [("runs/Net-1", "runs/Net-1"), ("my runs", "'my runs'"), ("it's", r"'it'\''s'")] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
