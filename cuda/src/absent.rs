//! What there is in place of a driver where the crate is built without one: nothing can be opened, so nothing can be run.
//!
//! Says what `driver` says, so that whoever calls it need not know.

use std::convert::Infallible;
use std::path::Path;

use snn_loops::{BufferId, Densities, Program, RandomKey, Timings};

use crate::accelerators::Accelerators;
use crate::availability::{Availability, DeviceInfo, Reason, Report, Version};
use crate::code::{Compiled, Resources};
use crate::emit::Emission;
use crate::error::CudaError;
use crate::target::{Arch, Target};

/// That this build has no CUDA.
pub fn availability() -> &'static Availability {
    &Availability::Absent(Reason::NotBuilt)
}

/// That this build has no CUDA, and what to do about it.
pub fn report() -> Report {
    Report {
        availability: availability().clone(),
        libraries: Vec::new(),
        searched: Vec::new(),
        devices: Vec::new(),
        failed: Vec::new(),
        cache: None,
        advice: vec![Reason::NotBuilt.help()],
    }
}

/// No library.
pub fn accelerator_versions() -> String {
    String::new()
}

fn absent<T>() -> Result<T, CudaError> {
    Err(CudaError::Absent(Reason::NotBuilt))
}

/// NVRTC; there is none.
#[derive(Debug)]
pub struct Compiler(Infallible);

impl Compiler {
    /// NVRTC of this machine.
    ///
    /// # Errors
    /// Always.
    pub fn open() -> Result<&'static Compiler, CudaError> {
        absent()
    }

    /// Its version.
    pub fn version(&self) -> Version {
        match self.0 {}
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        match self.0 {}
    }

    /// Compiles a text for an architecture.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn compile(&self, _unit: &str, _text: &str, _target: &str) -> Result<Compiled, CudaError> {
        match self.0 {}
    }
}

/// A device; there is none.
#[derive(Clone, Debug)]
pub struct Device(Infallible);

impl Device {
    /// Opens the device of this number.
    ///
    /// # Errors
    /// Always.
    pub fn open(_ordinal: usize) -> Result<Device, CudaError> {
        absent()
    }

    /// What is known of it.
    pub fn info(&self) -> &DeviceInfo {
        match self.0 {}
    }

    /// What text for it may use.
    pub fn arch(&self) -> Arch {
        match self.0 {}
    }

    /// Whether this process can no longer use it.
    pub fn is_lost(&self) -> bool {
        match self.0 {}
    }

    /// Bytes of its memory that are free now.
    pub fn free_bytes(&self) -> Option<usize> {
        match self.0 {}
    }
}

/// A compiled program; there is none.
#[derive(Clone, Debug)]
pub struct Executable(Infallible);

impl Executable {
    /// Compiles an emitted program for a device.
    ///
    /// # Errors
    /// None: there is no device to compile for.
    pub fn compile(_program: &Program, _emission: Emission, device: &Device) -> Result<Executable, CudaError> {
        match device.0 {}
    }

    /// The same with libraries.
    ///
    /// # Errors
    /// None: there is no device to compile for.
    pub fn accelerated(
        _program: &Program,
        _emission: Emission,
        _target: &Target,
        device: &Device,
        _accelerators: Accelerators,
    ) -> Result<Executable, CudaError> {
        match device.0 {}
    }

    /// How many contractions libraries compute.
    pub fn library_products(&self) -> usize {
        match self.0 {}
    }

    /// What its functions take of a multiprocessor.
    pub fn resources(&self) -> &[Resources] {
        match self.0 {}
    }
}

/// A program's memory; there is none.
#[derive(Debug)]
pub struct Instance(Infallible);

impl Instance {
    /// Allocates the buffers.
    ///
    /// # Errors
    /// None: there is no executable.
    pub fn new(executable: &Executable) -> Result<Instance, CudaError> {
        match executable.0 {}
    }

    /// The same with shared memory.
    ///
    /// # Errors
    /// None: there is no executable.
    pub fn replacing(executable: &Executable, _pairs: &[(BufferId, BufferId)]) -> Result<Instance, CudaError> {
        match executable.0 {}
    }

    /// Runs all launches once.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn run(&mut self, _key: RandomKey) -> Result<(), CudaError> {
        match self.0 {}
    }

    /// The same for one step of a time loop.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn run_at(&mut self, _key: RandomKey, _step: i64) -> Result<(), CudaError> {
        match self.0 {}
    }

    /// Runs all launches once and adds the time of each kernel.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn run_timed(&mut self, _key: RandomKey, _timings: &mut Timings) -> Result<(), CudaError> {
        match self.0 {}
    }

    /// Runs all launches once and counts what contractions read.
    ///
    /// # Errors
    /// If the driver refuses.
    pub fn run_counted(&mut self, _key: RandomKey, _densities: &mut Densities) -> Result<(), CudaError> {
        match self.0 {}
    }

    /// Contractions that launch nothing, each with the kernel in whose launch it is computed.
    pub fn moved(&self) -> &[crate::Moved] {
        match self.0 {}
    }

    /// Bytes of an element of a buffer in memory.
    pub fn element_bytes(&self, _buffer: BufferId) -> f64 {
        match self.0 {}
    }

    /// Bytes of the device's memory that it takes.
    pub fn memory_bytes(&self) -> usize {
        match self.0 {}
    }

    /// The elements of a buffer of an f32 program.
    ///
    /// # Errors
    /// If the buffer holds no floats.
    pub fn read_f32(&self, _buffer: BufferId) -> Result<Vec<f32>, CudaError> {
        match self.0 {}
    }

    /// The elements of a buffer of an f64 program.
    ///
    /// # Errors
    /// If the buffer holds no floats.
    pub fn read_f64(&self, _buffer: BufferId) -> Result<Vec<f64>, CudaError> {
        match self.0 {}
    }

    /// Overwrites an input or output of an f32 program.
    ///
    /// # Errors
    /// If the buffer is another or has another length.
    pub fn write_f32(&mut self, _buffer: BufferId, _values: &[f32]) -> Result<(), CudaError> {
        match self.0 {}
    }

    /// Overwrites an input or output of an f64 program.
    ///
    /// # Errors
    /// If the buffer is another or has another length.
    pub fn write_f64(&mut self, _buffer: BufferId, _values: &[f64]) -> Result<(), CudaError> {
        match self.0 {}
    }

    /// Exchanges two inputs or outputs.
    ///
    /// # Errors
    /// If their lengths differ.
    pub fn swap(&mut self, _a: BufferId, _b: BufferId) -> Result<(), CudaError> {
        match self.0 {}
    }
}
