//! `snnc check`: errors, warnings, and the layers of each model.

use std::path::PathBuf;

use snnc::runtime::device::{first_cuda, first_cuda_with_compiler};
use snnc::{Code, Device, Error, Model, Result, RuntimeError, SessionOptions};

use super::Status;
use super::machine::{Kind, Memory, Settings, Threads, bytes, positive};
use super::memory::{self, Question};
use super::table::{Align, Table, grouped};
use super::terminal::{say, write};

/// Reports errors and warnings, and shows the layers of each model.
///
/// A program without errors is shown layer by layer: the shape of each layer's output for one
/// sample at one step, whether it changes from step to step (stepped) or is computed once (static), what kind of numbers it
/// holds, and how many parameters it has.
#[derive(clap::Args)]
pub struct Args {
    /// The program.
    #[arg(required_unless_present = "explain")]
    file: Option<PathBuf>,
    /// Lists every parameter with its path and shape.
    #[arg(long)]
    params: bool,
    /// Shows the mathematics of every neuron that is given by equations; with the code of an error or warning in place
    /// of a program, such as E0301, says what that is about.
    #[arg(long, value_name = "CODE", num_args = 0..=1)]
    explain: Option<Option<String>>,
    /// Forecasts the memory of training and inference, in all and layer by layer; nothing is run for it.
    #[arg(long)]
    memory: bool,
    /// Samples in a batch, for `--memory`; by default what `train` says.
    #[arg(long, value_name = "N", value_parser = positive, requires = "memory")]
    batch: Option<usize>,
    /// Says for which batches this much memory is enough, such as 2GiB or 600MB.
    #[arg(long, value_name = "BYTES", value_parser = bytes, requires = "memory")]
    limit: Option<usize>,
    /// The forecast as JSON, one line a model.
    #[arg(long, requires = "memory")]
    json: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    training: Memory,
    #[command(flatten)]
    threads: Threads,
    /// The machine whose memory `--memory` forecasts. A CUDA device need not be there; the forecast is then for a Hopper.
    #[arg(long, value_enum, default_value_t = Kind::Cpu, requires = "memory")]
    device: Kind,
}

pub fn run(args: &Args) -> Result<Status> {
    let file = match (&args.file, &args.explain) {
        // `--explain model.snn` is read as it is meant.
        (None, Some(Some(word))) if word.ends_with(".snn") => PathBuf::from(word),
        (file, Some(Some(code))) => {
            say(explanation(code)?);
            let Some(file) = file else { return Ok(Status::Success) };
            file.clone()
        }
        (Some(file), _) => file.clone(),
        (None, _) => {
            let error = RuntimeError::new("`--explain` needs a program or the code of an error or warning");
            return Err(Error::Run(error.with_help("write `snnc check model.snn --explain` or `--explain E0301`")));
        }
    };
    let models = args.settings.compile(&file)?.models()?;
    if models.is_empty() {
        say(format_args!("{}: no errors, no model", file.display()));
    }
    for model in models {
        let options = SessionOptions { memory_limit: args.training.memory_limit, ..model.options() };
        if args.memory {
            let batch = args.batch.unwrap_or(options.batch);
            let options = SessionOptions { batch, device: machine(args, &model)?, ..options };
            let answers = memory::ask(&model, Question { options, limit: args.limit })?;
            match args.json {
                true => say(answers.as_json(&model)),
                false => write(&answers.as_text()),
            }
            continue;
        }
        write(&layers(&model));
        if args.params {
            write(&parameters(&model));
        }
        if args.explain.is_some() {
            write(&mathematics(&model)?);
        }
        if options.memory_limit.is_some() && model.recipe().is_some() {
            write(&within_limit(&model, options)?);
        }
    }
    Ok(Status::Success)
}

/// The machine that memory is forecast for.
fn machine(args: &Args, model: &Model) -> Result<Device> {
    let cuda = |ordinal| Device::cuda(ordinal, model.precision());
    match args.device {
        Kind::Cpu => Ok(Device::cpu(args.threads.threads)),
        Kind::Cuda => Ok(cuda(first_cuda().unwrap_or(0))),
        Kind::Auto => Ok(first_cuda_with_compiler().map_or(Device::cpu(args.threads.threads), cuda)),
        Kind::Reference => {
            let error = RuntimeError::new("the memory of the interpreter is not forecast");
            Err(Error::Run(error.with_help("take `--device cpu` or `--device cuda`")))
        }
    }
}

