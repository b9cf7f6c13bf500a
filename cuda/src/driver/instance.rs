//! A program's memory on a device, and what the host does with it.
//!
//! The first run launches kernel by kernel, so that all code is there; the second is captured as a graph, which is replayed
//! from then on. What is prepared once runs before, where what it is made of was written since. A graph holds addresses: buffers that are swapped give another graph, and the last few are kept.

#![allow(unsafe_code, reason = "launches functions on memory of the device")]

use std::fmt;
use std::sync::Arc;

use snn_loops::{BufferId, Contraction, Densities, Dtype, Kernel, KernelId, RandomKey, Role, Timings};

use super::executable::{Executable, Shared};
use super::handles::{Graph, Stream};
use super::launch::{Addresses, bytes_before, each_launch};
use super::memory::{DeviceMemory, Element, bytes_of};
use super::staging::Staging;
use super::steady::Steady;
use super::watch::{Clock, Unwatched, Watch, nonzeros, spikes};
use super::work::{Work, give};
use crate::emit::{Moved, Storage};
use crate::error::CudaError;
use crate::footprint::RUN_BYTES;
use crate::layout::{Block, PREPARED, Place, WORKSPACE};

/// Graphs that are kept: training swaps weights and knows two.
const GRAPHS: usize = 4;

/// An executable with memory of its own. Inputs keep what the host wrote until it writes again; all memory starts as zeros.
/// Nothing waits for the device but reading.
pub struct Instance {
    // Before all memory: a stream is waited for when it is dropped.
    stream: Stream,
    shared: Arc<Shared>,
    blocks: Vec<Arc<DeviceMemory>>,
    places: Vec<Place>,
    run: DeviceMemory,
    staging: Staging,
    steady: Steady,
    graphs: Vec<Replay>,
    is_warm: bool,
}

/// A run as a graph, for one assignment of places.
struct Replay {
    places: Vec<Place>,
    graph: Graph,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl Instance {
    /// Allocates the buffers on the executable's device.
    ///
    /// # Errors
    /// If the device's memory does not suffice.
    pub fn new(executable: &Executable) -> Result<Instance, CudaError> {
        Instance::replacing(executable, &[])
    }

    /// The same, where each pair is an output and the input that it replaces after every run ([`Self::swap`]): they share
    /// memory if the program allows it.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn replacing(executable: &Executable, pairs: &[(BufferId, BufferId)]) -> Result<Instance, CudaError> {
        let shared = Arc::clone(&executable.shared);
        let layout = shared.layout.sharing(&shared.program, pairs);
        let context = shared.device.context();
        let stream = Stream::new(context)?;
        let allocate = |block: &Block| -> Result<Arc<DeviceMemory>, CudaError> {
            match block {
                Block::Own(bytes) => {
                    let memory = DeviceMemory::new(context, *bytes)?;
                    memory.clear(&stream)?;
                    Ok(Arc::new(memory))
                }
                Block::Constant(id) => {
                    let kept = shared.constants.get(id).map(Arc::clone);
                    kept.ok_or_else(|| CudaError::Emission(format!("b{} is no constant", id.0)))
                }
            }
        };
        let blocks = layout.blocks.iter().map(allocate).collect::<Result<Vec<_>, _>>()?;
        let prepare = shared.prepare.iter().map(|works| works.iter().filter_map(Work::call).collect());
        let steady = Steady::of(&shared.program, prepare, blocks.len());
        let (run, staging) = (DeviceMemory::new(context, RUN_BYTES)?, Staging::new(context));
        let places = layout.places;
        Ok(Instance { stream, shared, blocks, places, run, staging, steady, graphs: Vec::new(), is_warm: false })
    }

    /// Runs all launches once; what the run draws depends on nothing but the key.
    ///
    /// # Errors
    /// If the driver refuses; what fails on the device is only seen when something is read.
    pub fn run(&mut self, key: RandomKey) -> Result<(), CudaError> {
        self.run_at(key, 0)
    }

