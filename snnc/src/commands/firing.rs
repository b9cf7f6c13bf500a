//! How often neurons spike, in words.

use snnc::{Health, Model};

use super::terminal::{note, say};

/// What a firing rate counts.
pub fn unit(model: &Model) -> &'static str {
    match model.graph().time.events() {
        Some(_) => "spikes per neuron",
        None => "spikes per neuron and step",
    }
}

/// What there is to say of a layer on events after an epoch.
pub fn health(model: &Model, layer: &str, health: &Health) {
    if health.silent > 0.0 {
        say(format_args!("{layer}: {:.1}% of the neurons silent in a batch", 100.0 * health.silent));
    }
    if health.out_of_slots > 0.0 {
        let most = model.graph().budget(layer);
        note(format_args!(
            "note: {layer}: {} times in the last epoch a neuron had more than max_spikes = {most} spikes; the others were left out",
            health.out_of_slots
        ));
    }
    if health.below_floor > 0.0 {
        say(format_args!("{layer}: {} spikes of the last epoch were flatter than slope_min", health.below_floor));
    }
}
