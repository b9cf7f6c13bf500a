//! Memory of the device and pinned memory of the host, owned, and copies between them that stay inside.
//!
//! Must never know what the bytes mean.

#![allow(unsafe_code, reason = "calls the driver and sees floats as bytes")]

use std::ptr::NonNull;
use std::sync::Arc;

use snn_loops::Dtype;

use super::api::Answer;
use super::handles::{Context, Stream};
use crate::error::CudaError;

/// The driver's answer where memory does not suffice.
const OUT_OF_MEMORY: Answer = 2;

/// A float of the host.
pub(super) trait Element: Copy + Default + 'static {
    /// The type of programs with such elements.
    const DTYPE: Dtype;
    /// The nearest value.
    fn round(value: f64) -> Self;
}

impl Element for f32 {
    const DTYPE: Dtype = Dtype::F32;
    fn round(value: f64) -> f32 {
        value as f32
    }
}

impl Element for f64 {
    const DTYPE: Dtype = Dtype::F64;
    fn round(value: f64) -> f64 {
        value
    }
}

/// Floats as bytes.
pub(super) fn bytes_of<T: Element>(values: &[T]) -> &[u8] {
    // SAFETY: elements are `f32` or `f64`, all bytes of which are initialized; bytes need no alignment.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// Memory of the device.
pub(super) struct DeviceMemory {
    context: Arc<Context>,
    address: u64,
    bytes: usize,
}

impl DeviceMemory {
    /// This many bytes, 256-aligned, holding anything; nowhere if there are none.
    pub fn new(context: &Arc<Context>, bytes: usize) -> Result<DeviceMemory, CudaError> {
        let mut address = 0;
        if bytes == 0 {
            return Ok(DeviceMemory { context: Arc::clone(context), address, bytes });
        }
        context.enter()?;
        // SAFETY: writes to `address` alone.
        let answer = unsafe { (context.driver.functions.cuMemAlloc_v2)(&mut address, bytes) };
        if answer == OUT_OF_MEMORY {
            return Err(CudaError::OutOfMemory { asked: bytes, free: context.free_bytes() });
        }
        context.driver.check("cuMemAlloc", answer)?;
        Ok(DeviceMemory { context: Arc::clone(context), address, bytes })
    }

    /// Its first byte's address on the device.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Fills it with zeros, in the order of the stream.
    pub fn clear(&self, stream: &Stream) -> Result<(), CudaError> {
        if self.bytes == 0 {
            return Ok(());
        }
        self.context.enter()?;
        let driver = self.context.driver;
        // SAFETY: the range is all of the memory, which outlives the stream's work: a stream is waited for before memory
        // that it works on is dropped.
        let answer = unsafe { (driver.functions.cuMemsetD8Async)(self.address, 0, self.bytes, stream.raw()) };
        driver.check("cuMemsetD8Async", answer)
    }

    /// Copies from the start of pinned memory to an offset, in the order of the stream. The pinned memory must not change
    /// until the stream has come there.
    pub fn write(&self, stream: &Stream, offset: usize, from: &Pinned, bytes: usize) -> Result<(), CudaError> {
        if bytes > from.bytes {
            return Err(outside());
        }
        let address = self.range(offset, bytes)?;
        self.context.enter()?;
        let driver = self.context.driver;
        // SAFETY: both ranges were checked; both memories outlive the stream's work, as in `clear`.
        let answer = unsafe {
            (driver.functions.cuMemcpyHtoDAsync_v2)(address, from.start.as_ptr().cast(), bytes, stream.raw())
        };
        driver.check("cuMemcpyHtoDAsync", answer)
    }

    /// Reads floats from an offset, after all work of the stream.
    pub fn read<T: Element>(&self, stream: &Stream, offset: usize, values: &mut [T]) -> Result<(), CudaError> {
        if values.is_empty() {
            return stream.wait();
        }
        // SAFETY: the bytes are those of the floats, and every pattern of them is one.
        let bytes = unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) };
        self.read_bytes(stream, offset, bytes)
    }

    /// Reads bytes from an offset, after all work of the stream.
    pub fn read_bytes(&self, stream: &Stream, offset: usize, to: &mut [u8]) -> Result<(), CudaError> {
        let address = self.range(offset, to.len())?;
        self.context.enter()?;
        let driver = self.context.driver;
        // SAFETY: both ranges hold that many bytes; the stream is waited for before the borrow of `to` ends.
        let answer =
            unsafe { (driver.functions.cuMemcpyDtoHAsync_v2)(to.as_mut_ptr().cast(), address, to.len(), stream.raw()) };
        let copied = driver.check("cuMemcpyDtoHAsync", answer);
        stream.wait().and(copied)
    }

    /// The address of a range that lies inside.
    fn range(&self, offset: usize, bytes: usize) -> Result<u64, CudaError> {
        match offset.checked_add(bytes) {
            Some(end) if end <= self.bytes => Ok(self.address + offset as u64),
            _ => Err(outside()),
        }
    }
}

fn outside() -> CudaError {
    CudaError::Emission("a copy does not lie inside of its buffer".to_owned())
}

impl Drop for DeviceMemory {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let _ = self.context.enter();
        // SAFETY: it is freed once; streams that work on it have been waited for.
        unsafe { (self.context.driver.functions.cuMemFree_v2)(self.address) };
    }
}

/// Memory of the host that the device copies from while the host goes on.
pub(super) struct Pinned {
    context: Arc<Context>,
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: it owns its memory, as a `Vec` does.
unsafe impl Send for Pinned {}
// SAFETY: shared references only read.
unsafe impl Sync for Pinned {}

impl Pinned {
    /// This many bytes.
    pub fn new(context: &Arc<Context>, bytes: usize) -> Result<Pinned, CudaError> {
        context.enter()?;
        let mut start = std::ptr::null_mut();
        // SAFETY: writes to `start` alone.
        let answer = unsafe { (context.driver.functions.cuMemHostAlloc)(&mut start, bytes, 0) };
        context.driver.check("cuMemHostAlloc", answer)?;
        let Some(start) = NonNull::new(start.cast()) else {
            return Err(CudaError::Driver {
                call: "cuMemHostAlloc",
                code: 0,
                message: "but gives no memory".to_owned(),
            });
        };
        Ok(Pinned { context: Arc::clone(context), start, bytes })
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Overwrites its first bytes, as many as it has at most.
    pub fn fill(&mut self, content: &[u8]) {
        let bytes = content.len().min(self.bytes);
        // SAFETY: `start` has as many bytes, which this value owns, and `content` lies elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), self.start.as_ptr(), bytes) };
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let _ = self.context.enter();
        // SAFETY: it is freed once; streams that copy from it have been waited for.
        unsafe { (self.context.driver.functions.cuMemFreeHost)(self.start.as_ptr().cast()) };
    }
}
