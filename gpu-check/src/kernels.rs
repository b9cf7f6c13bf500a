//! Every kernel of a model's programs by itself, on the device and by the interpreter, with the same random input.
//!
//! Generated nests and random numbers must agree to the bit, contractions within the rounding of their sums. Layers on
//! events need input that hangs together, so their programs are compared as wholes.
//!
//! Must never know which models there are.

use std::collections::BTreeMap;

use snn_cuda::check::{Isolated, Values, distinct, isolate};
use snn_cuda::{Accelerators, Arch, CudaError, Device, Executable, Instance, Precision, Target};
use snn_loops::contraction::LEVELS;
use snn_loops::{BufferId, Dtype, Kernel, KernelId, Program, RandomKey, interp};
use snnc::Model;

use crate::outcome::Outcome;
use crate::programs;

/// What every run draws from.
const KEY: RandomKey = RandomKey { seed: 11, run: 3 };

/// How far results may be from what they should be, as a share of their root mean square.
fn tolerance(kernel: &Kernel, precision: Precision) -> f64 {
    match (kernel, precision) {
        (Kernel::Nest(_) | Kernel::Draw(_), _) => 0.0,
        (_, Precision::F32) => 1e-5,
        (_, Precision::Tf32 | Precision::F16) => 4e-3,
        (_, Precision::Bf16) => 3e-2,
    }
}

/// A program of a model, and its kernels of which there are no two of a kind.
#[derive(Debug)]
pub struct Standing {
    part: &'static str,
    program: Program,
    kernels: Vec<KernelId>,
    target: Target,
}

/// Every kind of kernel of a model's training and evaluation.
///
/// # Errors
/// If the model cannot be compiled.
pub fn standing(model: &Model, batch: usize, arch: Arch, precision: Precision) -> Result<Vec<Standing>, String> {
    let mut all = Vec::new();
    for (part, program) in programs::of(model, batch)? {
        let target = Target { arch, dtype: program.dtype, precision };
        let emission = snn_cuda::emit_apart(&program, &target);
        let kernels = distinct(&emission)
            .into_iter()
            .filter(|id| !matches!(kernel(&program, *id), Some(Kernel::EventSweep(_)) | None))
            .filter(|id| part != programs::INT8 || kernel(&program, *id).is_some_and(programs::is_int8))
            .collect();
        all.push(Standing { part, program, kernels, target });
    }
    Ok(all)
}

fn kernel(program: &Program, id: KernelId) -> Option<&Kernel> {
    program.kernels.get(id.0 as usize)
}

impl Standing {
    /// The kernels.
    pub fn kernels(&self) -> &[KernelId] {
        &self.kernels
    }

    /// What the check of a kernel is called.
    pub fn name(&self, prefix: &str, id: KernelId) -> String {
        let kernel = kernel(&self.program, id).map_or("", Kernel::name);
        format!("{prefix}.{}.k{} {kernel}", self.part, id.0)
    }

    /// Runs kernels side by side in both ways and compares what each gives; `prefix` is put before each name. Says when
    /// the interpreter begins and when it has ended.
    pub fn check(
        &self,
        prefix: &str,
        device: &Device,
        ids: &[KernelId],
        interpreting: &mut dyn FnMut(bool),
    ) -> Vec<Outcome> {
        let isolated = isolate(&self.program, ids);
        let inputs = inputs(&isolated);
        interpreting(true);
        let meant = by_interpreter(&isolated, &inputs);
        interpreting(false);
        let results = meant.and_then(|meant| Ok((meant, on_device(&isolated, &inputs, device, &self.target)?)));
        let (expected, found) = match results {
            Ok(results) => results,
            Err(problem) => {
                let name = match ids {
                    [id] => self.name(prefix, *id),
                    _ => format!("{prefix}.{}", self.part),
                };
                return vec![Outcome::failed(name, problem)];
            }
        };
        let mut outcomes = Vec::new();
        for alone in &isolated.kernels {
            let Some(kernel) = kernel(&self.program, alone.id) else { continue };
            let name = self.name(prefix, alone.id);
            let tolerance = tolerance(kernel, self.target.precision);
            let mut worst: Result<f64, String> = Ok(0.0);
            for (id, values) in &alone.outputs {
                let (Some(expected), Some(found)) = (expected.get(id), found.get(id)) else { continue };
                let buffer = isolated.program.buffers.get(id.0 as usize).map_or("", |buffer| buffer.name.as_str());
                worst = worst.and_then(|worst| Ok(compare(buffer, expected, found, *values, tolerance)?.max(worst)));
            }
            outcomes.push(match worst {
                Ok(worst) => Outcome::passed(name, format!("largest error {worst:.1e} of the root mean square")),
                Err(problem) => Outcome::failed(name, problem),
            });
        }
        outcomes
    }
}

