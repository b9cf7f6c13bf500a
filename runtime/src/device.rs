//! Which machine runs a program: the one place that knows every back end.

use snn_cuda::Compiler;
pub use snn_cuda::{
    Accelerators, Arch, Availability, Choices, DeviceInfo, FailedDevice, LibraryReport, Moved, Precision,
    Report as CudaReport, Winner, report as cuda_report,
};
use snn_graph::lower::LowerOptions;
pub use snn_jit::{Crossovers, Footprint as CpuFootprint, Isa, Kernels, SpikeKernels};
use snn_jit::{Instance, Options};
use snn_loops::{BufferId, Dtype, Program, RandomKey, interp};
pub use snn_loops::{Densities, KernelTime, Timings};

use crate::error::{Result, RuntimeError};

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The processor, through compiled code.
    Cpu {
        /// Number of threads, 0 for one a core; no result depends on it.
        threads: usize,
        /// Which code computes; results depend on it, by rounding.
        kernels: Kernels,
    },
    /// A CUDA device.
    Cuda {
        /// Its number among those of the machine.
        ordinal: usize,
        /// How linear maps and convolutions round.
        precision: Precision,
        /// Which of them libraries compute; results depend on it, by rounding.
        accelerators: Accelerators,
    },
    /// The interpreter that defines what programs mean; slow.
    Reference,
}

/// What losses are multiplied by before they are differentiated in half precision, and gradients divided by: far from where
/// gradients of means over a batch overflow (65504), and small ones keep 15 more bits.
const HALF_LOSS_SCALE: f64 = 32768.0;

impl Device {
    /// The processor on this many threads (0: one a core), with the kernels that are usual.
    pub const fn cpu(threads: usize) -> Device {
        Device::Cpu { threads, kernels: Kernels::NATIVE }
    }

    /// The same machine with other kernels; nothing changes where there is no choice.
    pub fn with_kernels(self, kernels: Kernels) -> Device {
        match self {
            Device::Cpu { threads, .. } => Device::Cpu { threads, kernels },
            Device::Cuda { .. } | Device::Reference => self,
        }
    }

    /// Which code computes, where there is a choice.
    pub fn kernels(self) -> Option<Kernels> {
        match self {
            Device::Cpu { kernels, .. } => Some(kernels),
            Device::Cuda { .. } | Device::Reference => None,
        }
    }

    /// A CUDA device as a new run uses it: with the libraries that the user wants.
    pub fn cuda(ordinal: usize, precision: Precision) -> Device {
        Device::Cuda { ordinal, precision, accelerators: Accelerators::of_the_user() }
    }

    /// Which contractions libraries compute, as far as that is decided; `None` where they are not asked.
    pub fn choices(self) -> Option<Choices> {
        match self {
            Device::Cuda { accelerators, .. } => accelerators.choices(),
            Device::Cpu { .. } | Device::Reference => None,
        }
    }

    /// What a loss is multiplied by before it is differentiated.
    pub fn loss_scale(self) -> f64 {
        match self {
            Device::Cuda { precision: Precision::F16, .. } => HALF_LOSS_SCALE,
            Device::Cuda { .. } | Device::Cpu { .. } | Device::Reference => 1.0,
        }
    }

    /// What is left of how something is to be lowered: contractions of counts in planes have no kernels on CUDA devices.
    pub fn lowering(self, lowering: LowerOptions) -> LowerOptions {
        LowerOptions { count_planes: lowering.count_planes && !matches!(self, Device::Cuda { .. }), ..lowering }
    }

    /// How evaluations are lowered. On a CUDA device sums over spikes are kernels of their own: a time loop that is nothing
    /// but its neurons can take a convolution's sums from registers, and bits are cheap to read again.
    pub fn evaluation(self, lowering: LowerOptions) -> LowerOptions {
        LowerOptions { sums_along: lowering.sums_along && !matches!(self, Device::Cuda { .. }), ..lowering }
    }

