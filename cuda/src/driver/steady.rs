//! Which copies of weights are those of the weights that are there.
//!
//! A copy belongs to a state of the memory that it was made of, never to a promise that nobody wrote there: every block of
//! memory counts how often it was written, by the host or by a run, and a copy of another count, or of another block after a
//! swap, is stale. Must never know how copies are made.

use std::collections::BTreeSet;

use snn_loops::plan::touched;
use snn_loops::{BufferId, Program, Role};

use crate::launch::{Argument, Call};
use crate::layout::Place;

/// The states of blocks of memory: which, and how often it was written.
type State = Vec<(usize, u64)>;

/// What is known of an instance's copies.
pub(super) struct Steady {
    /// How often each block was written.
    writes: Vec<u64>,
    /// Buffers of the host that runs write.
    results: Vec<BufferId>,
    copies: Vec<Copy>,
}

/// What is prepared for a kernel.
struct Copy {
    kernel: usize,
    sources: BTreeSet<BufferId>,
    /// What it was made of, if it was.
    of: Option<State>,
}

impl Steady {
    /// Of a program in so many blocks, with what its kernels prepare.
    pub fn of<'c>(program: &Program, prepare: impl Iterator<Item = Vec<&'c Call>>, blocks: usize) -> Steady {
        let is_result = |id: &BufferId| program.buffers.get(id.0 as usize).is_some_and(|b| b.role == Role::Output);
        let written: BTreeSet<BufferId> = program.kernels.iter().flat_map(|kernel| touched(kernel).writes).collect();
        let copies = prepare.enumerate().filter(|(_, calls)| !calls.is_empty()).map(|(kernel, calls)| {
            let source = |argument: &Argument| match argument {
                Argument::Operand(operand) => Some(operand.buffer),
                _ => None,
            };
            let sources = calls.iter().flat_map(|call| &call.arguments).filter_map(source).collect();
            Copy { kernel, sources, of: None }
        });
        Steady {
            writes: vec![0; blocks],
            results: written.into_iter().filter(is_result).collect(),
            copies: copies.collect(),
        }
    }

    /// The host writes into a block.
    pub fn wrote(&mut self, block: usize) {
        if let Some(writes) = self.writes.get_mut(block) {
            *writes += 1;
        }
    }

    /// A run is about to write its results; gives the kernels whose copies are stale.
    pub fn begin(&mut self, places: &[Place]) -> Vec<usize> {
        let results: Vec<usize> = self.results.iter().filter_map(|id| Some(places.get(id.0 as usize)?.block)).collect();
        results.into_iter().for_each(|block| self.wrote(block));
        let is_stale = |copy: &&Copy| copy.of.as_ref() != Some(&self.state(&copy.sources, places));
        self.copies.iter().filter(is_stale).map(|copy| copy.kernel).collect()
    }

    /// The copies of a kernel are those of what is there.
    pub fn prepared(&mut self, kernel: usize, places: &[Place]) {
        let now = self.copies.iter().find(|copy| copy.kernel == kernel).map(|copy| self.state(&copy.sources, places));
        if let Some(copy) = self.copies.iter_mut().find(|copy| copy.kernel == kernel) {
            copy.of = now;
        }
    }

    fn state(&self, sources: &BTreeSet<BufferId>, places: &[Place]) -> State {
        let blocks = sources.iter().filter_map(|id| places.get(id.0 as usize)).map(|place| place.block);
        blocks.map(|block| (block, self.writes.get(block).copied().unwrap_or_default())).collect()
    }
}

#[cfg(test)]
mod tests {
    use snn_loops::{Access, Dtype, Extent, Ix, Kernel, Launch, LoopKind, NestBuilder, Operand};

    use super::*;
    use crate::emit::Storage;

    fn place(block: usize) -> Place {
        Place { block, offset: 0, len: 4, storage: Storage::Float }
    }

    #[test]
    fn copies_are_stale_when_what_they_were_made_of_was_written_or_is_elsewhere() {
        let mut program = Program::new(Dtype::F32);
        let weight = program.add_buffer("weight", 4, Role::Input);
        let result = program.add_buffer("result", 4, Role::Output);
        let mut nest = NestBuilder::new("result");
        let lane = nest.fresh_var();
        nest.open(lane, Extent::Fixed(4), LoopKind::Lanes);
        let zero = nest.constant(0.0);
        nest.store(Access::new(result, Ix::var(lane)), zero);
        let kernel = program.add_kernel(Kernel::Nest(nest.finish()));
        program.launches.push(Launch::Run(kernel));
        let arguments = vec![Argument::Operand(Operand::whole(weight)), Argument::Prepared(0)];
        let call = Call { function: "pack".into(), grid: [1, 1], block: 32, shared: 0, arguments };
        let mut steady = Steady::of(&program, [vec![], vec![&call]].into_iter(), 3);
        let mut begin = |places: &[Place], written: Option<usize>| {
            written.into_iter().for_each(|block| steady.wrote(block));
            let stale = steady.begin(places);
            stale.iter().for_each(|kernel| steady.prepared(*kernel, places));
            stale
        };
        let (apart, swapped, shared) = ([place(0), place(1)], [place(1), place(0)], [place(1), place(1)]);
        assert_eq!(begin(&apart, None), [1], "never made");
        assert!(begin(&apart, None).is_empty());
        assert!(begin(&apart, Some(2)).is_empty(), "something else was written");
        assert_eq!(begin(&apart, Some(0)), [1]);
        assert_eq!(begin(&swapped, None), [1]);
        assert_eq!(begin(&apart, None), [1], "a run has written its result there");
        assert!(begin(&apart, None).is_empty());
        assert_eq!([begin(&shared, None), begin(&shared, None)], [[1], [1]], "every run writes there");
    }
}
