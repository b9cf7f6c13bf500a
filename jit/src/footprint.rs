//! How much memory a program will take, before any of it is taken.
//!
//! Must never know how kernels work.

use snn_loops::{BufferId, EventSweep, Kernel, Operand, Program, Role, SweepPass};

use crate::error::JitError;
use crate::kernels::events::SweepNeeds;
use crate::kernels::needs::{Kept, Needs};
use crate::layout::Layout;
use crate::steady::keeps_weights;

/// Bytes that a program takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// What temporary buffers share.
    pub arena: usize,
    /// What each buffer takes of its own; 0 for temporary ones and for outputs that share an input's memory.
    pub of_buffers: Vec<usize>,
    /// Constants.
    pub constants: usize,
    /// Copies of weights that never change, as kernels read them.
    pub copies: usize,
    /// What kernels keep beside their buffers for the next.
    pub kept: usize,
    /// The same, once more for every thread.
    pub kept_by_thread: usize,
    /// What the hungriest kernel needs beside its buffers and gives back.
    pub passing: usize,
    /// What the hungriest sweep over events needs beside its buffers and gives back.
    pub sweep: SweepNeeds,
}

impl Footprint {
    /// Of a program that an instance would be made of, with the outputs that replace inputs after every run.
    ///
    /// # Errors
    /// If the sizes cannot be counted.
    pub fn of(program: &Program, pairs: &[(BufferId, BufferId)]) -> Result<Footprint, JitError> {
        let layout = Layout::of(program)?.sharing(program, pairs);
        let mut footprint = Footprint { arena: layout.blocks.first().copied().unwrap_or(0), ..Footprint::default() };
        let mut counted = vec![false; layout.blocks.len()];
        for (buffer, place) in program.buffers.iter().zip(&layout.places) {
            let is_new = counted.get_mut(place.block).is_some_and(|counted| !std::mem::replace(counted, true));
            let bytes = layout.blocks.get(place.block).copied().filter(|_| is_new).unwrap_or(0);
            footprint.of_buffers.push(if matches!(buffer.role, Role::Temporary | Role::Scratch) { 0 } else { bytes });
            if matches!(buffer.role, Role::Constant(_)) {
                footprint.constants += bytes;
            }
        }
        let needs = program.kernels.iter().filter_map(|kernel| match kernel {
            Kernel::Contraction(contraction) => {
                Some(Needs::of(contraction, program.dtype, keeps_weights(program, pairs, contraction)))
            }
            Kernel::Nest(_) | Kernel::EventSweep(_) | Kernel::Draw(_) => None,
        });
        let Needs { floats, words, products, passing, copies } = needs.fold(Needs::default(), Needs::max);
        let [floats, words] = [floats, words].map(Kept::spread);
        footprint.kept = floats.once.saturating_add(words.once);
        footprint.kept_by_thread = floats.each.saturating_add(words.each).saturating_add(products);
        footprint.passing = passing;
        footprint.copies = copies;
        let sweeps = program.kernels.iter().filter_map(|kernel| match kernel {
            Kernel::EventSweep(sweep) => Some(SweepNeeds::of(sweep, &budgets(program, sweep))),
            Kernel::Nest(_) | Kernel::Contraction(_) | Kernel::Draw(_) => None,
        });
        footprint.sweep = sweeps.max_by_key(SweepNeeds::total).unwrap_or_default();
        Ok(footprint)
    }
}

/// The budgets of the neurons that send to each group of synapses, where the program has their sweep.
fn budgets(program: &Program, sweep: &EventSweep) -> Vec<Option<usize>> {
    let budget = |train: &Operand| {
        program.kernels.iter().find_map(|kernel| match kernel {
            Kernel::EventSweep(EventSweep { layer, pass: SweepPass::Forward { times, .. }, .. }) => {
                (times == train).then_some(layer.budget)
            }
            _ => None,
        })
    };
    sweep.synapses.iter().map(|synapses| synapses.train.as_ref().and_then(budget)).collect()
}
