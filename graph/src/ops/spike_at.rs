//! `spike_at(times) -> spikes`: neurons that spike at these times in seconds, and never where they are infinite; once, or
//! where the times are those of a train (ascending, one in each slot) as often as it has spikes.
//!
//! It stands for a train without a grid; the pass [`events`](crate::passes::events) replaces it. Derivative: the train's
//! times are the operand. Caveat: without that pass it has no value, so reference evaluation is an error that names it.

use super::operands::{exactly, number};
use super::placeholder::replaced_by_events;
use crate::op::{OpRule, ShapeContext, ShapeError};
use crate::ty::{Kind, Ty};

/// Spikes at given times.
#[derive(Clone, Debug, PartialEq)]
pub struct SpikeAt {}

impl OpRule for SpikeAt {
    replaced_by_events!("spike_at");

    fn shape(&self, context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [times] = exactly("spike_at", inputs)?;
        number("spike_at", times)?;
        Ok(Ty { time: !context.is_step, ..times.with_kind(Kind::Spikes) })
    }
}
