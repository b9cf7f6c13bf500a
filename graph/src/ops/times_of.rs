//! `times_of(spikes) -> times`: when each spike of a train happens, in seconds and ascending; infinite in empty slots.
//!
//! Only without a grid of steps; the pass [`events`](crate::passes::events) replaces it by the train itself. Any smooth
//! function of spike times is an ordinary expression over it. Caveat: without that pass it has no value, so reference
//! evaluation is an error that names it.

use super::placeholder::replaced_by_events;
use crate::ty::Kind;

/// The times of spikes.
#[derive(Clone, Debug, PartialEq)]
pub struct TimesOf {}

replaced_by_events!(TimesOf, "times_of", |_, spikes| Ok(spikes.with_kind(Kind::Real)));
