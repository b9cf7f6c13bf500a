//! The launches of layers that send spikes to themselves.
//!
//! Must never know what functions do within.

use snn_loops::event_sweep::Source;
use snn_loops::{Operand, SweepPass};

use super::adjoint::{Parts, sum_weights};
use super::forward::{clear, count, counted, lists, packed_weights, read, write, written};
use super::layer::Layer;
use super::plan::{Item, Plan, Work};
use super::templates;

/// Threads of a block that takes a sample, at most.
const THREADS: usize = 512;

/// The delays of the layer's own groups of synapses: operands, and the text of a list of them, where `{}` are the operands.
struct Delays {
    operands: Vec<Item>,
    has_delay: Vec<bool>,
}

impl Delays {
    fn of(layer: &Layer<'_>) -> Delays {
        let mut delays = Delays { operands: Vec::new(), has_delay: Vec::new() };
        for (synapses, operands) in layer.sweep.layer.synapses.iter().zip(&layer.sweep.synapses) {
            if !matches!(synapses.source, Source::Train(_)) {
                delays.has_delay.push(operands.delay.is_some());
                delays.operands.extend(operands.delay.iter().map(|delay| read(layer, delay)));
            }
        }
        delays
    }

    /// The list, where the operands have these names.
    fn text(&self, names: &[String]) -> String {
        let mut names = names.iter();
        // Only groups with a delay have a name.
        let of = |has_delay: &bool| match has_delay.then(|| names.next()).flatten() {
            Some(name) => format!("(double)*{name}"),
            None => "0.0".to_owned(),
        };
        let values: Vec<String> = self.has_delay.iter().map(of).collect();
        format!("const double delays[] = {{{}}};", values.join(", "))
    }

    /// Adds its operands behind those of a call and writes the body: a list, then the call with it.
    fn launch(&self, plan: &mut Plan<'_>, mut work: Work<'_>, body: impl FnOnce(&[String]) -> String) {
        let n = work.items.len();
        work.items.extend(self.operands.iter().cloned());
        plan.launch(work, |names| {
            let (own, delays) = names.split_at(n.min(names.len()));
            format!("{}\n    {}", self.text(delays), body(own))
        });
    }
}

/// Writes the forward pass.
pub(super) fn emit_forward(layer: &Layer<'_>, plan: &mut Plan<'_>) {
    let SweepPass::Forward { times, memory, counters } = &layer.sweep.pass else { return };
    let (batch, neurons) = (layer.sweep.batch, layer.neurons());
    let weights = packed_weights(layer, plan);
    let lists = lists(layer, plan);
    let counted = counted(plan, counters);
    let waiting = batch * layer.own * layer.spikes();
    let mut items: Vec<Item> = lists.items().to_vec();
    items.extend([
        weights,
        Item::Text("delays"),
        plan.reserve("double", batch * (layer.sweep.layer.neuron.order + 2) * neurons),
        plan.reserve("u32", batch * 2 * neurons),
        plan.reserve("double", waiting),
        plan.reserve("u32", waiting),
        write(layer, times),
        written(layer, memory),
        counted.clone(),
    ]);
    let needs = &[&templates::FORWARD, &templates::QUEUE, &templates::FEEDBACK];
    let threads = layer.threads(neurons, THREADS);
    let work = Work { kind: "feedback", needs, items, blocks: batch, threads };
    Delays::of(layer).launch(plan, work, |names| format!("ev_feedback<@_layer>({});", names.join(", ")));
    count(layer, plan, counted, counters);
}

