//! `gpu-check`: checks the CUDA back end on this machine's device, then measures it.
//!
//! Ends with 0 if all checks passed, 1 if one failed, 77 if there is no device (`SNNC_REQUIRE_GPU=1` makes that 1). The
//! same program runs on a real device and on one that a processor emulates; only a real one is measured. It starts itself
//! again for each group of checks, so that a fault costs few of them.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use serde_json::{Value, json};
use snn_cuda::{Availability, Compiler, Device, DeviceInfo};
use snn_gpu_check::apart::Processes;
use snn_gpu_check::compile::Texts;
use snn_gpu_check::models::Subject;
use snn_gpu_check::outcome::count;
use snn_gpu_check::parts::{self, Event, Group, Scope};
use snn_gpu_check::speed::Figure;
use snn_gpu_check::{Outcome, Status, models};
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
    /// Checks in this process alone, for compute-sanitizer and debuggers: a fault costs everything behind it.
    #[arg(long)]
    in_process: bool,
    /// How long a part of the checks may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    limit: u64,
    /// Runs this group of parts alone and tells what comes out, as JSON; for the process that started this one.
    #[arg(long, hide = true)]
    group: Option<usize>,
    /// From this part on.
    #[arg(long, hide = true, default_value_t = 0)]
    from: usize,
    /// Each kernel by itself, in this precision.
    #[arg(long, hide = true, value_parser = precision)]
    each_kernel: Option<Precision>,
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
    if let Some(at) = args.group {
        return child(&args, subjects, at, info.ordinal);
    }
    let (major, minor) = info.capability;
    println!("device: {}, compute capability {major}.{minor}", info.name);
    for failed in snn_cuda::report().failed {
        println!("not used: {failed}");
    }
    let groups = groups(&args, subjects);
    let (outcomes, figures) = run(&args, &groups, info);
    let [passed, failed, skipped] = count(&outcomes);
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    let is_written = keep(&args, info, true, &outcomes, &figures);
    if failed == 0 && is_written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the file of results, if one is wanted; whether that went well.
fn keep(args: &Args, info: &DeviceInfo, is_complete: bool, outcomes: &[Outcome], figures: &[Figure]) -> bool {
    let Some(path) = &args.json else { return true };
    let report = json!({
        "device": info.name,
        "compute_capability": [info.capability.0, info.capability.1],
        "complete": is_complete,
        "checks": outcomes.iter().map(Outcome::json).collect::<Vec<Value>>(),
        "figures": figures.iter().map(Figure::json).collect::<Vec<Value>>(),
    });
    match std::fs::write(path, format!("{report:#}\n")) {
        Ok(()) => true,
        Err(error) => {
            println!("cannot write {}: {error}", path.display());
            false
        }
    }
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

/// All groups, in the same order in every process: what is measured comes last.
fn groups(args: &Args, subjects: Vec<Subject>) -> Vec<Group> {
    let mut groups = Vec::new();
    if !args.bench {
        groups.push(Group::Instructions);
        groups.extend(subjects.into_iter().map(Group::Model));
    }
    groups.push(Group::Speed);
    groups
}

fn scope(args: &Args) -> Scope {
    Scope { quick: args.quick, only: args.only.clone(), each_kernel: args.each_kernel }
}

fn precision(name: &str) -> Result<Precision, String> {
    parts::precision(name).ok_or_else(|| format!("there is no precision `{name}`"))
}

/// Runs a group for the process that started this one.
fn child(args: &Args, subjects: Vec<Subject>, at: usize, ordinal: usize) -> ExitCode {
    end_with_parent();
    let groups = groups(args, subjects);
    let Some(group) = groups.get(at) else {
        eprintln!("there is no group {at}");
        return ExitCode::FAILURE;
    };
    let device = match Device::open(ordinal) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    parts::run(group, &scope(args), args.from, &device, &mut |event| {
        if writeln!(std::io::stdout(), "{}", event.line()).is_err() {
            // Nobody listens any more.
            std::process::abort();
        }
    });
    ExitCode::SUCCESS
}

/// Ends this process when the one that started it is gone, even while a kernel hangs: nobody else would.
fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        // What runs at an ordinary end would wait for the device.
        std::process::abort();
    });
}

/// How groups are run.
enum Runner {
    /// Here, on an open device.
    Here(Box<Device>),
    /// In other processes; this one opens no device.
    Apart(Processes),
}

impl Runner {
    fn new(args: &Args, ordinal: usize) -> Result<Runner, String> {
        if args.in_process {
            return Device::open(ordinal)
                .map(|device| Runner::Here(Box::new(device)))
                .map_err(|error| error.to_string());
        }
        let program = std::env::current_exe().map_err(|error| format!("this program does not find itself: {error}"))?;
        let (arguments, limit) = (std::env::args_os().skip(1).collect(), Duration::from_secs(args.limit));
        Ok(Runner::Apart(Processes { program, arguments, limit }))
    }

    /// Runs a group; whether others can be run.
    fn run(&self, at: usize, group: &Group, scope: &Scope, tell: &mut dyn FnMut(Event)) -> bool {
        match self {
            Runner::Apart(processes) => {
                processes.run(at, group.name(), tell);
                true
            }
            Runner::Here(device) => {
                parts::run(group, scope, 0, device, tell);
                !device.is_lost()
            }
        }
    }
}

fn run(args: &Args, groups: &[Group], info: &DeviceInfo) -> (Vec<Outcome>, Vec<Figure>) {
    let is_emulated = info.name.starts_with(EMULATED);
    let (mut outcomes, mut figures) = (Vec::new(), Vec::new());
    let runner = match Runner::new(args, info.ordinal) {
        Ok(runner) => runner,
        Err(problem) => {
            see(Event::Checked(Outcome::failed("device", problem)), &mut outcomes, &mut figures);
            return (outcomes, figures);
        }
    };
    for (at, group) in groups.iter().enumerate() {
        if matches!(group, Group::Speed) && (is_emulated || args.quick) {
            println!("nothing is measured: {}", if is_emulated { "the device is emulated" } else { "--quick" });
            continue;
        }
        if !runner.run(at, group, &scope(args), &mut |event| see(event, &mut outcomes, &mut figures)) {
            let why = "this process can no longer use the device, so that nothing behind is checked";
            see(Event::Checked(Outcome::failed(group.name(), why)), &mut outcomes, &mut figures);
            break;
        }
        // Whoever ends this program early has what was found so far.
        keep(args, info, false, &outcomes, &figures);
    }
    (outcomes, figures)
}

/// Shows and keeps what is told.
fn see(event: Event, outcomes: &mut Vec<Outcome>, figures: &mut Vec<Figure>) {
    match event {
        Event::Checked(outcome) => {
            tell(&outcome);
            outcomes.push(outcome);
        }
        Event::Measured(figure) => {
            let share = figure.share.map_or(String::new(), |share| format!(", {:.0} % of the floor", 100.0 * share));
            println!("{:<56} {:>12.3} {}{share}", figure.name, figure.value, figure.unit);
            figures.push(figure);
        }
        Event::Began { .. } | Event::Interpreting(_) | Event::Lost | Event::Done => {}
    }
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
