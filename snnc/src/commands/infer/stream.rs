//! `snnc infer --stream`: one step at a time, with the state of the model in files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use snnc::graph::{InputKind, Tensor};
use snnc::runtime::checkpoint;
use snnc::runtime::session::BatchValues;
use snnc::{Inference, Result, RuntimeError, Session, Stream};

use super::super::terminal::say;

/// How to stream.
#[derive(clap::Args)]
#[group(id = "streaming")]
pub struct Args {
    /// Feeds the model step by step; prints how long a step takes.
    #[arg(long)]
    pub stream: bool,
    /// Number of steps for inputs that do not change with time; by default that of the model.
    #[arg(long, value_name = "N", requires = "stream", value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Goes on from a state that was saved.
    #[arg(long, value_name = "FILE", requires = "stream")]
    load_state: Option<PathBuf>,
    /// Saves the state behind the last step, a .safetensors file.
    #[arg(long, value_name = "FILE", requires = "stream")]
    save_state: Option<PathBuf>,
}

/// What the model makes of one sample, step by step.
pub fn infer(session: &mut Session, values: BatchValues<'_>, args: &Args) -> Result<Inference> {
    let mut stream = session.stream()?;
    if let Some(path) = &args.load_state {
        let state = checkpoint::load(path)?.take(&stream.state_specs(), path)?;
        stream.restore(&state)?;
    }
    let steps = steps(session, values, args)?;
    let (output, predictions, times) = run(session, &mut stream, values, steps)?;
    if let Some(path) = &args.save_state {
        checkpoint::save(path, &stream.state()?, &BTreeMap::new())?;
    }
    say(format_args!("{}", latency(times)));
    // A result that is stepped has one row for each step.
    let stepped = output.len() > 1;
    let width = output.first().map_or(0, Vec::len);
    let dims = if stepped { vec![output.len(), width] } else { vec![width] };
    Ok(Inference {
        output: Tensor { dims, data: output.into_iter().flatten().collect() },
        stepped,
        predictions: (!predictions.is_empty()).then_some(predictions),
        firing_rates: Vec::new(),
    })
}

/// Number of steps: those of the inputs that change with time, which must agree.
fn steps(session: &Session, values: BatchValues<'_>, args: &Args) -> Result<u64> {
    let model = session.model();
    let mut steps = None;
    for input in model.inputs.iter().filter(|input| input.kind != InputKind::Static) {
        let len = input.dims.iter().product::<usize>().max(1);
        let given = values.iter().find(|(name, _)| *name == input.name).map_or(0, |(_, values)| values.len() / len);
        if args.steps.is_some() || steps.is_some_and(|steps| steps != given as u64) {
            let error = RuntimeError::new(format!("the input `{}` has {given} steps of its own", input.name));
            return Err(error.with_help("leave out `--steps`, and give all inputs equally many").into());
        }
        steps = Some(given as u64);
    }
    Ok(steps.or(args.steps).unwrap_or(model.graph.steps as u64))
}

type Streamed = (Vec<Vec<f64>>, Vec<usize>, Vec<Duration>);

/// The outputs (of the last step alone where the result is no signal over time), the last prediction, and the time of
/// each step.
fn run(session: &Session, stream: &mut Stream, values: BatchValues<'_>, steps: u64) -> Result<Streamed> {
    let model = session.model();
    let is_stepped = model.graph.ty(model.output).time;
    let (mut outputs, mut predictions, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..steps as usize {
        let mut now = Vec::with_capacity(values.len());
        for (name, all) in values {
            // Targets are not fed.
            let Some(input) = model.inputs.iter().find(|input| input.name == *name) else { continue };
            let len: usize = input.dims.iter().product();
            let part = match input.kind {
                InputKind::Static => *all,
                InputKind::Frames | InputKind::Spikes => all.get(step * len..(step + 1) * len).unwrap_or_default(),
            };
            now.push((*name, part));
        }
        let begin = Instant::now();
        let result = stream.step(&now)?;
        times.push(begin.elapsed());
        if !is_stepped {
            outputs.clear();
        }
        outputs.push(result.output.clone());
        predictions = result.predictions.iter().map(|class| *class as usize).collect();
    }
    Ok((outputs, predictions, times))
}

fn latency(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let micros = |at: usize| times.get(at.min(times.len().saturating_sub(1))).map_or(0.0, |t| t.as_secs_f64() * 1e6);
    let (count, last) = (times.len(), times.len().saturating_sub(1));
    format!("{count} steps: median {:.1} us, p99 {:.1} us a step", micros(last / 2), micros((count * 99).div_ceil(100)))
}
