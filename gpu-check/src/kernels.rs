//! Every kernel of a model's programs by itself, on the device and on the CPU, with the same random input.
//!
//! Generated nests and random numbers must agree to the bit, contractions within the rounding of their sums. Layers on
//! events need input that hangs together, so their programs are compared as wholes.
//!
//! Must never know which models there are.

use snn_cuda::check::{Isolated, Values, distinct, isolate};
use snn_cuda::{Device, Executable, Precision, Target};
use snn_loops::{Dtype, Kernel, KernelId, Program, RandomKey};
use snnc::Model;

use crate::outcome::Outcome;

/// What every run draws from.
const KEY: RandomKey = RandomKey { seed: 11, run: 3 };

/// How far results may be from the CPU's, as a share of their root mean square.
fn tolerance(kernel: &Kernel, precision: Precision) -> f64 {
    match (kernel, precision) {
        (Kernel::Nest(_) | Kernel::Draw(_), _) => 0.0,
        (_, Precision::F32) => 1e-5,
        (_, Precision::Tf32 | Precision::F16) => 4e-3,
        (_, Precision::Bf16) => 3e-2,
    }
}

/// Checks every kind of kernel of a model's training and evaluation; `name` is put before each.
///
/// # Errors
/// If the model cannot be compiled.
pub fn check_model(
    name: &str,
    model: &Model,
    batch: usize,
    device: &Device,
    precision: Precision,
) -> Result<Vec<Outcome>, String> {
    let options = snnc::SessionOptions { batch, ..model.options() };
    let mut session = model.session(options).map_err(|error| error.to_string())?;
    session.prepare_training().map_err(|error| error.to_string())?;
    session.prepare_evaluation().map_err(|error| error.to_string())?;
    let mut outcomes = Vec::new();
    for (part, lowered) in [("train", session.training_program()), ("eval", session.evaluation_program())] {
        let Some(lowered) = lowered else { continue };
        let target = Target { arch: device.arch(), dtype: lowered.program.dtype, precision };
        let emission = snn_cuda::emit(&lowered.program, &target);
        for id in distinct(&lowered.program, &emission) {
            outcomes.extend(check_kernel(&format!("{name}.{part}"), &lowered.program, id, device, &target));
        }
    }
    Ok(outcomes)
}

/// Checks one kernel; nothing where it cannot stand alone.
fn check_kernel(prefix: &str, program: &Program, id: KernelId, device: &Device, target: &Target) -> Option<Outcome> {
    let kernel = program.kernels.get(id.0 as usize)?;
    if matches!(kernel, Kernel::EventSweep(_)) {
        return None;
    }
    let name = format!("{prefix}.k{} {}", id.0, kernel.name());
    let isolated = isolate(program, id)?;
    let tolerance = tolerance(kernel, target.precision);
    Some(match compare(&isolated, device, target, tolerance) {
        Ok(worst) => Outcome::passed(name, format!("largest error {worst:.1e} of the root mean square")),
        Err(problem) => Outcome::failed(name, problem),
    })
}

/// Runs a program on both machines; gives the largest error, or says what differs.
fn compare(isolated: &Isolated, device: &Device, target: &Target, tolerance: f64) -> Result<f64, String> {
    let program = &isolated.program;
    let inputs: Vec<Vec<f64>> = isolated
        .inputs
        .iter()
        .map(|(id, values)| {
            let len = program.buffers.get(id.0 as usize).map_or(0, |buffer| buffer.len);
            random(len, *values, u64::from(id.0))
        })
        .collect();
    let expected = on_cpu(isolated, &inputs)?;
    let found = on_device(isolated, &inputs, device, target)?;
    let mut worst = 0.0_f64;
    for ((expected, found), id) in expected.iter().zip(&found).zip(&isolated.outputs) {
        let name = program.buffers.get(id.0 as usize).map_or("", |buffer| buffer.name.as_str());
        let finite: Vec<f64> = expected.iter().copied().filter(|value| value.is_finite()).collect();
        let rms = (finite.iter().map(|value| value * value).sum::<f64>() / finite.len().max(1) as f64).sqrt();
        for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
            if expected.to_bits() == found.to_bits() || (expected.is_nan() && found.is_nan()) {
                continue;
            }
            let error = (expected - found).abs() / rms.max(f64::MIN_POSITIVE);
            if error.is_nan() || error > tolerance {
                return Err(format!(
                    "{name}[{at}] is {found:?} and should be {expected:?} (root mean square {rms:.1e})"
                ));
            }
            worst = worst.max(error);
        }
    }
    Ok(worst)
}

fn on_cpu(isolated: &Isolated, inputs: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, String> {
    let text = |error: snn_jit::JitError| error.to_string();
    let executable = snn_jit::compile(&isolated.program, &snn_jit::Options::native(1)).map_err(text)?;
    let mut instance = snn_jit::Instance::new(&executable).map_err(text)?;
    for ((id, _), values) in isolated.inputs.iter().zip(inputs) {
        match isolated.program.dtype {
            Dtype::F32 => instance.write_f32(*id, &narrow(values)),
            Dtype::F64 => instance.write_f64(*id, values),
        }
        .map_err(text)?;
    }
    instance.run(KEY).map_err(text)?;
    let read = |id: &snn_loops::BufferId| match isolated.program.dtype {
        Dtype::F32 => instance.read_f32(*id).map(widen),
        Dtype::F64 => instance.read_f64(*id),
    };
    isolated.outputs.iter().map(read).collect::<Result<_, _>>().map_err(text)
}

fn on_device(
    isolated: &Isolated,
    inputs: &[Vec<f64>],
    device: &Device,
    target: &Target,
) -> Result<Vec<Vec<f64>>, String> {
    let text = |error: snn_cuda::CudaError| error.to_string();
    let emission = snn_cuda::emit(&isolated.program, target);
    let executable = Executable::compile(&isolated.program, emission, device).map_err(text)?;
    let mut instance = snn_cuda::Instance::new(&executable).map_err(text)?;
    for ((id, _), values) in isolated.inputs.iter().zip(inputs) {
        match isolated.program.dtype {
            Dtype::F32 => instance.write_f32(*id, &narrow(values)),
            Dtype::F64 => instance.write_f64(*id, values),
        }
        .map_err(text)?;
    }
    instance.run(KEY).map_err(text)?;
    let read = |id: &snn_loops::BufferId| match isolated.program.dtype {
        Dtype::F32 => instance.read_f32(*id).map(widen),
        Dtype::F64 => instance.read_f64(*id),
    };
    isolated.outputs.iter().map(read).collect::<Result<_, _>>().map_err(text)
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|value| *value as f32).collect()
}

fn widen(values: Vec<f32>) -> Vec<f64> {
    values.into_iter().map(f64::from).collect()
}

/// Numbers around 0, or bits of which a sixth are set.
fn random(len: usize, values: Values, seed: u64) -> Vec<f64> {
    let uniform = |at: usize| snn_loops::draw::element(snn_loops::Distribution::Uniform, KEY, seed, at as u64);
    (0..len)
        .map(|at| match values {
            Values::Real => 2.0 * uniform(at) - 1.0,
            Values::Bits => f64::from(u8::from(uniform(at) < 1.0 / 6.0)),
        })
        .collect()
}
