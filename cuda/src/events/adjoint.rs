//! The launches of the derivatives of a layer without feedback.
//!
//! Must never know what functions do within.

use snn_loops::{Operand, SweepPass};

use super::forward::{Lists, lists, packed_weights, read, write};
use super::layer::Layer;
use super::plan::{Item, Plan, Work};
use super::templates;

/// Threads of blocks that have no shape of their own.
const THREADS: usize = 128;

/// Neighboring slots of a train that a warp takes.
const SLOTS: usize = 8;

const NEEDS: &[&crate::launch::Template] = &[&templates::ADJOINT];

/// Tables of spikes.
struct Tables {
    counts: Item,
    bounds: Item,
    lambdas: Item,
    /// Of layers that arrivals lift.
    moved: Item,
    causes: Item,
}

/// Writes the adjoint pass.
pub(super) fn emit(layer: &Layer<'_>, plan: &mut Plan<'_>) {
    let SweepPass::Adjoint { times, memory, errors, gradients } = &layer.sweep.pass else { return };
    let tables = spikes(layer, plan, [times, memory, errors]);
    for (group, wanted) in gradients.iter().enumerate() {
        if let Some(out) = &wanted.weight {
            weights(layer, plan, &tables, group, out);
        }
    }
    if gradients.iter().any(|wanted| wanted.train.is_some()) {
        let packed = packed_weights(layer, plan);
        for (group, wanted) in gradients.iter().enumerate() {
            if let Some(out) = &wanted.train {
                train(layer, plan, &tables, &packed, group, out);
            }
        }
    }
}

fn spikes(layer: &Layer<'_>, plan: &mut Plan<'_>, own: [&Operand; 3]) -> Tables {
    let slots = layer.sweep.batch * layer.spikes();
    let for_lifted = |plan: &mut Plan<'_>, element: &str| match layer.lifts() {
        true => plan.reserve(element, slots),
        false => Item::Text("nullptr"),
    };
    let tables = Tables {
        counts: plan.reserve("u32", layer.sweep.batch * layer.neurons()),
        bounds: plan.reserve(layer.real, slots),
        lambdas: plan.reserve(layer.real, slots * layer.sweep.layer.neuron.order),
        moved: for_lifted(plan, layer.real),
        causes: for_lifted(plan, "u32"),
    };
    let none = Lists { counts: Item::Text("nullptr"), times: Item::Text("nullptr"), ids: Item::Text("nullptr") };
    let lists = if layer.lifts() { lists(layer, plan) } else { none };
    let mut items: Vec<Item> = own.iter().map(|operand| read(layer, operand)).collect();
    items.extend([tables.counts.clone(), tables.bounds.clone(), tables.lambdas.clone()]);
    items.extend(lists.items());
    items.extend([tables.moved.clone(), tables.causes.clone()]);
    let blocks = (layer.sweep.batch * layer.neurons()).div_ceil(THREADS);
    let work = Work { kind: "spikes", needs: NEEDS, items, blocks, threads: THREADS };
    plan.launch(work, |names| format!("ev_spikes<@_layer>({});", names.join(", ")));
    tables
}

fn weights(layer: &Layer<'_>, plan: &mut Plan<'_>, tables: &Tables, group: usize, out: &Operand) {
    let (Some(synapses), Some(from)) = (layer.sweep.layer.synapses.get(group), layer.sweep.synapses.get(group)) else {
        return;
    };
    let Some(train) = &from.train else { return };
    let (blocks, threads, parts) = layer.weight_parts(synapses);
    let window = synapses.window();
    let sums = plan.reserve(layer.real, parts * window * layer.channels);
    let tables = [tables.counts.clone(), tables.bounds.clone(), tables.lambdas.clone()];
    let items = [read(layer, train)].into_iter().chain(tables).chain([sums.clone()]).collect();
    let work = Work { kind: "weights", needs: NEEDS, items, blocks: blocks * parts, threads };
    plan.launch(work, |names| format!("ev_weights<@_layer, @_layer::G{group}, {threads}>({});", names.join(", ")));
    sum_weights(layer, plan, sums, &Parts { first: 0, parts, rows: window, window }, out);
}

/// Parts of the derivatives by weights: the first row of a group in each of them, how many, all rows, and those of the group.
pub(super) struct Parts {
    pub first: usize,
    pub parts: usize,
    pub rows: usize,
    pub window: usize,
}

/// Adds the parts and writes them like weights.
pub(super) fn sum_weights(layer: &Layer<'_>, plan: &mut Plan<'_>, sums: Item, parts: &Parts, out: &Operand) {
    let Parts { first, parts, rows, window } = parts;
    let channels = layer.channels;
    let (place, stride) = (first * channels, rows * channels);
    let blocks = window.div_ceil(32) * channels.div_ceil(32);
    let work = Work { kind: "sum", needs: &[], items: vec![sums, write(layer, out)], blocks, threads: 256 };
    plan.launch(work, |_| {
        format!("ev_transpose<{}>(p0 + {place}ull, {parts}, {stride}ull, {window}, {channels}, p1);", layer.real)
    });
}

fn train(layer: &Layer<'_>, plan: &mut Plan<'_>, tables: &Tables, packed: &Item, group: usize, out: &Operand) {
    let (Some(synapses), Some(from)) = (layer.sweep.layer.synapses.get(group), layer.sweep.synapses.get(group)) else {
        return;
    };
    let Some(train) = &from.train else { return };
    let tables = [&tables.counts, &tables.bounds, &tables.lambdas, packed, &tables.moved, &tables.causes];
    let items =
        [read(layer, train)].into_iter().chain(tables.into_iter().cloned()).chain([write(layer, out)]).collect();
    let blocks = layer.sweep.train_len(synapses).div_ceil(SLOTS).div_ceil(THREADS / 32);
    let work = Work { kind: "train", needs: NEEDS, items, blocks, threads: THREADS };
    plan.launch(work, |names| format!("ev_train<@_layer, @_layer::G{group}, {SLOTS}>({});", names.join(", ")));
}
