//! What is learned about a run while it happens: the time of every kernel, and how full the first operands of contractions
//! are. A run that nobody watches pays nothing.
//!
//! Must never know what kernels compute.

use snn_loops::{Dtype, KernelId, Timings, WORD};

use super::handles::{Event, Stream};
use crate::emit::Storage;
use crate::error::CudaError;

/// Who is told of every kernel of a run.
pub(super) trait Watch {
    /// A kernel comes next, though it may launch nothing itself.
    fn before(&mut self, kernel: usize, step: i64) -> Result<(), CudaError>;
    /// All that it launches is launched; nobody is told where it launches nothing.
    fn after(&mut self, kernel: usize) -> Result<(), CudaError>;
}

/// Nobody.
pub(super) struct Unwatched;

impl Watch for Unwatched {
    fn before(&mut self, _kernel: usize, _step: i64) -> Result<(), CudaError> {
        Ok(())
    }

    fn after(&mut self, _kernel: usize) -> Result<(), CudaError> {
        Ok(())
    }
}

/// Events between the kernels of a stream.
pub(super) struct Clock<'a> {
    stream: &'a Stream,
    begin: Event,
    /// The end of each kernel.
    ends: Vec<(KernelId, Event)>,
}

impl<'a> Clock<'a> {
    pub fn new(stream: &'a Stream) -> Result<Clock<'a>, CudaError> {
        Ok(Clock { stream, begin: event(stream)?, ends: Vec::new() })
    }

    /// Waits for the device and adds the time of each kernel.
    pub fn finish(self, timings: &mut Timings) -> Result<(), CudaError> {
        self.stream.wait()?;
        let mut before = &self.begin;
        for (kernel, end) in &self.ends {
            timings.add(*kernel, before.nanoseconds_to(end)?);
            before = end;
        }
        Ok(())
    }
}

impl Watch for Clock<'_> {
    fn before(&mut self, _kernel: usize, _step: i64) -> Result<(), CudaError> {
        Ok(())
    }

    fn after(&mut self, kernel: usize) -> Result<(), CudaError> {
        self.ends.push((KernelId(kernel as u32), event(self.stream)?));
        Ok(())
    }
}

/// An event behind all that was given to a stream.
fn event(stream: &Stream) -> Result<Event, CudaError> {
    let event = Event::timed(&stream.context)?;
    event.record(stream)?;
    Ok(event)
}

/// How many spikes there are in packed pixels; what pads their words is not looked at.
pub(super) fn spikes(bytes: &[u8], channels: usize) -> u64 {
    let pixel = |words: &[u8]| {
        let (whole, rest) = words.split_at_checked(channels / 8).unwrap_or((words, &[]));
        let last = rest.first().map_or(0, |byte| byte & ((1 << (channels % 8)) - 1));
        whole.iter().chain([&last]).map(|byte| u64::from(byte.count_ones())).sum::<u64>()
    };
    bytes.chunks(channels.next_multiple_of(WORD).max(WORD) / 8).map(pixel).sum()
}

/// How many of the floats in these bytes are not 0.
pub(super) fn nonzeros(bytes: &[u8], storage: Storage, dtype: Dtype) -> u64 {
    // What is not 0 has a bit besides its sign.
    let count = |size: usize| {
        let is_zero = |element: &[u8]| {
            element.split_last().is_none_or(|(last, rest)| last & 0x7f == 0 && rest.iter().all(|byte| *byte == 0))
        };
        bytes.chunks_exact(size).filter(|element| !is_zero(element)).count() as u64
    };
    match storage {
        Storage::Bf16 | Storage::F16 => count(2),
        Storage::Float => count(dtype.size()),
        Storage::Bits | Storage::Registers => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_of_either_sign_are_not_counted() {
        let floats: Vec<u8> = [0.0_f32, -0.0, 1e-40, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(nonzeros(&floats, Storage::Float, Dtype::F32), 2);
        let doubles: Vec<u8> = [0.0_f64, -0.0, 1e-310].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!(nonzeros(&doubles, Storage::Float, Dtype::F64), 1);
        assert_eq!(nonzeros(&[0, 0x80, 0, 0x3c, 1, 0], Storage::F16, Dtype::F32), 2);
    }

    #[test]
    fn spikes_are_counted_and_what_pads_them_is_not() {
        let pixels: Vec<u8> = [u64::MAX, 0b101, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!([64, 11, 8, 1].map(|channels| spikes(&pixels, channels)), [66, 13, 10, 2]);
        assert_eq!(spikes(&pixels, 65), 65, "a pixel of two words, and one that is cut");
    }
}