/// The largest error, relative to the root mean square; or what is more than `tolerance` apart.
fn compare(name: &str, expected: &[f64], found: &[f64], values: Values, tolerance: f64) -> Result<f64, String> {
    let finite: Vec<f64> = expected.iter().copied().filter(|value| value.is_finite()).collect();
    let rms = (finite.iter().map(|value| value * value).sum::<f64>() / finite.len().max(1) as f64).sqrt();
    let mut worst = 0.0_f64;
    for (at, (expected, found)) in expected.iter().zip(found).enumerate() {
        // What fills the words of a row behind its last bit is nobody's.
        let is_filling = values == Values::Bits && expected.is_nan();
        if is_filling || expected.to_bits() == found.to_bits() || (expected.is_nan() && found.is_nan()) {
            continue;
        }
        let error = (expected - found).abs() / rms.max(f64::MIN_POSITIVE);
        if error.is_nan() || error > tolerance {
            return Err(format!("{name}[{at}] is {found:?} and should be {expected:?} (root mean square {rms:.1e})"));
        }
        worst = worst.max(error);
    }
    Ok(worst)
}

/// Values of buffers.
type Contents = BTreeMap<BufferId, Vec<f64>>;

fn inputs(isolated: &Isolated) -> Contents {
    let all = isolated.kernels.iter().flat_map(|alone| &alone.inputs);
    let mut inputs: Contents = all
        .map(|(id, values)| {
            let len = isolated.program.buffers.get(id.0 as usize).map_or(0, |buffer| buffer.len);
            (*id, random(len, *values, u64::from(id.0)))
        })
        .collect();
    for kernel in isolated.program.kernels.iter().filter(|kernel| programs::is_int8(kernel)) {
        let Kernel::Contraction(contraction) = kernel else { continue };
        if let Some(weights) = inputs.get_mut(&contraction.b.buffer) {
            round(weights, contraction.shape.weight_len() / contraction.shape.cout.max(1));
        }
    }
    inputs
}

/// Weights as whole multiples of one number for each output channel, the largest of them 127.
fn round(weights: &mut [f64], of_channel: usize) {
    for channel in weights.chunks_mut(of_channel.max(1)) {
        let scale = channel.iter().fold(0.0_f64, |most, weight| most.max(weight.abs())) / LEVELS as f64;
        channel.iter_mut().for_each(|weight| *weight = f64::from(((*weight / scale).round() * scale) as f32));
    }
}

fn outputs(isolated: &Isolated) -> impl Iterator<Item = BufferId> {
    isolated.kernels.iter().flat_map(|alone| alone.outputs.iter().map(|(id, _)| *id))
}

/// What programs mean. Elements that no kernel writes are NaN.
fn by_interpreter(isolated: &Isolated, inputs: &Contents) -> Result<Contents, String> {
    let mut memory = interp::Memory::new(&isolated.program);
    for (id, values) in inputs {
        memory.write(*id, values)?;
    }
    interp::run(&isolated.program, &mut memory, KEY).map_err(|error| error.to_string())?;
    Ok(outputs(isolated).map(|id| (id, memory.buffer(id).to_vec())).collect())
}

fn on_device(isolated: &Isolated, inputs: &Contents, device: &Device, target: &Target) -> Result<Contents, String> {
    let text = |error: CudaError| error.to_string();
    let emission = snn_cuda::emit(&isolated.program, target);
    // With `SNNC_ACCELERATORS=always` it is the libraries that are checked.
    let accelerators = Accelerators::of_the_user();
    let executable =
        Executable::accelerated(&isolated.program, emission, target, device, accelerators).map_err(text)?;
    let mut instance = Instance::new(&executable).map_err(text)?;
    for (id, values) in inputs {
        match isolated.program.dtype {
            Dtype::F32 => instance.write_f32(*id, &narrow(values)),
            Dtype::F64 => instance.write_f64(*id, values),
        }
        .map_err(text)?;
    }
    instance.run(KEY).map_err(text)?;
    let read = |id: BufferId| match isolated.program.dtype {
        Dtype::F32 => Ok((id, widen(instance.read_f32(id)?))),
        Dtype::F64 => Ok((id, instance.read_f64(id)?)),
    };
    outputs(isolated).map(read).collect::<Result<_, _>>().map_err(text)
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
