//! A layer as text: sizes, the geometry of its synapses, and where everything is found.
//!
//! Must never know launches.

use std::fmt::Write;

use snn_loops::event_sweep::{Source, Synapses};
use snn_loops::{Dtype, EventSweep};

use super::neuron::{NeuronText, lifts};
use super::text::number;

/// Threads of a block that takes neighboring channels, at most.
const CHANNELS: usize = 128;

/// Bytes of shared memory of a block that asks for none, and what a thread of the forward pass has there beside the way from
/// an event to the next: the time, row, port, and channels of an event.
const SHARED: usize = 48 << 10;
const EVENT: usize = 24;

/// Blocks that keep a large device busy: 8 for each of 132 multiprocessors.
const BLOCKS: usize = 1056;

/// Neurons of all samples that have a warp each: four for each scheduler of a large device.
const FEW_NEURONS: usize = 2112;

/// Slots of a sample's trains from which on that is worth it.
const MANY_EVENTS: usize = 256;

/// Bytes that the sums of weights' derivatives may take in all where a layer has feedback, as far as there are more than
/// [`FEWEST`] of them.
const SUMS: usize = 64 << 20;

/// Parts of a batch with sums of their own, if it has as many samples.
const FEWEST: usize = 8;

/// A layer, its neuron worked out.
pub(super) struct Layer<'s> {
    pub sweep: &'s EventSweep,
    pub neuron: NeuronText,
    /// The type of the program's numbers: its name, and bytes.
    pub real: &'static str,
    pub size: usize,
    /// Channels and pixels.
    pub channels: usize,
    pub pixels: usize,
    /// Slots of all trains from outside, in a sample.
    pub events: usize,
    /// Groups of the layer's own synapses.
    pub own: usize,
    /// First row of packed weights of each group of synapses, and the end.
    pub rows: Vec<usize>,
    /// First event of each group.
    firsts: Vec<usize>,
    neurons: usize,
}

