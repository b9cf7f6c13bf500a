//! A program's memory, and what the host does with it.

use std::fmt;
use std::sync::Arc;

use snn_loops::{BufferId, Densities, Dtype, RandomKey, Role, Timings};

use crate::alloc::Block;
use crate::call::{Buffers, Place};
use crate::compile::{Executable, Shared};
use crate::element::Element;
use crate::error::JitError;
use crate::execute;
use crate::steady::Steady;
use crate::watch::{Clock, Unwatched, Watch};

/// An executable with memory of its own. Inputs keep what the host wrote until it writes again; all memory starts as zeros.
/// Copies of weights in the order in which kernels read them are kept until the weights are written again.
pub struct Instance {
    shared: Arc<Shared>,
    blocks: Vec<Block>,
    places: Vec<Place>,
    steady: Steady,
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

impl Instance {
    /// Allocates the buffers and fills in the constants.
    pub fn new(executable: &Executable) -> Result<Instance, JitError> {
        Instance::replacing(executable, &[])
    }

    /// The same, where each pair is an output and the input that it replaces after every run ([`Self::swap`]): they share
    /// memory if the program allows it.
    pub fn replacing(executable: &Executable, pairs: &[(BufferId, BufferId)]) -> Result<Instance, JitError> {
        let shared = Arc::clone(&executable.shared);
        let layout = shared.layout.sharing(&shared.program, pairs);
        let blocks = layout.blocks.iter().map(|bytes| Block::new(*bytes)).collect::<Result<_, _>>()?;
        let steady = Steady::of(&shared.program, pairs);
        let mut instance = Instance { blocks, places: layout.places, steady, shared: Arc::clone(&shared) };
        for (at, buffer) in shared.program.buffers.iter().enumerate() {
            if let Role::Constant(values) = &buffer.role {
                let id = BufferId(at as u32);
                match shared.program.dtype {
                    Dtype::F32 => instance.fill::<f32>(id, values)?,
                    Dtype::F64 => instance.fill::<f64>(id, values)?,
                }
            }
        }
        Ok(instance)
    }

    /// Runs all launches once; what the run draws depends on nothing but the key.
    pub fn run(&mut self, key: RandomKey) -> Result<(), JitError> {
        self.run_at(key, 0)
    }

    /// The same for a program that is one step of a time loop: it draws what step number `step` would draw.
    pub fn run_at(&mut self, key: RandomKey, step: i64) -> Result<(), JitError> {
        self.watched(key, step, &mut Unwatched)
    }

    /// Runs all launches once and adds the time of each kernel to `timings`.
    pub fn run_timed(&mut self, key: RandomKey, timings: &mut Timings) -> Result<(), JitError> {
        self.watched(key, 0, &mut Clock::new(timings))
    }

    /// Runs all launches once and counts, before each contraction, the elements of its first operand that are not 0.
    pub fn run_counted(&mut self, key: RandomKey, densities: &mut Densities) -> Result<(), JitError> {
        self.watched(key, 0, densities)
    }

    fn watched(&mut self, key: RandomKey, step: i64, watch: &mut impl Watch) -> Result<(), JitError> {
        let shared = Arc::clone(&self.shared);
        self.steady.begin(&mut self.blocks, &self.places);
        let steady = &mut self.steady;
        let Some(mut buffers) = Buffers::new(shared.program.dtype, &mut self.blocks, &self.places) else {
            return Err(JitError::Invalid("a buffer lies outside of the memory".into()));
        };
        match &shared.pool {
            Some(pool) => pool.install(|| execute::run(&shared, &mut buffers, steady, key, step, watch)),
            None => execute::run(&shared, &mut buffers, steady, key, step, watch),
        }
    }

    /// Bytes of memory that it holds: buffers, and copies of weights from the first run on.
    pub fn memory_bytes(&self) -> usize {
        self.blocks.iter().map(Block::bytes).sum::<usize>() + self.steady.bytes()
    }

    /// The elements of a buffer of an f32 program.
    pub fn slice_f32(&self, buffer: BufferId) -> Result<&[f32], JitError> {
        self.slice(buffer)
    }

    /// The elements of a buffer of an f64 program.
    pub fn slice_f64(&self, buffer: BufferId) -> Result<&[f64], JitError> {
        self.slice(buffer)
    }

    /// The elements of an input or output of an f32 program, to be written.
    pub fn slice_f32_mut(&mut self, buffer: BufferId) -> Result<&mut [f32], JitError> {
        self.slice_mut(buffer)
    }

    /// The elements of an input or output of an f64 program, to be written.
    pub fn slice_f64_mut(&mut self, buffer: BufferId) -> Result<&mut [f64], JitError> {
        self.slice_mut(buffer)
    }

