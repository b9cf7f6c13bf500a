//! Arrivals that are known and have not happened yet: those from outside, and those that the layer has sent itself.
//!
//! Must never know what arrivals do.

use snn_loops::EventLayer;
use snn_loops::event_sweep::{Source, own_arrival};

use super::super::Real;
use super::super::arrivals::Event;

/// The arrivals of a sample, from outside and from the layer itself.
pub(super) struct Queue<'a> {
    layer: &'a EventLayer,
    delays: &'a [f64],
    /// From outside, sorted, and how many of them have happened.
    outer: &'a [Event],
    n_taken: usize,
    /// From the layer itself, the next one last.
    waiting: Vec<Event>,
}

impl<'a> Queue<'a> {
    pub fn new(layer: &'a EventLayer, delays: &'a [f64], outer: &'a [Event]) -> Queue<'a> {
        Queue { layer, delays, outer, n_taken: 0, waiting: Vec::new() }
    }

    /// A spike of the layer acts on the layer, where it has synapses with itself. `slot` says which of its neuron's spikes it
    /// is, or anything else that is more for later ones.
    pub fn send<T: Real>(&mut self, time: f64, sender: u32, slot: u32) {
        for (group, synapses) in self.layer.synapses.iter().enumerate() {
            let delay = match synapses.source {
                Source::Train(_) => continue,
                Source::Own(false) => 0.0,
                Source::Own(true) => self.delays.get(group).copied().unwrap_or(0.0),
            };
            let time = own_arrival(time, delay, |time| T::round(time).into());
            if self.layer.hears(time) {
                let event = Event { time, group: group as u32, sender, slot };
                let place = self.waiting.partition_point(|other| other.order(&event).is_gt());
                self.waiting.insert(place, event);
            }
        }
    }

    /// The next one.
    pub fn peek(&self) -> Option<&Event> {
        match (self.outer.get(self.n_taken), self.waiting.last()) {
            (Some(outer), Some(own)) => Some(if outer.order(own).is_lt() { outer } else { own }),
            (outer, own) => outer.or(own),
        }
    }

    /// Takes the next one if it comes at a time or before it.
    pub fn take_until(&mut self, time: f64) -> Option<Event> {
        let event = *self.peek().filter(|event| event.time <= time)?;
        match self.layer.synapses.get(event.group as usize)?.source {
            Source::Train(_) => self.n_taken += 1,
            Source::Own(_) => drop(self.waiting.pop()),
        }
        Some(event)
    }
}
