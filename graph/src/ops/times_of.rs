//! `times_of(spikes) -> times`: when each spike of a train happens, in seconds and ascending; infinite in empty slots.
//!
//! Only without a grid of steps; the pass [`events`](crate::passes::events) replaces it by the train itself. Any smooth
//! function of spike times is an ordinary expression over it. Caveat: without that pass it has no value, so reference
//! evaluation is an error that names it.

use super::operands::exactly;
use super::placeholder::replaced_by_events;
use crate::op::{OpRule, ShapeContext, ShapeError};
use crate::ty::{Kind, Ty};

/// The times of spikes.
#[derive(Clone, Debug, PartialEq)]
pub struct TimesOf {}

impl OpRule for TimesOf {
    replaced_by_events!("times_of");

    fn shape(&self, _context: &ShapeContext, inputs: &[&Ty]) -> Result<Ty, ShapeError> {
        let [spikes] = exactly("times_of", inputs)?;
        Ok(spikes.with_kind(Kind::Real))
    }
}
