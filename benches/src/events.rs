//! A layer on events with a given number of spikes a sender: what is timed to see how the cost grows.
//!
//! Must never time anything.

use std::fmt;

use snnc::graph::Events;
use snnc::{Device, Model, Result, Session, SessionOptions};

use crate::model;

/// One layer without a grid of steps.
const LAYER: &str = include_str!("../../examples/bench/events.snn");

/// Samples in a batch.
pub const BATCH: usize = 16;

/// Those who send the spikes.
pub const SENDERS: usize = 800;

/// How much arrives, and at how many neurons.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Spikes of a sender in a sample.
    pub spikes: Spikes,
    /// Neurons.
    pub width: usize,
}

/// How many spikes senders have in a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spikes {
    /// Every second sender has one.
    Half,
    /// Every sender has so many.
    Each(usize),
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.spikes {
            Spikes::Half => write!(f, "0.5 spikes, {} neurons", self.width),
            Spikes::Each(spikes) => write!(f, "{spikes} spikes, {} neurons", self.width),
        }
    }
}

/// More and more spikes at 800 neurons, then more and more neurons at 2 spikes.
pub const CASES: [Case; 9] = [
    Case { spikes: Spikes::Half, width: 800 },
    Case { spikes: Spikes::Each(1), width: 800 },
    Case { spikes: Spikes::Each(2), width: 800 },
    Case { spikes: Spikes::Each(4), width: 800 },
    Case { spikes: Spikes::Each(8), width: 800 },
    Case { spikes: Spikes::Each(2), width: 200 },
    Case { spikes: Spikes::Each(2), width: 400 },
    Case { spikes: Spikes::Each(2), width: 1600 },
    Case { spikes: Spikes::Each(2), width: 3200 },
];

impl Case {
    /// How many events arrive in a batch, each counted once for every neuron that it arrives at.
    pub fn arrivals(&self) -> usize {
        let spikes = match self.spikes {
            Spikes::Half => SENDERS / 2,
            Spikes::Each(spikes) => SENDERS * spikes,
        };
        BATCH * spikes * self.width
    }

    /// The layer.
    ///
    /// # Errors
    /// If the model cannot be compiled.
    pub fn model(&self) -> Result<Model> {
        model("events.snn", LAYER, &[("model.neurons", &self.width.to_string())])
    }

    /// Trains of one batch, `[slot][sample][sender]`, evenly spread over the sample, each sender with a phase of its own.
    pub fn trains(&self, events: &Events) -> Vec<f32> {
        let (count, every) = match self.spikes {
            Spikes::Half => (1, 2),
            Spikes::Each(count) => (count, 1),
        };
        let time = |at: usize| {
            let (slot, place) = (at / (BATCH * SENDERS), at % (BATCH * SENDERS));
            // Multiples of the golden ratio lie evenly between 0 and 1.
            let phase = (place as f64 * 0.618_033_988_749_895).fract();
            let is_sent = slot < count && place.is_multiple_of(every);
            if is_sent { ((slot as f64 + phase) / count as f64 * events.duration) as f32 } else { f32::INFINITY }
        };
        (0..events.max_spikes * BATCH * SENDERS).map(time).collect()
    }

    /// A session that has seen the batch once, in training or in inference, and can run it again.
    ///
    /// # Errors
    /// If the model cannot be compiled.
    pub fn session(&self, training: bool, threads: usize) -> Result<Session> {
        let model = self.model()?;
        let device = Device::cpu(threads);
        let options = SessionOptions { batch: BATCH, device, ..model.options() };
        let trains = model.graph().time.events().map(|events| self.trains(&events)).unwrap_or_default();
        let labels: Vec<f32> = (0..BATCH).map(|sample| sample as f32).collect();
        let mut session = model.session(options)?;
        match training {
            true => drop(session.train_batch(&[("events", &trains), ("label", &labels)], 0.0)?),
            false => drop(session.infer_batch(&[("events", &trains)])?),
        }
        Ok(session)
    }
}
