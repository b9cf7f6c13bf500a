//! A nest's statements for one pixel and channel, whose sums of a contraction are in registers.
//!
//! Must never know how sums come about.

use std::collections::BTreeMap;

use snn_loops::{BufferId, Dtype, Ix, Nest, Val, Var};

use super::{Writer, element_name, scalar};
use crate::nest::Slot;
use crate::nest::epilogue::Pixels;
use crate::nest::threads::Threads;

/// What is in registers.
#[derive(Clone, Copy, Debug)]
pub(in crate::nest) struct Sums {
    /// Where the sums would lie in memory.
    pub from: BufferId,
    /// Where the spikes go.
    pub to: BufferId,
    /// The variable of the steps.
    pub time: Var,
    /// That of the channels.
    pub channel: Var,
    /// Steps that the sums have, 1 where they are the same at every step.
    pub steps: usize,
}

impl Writer<'_> {
    /// The statements, for `sums`, `pixel`, `channel` and the `word` of 32 channels that it is in; with the types of the pointers `p0`, `p1`, ... that they use, and
    /// what these point to.
    pub fn epilogue(
        nest: &Nest,
        dtype: Dtype,
        slots: &BTreeMap<BufferId, Slot>,
        threads: &Threads,
        pixels: &Pixels,
        sums: Sums,
    ) -> (String, Vec<(String, BufferId)>) {
        let mut others = slots.clone();
        others.retain(|id, _| *id != sums.from && *id != sums.to);
        let mut parameters = Vec::new();
        for (id, slot) in others.iter_mut().filter(|(_, slot)| slot.argument.is_some()) {
            slot.argument = Some(parameters.len());
            let constant = if slot.stored { "" } else { "const " };
            parameters.push((format!("{constant}{}*", element_name(slot.storage, dtype)), *id));
        }
        let mut writer = Writer::new(nest, dtype, &others, threads);
        writer.sums = Some(sums);
        for (at, (var, worth, limit)) in pixels.axes.iter().enumerate() {
            let whole = if *worth == 1 { "pixel".to_owned() } else { format!("pixel / {worth}") };
            let value = if at == 0 { whole } else { format!("{whole} % {limit}") };
            writer.line(format_args!("const {int} i{} = ({int})({value});", var.0, int = writer.int.name()));
        }
        writer.line(format_args!("u32 spikes = 0;"));
        writer.variables(nest);
        writer.nested(&nest.body, 0);
        writer.line(format_args!("return spikes;"));
        (writer.text, parameters)
    }

    /// A sum in a register, where a buffer's elements are that.
    pub(super) fn sum(&self, buffer: BufferId) -> Option<String> {
        let sums = self.sums.filter(|sums| sums.from == buffer)?;
        Some(if sums.steps == 1 { "sums[0]".to_owned() } else { format!("sums[i{}]", sums.time.0) })
    }

    /// Element `index` of bits, neighboring channels of which are known to be in one word: then it is read once for all of
    /// them that a thread has.
    pub(super) fn bit(&self, at: usize, index: &Ix) -> String {
        const BITS: i64 = 32;
        let of_word = self.sums.and_then(|sums| {
            let is_plain = index.stride(sums.channel) == Some(1);
            let first = |var| if var == sums.channel { Ix::constant(0) } else { Ix::var(var) };
            let rest = index.substitute(&first, &|var| self.limits.get(&var).copied());
            let is_aligned = rest.base() % BITS == 0 && rest.terms().iter().all(|(_, by)| by % BITS == 0);
            (is_plain && is_aligned).then(|| rest.divide(BITS, &|var| self.limits.get(&var).copied()))
        });
        match of_word {
            Some(word) => format!("(p{at}[{} + word] >> (channel & 31) & 1u) != 0u", self.index(&word)),
            None => format!("sn_bit(p{at}, {})", self.index(index)),
        }
    }

    /// Whether a buffer is that of the spikes.
    pub(super) fn is_spikes(&self, buffer: BufferId) -> bool {
        self.sums.is_some_and(|sums| sums.to == buffer)
    }

    /// Keeps a step's spike.
    pub(super) fn spike(&mut self, val: Val) {
        let Some(sums) = self.sums else { return };
        let zero = scalar::constant(0.0, self.dtype);
        self.line(format_args!("spikes |= (u32)(v{} != {zero}) << i{};", val.0, sums.time.0));
    }
}