    /// The elements of a buffer of an f32 program.
    pub fn read_f32(&self, buffer: BufferId) -> Result<Vec<f32>, JitError> {
        self.slice(buffer).map(<[f32]>::to_vec)
    }

    /// The elements of a buffer of an f64 program.
    pub fn read_f64(&self, buffer: BufferId) -> Result<Vec<f64>, JitError> {
        self.slice(buffer).map(<[f64]>::to_vec)
    }

    /// Overwrites all elements of an input or output of an f32 program.
    pub fn write_f32(&mut self, buffer: BufferId, values: &[f32]) -> Result<(), JitError> {
        self.write(buffer, values)
    }

    /// Overwrites all elements of an input or output of an f64 program.
    pub fn write_f64(&mut self, buffer: BufferId, values: &[f64]) -> Result<(), JitError> {
        self.write(buffer, values)
    }

    /// Copies all elements of a buffer to an input or output of the same length.
    pub fn copy(&mut self, from: BufferId, to: BufferId) -> Result<(), JitError> {
        match self.shared.program.dtype {
            Dtype::F32 => {
                let values = self.read_f32(from)?;
                self.write_f32(to, &values)
            }
            Dtype::F64 => {
                let values = self.read_f64(from)?;
                self.write_f64(to, &values)
            }
        }
    }

    /// Exchanges the contents of two inputs or outputs of the same length, without copying.
    pub fn swap(&mut self, a: BufferId, b: BufferId) -> Result<(), JitError> {
        let (first, second) = (self.host_place(a, "swapped")?, self.host_place(b, "swapped")?);
        if first.len != second.len {
            return Err(self.wrong_length(b, first.len));
        }
        // Both own their whole block, so exchanging places exchanges contents.
        for (id, place) in [(a, second), (b, first)] {
            if let Some(entry) = self.places.get_mut(id.0 as usize) {
                *entry = place;
            }
        }
        Ok(())
    }

    fn slice<T: Element>(&self, buffer: BufferId) -> Result<&[T], JitError> {
        self.check_type::<T>()?;
        let place = self.place(buffer)?;
        if let (true, Some(declared)) = (place.packed, self.shared.program.buffers.get(buffer.0 as usize)) {
            return Err(JitError::WrongRole { buffer: declared.name.clone(), action: "read as floats" });
        }
        Ok(self.blocks.get(place.block).map_or(&[], |block| block.floats(place.offset, place.len)))
    }

    fn slice_mut<T: Element>(&mut self, buffer: BufferId) -> Result<&mut [T], JitError> {
        self.check_type::<T>()?;
        let place = self.host_place(buffer, "written")?;
        Ok(self.blocks.get_mut(place.block).map_or(&mut [], |block| block.floats_mut(place.offset, place.len)))
    }

    fn write<T: Element>(&mut self, buffer: BufferId, values: &[T]) -> Result<(), JitError> {
        if self.slice_mut::<T>(buffer)?.len() != values.len() {
            return Err(self.wrong_length(buffer, values.len()));
        }
        self.slice_mut(buffer)?.copy_from_slice(values);
        Ok(())
    }

    fn fill<T: Element>(&mut self, buffer: BufferId, values: &[f64]) -> Result<(), JitError> {
        let place = self.place(buffer)?;
        if let Some(block) = self.blocks.get_mut(place.block) {
            for (element, value) in block.floats_mut::<T>(place.offset, place.len).iter_mut().zip(values) {
                *element = T::round(*value);
            }
        }
        Ok(())
    }

    fn check_type<T: Element>(&self) -> Result<(), JitError> {
        let program = self.shared.program.dtype;
        if program == T::DTYPE { Ok(()) } else { Err(JitError::WrongType { program, asked: T::DTYPE }) }
    }

    fn place(&self, buffer: BufferId) -> Result<Place, JitError> {
        self.places.get(buffer.0 as usize).copied().ok_or(JitError::NoBuffer(buffer.0))
    }

    /// The place of an input or output.
    fn host_place(&self, buffer: BufferId, action: &'static str) -> Result<Place, JitError> {
        let place = self.place(buffer)?;
        match self.shared.program.buffers.get(buffer.0 as usize) {
            Some(declared) if !matches!(declared.role, Role::Input | Role::Output) => {
                Err(JitError::WrongRole { buffer: declared.name.clone(), action })
            }
            _ => Ok(place),
        }
    }

    fn wrong_length(&self, buffer: BufferId, found: usize) -> JitError {
        match self.shared.program.buffers.get(buffer.0 as usize) {
            Some(declared) => JitError::WrongLength { buffer: declared.name.clone(), expected: declared.len, found },
            None => JitError::NoBuffer(buffer.0),
        }
    }
}