impl<'s> Layer<'s> {
    /// Prepares a sweep.
    pub fn of(sweep: &'s EventSweep, dtype: Dtype) -> Option<Layer<'s>> {
        let layer = &sweep.layer;
        let neuron = NeuronText::of(&layer.neuron).ok()?;
        let output = layer.synapses.first()?.shape;
        let (neurons, mut rows) = (layer.neurons(), vec![0]);
        let (mut events, mut own, mut row) = (0, 0, 0);
        for synapses in &layer.synapses {
            row += synapses.window();
            rows.push(row);
            match synapses.source {
                Source::Train(slots) => events += slots * synapses.senders(),
                Source::Own(_) => own += 1,
            }
        }
        let (mut next_train, mut next_own) = (0, events);
        let mut firsts = Vec::new();
        for synapses in &layer.synapses {
            let next = if matches!(synapses.source, Source::Train(_)) { &mut next_train } else { &mut next_own };
            firsts.push(*next);
            *next += synapses.slots(layer.slots) * synapses.senders();
        }
        let real = if dtype == Dtype::F64 { "double" } else { "float" };
        let (channels, pixels) = (output.cout, output.output[0] * output.output[1]);
        let size = dtype.size();
        Some(Layer { sweep, neuron, real, size, channels, pixels, events, own, rows, firsts, neurons })
    }

    /// Whether there is no neuron in any sample.
    pub fn is_empty(&self) -> bool {
        self.sweep.batch == 0 || self.neurons == 0
    }

    /// Whether it has so few neurons and so many arrivals that a warp takes each neuron, and may.
    pub fn is_scanned(&self) -> bool {
        let is_dense = self.sweep.layer.synapses.iter().all(is_dense);
        self.neuron.has_amplitudes
            && is_dense
            && self.sweep.batch * self.neurons <= FEW_NEURONS
            && self.events >= MANY_EVENTS
    }

    /// Whether it sends spikes to itself.
    pub fn has_feedback(&self) -> bool {
        self.own > 0
    }

    /// Whether arrivals may lift a neuron over its threshold at once.
    pub fn lifts(&self) -> bool {
        lifts(&self.sweep.layer.neuron)
    }

    /// Neurons.
    pub fn neurons(&self) -> usize {
        self.neurons
    }

    /// Slots of the layer's own train, in a sample.
    pub fn spikes(&self) -> usize {
        self.neurons * self.sweep.layer.slots
    }

    /// Rows of packed weights.
    pub fn all_rows(&self) -> usize {
        self.rows.last().copied().unwrap_or(0)
    }

    /// What may happen in a sample: arrivals and spikes.
    pub fn happenings(&self) -> usize {
        self.events + self.spikes() * (1 + self.own)
    }

    /// Parts of the batch that a layer with feedback sums by themselves.
    pub fn parts(&self) -> usize {
        let bytes = (self.all_rows() * self.channels * self.size).max(1);
        let most = (SUMS / bytes).max(FEWEST).min(self.sweep.batch).max(1);
        let each = self.sweep.batch.div_ceil(most).max(1);
        self.sweep.batch.div_ceil(each).max(1)
    }

    /// Neurons of a sample as far as warps go.
    pub fn threads(&self, of: usize, most: usize) -> usize {
        of.next_multiple_of(32).clamp(32, most)
    }

    /// How neighboring channels of a pixel are cut into blocks of the forward pass: how many, and threads of each.
    pub fn forward_tiles(&self) -> (usize, usize) {
        tiles(self.channels, most_threads(self.neuron.n_entries))
    }
    /// Blocks of one part of what a group's weights hear, threads of each, and parts.
    pub fn weight_parts(&self, synapses: &Synapses) -> (usize, usize, usize) {
        let (tiles, threads) = tiles(synapses.shape.cout / synapses.shape.groups.max(1), CHANNELS);
        let blocks = tiles * synapses.shape.groups * synapses.window();
        let pool = synapses.pool[0] * synapses.pool[1];
        let candidates = self.sweep.batch * self.pixels * pool * synapses.slots(self.sweep.layer.slots);
        let useful = candidates / (4 * threads);
        (blocks, threads, (BLOCKS / blocks.max(1)).min(useful).max(1))
    }

    /// The structures that functions are instantiated with; `@` stands for the function's name.
    pub fn text(&self) -> String {
        let mut text = format!("struct @_neuron {{\n{}}};\n\nstruct @_layer {{\n", self.neuron.members);
        let _ = writeln!(text, "    typedef {} T;\n    typedef @_neuron N;", self.real);
        text += &self.constants();
        for (group, synapses) in self.sweep.layer.synapses.iter().enumerate() {
            text += &self.group_text(group, synapses);
        }
        text += &self.functions();
        text + "};\n\n"
    }

    fn constants(&self) -> String {
        let layer = &self.sweep.layer;
        let batch = self.sweep.batch;
        let output = layer.synapses.first().map_or([1, 1], |first| first.shape.output);
        let sizes = [
            ("BATCH", batch),
            ("NEURONS", self.neurons),
            ("COUT", self.channels),
            ("OUT_H", output[0]),
            ("OUT_W", output[1]),
            ("PIXELS", self.pixels),
            ("SLOTS", layer.slots),
            ("BUDGET", layer.budget),
            ("WIDTH", layer.memory_width()),
            ("EVENTS", self.events),
            ("OWN", self.own),
            ("ARRIVALS", self.events + self.own * self.spikes()),
            ("HAPPENINGS", self.happenings()),
            ("ROWS", self.all_rows()),
            ("PARTS", self.parts()),
            ("PORTS", self.ports()),
            ("PORT", layer.synapses.first().map_or(0, |first| first.port)),
        ];
        let sizes: Vec<String> = sizes.iter().map(|(name, size)| format!("{name} = {size}u")).collect();
        let is_grouped = layer.synapses.iter().any(|synapses| synapses.shape.groups > 1);
        let is_dense = layer.synapses.iter().all(is_dense);
        let mut text = format!("    static constexpr u32 {};\n", sizes.join(", "));
        let _ = writeln!(text, "    static constexpr u64 ROW = {}ull;", batch as u64 * self.neurons as u64);
        let (duration, floor) = (number(layer.duration), number(layer.slope_min));
        let _ = writeln!(text, "    static constexpr double DURATION = {duration}, SLOPE_MIN = {floor};");
        let _ = writeln!(text, "    static constexpr bool IS_DENSE = {is_dense}, IS_GROUPED = {is_grouped};");
        text
    }

    /// How many different ports its synapses have.
    fn ports(&self) -> usize {
        let mut ports: Vec<usize> = self.sweep.layer.synapses.iter().map(|synapses| synapses.port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports.len()
    }

    fn group_text(&self, group: usize, synapses: &Synapses) -> String {
        let s = &synapses.shape;
        let sizes = [
            ("SENDERS", synapses.senders()),
            ("SLOTS", synapses.slots(self.sweep.layer.slots)),
            ("FIRST", self.firsts.get(group).copied().unwrap_or(0)),
            ("ROW", self.rows.get(group).copied().unwrap_or(0)),
            ("WINDOW", synapses.window().max(1)),
            ("CIN", s.cin.max(1)),
            ("GROUPS", s.groups.max(1)),
            ("IN_H", s.input[0]),
            ("IN_W", s.input[1]),
            ("IMAGE_W", synapses.image[1].max(1)),
            ("POOL_H", synapses.pool[0]),
            ("POOL_W", synapses.pool[1]),
            ("KERNEL_H", s.kernel[0]),
            ("KERNEL_W", s.kernel[1]),
            ("STRIDE_H", s.stride[0]),
            ("STRIDE_W", s.stride[1]),
            ("PAD_H", s.pad[0]),
            ("PAD_W", s.pad[1]),
            ("DILATION_H", s.dilation[0]),
            ("DILATION_W", s.dilation[1]),
            ("PARTS", self.weight_parts(synapses).2),
        ];
        let sizes: Vec<String> = sizes.iter().map(|(name, size)| format!("{name} = {size}u")).collect();
        format!(
            "    struct G{group} {{\n        static constexpr u32 {};\n        static constexpr int PORT = {};\n    }};\n",
            sizes.join(", "),
            synapses.port
        )
    }

    /// The functions that tell the group of an event.
    fn functions(&self) -> String {
        let mut text = String::new();
        let each = |line: &dyn Fn(usize) -> String| {
            let groups = self.firsts.iter().zip(&self.sweep.layer.synapses).enumerate();
            groups
                .map(|(group, (first, synapses))| {
                    let len = synapses.slots(self.sweep.layer.slots) * synapses.senders();
                    format!("        if (id - {first}u < {len}u) return {};\n", line(group))
                })
                .collect::<String>()
        };
        let _ = write!(
            text,
            "    static SN_DEV bool locate(u32 id, u32 pixel, ev_synapse& synapse) {{\n{}        return false;\n    }}\n",
            each(&|group| {
                let first = self.firsts.get(group).copied().unwrap_or(0);
                format!("ev_reaches<@_layer, G{group}>((id - {first}u) / G{group}::SLOTS, pixel, synapse)")
            })
        );
        let _ = write!(
            text,
            "    static SN_DEV u32 group(u32 id) {{\n{}        return 0;\n    }}\n",
            each(&|group| group.to_string())
        );
        let _ = write!(
            text,
            "    static SN_DEV u64 place_of(u32 id, u32 sample) {{\n{}        return 0;\n    }}\n",
            each(&|group| {
                let rest = format!("(id - G{group}::FIRST)");
                format!(
                    "((u64)({rest} % G{group}::SLOTS) * BATCH + sample) * G{group}::SENDERS + {rest} / G{group}::SLOTS"
                )
            })
        );
        text
    }
}

/// How neighboring channels are cut into blocks of at most so many threads: how many, and threads of each.
fn tiles(channels: usize, most: usize) -> (usize, usize) {
    let tiles = channels.div_ceil(most).max(1);
    let threads = channels.div_ceil(tiles).next_multiple_of(32).max(32);
    (channels.div_ceil(threads), threads)
}

/// Threads of a block of the forward pass whose shared memory holds so many numbers for each, at most.
fn most_threads(entries: usize) -> usize {
    let each = entries * size_of::<f64>() + EVENT;
    (SHARED / each / 32 * 32).clamp(32, CHANNELS)
}

/// Whether every spike reaches every neuron.
fn is_dense(synapses: &Synapses) -> bool {
    let s = &synapses.shape;
    let is_pixel = [s.kernel, s.input, s.output, synapses.image].iter().flatten().all(|extent| *extent == 1);
    is_pixel && s.pad == [0, 0] && s.groups == 1
}

#[cfg(test)]
mod tests {
    use snn_loops::events::MAX_ORDER;

    use super::*;

    #[test]
    fn blocks_of_the_forward_pass_have_room_for_every_neuron() {
        for entries in 1..=MAX_ORDER * (MAX_ORDER + 1) {
            let threads = most_threads(entries);
            assert!(threads * (entries * size_of::<f64>() + EVENT) <= SHARED, "{entries}");
            assert!(threads >= 64 && threads.is_multiple_of(32), "{entries}: {threads}");
        }
        assert_eq!([most_threads(6), most_threads(72)], [CHANNELS, 64]);
        assert_eq!([tiles(800, 128), tiles(97, 64), tiles(10, 128)], [(7, 128), (2, 64), (1, 32)]);
    }
}
