//! How long things take on the device, beside what its memory and arithmetic allow.
//!
//! Must never know whether results are right.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use snn_cuda::{Executable, Instance, Target};
use snn_loops::{Access, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Program, RandomKey, Role, Timings};
use snnc::bench::{Settings, bench};
use snnc::{Model, Precision, Program as Text, SessionOptions, Source, WeightValues};

use crate::{programs, training};

/// The shortest time of so many runs counts.
const RUNS: usize = 20;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// The share of the floor, where one is known: 1 is as fast as can be.
    pub share: Option<f64>,
}

impl Figure {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({ "name": self.name, "value": self.value, "unit": self.unit, "share_of_floor": self.share })
    }

    /// What JSON says, if it is one.
    pub fn from_json(value: &Value) -> Option<Figure> {
        let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
        let number = |key: &str| value.get(key).and_then(Value::as_f64);
        let (value, share) = (number("value")?, number("share_of_floor"));
        Some(Figure { name: text("name")?, value, unit: text("unit")?, share })
    }
}

/// What memory alone bounds: a copy, and neurons without weights.
///
/// # Errors
/// If the device cannot run it.
pub fn memory(device: &snn_cuda::Device) -> Result<Vec<Figure>, String> {
    let bytes = copy_bandwidth(device)?;
    let copy = Figure { name: "copy".into(), value: bytes * 1e-12, unit: "TB/s".into(), share: Some(1.0) };
    Ok(vec![copy, neurons(device, bytes)?])
}

/// Bytes a second that a copy moves, reading and writing counted: what other kernels are held against.
fn copy_bandwidth(device: &snn_cuda::Device) -> Result<f64, String> {
    const LEN: usize = 1 << 28;
    let mut program = Program::new(Dtype::F32);
    let from = program.add_buffer("from", LEN, Role::Input);
    let to = program.add_buffer("to", LEN, Role::Output);
    let mut nest = NestBuilder::new("copy");
    let lane = nest.fresh_var();
    nest.open(lane, Extent::Fixed(LEN), LoopKind::Lanes);
    let value = nest.load(Access::new(from, Ix::var(lane)));
    nest.store(Access::new(to, Ix::var(lane)), value);
    let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
    program.launches.push(Launch::Run(kernel));
    let seconds = program_seconds(&program, device, kernel.0 as usize)?;
    Ok(2.0 * LEN as f64 * 4.0 / seconds)
}

/// Neurons alone, 16 steps of 2^20, forward and backward: the share of the copy's bandwidth, counting what must be moved:
/// the current twice, the gradients of spikes and currents, and a bit.
fn neurons(device: &snn_cuda::Device, copy: f64) -> Result<Figure, String> {
    const ELEMENTS: f64 = 16.0 * 1_048_576.0;
    const BYTES: f64 = 16.1;
    let model = Text::compile(Source::from_text("lif.snn", include_str!("../../examples/bench/lif.snn")), &[])
        .and_then(|program| program.model())
        .map_err(|error| error.to_string())?;
    let program = programs::gradient(&model, 1)?;
    let mut seconds = 0.0;
    for kernel in 0..program.kernels.len() {
        seconds += program_seconds(&program, device, kernel)?;
    }
    let share = ELEMENTS * BYTES / seconds / copy;
    Ok(Figure { name: "LIF alone, 16 x 2^20".into(), value: seconds * 1e3, unit: "ms".into(), share: Some(share) })
}

/// The shortest time of a kernel of a program.
fn program_seconds(program: &Program, device: &snn_cuda::Device, kernel: usize) -> Result<f64, String> {
    let text = |error: snn_cuda::CudaError| error.to_string();
    let target = Target { arch: device.arch(), dtype: program.dtype, precision: Precision::F32 };
    let executable = Executable::compile(program, snn_cuda::emit(program, &target), device).map_err(text)?;
    let mut instance = Instance::new(&executable).map_err(text)?;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let mut timings = Timings::new();
        instance.run_timed(RandomKey::default(), &mut timings).map_err(text)?;
        if let Some(time) = timings.kernels().get(kernel) {
            best = best.min(time.nanoseconds as f64 * 1e-9);
        }
    }
    Ok(best)
}

/// A workload of the figures that the project promises.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// A name for people.
    pub name: &'static str,
    text: &'static str,
    settings: &'static [(&'static str, &'static str)],
    batch: usize,
    training: bool,
    precisions: &'static [Precision],
    weights: WeightValues,
}

/// What is measured.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "ResNet-19 tdBN inference",
        text: include_str!("../../examples/models/tdbn_resnet19.snn"),
        settings: &[],
        batch: 256,
        training: false,
        precisions: &[Precision::F16, Precision::F32],
        weights: WeightValues::Any,
    },
    Workload {
        name: "ResNet-19 tdBN inference, int8 weights",
        text: include_str!("../../examples/models/tdbn_resnet19.snn"),
        settings: &[],
        batch: 256,
        training: false,
        precisions: &[Precision::F16],
        weights: WeightValues::Int8,
    },
    Workload {
        name: "ResNet-19 tdBN training step",
        text: include_str!("../../examples/models/tdbn_resnet19.snn"),
        settings: &[],
        batch: 128,
        training: true,
        precisions: &[Precision::F16, Precision::Bf16, Precision::F32],
        weights: WeightValues::Any,
    },
    Workload {
        name: "784-800-10 event-exact training step",
        text: include_str!("../../examples/models/exact_multispike.snn"),
        settings: &[],
        batch: 50,
        training: true,
        precisions: &[Precision::F32],
        weights: WeightValues::Any,
    },
    Workload {
        name: "784-800-10 STBP training step",
        text: include_str!("../../examples/bench/mlp.snn"),
        settings: &[],
        batch: 128,
        training: true,
        precisions: &[Precision::F32],
        weights: WeightValues::Any,
    },
];

/// Measures a workload: the time of a step, and samples a second.
///
/// # Errors
/// If it cannot be compiled or run.
pub fn measure(workload: &Workload) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    for precision in workload.precisions {
        let model = compile(workload).map_err(|error| error.to_string())?;
        let (batch, weights) = (workload.batch, workload.weights);
        let options = SessionOptions { batch, weights, device: training::device(*precision), ..model.options() };
        let settings = Settings {
            options,
            training: workload.training,
            inference: !workload.training,
            runs: RUNS,
            time: Duration::from_secs(2),
        };
        let start = Instant::now();
        let report = bench(&model, &settings).map_err(|error| error.to_string())?;
        let phase = if workload.training { report.training } else { report.inference };
        let Some(phase) = phase else { continue };
        let name = format!("{} {}", workload.name, precision.name());
        let rate = workload.batch as f64 / phase.step.median * 1e3;
        let figure = |what: &str, value, unit: &str| Figure {
            name: format!("{name}: {what}"),
            value,
            unit: unit.into(),
            share: None,
        };
        figures.push(figure("median", phase.step.median, "ms"));
        figures.push(figure("samples", rate, "1/s"));
        figures.push(figure("compilation", phase.compile_ms, "ms"));
        figures.push(figure("all", start.elapsed().as_secs_f64(), "s"));
    }
    Ok(figures)
}

fn compile(workload: &Workload) -> snnc::Result<Model> {
    let settings: Vec<(String, String)> =
        workload.settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Text::compile(Source::from_text(workload.name, workload.text), &settings)?.model()
}
