//! How often neurons spike, in words.

use snnc::{Health, Model, Training};

use super::table::grouped;
use super::terminal::{note, say};

/// What a firing rate counts.
pub fn unit(model: &Model) -> &'static str {
    match model.graph().time.events() {
        Some(_) => "spikes per neuron",
        None => "spikes per neuron and step",
    }
}

/// How long a sample is, in words.
pub fn length(model: &Model) -> String {
    let time = model.graph().time;
    match time.events() {
        Some(events) => format!("{} ms without steps", 1e3 * events.duration),
        None => format!("{} time steps", time.steps()),
    }
}

/// What the model does not see of the events of its data.
pub fn lost_events(model: &Model, training: &Training) {
    let time = model.graph().time;
    let crowded = match time.events() {
        Some(_) => format!("beyond max_spikes = {} of a neuron", time.steps()),
        None => "in a step that has a spike already".to_owned(),
    };
    for (part, fields) in ["training", "test"].into_iter().zip(training.lost_events()) {
        for (field, lost) in fields {
            note(format_args!(
                "note: {field}, {part} part: of {} events {} come after the end of the sample and {} are {crowded}; they are left out",
                grouped(lost.events as usize),
                grouped(lost.late as usize),
                grouped(lost.crowded as usize),
            ));
        }
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
