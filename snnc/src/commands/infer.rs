//! `snnc infer`: what a trained model makes of one input.

use std::path::{Path, PathBuf};

use snnc::graph::InputKind;
use snnc::runtime::data;
use snnc::runtime::data::batch::BatchPlan;
use snnc::runtime::feed::Feed;
use snnc::{Error, Inference, Result, Run, RuntimeError, Session, SessionOptions};

use super::Status;
use super::machine::{Kind, Machine, Rounding};
use super::terminal::say;

mod stream;

/// Shows what a trained model makes of one input.
///
/// Prints the score of each class (averaged over time where the model gives one a
/// step) and the predicted class. With `--stream` the model is fed step by step, as by a
/// sensor, in memory that does not grow with time; the answer is the same.
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
    stream: stream::Args,
    #[command(flatten)]
    machine: Machine,
    /// Which machine computes.
    #[arg(long, value_enum, default_value_t = Kind::Cpu)]
    device: Kind,
    #[command(flatten)]
    rounding: Rounding,
}

pub fn run(args: &Args) -> Result<Status> {
    let run = Run::open(&args.run)?;
    let options =
        SessionOptions { batch: 1, weights: args.rounding.weights(), ..args.machine.options_of(&run, args.device)? };
    let mut session = run.session(options, args.weights.as_deref())?;
    let streams = args.stream.stream;
    let (values, label) = match (&args.input, args.sample) {
        (Some(path), _) => (vec![from_file(&session, path, streams)?], None),
        (None, sample) => from_data(&run, &session, sample.unwrap_or_default(), args.data.as_deref())?,
    };
    let values: Vec<(&str, &[f32])> = values.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect();
    let result =
        if streams { stream::infer(&mut session, &values, &args.stream)? } else { session.infer_batch(&values)? };
    let gives_trains = session.model().time.events().is_some() && result.stepped;
    report(&if gives_trains { trains(&result) } else { scores(&result) }, &result, label);
    Ok(Status::Success)
}

/// The values of the only input; with any number of steps where the model `streams`.
fn from_file(session: &Session, path: &Path, streams: bool) -> Result<(String, Vec<f32>)> {
    let model = session.model();
    let [input] = model.inputs.as_slice() else {
        let error = RuntimeError::new(format!("`{}` has more than one input", model.name));
        return Err(error.with_help("use `--sample N`").into());
    };
    let steps = (input.kind != InputKind::Static).then_some(model.graph.steps);
    let wanted: Vec<usize> = steps.into_iter().chain(input.dims.iter().copied()).collect();
    let name = input.name.clone();
    let (shape, values) = data::read_array(path)?;
    let is_longer = streams && steps.is_some() && shape.get(1..) == wanted.get(1..) && shape.first() > Some(&0);
    if shape != wanted && !is_longer {
        let error =
            RuntimeError::new(format!("`{}` has shape {shape:?}, the input `{name}` {wanted:?}", path.display()));
        return Err(error.with_help("save one sample, without a batch axis").into());
    }
    Ok((name, values))
}

/// The values of a sample by input, and its label.
type Labeled = (Vec<(String, Vec<f32>)>, Option<u32>);

fn from_data(run: &Run, session: &Session, sample: usize, data_dir: Option<&Path>) -> Result<Labeled> {
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
    let values = feed.values().into_iter().map(|(name, values)| (name.to_owned(), values.to_vec())).collect();
    Ok((values, data.test.labels.get(sample).copied()))
}

fn report(classes: &[String], result: &Inference, label: Option<u32>) {
    let prediction = result.predictions.as_ref().and_then(|classes| classes.first());
    for (class, text) in classes.iter().enumerate() {
        let mark = if prediction == Some(&class) { "  <" } else { "" };
        say(format_args!("class {class}: {text}{mark}"));
    }
    if let Some(class) = prediction {
        let label = label.map(|label| format!(" (labeled {label})")).unwrap_or_default();
        say(format_args!("predicted class {class}{label}"));
    }
}

/// The result of the one sample, its mean over time where it is stepped.
fn scores(result: &Inference) -> Vec<String> {
    let steps = if result.stepped { result.output.dims.first().copied().unwrap_or(1).max(1) } else { 1 };
    let mean = |values: Vec<f64>| format!("{:.4}", values.iter().sum::<f64>() / steps as f64);
    by_class(result, steps).into_iter().map(mean).collect()
}

/// The spikes of the one sample, of a model whose result are spike times.
fn trains(result: &Inference) -> Vec<String> {
    let slots = result.output.dims.first().copied().unwrap_or(1).max(1);
    let train = |times: Vec<f64>| {
        let count = times.iter().filter(|time| time.is_finite()).count();
        let plural = if count == 1 { "" } else { "s" };
        match times.first().filter(|time| time.is_finite()) {
            Some(first) => format!("{count} spike{plural}, the first at {:.3} ms", 1e3 * first),
            None => "silent".to_owned(),
        }
    };
    by_class(result, slots).into_iter().map(train).collect()
}

/// The values of each class at all steps, or in all slots.
fn by_class(result: &Inference, steps: usize) -> Vec<Vec<f64>> {
    let values = &result.output.data;
    let classes = values.len() / steps;
    (0..classes).map(|class| values.iter().skip(class).step_by(classes).copied().collect()).collect()
}
