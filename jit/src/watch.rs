//! What can be learned about a run while it happens: the time of every kernel, and how full the inputs of contractions
//! are. A run that nobody watches pays nothing.
//!
//! Must never know what kernels compute.

use std::time::Instant;

use snn_loops::{Contraction, Densities, Dtype, Kernel, KernelId, Program, Timings};

use crate::call::Buffers;
use crate::element::Element;
use crate::execute::span;
use crate::kernels;

/// Who is told of every launch.
pub(crate) trait Watch: Send {
    /// A kernel is about to be launched.
    fn before(&mut self, program: &Program, id: KernelId, buffers: &mut Buffers<'_>, step: i64);
    /// It is done.
    fn after(&mut self, id: KernelId);
}

/// Nobody.
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    fn before(&mut self, _program: &Program, _id: KernelId, _buffers: &mut Buffers<'_>, _step: i64) {}

    fn after(&mut self, _id: KernelId) {}
}

/// Adds the time of every launch to the kernel's.
pub(crate) struct Clock<'a> {
    timings: &'a mut Timings,
    begin: Option<Instant>,
}

impl Clock<'_> {
    pub fn new(timings: &mut Timings) -> Clock<'_> {
        Clock { timings, begin: None }
    }
}

impl Watch for Clock<'_> {
    fn before(&mut self, _program: &Program, _id: KernelId, _buffers: &mut Buffers<'_>, _step: i64) {
        self.begin = Some(Instant::now());
    }

    fn after(&mut self, id: KernelId) {
        let elapsed = self.begin.take().map_or(0, |begin| begin.elapsed().as_nanos() as u64);
        self.timings.add(id, elapsed);
    }
}

impl Watch for Densities {
    fn before(&mut self, program: &Program, id: KernelId, buffers: &mut Buffers<'_>, step: i64) {
        let Some(Kernel::Contraction(contraction)) = program.kernels.get(id.0 as usize) else { return };
        let counted = match program.dtype {
            Dtype::F32 => count::<f32>(contraction, buffers, step),
            Dtype::F64 => count::<f64>(contraction, buffers, step),
        };
        if let Some((nonzeros, elements)) = counted {
            self.add(id, nonzeros as u64, elements as u64);
        }
    }

    fn after(&mut self, _id: KernelId) {}
}

/// The elements of the first operand that are not 0, and all of them.
fn count<T: Element>(contraction: &Contraction, buffers: &mut Buffers<'_>, step: i64) -> Option<(usize, usize)> {
    let [a_len, _, out_len] = contraction.lengths();
    if contraction.packed {
        let [_, b_len, _] = contraction.lengths();
        let (a, b) = (span(&contraction.a, a_len, step)?, span(&contraction.b, b_len, step)?);
        let (words, ..) = buffers.packed_views::<T>(a, b, span(&contraction.out, out_len, step)?)?;
        let nonzeros = kernels::spikes(contraction, words);
        let elements = a_len / contraction.pitch().max(1) * contraction.shape.cin;
        return Some((nonzeros, elements));
    }
    let ([a], _) =
        buffers.views::<T, 1>([span(&contraction.a, a_len, step)?], span(&contraction.out, out_len, step)?)?;
    let nonzeros = a.iter().filter(|value| !value.is_zero()).count();
    Some((nonzeros, a_len))
}
