//! The launches of a layer without feedback, and those that passes share.
//!
//! Must never know what functions do within.

use snn_loops::event_sweep::{COUNTERS, Source};
use snn_loops::{Operand, SweepPass};

use super::layer::Layer;
use super::plan::{Item, Plan, Work};
use super::templates;
use crate::launch::Argument;

/// Threads of a block that makes a list, at most.
const SORTERS: usize = 512;

/// Threads of a block whose warps take a neuron each.
const SCANNED: usize = 128;

/// The lists of arrivals of all samples: how long each is, times, and numbers of events.
pub(super) struct Lists {
    pub counts: Item,
    pub times: Item,
    pub ids: Item,
}

impl Lists {
    /// As arguments.
    pub fn items(&self) -> [Item; 3] {
        [self.counts.clone(), self.times.clone(), self.ids.clone()]
    }
}

/// An operand that is read.
pub(super) fn read(layer: &Layer<'_>, operand: &Operand) -> Item {
    Item::Given(format!("const {}*", layer.real), Argument::Operand(operand.clone()))
}

/// An operand that is written.
pub(super) fn write(layer: &Layer<'_>, operand: &Operand) -> Item {
    Item::Given(format!("{}*", layer.real), Argument::Operand(operand.clone()))
}

/// An operand that is written, if there is one.
pub(super) fn written(layer: &Layer<'_>, operand: &Option<Operand>) -> Item {
    operand.as_ref().map_or(Item::Text("nullptr"), |operand| write(layer, operand))
}

/// Makes the lists of arrivals from outside.
pub(super) fn lists(layer: &Layer<'_>, plan: &mut Plan<'_>) -> Lists {
    let len = layer.sweep.batch * layer.events;
    let lists = Lists {
        counts: plan.reserve("u32", layer.sweep.batch),
        times: plan.reserve(layer.real, len),
        ids: plan.reserve("u32", len),
    };
    let mut items: Vec<Item> = lists.items().to_vec();
    items.extend([plan.reserve(layer.real, len), plan.reserve("u32", len)]);
    let groups = layer.sweep.layer.synapses.iter().zip(&layer.sweep.synapses).enumerate();
    let trains: Vec<(usize, Item)> = groups
        .filter(|(_, (synapses, _))| matches!(synapses.source, Source::Train(_)))
        .filter_map(|(group, (_, operands))| Some((group, read(layer, operands.train.as_ref()?))))
        .collect();
    items.extend(trains.iter().map(|(_, item)| item.clone()));
    let threads = layer.threads(layer.events, SORTERS);
    let work = Work { kind: "list", needs: &[], items, blocks: layer.sweep.batch, threads };
    plan.launch(work, |names| {
        let mut body = "const u64 first = (u64)blockIdx.x * @_layer::EVENTS;\n    u32 n = 0;\n".to_owned();
        for ((group, _), train) in trains.iter().zip(names.iter().skip(5)) {
            body += &format!(
                "    n = ev_gather<@_layer, @_layer::G{group}>({train}, blockIdx.x, n, p1 + first, p2 + first);\n"
            );
        }
        body + "    ev_sort(n, p1 + first, p2 + first, p3 + first, p4 + first);\n    if (threadIdx.x == 0) p0[blockIdx.x] = n;"
    });
    lists
}

/// Packs the weights of all groups, `[rows][channels]`.
pub(super) fn packed_weights(layer: &Layer<'_>, plan: &mut Plan<'_>) -> Item {
    let packed = plan.reserve(layer.real, layer.all_rows() * layer.channels);
    for ((synapses, operands), first) in layer.sweep.layer.synapses.iter().zip(&layer.sweep.synapses).zip(&layer.rows) {
        let window = synapses.window();
        let items = vec![read(layer, &operands.weight), packed.clone()];
        let blocks = window.div_ceil(32) * layer.channels.div_ceil(32);
        let work = Work { kind: "pack", needs: &[], items, blocks, threads: 256 };
        plan.launch(work, |names| {
            let [from, to] = [0, 1].map(|at| names.get(at).cloned().unwrap_or_default());
            let place = first * layer.channels;
            format!("ev_transpose({from}, 1, 0, {}, {window}, {to} + {place}ull);", layer.channels)
        });
    }
    packed
}

/// Memory for the two counters, at 0 if anybody reads them.
pub(super) fn counted(plan: &mut Plan<'_>, counters: &Option<Operand>) -> Item {
    let counted = plan.reserve("u32", COUNTERS);
    if counters.is_some() {
        let work = Work { kind: "clear", needs: &[], items: vec![counted.clone()], blocks: 1, threads: 32 };
        plan.launch(work, |names| format!("if (threadIdx.x < 2) {}[threadIdx.x] = 0;", names.concat()));
    }
    counted
}

/// Writes the counters.
pub(super) fn count(layer: &Layer<'_>, plan: &mut Plan<'_>, counted: Item, counters: &Option<Operand>) {
    let Some(counters) = counters else { return };
    let items = vec![counted, write(layer, counters)];
    let work = Work { kind: "count", needs: &[], items, blocks: 1, threads: 32 };
    plan.launch(work, |names| {
        let [counted, counters] = [0, 1].map(|at| names.get(at).cloned().unwrap_or_default());
        format!("if (threadIdx.x < 2) {counters}[threadIdx.x] = ({}){counted}[threadIdx.x];", layer.real)
    });
}

/// Writes the forward pass.
pub(super) fn emit(layer: &Layer<'_>, plan: &mut Plan<'_>) {
    let SweepPass::Forward { times, memory, counters } = &layer.sweep.pass else { return };
    let weights = packed_weights(layer, plan);
    let lists = lists(layer, plan);
    let counted = counted(plan, counters);
    let (tiles, threads) = layer.forward_tiles();
    let mut items: Vec<Item> = lists.items().to_vec();
    items.extend([weights, write(layer, times), written(layer, memory), counted.clone()]);
    if layer.is_scanned() {
        let blocks = (layer.sweep.batch * layer.neurons()).div_ceil(SCANNED / 32);
        let needs = &[&templates::FORWARD, &templates::SCAN];
        let work = Work { kind: "scan", needs, items, blocks, threads: SCANNED };
        plan.launch(work, |names| format!("ev_scan_forward<@_layer>({});", names.join(", ")));
    } else {
        let blocks = tiles * layer.pixels * layer.sweep.batch;
        let work = Work { kind: "forward", needs: &[&templates::FORWARD], items, blocks, threads };
        plan.launch(work, |names| format!("ev_forward<@_layer, {threads}>({});", names.join(", ")));
    }
    count(layer, plan, counted, counters);
}

/// Writes zeros.
pub(super) fn clear(layer: &Layer<'_>, plan: &mut Plan<'_>, out: &Operand, len: usize) {
    let work =
        Work { kind: "clear", needs: &[], items: vec![write(layer, out)], blocks: len.div_ceil(256), threads: 256 };
    plan.launch(work, |_| {
        format!("const u64 at = (u64)blockIdx.x * 256 + threadIdx.x;\n    if (at < {len}ull) p0[at] = 0;")
    });
}
