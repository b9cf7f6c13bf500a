//! Contractions whose weights are the same from run to run, and the copies of weights that their kernels keep.
//!
//! A copy belongs to a state of the memory that it was made of, never to a promise that nobody wrote there: before a run,
//! every copy whose memory has been handed out to be written since, or that is of other memory after a swap, is forgotten.
//! Must never know how kernels use copies.

use snn_loops::plan::touched;
use snn_loops::{BufferId, Contraction, ContractionKind, Kernel, KernelId, Program, Role};

use crate::alloc::Block;
use crate::call::Place;
use crate::kernels::prepared::Prepared;

/// Memory in a state: which block, and how often it had been written.
type State = (usize, u64);

/// Copies of weights, for every contraction that may keep one.
pub(crate) struct Steady {
    /// One a kernel; `None` for those whose weights change within a run or with every run.
    slots: Vec<Option<Slot>>,
    /// Buffers with memory of their own that runs write.
    written: Vec<BufferId>,
}

struct Slot {
    weights: BufferId,
    state: Option<State>,
    prepared: Prepared,
}

impl Steady {
    /// Of a verified program in which the second buffer of each pair is replaced by the first after every run.
    pub fn of(program: &Program, pairs: &[(BufferId, BufferId)]) -> Steady {
        let slot = |kernel: &Kernel| match kernel {
            Kernel::Contraction(contraction) if keeps_weights(program, pairs, contraction) => {
                Some(Slot { weights: contraction.b.buffer, state: None, prepared: Prepared::default() })
            }
            Kernel::Nest(_) | Kernel::Contraction(_) | Kernel::EventSweep(_) | Kernel::Draw(_) => None,
        };
        let is_output = |id: &BufferId| role(program, *id) == Some(&Role::Output);
        let mut written: Vec<BufferId> =
            program.kernels.iter().flat_map(|kernel| touched(kernel).writes).filter(is_output).collect();
        written.sort_unstable();
        written.dedup();
        Steady { slots: program.kernels.iter().map(slot).collect(), written }
    }

    /// Prepares a run in these blocks: they count as written as far as the run writes them, and copies of what is no longer
    /// there are forgotten.
    pub fn begin(&mut self, blocks: &mut [Block], places: &[Place]) {
        let place = |id: BufferId| places.get(id.0 as usize);
        for id in &self.written {
            if let Some(block) = place(*id).and_then(|place| blocks.get_mut(place.block)) {
                block.count_write();
            }
        }
        for slot in self.slots.iter_mut().flatten() {
            let at = place(slot.weights).map(|place| place.block);
            let state = at.and_then(|at| Some((at, blocks.get(at)?.writes())));
            if slot.state != state {
                slot.prepared.forget();
                slot.state = state;
            }
        }
    }

    /// Where a kernel keeps its copy.
    pub fn slot(&mut self, kernel: KernelId) -> Option<&mut Prepared> {
        let slot = self.slots.get_mut(kernel.0 as usize)?.as_mut()?;
        Some(&mut slot.prepared)
    }

    /// Bytes of all copies.
    pub fn bytes(&self) -> usize {
        self.slots.iter().flatten().map(|slot| slot.prepared.bytes()).sum()
    }
}

/// Whether a contraction keeps a copy of its weights: they must be given, not computed (programs never write what they are
/// given), not be replaced after every run, and be the same at every step.
pub(crate) fn keeps_weights(program: &Program, pairs: &[(BufferId, BufferId)], contraction: &Contraction) -> bool {
    let weights = &contraction.b;
    contraction.kind != ContractionKind::WeightGradient
        && matches!(role(program, weights.buffer), Some(Role::Input | Role::Constant(_)))
        && pairs.iter().all(|(_, replaced)| *replaced != weights.buffer)
        && weights.offset.as_constant().is_some()
}

fn role(program: &Program, id: BufferId) -> Option<&Role> {
    program.buffers.get(id.0 as usize).map(|buffer| &buffer.role)
}
