//! `gpu-check`: checks the CUDA back end on this machine's device, then measures it.
//!
//! Ends with 0 if all checks passed, 1 if one failed, 77 if there is no device (`SNNC_REQUIRE_GPU=1` makes that 1). The
//! same program runs on a real device and on one that a processor emulates; only a real one is measured.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::{Value, json};
use snn_cuda::{Availability, Compiler, Device};
use snn_gpu_check::compile::Texts;
use snn_gpu_check::models::Subject;
use snn_gpu_check::outcome::count;
use snn_gpu_check::speed::{Figure, WORKLOADS, copy_bandwidth, measure, neurons};
use snn_gpu_check::{Outcome, Status, instructions, kernels, models, sessions, training};
use snnc::Precision;

/// The exit code of a program that had nothing to test, as of automake.
const SKIPPED: u8 = 77;

/// What an emulated device's name begins with.
const EMULATED: &str = "CPU emulation";

/// Checks every kernel of the CUDA back end against the CPU, trains on both, and measures.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Writes everything as JSON to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Checks in single precision only, and does not measure.
    #[arg(long)]
    quick: bool,
    /// Only what has this in its name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Only measures.
    #[arg(long, conflicts_with = "quick")]
    bench: bool,
    /// Only compiles, with NVRTC and for every architecture; needs no device.
    #[arg(long, conflicts_with_all = ["quick", "bench"])]
    compile: bool,
    /// Checks these models in place of those that come with snnc.
    models: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let subjects = match subjects(&args) {
        Ok(subjects) => subjects,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    if args.compile {
        return compile(&subjects);
    }
    let info = match snn_cuda::availability() {
        Availability::Ready(devices) => devices.first(),
        Availability::Absent(reason) => {
            println!("SKIP: {reason}; {}", reason.help());
            None
        }
    };
    let Some(info) = info else {
        let required = std::env::var_os("SNNC_REQUIRE_GPU").is_some_and(|value| value == "1");
        return if required { ExitCode::FAILURE } else { ExitCode::from(SKIPPED) };
    };
    let (major, minor) = info.capability;
    println!("device: {}, compute capability {major}.{minor}", info.name);
    let is_emulated = info.name.starts_with(EMULATED);
    let (outcomes, figures) = match Device::open(info.ordinal) {
        Ok(device) => run(&args, &subjects, &device, is_emulated),
        Err(error) => (vec![Outcome::failed("device", error.to_string())], Vec::new()),
    };
    let [passed, failed, skipped] = count(&outcomes);
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    if let Some(path) = &args.json {
        let report = json!({
            "device": info.name,
            "compute_capability": [major, minor],
            "checks": outcomes.iter().map(Outcome::json).collect::<Vec<Value>>(),
            "figures": figures.iter().map(Figure::json).collect::<Vec<Value>>(),
        });
        if let Err(error) = std::fs::write(path, format!("{report:#}\n")) {
            println!("cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is to be checked.
fn subjects(args: &Args) -> Result<Vec<Subject>, String> {
    let mut subjects = Vec::new();
    if args.models.is_empty() {
        subjects.extend(models::shipped());
    }
    for path in &args.models {
        subjects.push(Subject::from_file(path)?);
    }
    subjects.retain(|subject| args.only.as_deref().is_none_or(|only| subject.name.contains(only)));
    Ok(subjects)
}

/// Compiles all kernels.
fn compile(subjects: &[Subject]) -> ExitCode {
    let compiler = match Compiler::open() {
        Ok(compiler) => compiler,
        Err(error) => {
            println!("SKIP: {error}");
            return ExitCode::from(SKIPPED);
        }
    };
    let mut outcomes = Vec::new();
    let mut texts = Texts::default();
    for subject in subjects {
        for precision in Precision::ALL {
            let added = subject.model().map_err(|error| error.to_string());
            if let Err(problem) = added.and_then(|model| texts.add(&model, subject.batch, precision)) {
                outcomes.push(Outcome::failed(subject.name.clone(), problem));
            }
        }
    }
    let (compiled, worst) = texts.compile(compiler);
    outcomes.extend(compiled);
    outcomes.iter().for_each(tell);
    let [passed, failed, _] = count(&outcomes);
    println!(
        "{} functions in {} units: at most {} registers, {} bytes of stack, {} bytes spilled, {} bytes of shared memory",
        worst.functions,
        texts.len(),
        worst.registers,
        worst.stack_bytes,
        worst.spill_bytes,
        worst.shared_bytes
    );
    println!("{passed} passed, {failed} failed, 0 skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(args: &Args, subjects: &[Subject], device: &Device, is_emulated: bool) -> (Vec<Outcome>, Vec<Figure>) {
    let wanted = |name: &str| args.only.as_deref().is_none_or(|only| name.contains(only));
    let mut outcomes = Vec::new();
    if !args.bench {
        outcomes.extend(instructions::check(device, wanted));
        outcomes.iter().for_each(tell);
        for subject in subjects {
            let found = check(args, subject, device);
            found.iter().for_each(tell);
            outcomes.extend(found);
        }
    }
    let mut figures = Vec::new();
    if is_emulated || args.quick {
        println!("nothing is measured: {}", if is_emulated { "the device is emulated" } else { "--quick" });
        return (outcomes, figures);
    }
    match copy_bandwidth(device) {
        Ok(bytes) => {
            figures.push(Figure { name: "copy".into(), value: bytes * 1e-12, unit: "TB/s", share: Some(1.0) });
            match neurons(device, bytes) {
                Ok(figure) => figures.push(figure),
                Err(problem) => outcomes.push(Outcome::failed("LIF alone", problem)),
            }
        }
        Err(problem) => outcomes.push(Outcome::failed("copy", problem)),
    }
    for workload in WORKLOADS.iter().filter(|workload| wanted(workload.name)) {
        match measure(workload) {
            Ok(found) => figures.extend(found),
            Err(problem) => outcomes.push(Outcome::failed(workload.name, problem)),
        }
    }
    for figure in &figures {
        let share = figure.share.map_or(String::new(), |share| format!(", {:.0} % of the floor", 100.0 * share));
        println!("{:<56} {:>12.3} {}{share}", figure.name, figure.value, figure.unit);
    }
    (outcomes, figures)
}

/// All checks of a model.
fn check(args: &Args, subject: &Subject, device: &Device) -> Vec<Outcome> {
    let model = match subject.model() {
        Ok(model) => model,
        Err(error) => return vec![Outcome::failed(subject.name.clone(), error.to_string())],
    };
    let precisions = if args.quick { &[Precision::F32][..] } else { &Precision::ALL[..] };
    let mut outcomes = Vec::new();
    for precision in precisions {
        let name = format!("{}.{}", subject.name, precision.name());
        match kernels::check_model(&name, &model, subject.batch, device, *precision) {
            Ok(found) => outcomes.extend(found),
            Err(problem) => outcomes.push(Outcome::failed(name, problem)),
        }
        outcomes.extend(sessions::check_memory(&subject.name, &model, subject.batch, *precision));
        outcomes.push(training::check_inference(&subject.name, &model, subject.batch, *precision));
        if model.recipe().is_some() {
            outcomes.push(training::check(&subject.name, &model, subject.batch, subject.steps, *precision));
        }
    }
    outcomes.extend(sessions::check_stream(&subject.name, &model, subject.batch));
    outcomes
}

/// Writes what failed; what passed is only counted.
fn tell(outcome: &Outcome) {
    match outcome.status {
        Status::Failed => println!("FAILED {}: {}", outcome.name, outcome.detail),
        Status::Skipped => println!("skipped {}: {}", outcome.name, outcome.detail),
        Status::Passed if outcome.name.contains(".training") || outcome.name.contains(".inference") => {
            println!("{}: {}", outcome.name, outcome.detail)
        }
        Status::Passed => {}
    }
}