fn explanation(code: &str) -> Result<String> {
    let wanted = code.to_uppercase();
    let known = Code::ALL.iter().find(|code| code.as_str() == wanted);
    let known = known.ok_or_else(|| {
        Error::Run(
            RuntimeError::new(format!("there is no error or warning `{code}`"))
                .with_help("codes look like E0301 or W0703"),
        )
    })?;
    Ok(format!("{known}: {}", known.explanation()))
}

/// The mathematics of the neurons; layers of the same neuron with the same numbers are told once.
fn mathematics(model: &Model) -> Result<String> {
    let mut told: Vec<(String, String)> = Vec::new();
    for explanation in model.explain()? {
        match told.iter_mut().find(|(_, text)| *text == explanation.text) {
            Some((names, _)) => names.push_str(&format!(", {}", explanation.name)),
            None => told.push((explanation.name, explanation.text)),
        }
    }
    if told.is_empty() {
        return Ok("\nno neuron is given by equations\n".to_owned());
    }
    Ok(told.iter().map(|(names, text)| format!("\n{names}\n{}", indented(text))).collect())
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

fn layers(model: &Model) -> String {
    let mut table = Table::new(&[
        ("layer", Align::Left),
        ("kind", Align::Left),
        ("output", Align::Left),
        ("time", Align::Left),
        ("numbers", Align::Left),
        ("parameters", Align::Right),
    ]);
    for input in &model.graph().inputs {
        let ty = model.graph().graph.ty(input.node);
        table.row(row(&input.name, "input", ty, String::new()));
    }
    for stage in model.stages() {
        let path = format!("{}{}", "  ".repeat(stage.depth), stage.path);
        table.row(row(&path, &stage.name, &stage.ty, grouped(stage.parameters)));
    }
    let graph = model.graph();
    let time = match graph.time {
        snnc::graph::TimeAxis::Steps(steps) => format!("{steps} time steps"),
        snnc::graph::TimeAxis::Grid { steps, dt } => format!("{steps} time steps of {} ms", dt * 1e3),
        snnc::graph::TimeAxis::Continuous(events) => format!("{} ms without a grid", events.duration * 1e3),
    };
    let total: usize = graph.parameters.iter().map(|parameter| elements(model, parameter)).sum();
    let train = model.recipe().map(|recipe| format!("train: {}\n", recipe.summary)).unwrap_or_default();
    format!(
        "model {}, {time}\n\n{}\n{} parameters, {} of neurons\n{train}",
        model.name(),
        table.render(),
        grouped(total),
        match graph.spikes.len() {
            1 => "1 layer".to_owned(),
            n => format!("{n} layers"),
        }
    )
}

/// What a training step takes within the limit.
fn within_limit(model: &Model, options: SessionOptions) -> Result<String> {
    let needed = model.session(options)?.training_memory()?;
    let twice = match needed.recomputed.as_slice() {
        [] => "nothing is computed twice".to_owned(),
        layers => format!("computed twice: {}", layers.join(", ")),
    };
    Ok(format!("memory: {} bytes a training step, {twice}\n", grouped(needed.bytes)))
}

fn row(path: &str, kind: &str, ty: &snnc::graph::Ty, parameters: String) -> Vec<String> {
    let time = if ty.time { "stepped" } else { "static" };
    vec![
        path.to_owned(),
        kind.to_owned(),
        format!("{:?}", ty.dims),
        time.to_owned(),
        ty.kind.name().to_owned(),
        parameters,
    ]
}

fn elements(model: &Model, parameter: &snnc::graph::Parameter) -> usize {
    let graph = &model.graph().graph;
    graph.ty(parameter.node).extents(graph.steps, 1).iter().product()
}

fn parameters(model: &Model) -> String {
    let mut table = Table::new(&[("parameter", Align::Left), ("shape", Align::Left), ("elements", Align::Right)]);
    for parameter in &model.graph().parameters {
        let graph = &model.graph().graph;
        let dims = graph.ty(parameter.node).extents(graph.steps, 1);
        table.row(vec![parameter.path.clone(), format!("{dims:?}"), grouped(elements(model, parameter))]);
    }
    format!("\n{}", table.render())
}