    /// The name of the kind of machine; results are the same on machines of one kind.
    pub fn name(self) -> &'static str {
        match self {
            Device::Cpu { .. } => "cpu",
            Device::Cuda { .. } => "cuda",
            Device::Reference => "reference",
        }
    }

    /// Number of threads that it will use.
    pub fn threads(self) -> usize {
        match self {
            Device::Cpu { threads: 0, .. } => std::thread::available_parallelism().map_or(1, usize::from),
            Device::Cpu { threads, .. } => threads,
            Device::Cuda { .. } | Device::Reference => 1,
        }
    }
}

/// The number of the first CUDA device that can be used; or why none can, in a sentence.
///
/// # Errors
/// If there is none.
pub fn first_cuda() -> std::result::Result<usize, String> {
    match snn_cuda::availability() {
        Availability::Ready(devices) => Ok(devices.first().map_or(0, |device| device.ordinal)),
        Availability::Absent(reason) => Err(reason.to_string()),
    }
}

/// The same, where kernels that nobody has compiled before can be compiled, too.
///
/// # Errors
/// If there is no such device, or no compiler.
pub fn first_cuda_with_compiler() -> std::result::Result<usize, String> {
    let ordinal = first_cuda()?;
    Compiler::open().map(|_| ordinal).map_err(|error| error.to_string())
}

/// The name of a CUDA device with its architecture: results are the same on devices of one name.
///
/// # Errors
/// If there is no such device.
pub fn cuda_name(ordinal: usize) -> Result<String> {
    match snn_cuda::availability() {
        // Devices that are too old are left out of the list and keep their numbers.
        Availability::Ready(devices) => match devices.iter().find(|device| device.ordinal == ordinal) {
            Some(device) => Ok(device.name.clone()),
            None => Err(RuntimeError::new(format!("no CUDA device of number {ordinal} can be used"))),
        },
        Availability::Absent(reason) => Err(RuntimeError::new(reason.to_string())),
    }
}

/// The libraries that may compute on CUDA devices, with their versions, in words; empty if there are none.
pub fn accelerator_versions() -> String {
    snn_cuda::accelerator_versions()
}