/// Everything that happens in each sample, in order: how much, when, and what.
fn order(layer: &Layer<'_>, plan: &mut Plan<'_>, times: &Operand, memory: &Operand) -> [Item; 3] {
    let batch = layer.sweep.batch;
    let lists = lists(layer, plan);
    let slots = batch * layer.spikes();
    let moment = format!("ev_moment<{}>", layer.real);
    let moments = |plan: &mut Plan<'_>| match plan.reserve(layer.real, 2 * slots) {
        Item::Given(_, place) => Item::Given(format!("{moment}*"), place),
        item => item,
    };
    let happened = [
        plan.reserve("u32", batch),
        plan.reserve(layer.real, batch * layer.happenings()),
        plan.reserve("u32", batch * layer.happenings()),
    ];
    let mut items: Vec<Item> = lists.items().to_vec();
    items.extend([read(layer, times), read(layer, memory), Item::Text("delays"), moments(plan)]);
    items.extend([plan.reserve("u32", slots), moments(plan), plan.reserve("u32", slots)]);
    items.extend([plan.reserve("double", slots * layer.own), plan.reserve("u32", slots * layer.own)]);
    items.extend(happened.iter().cloned());
    let needs = &[&templates::FORWARD, &templates::QUEUE, &templates::ADJOINT, &templates::FEEDBACK_ADJOINT];
    let threads = layer.threads(layer.spikes(), THREADS);
    let work = Work { kind: "order", needs, items, blocks: batch, threads };
    Delays::of(layer).launch(plan, work, |names| format!("ev_order<@_layer>({});", names.join(", ")));
    happened
}

/// Writes the adjoint pass.
pub(super) fn emit_adjoint(layer: &Layer<'_>, plan: &mut Plan<'_>) {
    let SweepPass::Adjoint { times, memory, errors, gradients } = &layer.sweep.pass else { return };
    for (synapses, wanted) in layer.sweep.layer.synapses.iter().zip(gradients) {
        if let Some(out) = &wanted.train {
            clear(layer, plan, out, layer.sweep.train_len(synapses));
        }
    }
    let weights = packed_weights(layer, plan);
    let happened = order(layer, plan, times, memory);
    let (parts, neurons) = (layer.parts(), layer.neurons());
    let states = (layer.sweep.layer.neuron.order + 2) * neurons + layer.spikes();
    let sums = plan.reserve(layer.real, parts * layer.all_rows() * layer.channels);
    let delay_sums = plan.reserve("double", parts * layer.own);
    let mut items: Vec<Item> = happened.to_vec();
    items.extend([read(layer, memory), read(layer, errors), weights, Item::Text("delays")]);
    items.extend([plan.reserve("double", parts * states), sums.clone(), delay_sums.clone(), Item::Text("trains")]);
    let n = items.len();
    items.extend(gradients.iter().map(|wanted| written(layer, &wanted.train)));
    let needs = &[&templates::FORWARD, &templates::QUEUE, &templates::ADJOINT, &templates::FEEDBACK_ADJOINT];
    let threads = layer.threads(neurons, THREADS);
    let work = Work { kind: "walk", needs, items, blocks: parts, threads };
    Delays::of(layer).launch(plan, work, |names| {
        let (own, trains) = names.split_at(n.min(names.len()));
        let list = format!("{}* const trains[] = {{{}}};", layer.real, trains.join(", "));
        format!("{list}\n    ev_walk<@_layer>({});", own.join(", "))
    });
    let mut own = 0;
    for ((synapses, wanted), first) in layer.sweep.layer.synapses.iter().zip(gradients).zip(&layer.rows) {
        if let Some(out) = &wanted.weight {
            let parts = Parts { first: *first, parts, rows: layer.all_rows(), window: synapses.window() };
            sum_weights(layer, plan, sums.clone(), &parts, out);
        }
        if let Some(out) = &wanted.delay {
            sum_delays(layer, plan, delay_sums.clone(), (own, parts), out);
        }
        own += usize::from(!matches!(synapses.source, Source::Train(_)));
    }
}

fn sum_delays(layer: &Layer<'_>, plan: &mut Plan<'_>, sums: Item, (own, parts): (usize, usize), out: &Operand) {
    let items = vec![sums, write(layer, out)];
    let needs = &[&templates::FORWARD, &templates::QUEUE, &templates::ADJOINT, &templates::FEEDBACK_ADJOINT];
    let work = Work { kind: "delay", needs, items, blocks: 1, threads: 32 };
    plan.launch(work, |_| format!("ev_sum_delays(p0, {parts}, {}, {own}, p1);", layer.own));
}
