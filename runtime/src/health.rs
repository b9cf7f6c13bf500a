//! What there is to say of a layer of neurons on events besides how often they spike.

use serde::{Deserialize, Serialize};

/// How a layer fared: in a batch, or as sums over batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Share of its neurons that no sample of the batch made spike, 0 to 1.
    pub silent: f64,
    /// Neurons, counted once for each sample, that would have spiked more often than `max_spikes`.
    pub out_of_slots: f64,
    /// Spikes whose slope was below `slope_min`.
    pub below_floor: f64,
}

impl Health {
    /// Adds another batch.
    pub fn add(&mut self, other: &Health) {
        self.silent += other.silent;
        self.out_of_slots += other.out_of_slots;
        self.below_floor += other.below_floor;
    }
}