    /// The same for a program that is one step of a time loop: it draws what step number `step` would draw.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub fn run_at(&mut self, key: RandomKey, step: i64) -> Result<(), CudaError> {
        self.send_key(key, step)?;
        self.prepare()?;
        if !self.is_warm {
            self.launch_all(&mut Unwatched)?;
            self.is_warm = true;
            return Ok(());
        }
        let known = self.graphs.iter().position(|replay| replay.places == self.places);
        let at = match known {
            Some(at) => at,
            None => self.capture()?,
        };
        match self.graphs.get(at) {
            // SAFETY: the graph launches what `launch_all` does with the present places, whose memory this value owns.
            Some(replay) => unsafe { replay.graph.launch(&self.stream) },
            None => Ok(()),
        }
    }

    /// Runs all launches once, kernel by kernel, and adds the time of each to `timings`. Waits for the device.
    ///
    /// # Errors
    /// As for [`Self::run`], and what fails on the device.
    pub fn run_timed(&mut self, key: RandomKey, timings: &mut Timings) -> Result<(), CudaError> {
        self.send_key(key, 0)?;
        self.prepare()?;
        let mut clock = Clock::new(&self.stream)?;
        self.launch_all(&mut clock)?;
        clock.finish(timings)?;
        self.is_warm = true;
        Ok(())
    }

    /// Runs all launches once, kernel by kernel, and counts before each contraction the elements of its first operand that are
    /// not 0. Waits for the device each time.
    ///
    /// # Errors
    /// As for [`Self::run`], and what fails on the device.
    pub fn run_counted(&mut self, key: RandomKey, densities: &mut Densities) -> Result<(), CudaError> {
        self.send_key(key, 0)?;
        self.prepare()?;
        self.launch_all(&mut Counter { instance: self, densities })?;
        self.is_warm = true;
        Ok(())
    }

    /// Kernels that launch nothing, each with the later one in whose launch it runs.
    pub fn moved(&self) -> &[Moved] {
        &self.shared.moved
    }

    /// Bytes of an element of a buffer in memory; 0 if it never leaves registers.
    pub fn element_bytes(&self, buffer: BufferId) -> f64 {
        match self.places.get(buffer.0 as usize).map(|place| place.storage) {
            Some(Storage::Float) => self.shared.program.dtype.size() as f64,
            Some(Storage::Bf16 | Storage::F16) => 2.0,
            Some(Storage::Bits) => 1.0 / 8.0,
            Some(Storage::Registers) | None => 0.0,
        }
    }

    /// Bytes of the device's memory that it takes, those of constants among them.
    pub fn memory_bytes(&self) -> usize {
        self.blocks.iter().map(|block| block.bytes()).sum::<usize>() + self.run.bytes()
    }

    /// The elements of a buffer of an f32 program, after all runs.
    ///
    /// # Errors
    /// If the buffer holds no floats, or a run has failed.
    pub fn read_f32(&self, buffer: BufferId) -> Result<Vec<f32>, CudaError> {
        self.read(buffer)
    }

    /// The elements of a buffer of an f64 program, after all runs.
    ///
    /// # Errors
    /// As for [`Self::read_f32`].
    pub fn read_f64(&self, buffer: BufferId) -> Result<Vec<f64>, CudaError> {
        self.read(buffer)
    }

    /// Overwrites all elements of an input or output of an f32 program, behind all runs until now.
    ///
    /// # Errors
    /// If the buffer is another or has another length.
    pub fn write_f32(&mut self, buffer: BufferId, values: &[f32]) -> Result<(), CudaError> {
        self.write(buffer, values)
    }

    /// Overwrites all elements of an input or output of an f64 program, behind all runs until now.
    ///
    /// # Errors
    /// As for [`Self::write_f32`].
    pub fn write_f64(&mut self, buffer: BufferId, values: &[f64]) -> Result<(), CudaError> {
        self.write(buffer, values)
    }

    /// Exchanges the contents of two inputs or outputs of the same length, without copying.
    ///
    /// # Errors
    /// If one of them is another buffer, or their lengths differ.
    pub fn swap(&mut self, a: BufferId, b: BufferId) -> Result<(), CudaError> {
        let (first, second) = (self.host_place(a, "swapped")?, self.host_place(b, "swapped")?);
        if first.len != second.len {
            return Err(self.wrong_length(b, first.len));
        }
        for (id, place) in [(a, second), (b, first)] {
            if let Some(entry) = self.places.get_mut(id.0 as usize) {
                *entry = place;
            }
        }
        Ok(())
    }

    fn send_key(&mut self, key: RandomKey, step: i64) -> Result<(), CudaError> {
        let [seed, run, step] = [key.seed.to_ne_bytes(), key.run.to_ne_bytes(), step.to_ne_bytes()];
        let bytes = [seed, run, step].concat();
        self.staging.send(&self.stream, &self.run, 0, &bytes)
    }

    /// Prepares again what is made of something that was written since. It is launched behind all earlier runs, which read
    /// what was there.
    fn prepare(&mut self) -> Result<(), CudaError> {
        for kernel in self.steady.begin(&self.places) {
            let blocks = self.addresses_of_blocks();
            self.stream.context.enter()?;
            self.launch(self.shared.prepare.get(kernel), &self.addresses(&blocks), 0)?;
            self.steady.prepared(kernel, &self.places);
        }
        Ok(())
    }

    fn addresses_of_blocks(&self) -> Vec<u64> {
        self.blocks.iter().map(|block| block.address()).collect()
    }

    fn addresses<'a>(&'a self, blocks: &'a [u64]) -> Addresses<'a> {
        let of = |block: usize| blocks.get(block).copied().unwrap_or_default();
        Addresses {
            dtype: self.shared.program.dtype,
            places: &self.places,
            workspace: of(WORKSPACE),
            workspace_bytes: self.shared.workspace,
            prepared: of(PREPARED),
            prepared_bytes: self.shared.prepared,
            run: self.run.address(),
            blocks,
        }
    }

    /// Launches the calls of a kernel.
    fn launch(&self, works: Option<&Vec<Work>>, addresses: &Addresses<'_>, step: i64) -> Result<(), CudaError> {
        let works = works.map_or(&[] as &[Work], Vec::as_slice);
        // SAFETY: the emission was made for these functions, and they keep inside of the buffers, the workspace and the
        // prepared memory that they are given, as the program was verified. All of it is this value's memory, which is
        // dropped after the stream; constants are only read.
        unsafe { give(&self.stream, works, addresses, step) }
    }

    /// Launches everything under the eyes of a watch.
    fn launch_all(&self, watch: &mut dyn Watch) -> Result<(), CudaError> {
        let blocks = self.addresses_of_blocks();
        let addresses = self.addresses(&blocks);
        self.stream.context.enter()?;
        each_launch(&self.shared.program.launches, 0, &mut |kernel, step| {
            watch.before(kernel, step)?;
            let works = self.shared.kernels.get(kernel).filter(|works| !works.is_empty());
            self.launch(works, &addresses, step)?;
            if works.is_some() { watch.after(kernel) } else { Ok(()) }
        })
    }

    /// Keeps a run with the present places as a graph; gives its position.
    fn capture(&mut self) -> Result<usize, CudaError> {
        let graph = self.stream.capture(|| self.launch_all(&mut Unwatched))?;
        if self.graphs.len() >= GRAPHS {
            self.graphs.remove(0);
        }
        self.graphs.push(Replay { places: self.places.clone(), graph });
        Ok(self.graphs.len() - 1)
    }

    fn read<T: Element>(&self, buffer: BufferId) -> Result<Vec<T>, CudaError> {
        self.check_type::<T>()?;
        let place = self.place(buffer)?;
        if place.storage != Storage::Float {
            return Err(self.wrong_role(buffer, "read as floats"));
        }
        let mut values = vec![T::default(); place.len];
        if let Some(block) = self.blocks.get(place.block) {
            block.read(&self.stream, place.offset, &mut values)?;
        }
        Ok(values)
    }

    fn write<T: Element>(&mut self, buffer: BufferId, values: &[T]) -> Result<(), CudaError> {
        self.check_type::<T>()?;
        let place = self.host_place(buffer, "written")?;
        if place.len != values.len() {
            return Err(self.wrong_length(buffer, values.len()));
        }
        self.steady.wrote(place.block);
        match self.blocks.get(place.block) {
            Some(block) => self.staging.send(&self.stream, block, place.offset, bytes_of(values)),
            None => Err(CudaError::NoBuffer(buffer.0)),
        }
    }

    /// How many elements of a contraction's first operand are not 0 before it runs, and how many there are.
    fn nonzeros(&self, contraction: &Contraction, step: i64) -> Result<(u64, u64), CudaError> {
        let (operand, dtype) = (&contraction.a, self.shared.program.dtype);
        let place = self.place(operand.buffer)?;
        let [len, ..] = contraction.lengths();
        let begin = usize::try_from(operand.offset.evaluate(&|_| 0, step)).ok();
        // Rows of bits are whole words.
        let range = begin.and_then(|begin| {
            let begin = bytes_before(begin, place.storage, dtype)?;
            Some((begin, bytes_before(len, place.storage, dtype)?))
        });
        let (Some((begin, bytes)), Some(block)) = (range, self.blocks.get(place.block)) else {
            return Err(self.wrong_role(operand.buffer, "counted"));
        };
        let mut content = vec![0; bytes];
        block.read_bytes(&self.stream, place.offset + begin, &mut content)?;
        let channels = contraction.shape.cin;
        Ok(match place.storage {
            Storage::Bits => (spikes(&content, channels), (len / contraction.pitch().max(1) * channels) as u64),
            Storage::Float | Storage::Bf16 | Storage::F16 | Storage::Registers => {
                (nonzeros(&content, place.storage, dtype), len as u64)
            }
        })
    }

    fn check_type<T: Element>(&self) -> Result<(), CudaError> {
        let program: Dtype = self.shared.program.dtype;
        if program == T::DTYPE { Ok(()) } else { Err(CudaError::WrongType { program, asked: T::DTYPE }) }
    }

    fn place(&self, buffer: BufferId) -> Result<Place, CudaError> {
        self.places.get(buffer.0 as usize).copied().ok_or(CudaError::NoBuffer(buffer.0))
    }

    /// The place of an input or output.
    fn host_place(&self, buffer: BufferId, action: &'static str) -> Result<Place, CudaError> {
        let place = self.place(buffer)?;
        match self.shared.program.buffers.get(buffer.0 as usize) {
            Some(declared) if matches!(declared.role, Role::Input | Role::Output) => Ok(place),
            _ => Err(self.wrong_role(buffer, action)),
        }
    }

    fn wrong_role(&self, buffer: BufferId, action: &'static str) -> CudaError {
        match self.shared.program.buffers.get(buffer.0 as usize) {
            Some(declared) => CudaError::WrongRole { buffer: declared.name.clone(), action },
            None => CudaError::NoBuffer(buffer.0),
        }
    }

    fn wrong_length(&self, buffer: BufferId, found: usize) -> CudaError {
        match self.shared.program.buffers.get(buffer.0 as usize) {
            Some(declared) => CudaError::WrongLength { buffer: declared.name.clone(), expected: declared.len, found },
            None => CudaError::NoBuffer(buffer.0),
        }
    }
}

/// Counts what contractions read.
struct Counter<'a> {
    instance: &'a Instance,
    densities: &'a mut Densities,
}

impl Watch for Counter<'_> {
    fn before(&mut self, kernel: usize, step: i64) -> Result<(), CudaError> {
        let Some(Kernel::Contraction(contraction)) = self.instance.shared.program.kernels.get(kernel) else {
            return Ok(());
        };
        let (nonzeros, elements) = self.instance.nonzeros(contraction, step)?;
        self.densities.add(KernelId(kernel as u32), nonzeros, elements);
        Ok(())
    }

    fn after(&mut self, _kernel: usize) -> Result<(), CudaError> {
        Ok(())
    }
}