/// What is learned about the kernels of a run while it happens.
#[derive(Debug)]
pub enum Watch<'a> {
    /// The time that each took.
    Time(&'a mut Timings),
    /// How many elements of the first operands of contractions were not 0. Costs more than the run.
    Density(&'a mut Densities),
}

/// Bytes that a program will take.
#[derive(Clone, Debug)]
pub enum Footprint {
    /// On the processor.
    Cpu(snn_jit::Footprint),
    /// Of a CUDA device's memory.
    Cuda(snn_cuda::Footprint),
}

/// Bytes that a program will take, without taking any. Each of `replaced` is an output and the input that it is swapped with
/// after every run. For a CUDA device that is not there, as on a Hopper.
///
/// # Errors
/// If the sizes cannot be counted.
pub fn footprint(program: &Program, device: Device, replaced: &[(BufferId, BufferId)]) -> Result<Footprint> {
    match device {
        Device::Cuda { ordinal, precision, .. } => {
            let target = snn_cuda::Target { arch: arch(ordinal), dtype: program.dtype, precision };
            let emission = snn_cuda::emit(program, &target);
            snn_cuda::Footprint::of(program, &emission, replaced).map(Footprint::Cuda).map_err(failed)
        }
        Device::Cpu { .. } | Device::Reference => {
            snn_jit::Footprint::of(program, replaced).map(Footprint::Cpu).map_err(failed)
        }
    }
}

/// What text for a device may use.
fn arch(ordinal: usize) -> Arch {
    match snn_cuda::availability() {
        Availability::Ready(devices) => {
            devices.iter().find(|device| device.ordinal == ordinal).map_or(Arch::Sm90a, DeviceInfo::arch)
        }
        Availability::Absent(_) => Arch::Sm90a,
    }
}

/// A program loaded on a machine, with its memory.
pub struct Engine {
    dtype: Dtype,
    loaded: Loaded,
}

enum Loaded {
    Cpu(Box<Instance>),
    Cuda(Box<snn_cuda::Instance>),
    Reference(Box<(Program, interp::Memory)>),
}

impl Engine {
    /// Compiles a program and allocates its memory; inputs are 0. Each of `replaced` is an output and the input that it is
    /// swapped with after every run; they may share memory.
    ///
    /// # Errors
    /// If the program cannot be compiled or its memory not be had.
    pub fn load(program: Program, device: Device, replaced: &[(BufferId, BufferId)]) -> Result<Engine> {
        let dtype = program.dtype;
        let loaded = match device {
            Device::Cpu { threads, kernels } => {
                let executable = snn_jit::compile(&program, &Options { threads, kernels }).map_err(failed)?;
                Loaded::Cpu(Box::new(Instance::replacing(&executable, replaced).map_err(failed)?))
            }
            Device::Cuda { ordinal, precision, accelerators } => {
                let device = snn_cuda::Device::open(ordinal).map_err(failed)?;
                let target = snn_cuda::Target { arch: device.arch(), dtype, precision };
                let emission = snn_cuda::emit(&program, &target);
                let executable = snn_cuda::Executable::accelerated(&program, emission, &target, &device, accelerators);
                let executable = executable.map_err(failed)?;
                Loaded::Cuda(Box::new(snn_cuda::Instance::replacing(&executable, replaced).map_err(failed)?))
            }
            Device::Reference => {
                let memory = interp::Memory::new(&program);
                Loaded::Reference(Box::new((program, memory)))
            }
        };
        Ok(Engine { dtype, loaded })
    }

    /// Writes a whole buffer.
    pub fn write(&mut self, buffer: BufferId, values: &[f64]) -> Result<()> {
        match (&mut self.loaded, self.dtype) {
            (Loaded::Cpu(instance), Dtype::F64) => instance.write_f64(buffer, values).map_err(failed),
            (Loaded::Cpu(instance), Dtype::F32) => {
                let slots = instance.slice_f32_mut(buffer).map_err(failed)?;
                if slots.len() != values.len() {
                    let (expected, found) = (slots.len(), values.len());
                    return Err(RuntimeError::new(format!(
                        "a buffer takes {expected} numbers, but {found} were given"
                    )));
                }
                slots.iter_mut().zip(values).for_each(|(slot, value)| *slot = *value as f32);
                Ok(())
            }
            (Loaded::Cuda(instance), Dtype::F64) => instance.write_f64(buffer, values).map_err(failed),
            (Loaded::Cuda(instance), Dtype::F32) => {
                let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
                instance.write_f32(buffer, &values).map_err(failed)
            }
            (Loaded::Reference(loaded), _) => loaded.1.write(buffer, values).map_err(failed),
        }
    }

    /// Writes a whole buffer of single-precision values.
    pub fn write_f32(&mut self, buffer: BufferId, values: &[f32]) -> Result<()> {
        match (&mut self.loaded, self.dtype) {
            (Loaded::Cpu(instance), Dtype::F32) => instance.write_f32(buffer, values).map_err(failed),
            (Loaded::Cuda(instance), Dtype::F32) => instance.write_f32(buffer, values).map_err(failed),
            (Loaded::Cpu(_) | Loaded::Cuda(_), Dtype::F64) | (Loaded::Reference(_), _) => {
                let values: Vec<f64> = values.iter().map(|v| f64::from(*v)).collect();
                self.write(buffer, &values)
            }
        }
    }

    /// Reads a whole buffer.
    pub fn read(&self, buffer: BufferId) -> Result<Vec<f64>> {
        match (&self.loaded, self.dtype) {
            (Loaded::Cpu(instance), Dtype::F64) => instance.read_f64(buffer).map_err(failed),
            (Loaded::Cpu(instance), Dtype::F32) => {
                Ok(instance.slice_f32(buffer).map_err(failed)?.iter().map(|v| f64::from(*v)).collect())
            }
            (Loaded::Cuda(instance), Dtype::F64) => instance.read_f64(buffer).map_err(failed),
            (Loaded::Cuda(instance), Dtype::F32) => {
                Ok(instance.read_f32(buffer).map_err(failed)?.into_iter().map(f64::from).collect())
            }
            (Loaded::Reference(loaded), _) => Ok(loaded.1.buffer(buffer).to_vec()),
        }
    }

    /// Exchanges two buffers of equal length.
    pub fn swap(&mut self, a: BufferId, b: BufferId) -> Result<()> {
        match &mut self.loaded {
            Loaded::Cpu(instance) => instance.swap(a, b).map_err(failed),
            Loaded::Cuda(instance) => instance.swap(a, b).map_err(failed),
            Loaded::Reference(loaded) => {
                let memory = &mut loaded.1;
                let (x, y) = (memory.buffer(a).to_vec(), memory.buffer(b).to_vec());
                memory.write(a, &y).map_err(failed)?;
                memory.write(b, &x).map_err(failed)
            }
        }
    }

    /// Reads a whole buffer into a vector, which keeps its memory.
    pub fn read_into(&self, buffer: BufferId, values: &mut Vec<f64>) -> Result<()> {
        values.clear();
        match (&self.loaded, self.dtype) {
            (Loaded::Cpu(instance), Dtype::F64) => {
                values.extend_from_slice(instance.slice_f64(buffer).map_err(failed)?);
            }
            (Loaded::Cpu(instance), Dtype::F32) => {
                values.extend(instance.slice_f32(buffer).map_err(failed)?.iter().map(|v| f64::from(*v)));
            }
            (Loaded::Cuda(_), _) => *values = self.read(buffer)?,
            (Loaded::Reference(loaded), _) => values.extend_from_slice(loaded.1.buffer(buffer)),
        }
        Ok(())
    }

    /// Runs the program once.
    pub fn run(&mut self, key: RandomKey) -> Result<()> {
        self.run_at(key, 0)
    }

    /// Runs a program that is one step of a time loop; it draws what step number `step` would draw.
    pub fn run_at(&mut self, key: RandomKey, step: u64) -> Result<()> {
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        match &mut self.loaded {
            Loaded::Cpu(instance) => instance.run_at(key, step).map_err(failed),
            Loaded::Cuda(instance) => instance.run_at(key, step).map_err(failed),
            Loaded::Reference(loaded) => {
                let (program, memory) = &mut **loaded;
                interp::run_at(program, memory, key, step).map_err(failed)
            }
        }
    }

    /// Bytes of memory for one run of the program, as far as a compiled program plans it.
    pub fn memory_bytes(&self) -> usize {
        match &self.loaded {
            Loaded::Cpu(instance) => instance.memory_bytes(),
            Loaded::Cuda(instance) => instance.memory_bytes(),
            Loaded::Reference(loaded) => {
                loaded.0.buffers.iter().map(|buffer| buffer.len * std::mem::size_of::<f64>()).sum()
            }
        }
    }

    /// Kernels that launch nothing, each with the later one in whose launch it runs.
    pub fn moved(&self) -> &[Moved] {
        match &self.loaded {
            Loaded::Cuda(instance) => instance.moved(),
            Loaded::Cpu(_) | Loaded::Reference(_) => &[],
        }
    }

    /// Bytes of an element of a buffer in memory; 0 if it never leaves registers.
    pub fn element_bytes(&self, program: &Program, buffer: BufferId) -> f64 {
        match &self.loaded {
            Loaded::Cuda(instance) => instance.element_bytes(buffer),
            Loaded::Cpu(_) | Loaded::Reference(_) if program.is_packed(buffer) => 1.0 / 8.0,
            Loaded::Cpu(_) | Loaded::Reference(_) => self.dtype.size() as f64,
        }
    }

    /// Runs the program once while its kernels are watched.
    ///
    /// # Errors
    /// If the machine does not watch kernels.
    pub fn run_watched(&mut self, key: RandomKey, watch: Watch<'_>) -> Result<()> {
        match (&mut self.loaded, watch) {
            (Loaded::Cpu(instance), Watch::Time(timings)) => instance.run_timed(key, timings).map_err(failed),
            (Loaded::Cpu(instance), Watch::Density(densities)) => instance.run_counted(key, densities).map_err(failed),
            (Loaded::Cuda(instance), Watch::Time(timings)) => instance.run_timed(key, timings).map_err(failed),
            (Loaded::Cuda(instance), Watch::Density(densities)) => instance.run_counted(key, densities).map_err(failed),
            (Loaded::Reference(_), _) => Err(RuntimeError::new("the interpreter does not watch kernels")),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::new(error.to_string())
}
