//! `snnc bench`: how long a training step and an inference take.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Map, Value, json};
use snnc::bench::{Phase, Report, Settings as Measured, Spread, bench};
use snnc::runtime::kernels::Recorded;
use snnc::{Model, Result, SessionOptions, WeightValues};

use super::Status;
use super::firing;
use super::machine::{Kind, Machine, Memory, Rounding, Settings, positive};
use super::table::{Align, Table};
use super::terminal::{say, write};

/// Measures a training step and an inference on random data.
///
/// Reports the median of the samples, the shortest and the longest, the time of compilation, the most memory that the
/// process had, and the firing rate of every layer. The learning rate is 0 while time is taken, so that firing rates stay
/// what they are. A model without `train` has inference only, as has one with
/// `--weight-type int8`. No data are read.
#[derive(clap::Args)]
pub struct Args {
    /// The program.
    file: PathBuf,
    /// Samples in a batch; by default what `train` says.
    #[arg(long, value_name = "N", value_parser = positive)]
    batch: Option<usize>,
    /// Measures one of the two alone, so that the peak memory is its own.
    #[arg(long, value_enum)]
    only: Option<Only>,
    /// The fewest samples of each.
    #[arg(long, value_name = "N", default_value = "5", value_parser = positive)]
    runs: usize,
    /// How long each is measured at least.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// The result as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    machine: Machine,
    /// Which machine computes.
    #[arg(long, value_enum, default_value_t = Kind::Cpu)]
    device: Kind,
    #[command(flatten)]
    memory: Memory,
    #[command(flatten)]
    rounding: Rounding,
}

/// What is measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// A training step.
    Train,
    /// An inference.
    Inference,
}

pub fn run(args: &Args) -> Result<Status> {
    let clock = Instant::now();
    let model = args.settings.compile(&args.file)?.model()?;
    let front_end_ms = 1e3 * clock.elapsed().as_secs_f64();
    let options = args.machine.options(&model, args.device, &args.memory)?;
    let (batch, weights) = (args.batch.unwrap_or(options.batch), args.rounding.weights());
    let options = SessionOptions { batch, weights, ..options };
    let inference = args.only != Some(Only::Train);
    let training = args.only != Some(Only::Inference) && (weights == WeightValues::Any || !inference);
    let settings = Measured { options, training, inference, runs: args.runs, time: args.seconds };
    let report = bench(&model, &settings)?;
    let compile_ms =
        front_end_ms + report.training.as_ref().or(report.inference.as_ref()).map_or(0.0, |p| p.compile_ms);
    match args.json {
        true => say(as_json(&model, &options, &report, compile_ms)),
        false => write(&as_text(&model, &options, &report, compile_ms)),
    }
    Ok(Status::Success)
}

fn as_json(model: &Model, options: &SessionOptions, report: &Report, compile_ms: f64) -> Value {
    let mut all = Map::new();
    all.insert("model".into(), json!(model.name()));
    all.insert("batch".into(), json!(options.batch));
    all.insert("threads".into(), json!(options.device.threads()));
    all.insert("kernels".into(), json!(options.device.kernels().map(Recorded)));
    all.insert("steps".into(), json!(model.graph().graph.steps));
    all.insert("train_step_ms".into(), json!(median(&report.training)));
    all.insert("inference_ms".into(), json!(median(&report.inference)));
    all.insert("compile_ms".into(), json!(compile_ms));
    all.insert("peak_memory_mb".into(), json!(report.peak_memory.map(megabytes)));
    all.insert("firing_rate".into(), json!(report.mean_rate()));
    let rates: Map<String, Value> =
        report.firing_rates().iter().map(|(path, rate)| (path.clone(), json!(rate))).collect();
    all.insert("firing_rates".into(), Value::Object(rates));
    for (name, phase) in [("train_step", &report.training), ("inference", &report.inference)] {
        if let Some(Phase { step: Spread { median, min, max, runs }, compile_ms, .. }) = phase {
            let spread = json!({
                "median_ms": median, "min_ms": min, "max_ms": max, "runs": runs, "compile_ms": compile_ms,
            });
            all.insert(name.into(), spread);
        }
    }
    Value::Object(all)
}

fn median(phase: &Option<Phase>) -> Option<f64> {
    phase.as_ref().map(|phase| phase.step.median)
}

/// Mebibytes.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn as_text(model: &Model, options: &SessionOptions, report: &Report, compile_ms: f64) -> String {
    let mut text = format!(
        "model {}, batch {}, {}, {} threads\n\n",
        model.name(),
        options.batch,
        firing::length(model),
        options.device.threads(),
    );
    let mut table = Table::new(&[
        ("", Align::Left),
        ("median", Align::Right),
        ("min", Align::Right),
        ("max", Align::Right),
        ("samples", Align::Right),
    ]);
    for (name, phase) in [("training step", &report.training), ("inference", &report.inference)] {
        let Some(Phase { step, .. }) = phase else { continue };
        let ms = |value: f64| format!("{value:.3} ms");
        table.row(vec![name.to_owned(), ms(step.median), ms(step.min), ms(step.max), step.runs.to_string()]);
    }
    text.push_str(&table.render());
    text.push_str(&format!("\ncompilation {compile_ms:.0} ms\n"));
    if let Some(bytes) = report.peak_memory {
        text.push_str(&format!("peak memory {:.1} MiB\n", megabytes(bytes)));
    }
    if let Some(mean) = report.mean_rate() {
        let mut table = Table::new(&[("layer", Align::Left), (firing::unit(model), Align::Right)]);
        for (path, rate) in report.firing_rates() {
            table.row(vec![path.clone(), format!("{rate:.4}")]);
        }
        table.row(vec!["mean".to_owned(), format!("{mean:.4}")]);
        text.push_str(&format!("\n{}", table.render()));
    }
    text
}

fn seconds(text: &str) -> Result<Duration, String> {
    const MOST: f64 = 3600.0;
    match text.parse() {
        Ok(seconds) if (0.0..=MOST).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(format!("a number from 0 to {MOST}")),
    }
}
