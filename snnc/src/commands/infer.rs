//! `snnc infer`: what a trained model makes of one input.

use std::path::{Path, PathBuf};

use snnc::graph::InputKind;
use snnc::runtime::data;
use snnc::runtime::data::batch::BatchPlan;
use snnc::runtime::feed::Feed;
use snnc::{Error, Inference, Result, Run, RuntimeError, Session, SessionOptions};

use super::Status;
use super::machine::Machine;
use super::terminal::say;

/// Shows what a trained model makes of one input.
///
/// Prints the score of each class (averaged over time where the model gives one a
/// step) and the predicted class.
#[derive(clap::Args)]
pub struct Args {
    /// The folder of a run.
    #[arg(value_name = "DIR")]
    run: PathBuf,
    /// A .npy file in the shape of the model's input, values as in the data set; with a leading time axis for an input that
    /// changes with time.
    #[arg(long, value_name = "FILE", required_unless_present = "sample", conflicts_with = "sample")]
    input: Option<PathBuf>,
    /// A sample of the test data, counted from 0.
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// The weights, a .safetensors file; by default those of the last epoch.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The folder with the data, in place of the path in the program.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    machine: Machine,
}

pub fn run(args: &Args) -> Result<Status> {
    let run = Run::open(&args.run)?;
    let options = SessionOptions { batch: 1, ..run.options(args.machine.threads(), &args.machine.choice()) };
    let mut session = run.session(options, args.weights.as_deref())?;
    match (&args.input, args.sample) {
        (Some(path), _) => report(&from_file(&mut session, path)?, None),
        (None, sample) => {
            let (result, label) = from_data(&run, &mut session, sample.unwrap_or_default(), args.data.as_deref())?;
            report(&result, label);
        }
    }
    Ok(Status::Success)
}

fn from_file(session: &mut Session, path: &Path) -> Result<Inference> {
    let model = session.model();
    let [input] = model.inputs.as_slice() else {
        let error = RuntimeError::new(format!("`{}` has more than one input", model.name));
        return Err(error.with_help("use `--sample N`").into());
    };
    let steps = (input.kind != InputKind::Static).then_some(model.graph.steps);
    let wanted: Vec<usize> = steps.into_iter().chain(input.dims.iter().copied()).collect();
    let name = input.name.clone();
    let (shape, values) = data::read_array(path)?;
    if shape != wanted {
        let error =
            RuntimeError::new(format!("`{}` has shape {shape:?}, the input `{name}` {wanted:?}", path.display()));
        return Err(error.with_help("save one sample, without a batch axis").into());
    }
    Ok(session.infer_batch(&[(name.as_str(), &values)])?)
}

fn from_data(
    run: &Run,
    session: &mut Session,
    sample: usize,
    data_dir: Option<&Path>,
) -> Result<(Inference, Option<u32>)> {
    let data = run.data(data_dir)?;
    let plan = BatchPlan::evaluation(data.test.len(), 1);
    let batch = plan.batches().nth(sample).ok_or_else(|| {
        let (name, last) = (&data.name, data.test.len().saturating_sub(1));
        Error::Run(
            RuntimeError::new(format!("`{name}` has no test sample {sample}"))
                .with_help(format!("samples are counted from 0 to {last}")),
        )
    })?;
    let mut feed = Feed::new(session.model(), &data.test, 1)?;
    feed.load(&data.test, &batch, None)?;
    Ok((session.infer_batch(&feed.values())?, data.test.labels.get(sample).copied()))
}

fn report(result: &Inference, label: Option<u32>) {
    let prediction = result.predictions.as_ref().and_then(|classes| classes.first());
    for (class, score) in scores(result).iter().enumerate() {
        let mark = if prediction == Some(&class) { "  <" } else { "" };
        say(format_args!("class {class}: {score:.4}{mark}"));
    }
    if let Some(class) = prediction {
        let label = label.map(|label| format!(" (labeled {label})")).unwrap_or_default();
        say(format_args!("predicted class {class}{label}"));
    }
}

/// The result of the one sample, its mean over time where it is stepped.
fn scores(result: &Inference) -> Vec<f64> {
    let values = &result.output.data;
    let steps = if result.stepped { result.output.dims.first().copied().unwrap_or(1).max(1) } else { 1 };
    let classes = values.len() / steps;
    let mut scores = vec![0.0; classes];
    for step in values.chunks_exact(classes.max(1)) {
        scores.iter_mut().zip(step).for_each(|(score, value)| *score += value / steps as f64);
    }
    scores
}
