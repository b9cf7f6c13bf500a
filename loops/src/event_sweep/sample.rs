//! What the passes read of one sample, and the order of its arrivals.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{EventLayer, Source};
use crate::dtype::Dtype;

/// What the passes read of one sample, one entry for each group of synapses.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The type of the times that the layer sends itself.
    pub dtype: Dtype,
    /// Times of the senders' spikes, `[slots][senders]`; empty where the layer is its own sender.
    pub trains: Vec<Vec<f64>>,
    /// Weights.
    pub weights: Vec<Vec<f64>>,
    /// Delays; 0 where there is none.
    pub delays: Vec<f64>,
}

impl Sample {
    /// One without synapses.
    pub fn new(dtype: Dtype) -> Sample {
        Sample { dtype, trains: Vec::new(), weights: Vec::new(), delays: Vec::new() }
    }
}

/// A spike that reaches the neurons of the layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// When.
    pub time: f64,
    /// Along which group of synapses.
    pub group: usize,
    /// From which neuron.
    pub sender: usize,
    /// Which of its spikes.
    pub slot: usize,
}

impl Arrival {
    fn key(&self) -> (usize, usize, usize) {
        (self.group, self.sender, self.slot)
    }
}

impl PartialEq for Arrival {
    fn eq(&self, other: &Arrival) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Arrival {}

impl PartialOrd for Arrival {
    fn partial_cmp(&self, other: &Arrival) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Arrival {
    /// The largest is the first to arrive, as heaps want it.
    fn cmp(&self, other: &Arrival) -> Ordering {
        other.time.total_cmp(&self.time).then_with(|| other.key().cmp(&self.key()))
    }
}

/// When a spike of a layer reaches the layer itself, where times are rounded.
pub fn own_arrival(time: f64, delay: f64, rounded: impl Fn(f64) -> f64) -> f64 {
    rounded(rounded(time) + if delay < 0.0 { 0.0 } else { delay })
}

/// Arrivals that are known and have not happened yet.
pub(super) struct Arrivals<'a> {
    layer: &'a EventLayer,
    sample: &'a Sample,
    waiting: BinaryHeap<Arrival>,
}

impl<'a> Arrivals<'a> {
    /// Everything that comes from outside within the duration of a sample.
    pub fn of(layer: &'a EventLayer, sample: &'a Sample) -> Arrivals<'a> {
        let mut waiting = BinaryHeap::new();
        for (group, (synapses, train)) in layer.synapses.iter().zip(&sample.trains).enumerate() {
            for (at, time) in train.iter().enumerate() {
                if layer.hears(*time) {
                    let (slot, sender) = (at / synapses.senders(), at % synapses.senders());
                    waiting.push(Arrival { time: *time, group, sender, slot });
                }
            }
        }
        Arrivals { layer, sample, waiting }
    }

    /// A spike of the layer acts on the layer, where it has synapses with itself.
    pub fn send(&mut self, time: f64, sender: usize, slot: usize) {
        for (group, synapses) in self.layer.synapses.iter().enumerate() {
            let delay = match synapses.source {
                Source::Train(_) => continue,
                Source::Own(false) => 0.0,
                Source::Own(true) => self.sample.delays.get(group).copied().unwrap_or(0.0),
            };
            let time = own_arrival(time, delay, |time| self.sample.dtype.round(time));
            if self.layer.hears(time) {
                self.waiting.push(Arrival { time, group, sender, slot });
            }
        }
    }

    /// When the next one comes.
    pub fn next_time(&self) -> Option<f64> {
        self.waiting.peek().map(|arrival| arrival.time)
    }

    /// The next one.
    pub fn take(&mut self) -> Option<Arrival> {
        self.waiting.pop()
    }
}
