//! `snnc compare`: a model by both methods of gradient.

use std::fs;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use snnc::compare::{Inputs, MAX_SAMPLES, Report, Settings as Compared, compare};
use snnc::{Device, Error, Program, Result, RuntimeError, Source};

use super::Status;
use super::chart;
use super::machine::{Memory, Settings, Threads, duration};
use super::terminal::{note, say, warn, write};

mod charts;
mod json;
mod text;

/// Shows how a model over grids of time steps differs from the same model with exact spike times.
///
/// The text is compiled without a grid (`gradient = exact`) and over a grid for each `--dt`
/// (`gradient = stbp`), whichever of the two it asks for itself, with the same weights and the same samples, in double
/// precision. For each grid it tells how far the k-th spike of a neuron is from its k-th exact one, how many spikes have no
/// such partner, and the angle between the gradients. Neurons must be given by equations. Nothing is trained, and no file
/// is changed but that of `--plot`.
#[derive(clap::Args)]
pub struct Args {
    /// The program.
    file: PathBuf,
    /// The gradients to compare: those of `stbp` on each grid are held against the exact ones.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "stbp,exact")]
    gradients: Vec<Gradient>,
    /// The lengths of a step.
    #[arg(long, value_name = "TIMES", value_delimiter = ',', default_value = "1ms,0.1ms", value_parser = duration)]
    dt: Vec<f64>,
    /// The number of samples; gradients are means over them.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = samples)]
    batch: usize,
    /// Takes the first samples of the test data that the program names, from this folder if one is given; otherwise
    /// samples are drawn at random.
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    data: Option<Option<PathBuf>>,
    /// The weights, a .safetensors file of a run; by default those that training starts from.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Draws spike-time errors and angles over dt into this .svg file.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    threads: Threads,
}

/// The methods of gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Gradient {
    /// Spatio-temporal backpropagation with surrogates, over a grid of steps.
    Stbp,
    /// The exact gradient of spike times, without a grid.
    Exact,
}

pub fn run(args: &Args) -> Result<Status> {
    for (wanted, name) in [(Gradient::Stbp, "stbp"), (Gradient::Exact, "exact")] {
        if !args.gradients.contains(&wanted) {
            let error =
                RuntimeError::new(format!("`{name}` is not among the gradients, so there is nothing to compare"));
            return Err(error.with_help("write `--gradients stbp,exact`").into());
        }
    }
    if let Some(path) = &args.plot {
        check_plot(path)?;
    }
    let source = Source::from_file(&args.file)?;
    warn(&Program::compile(source.clone(), &args.settings.overrides)?);
    let settings = Compared {
        dts: &args.dt,
        samples: args.batch,
        inputs: match &args.data {
            None => Inputs::Random,
            Some(folder) => Inputs::Data(folder.as_deref()),
        },
        weights: args.weights.as_deref(),
        device: Device::cpu(args.threads.threads),
        memory_limit: args.memory.memory_limit,
    };
    let report = compare(&source, &args.settings.overrides, &settings)?;
    advise(&report);
    let charts = charts::charts(&report);
    match args.json {
        true => say(json::report(&report)),
        false => {
            write(&text::report(&report));
            charts.iter().for_each(|chart| write(&format!("\n{}", chart::text::draw(chart))));
        }
    }
    if let Some(path) = &args.plot {
        fs::write(path, chart::svg::draw(&charts))
            .map_err(|error| Error::from(RuntimeError::io("write", path, &error)))?;
    }
    Ok(Status::Success)
}

/// A plot must not take the place of something else by a slip of the hand.
fn check_plot(path: &Path) -> Result<()> {
    let is_svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
    match is_svg {
        true => Ok(()),
        false => Err(RuntimeError::new(format!("`{}` is not the name of an .svg file", path.display()))
            .with_help("plots are written as SVG, such as `--plot errors.svg`")
            .into()),
    }
}

/// What keeps a comparison from saying what it seems to say.
fn advise(report: &Report) {
    let exact = &report.exact;
    if exact.spikes.iter().any(|(_, spikes)| *spikes == 0) {
        note("note: a layer never spikes, so nothing can be said of its spike times");
    }
    if exact.out_of_slots > 0.0 {
        note(format_args!(
            "note: {} neurons would have spiked more than {} times in a sample; on a grid they do: `--set max_spikes=N` \
             allows more",
            exact.out_of_slots, exact.max_spikes
        ));
    }
}

fn samples(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if (1..=MAX_SAMPLES).contains(&count) => Ok(count),
        _ => Err(format!("a number from 1 to {MAX_SAMPLES}")),
    }
}
