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
    /// Spikes of two senders in a sample, and about those of two neurons.
    pub pair: usize,
    /// The threshold at which neurons spike as often as senders.
    pub v_th: f64,
    /// Neurons.
    pub width: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} spikes, {} neurons", self.pair as f64 / 2.0, self.width)
    }
}

const fn case(pair: usize, v_th: f64, width: usize) -> Case {
    Case { pair, v_th, width }
}

/// More and more spikes at 800 neurons, then more and more neurons at 2 spikes.
pub const CASES: [Case; 9] = [
    case(1, 6.1, 800),
    case(2, 10.9, 800),
    case(4, 19.7, 800),
    case(8, 34.8, 800),
    case(16, 53.6, 800),
    case(4, 19.7, 200),
    case(4, 19.7, 400),
    case(4, 19.7, 1600),
    case(4, 19.7, 3200),
];

impl Case {
    /// How many events arrive in a batch, each counted once for every neuron that it arrives at.
    pub fn arrivals(&self) -> usize {
        BATCH * SENDERS * self.pair / 2 * self.width
    }

    /// The layer.
    ///
    /// # Errors
    /// If the model cannot be compiled.
    pub fn model(&self) -> Result<Model> {
        let (neurons, v_th) = (self.width.to_string(), self.v_th.to_string());
        model("events.snn", LAYER, &[("model.neurons", &neurons), ("model.v_th", &v_th)])
    }

    /// Trains of one batch, `[slot][sample][sender]`, evenly spread over the sample, each sender with a phase of its own.
    pub fn trains(&self, events: &Events) -> Vec<f32> {
        // One spike of two senders is one of every second.
        let (count, every) = if self.pair == 1 { (1, 2) } else { (self.pair / 2, 1) };
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
