//! Event sweeps as CUDA text: layers of neurons on events, from spike times to spike times and back.
//!
//! What is known of a neuron (its spectrum, the closed form of its spike times, how states respond to arrivals) is worked out
//! here and printed as constants; what happens is in templates, `.cu` files next to this one. States, times between events
//! and solutions are double precision in programs of any type, as on the processor, so that both find the same spikes;
//! what the adjoint adds up has the program's type. Sizes are those of the descriptor, counts stay on the device, sums have an
//! order that shapes alone decide: no atomic operations on floats, no waiting for the host.
//!
//! | pass | launches |
//! | --- | --- |
//! | forward | weights transposed; a list of arrivals for each sample, compacted and sorted by a block; a block for neighboring channels of a pixel, which walks the sample's list through shared memory |
//! | adjoint | the adjoint just before each spike, a thread for each neuron; derivatives by weights, a block for each element of the kernel and neighboring channels, over its own arrivals of all samples; derivatives by times, a warp for neighboring slots of a train, one arrival after the other |
//! | forward, feedback | the list; a block for each sample, from one event to the next |
//! | adjoint, feedback | the list; all events in order; a block for each part of the batch, back from one event to the one before |
//!
//! With few neurons in all, a warp takes one of them through 32 arrivals at a time (`scan`), because a thread that walks alone
//! waits most of the time.
//!
//! Predictions for an H200, not measured, for single precision, 784-800-10 neurons, 50 samples, one spike of each input and
//! three of each hidden neuron; 31 million pairs of an arrival and a neuron in the first layer, 1.2 million in the last. A
//! multiprocessor has 64 operations in double precision a cycle, 15 million million in all each second:
//!
//! | what | bytes | operations | expected |
//! | --- | --- | --- | --- |
//! | lists of 784 and 2,400 arrivals | 2 MB, cached | 10 to 12 rounds of sorting | 10, 20 us |
//! | weights transposed, and back | 2 x 5 MB | - | 10 us |
//! | first layer forward | 125 MB of weights, cached | 31 M x 12 in double precision, 784 steps of 100 cycles | 60 us |
//! | last layer forward, by warps | 5 MB, cached | 500 warps, 75 rounds of 600 cycles | 30 us |
//! | last layer back | 20 MB, cached | 2 x 1.2 M x 45 | 25 us |
//! | first layer back | 500 MB of tables of spikes, mostly in first caches | 31 M x 45 in single precision | 100 us |
//! | all, with 18 launches in a graph | | | 270 us: 180,000 samples a second |
//!
//! This module must never know how text is compiled or launched.

mod adjoint;
mod feedback;
mod flow;
mod forward;
mod layer;
mod links;
mod neuron;
mod plan;
mod templates;
mod text;

use snn_loops::{EventSweep, SweepPass};

use crate::launch::Emitted;
use crate::target::Target;
use layer::Layer;
use plan::Plan;

/// Writes a sweep; nothing for one that [`verify`](snn_loops::verify) refuses.
pub fn emit(sweep: &EventSweep, target: &Target) -> Emitted {
    let Some(layer) = Layer::of(sweep, target.dtype) else { return Emitted::default() };
    let mut plan = Plan::new(&layer);
    if layer.is_empty() {
        sweep.writes().into_iter().for_each(|(out, len)| forward::clear(&layer, &mut plan, out, len));
        return plan.finish();
    }
    match (&sweep.pass, layer.has_feedback()) {
        (SweepPass::Forward { .. }, false) => forward::emit(&layer, &mut plan),
        (SweepPass::Forward { .. }, true) => feedback::emit_forward(&layer, &mut plan),
        (SweepPass::Adjoint { .. }, false) => adjoint::emit(&layer, &mut plan),
        (SweepPass::Adjoint { .. }, true) => feedback::emit_adjoint(&layer, &mut plan),
    }
    plan.finish()
}
