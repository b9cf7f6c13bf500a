//! The heavy kernel of continuous time: a layer of equal neurons with its synapses, from spike times to spike times.
//!
//! A *train* holds the spikes of a layer, `[slots][batch][neurons]`: the times of each neuron in seconds, ascending, and
//! infinity where there is none. Neurons lie channels-last, `[height][width][channels]`. An input spike travels along
//! every synapse of its neuron (a linear layer, or a convolution through whose kernel it is scattered) and adds its weight
//! to the states of the neurons there; between arrivals the states follow the neuron's equations, and what reaches the
//! threshold spikes ([`LinearNeuron`]). Rules of order:
//!
//! - What arrives at the very moment at which a neuron would spike acts before it is tested.
//! - A spike acts on its own layer at the same moment, strictly after its cause, or after a delay; a delay below 0 counts as
//!   0, because no effect comes before its cause.
//! - Arrivals at the same time act in the order of synapse groups, neurons and slots.
//! - Nothing happens before 0 or after the duration of the sample: spikes that would arrive then are not heard, nor are those
//!   whose time is no number. The slots of a train from outside need not be in order.
//! - A neuron that would spike once more than its budget allows is not simulated any further; how many such neurons there are
//!   is counted, never hidden.
//! - What a layer sends itself arrives at a time that the program's type of numbers holds, computed from such times, so that
//!   both passes see the same order.
//!
//! The passes, for every sample by itself:
//!
//! | pass | reads | writes |
//! | --- | --- | --- |
//! | forward | trains, weights, delays | times; of each spike what the adjoint needs ([`EventLayer::memory_width`]); two counters over the batch: neurons out of budget, slopes below the floor |
//! | adjoint | the same, times, memory, the loss's derivatives by the times | derivatives by weights (summed over the batch), by times of input spikes, by delays (summed) |
//!
//! The adjoint `lambda = dL/dx` runs backwards in time. Between events `lambda(t - dt) = e^(flow^T dt) lambda(t)`. At an
//! own spike with error `E = dL/dt`, states `x-` before and `x+` after, rates `f-`, `f+` and slope `s` of the potential,
//! `lambda- = reset^T lambda+ + threshold ((f+ - reset f-) . lambda+ - E) / s` (implicit function theorem). At an arrival of
//! weight `w`, `dL/dw += lambda . inject` and `dL/dt -= w lambda . flow inject`. A neuron that an arrival has lifted over
//! its threshold spikes when that arrives, whatever the weight: its error is the arrival's. A potential that stands at the
//! threshold without rising, as in a tie, gives a spike whose time has no derivative.
//! Source: the implicit gradient of "Exact Error Backpropagation Through Spikes" (Bacho and Chu 2022), here for any linear
//! neuron, feedback and delays, in the adjoint form of Wunderlich and Pehle (2021).
//!
//! Sums over a batch and over neurons may be taken in any order that the descriptor alone decides.

mod adjoint;
mod forward;
mod rise;
mod sample;

use std::fmt::{self, Display, Formatter};

use crate::contraction::ConvShape;
use crate::events::LinearNeuron;
use crate::program::Operand;

pub use adjoint::{SampleGradients, adjoint};
pub use forward::{Spikes, forward};
pub use rise::Rise;
pub use sample::{Sample, own_arrival};

/// Where the spikes come from that travel along synapses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A train with so many slots.
    Train(usize),
    /// The layer itself, at once or (`true`) after a delay.
    Own(bool),
}

/// Synapses of one kind: who sends, and who receives with which weight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Synapses {
    /// The geometry; a linear layer is a 1x1 convolution of a 1x1 image.
    pub shape: ConvShape,
    /// Height and width of the sending layer. Where `pool` is more than 1x1 it is larger than the shape's input: all
    /// spikes of a window of senders count as those of one.
    pub image: [usize; 2],
    /// Height and width of the windows.
    pub pool: [usize; 2],
    /// The neuron's port.
    pub port: usize,
    /// Who sends.
    pub source: Source,
}

impl Synapses {
    /// Synapses without pooling.
    pub fn new(shape: ConvShape, port: usize, source: Source) -> Synapses {
        Synapses { image: shape.input, pool: [1, 1], shape, port, source }
    }

    /// Number of sending neurons.
    pub fn senders(&self) -> usize {
        self.shape.cin * self.image[0] * self.image[1]
    }

    /// Slots of the senders' train, where the layer itself has `own`.
    pub fn slots(&self, own: usize) -> usize {
        match self.source {
            Source::Train(slots) => slots,
            Source::Own(_) => own,
        }
    }

    /// Calls `visit` with every output pixel that a spike of a sender reaches, and the element of the kernel through which
    /// it does: its place in the weights of a single output channel, `[cin / groups][kh][kw]`.
    pub fn each_target(&self, sender: usize, visit: &mut dyn FnMut(usize, usize)) {
        let s = &self.shape;
        let (pixel, channel) = (sender / s.cin, sender % s.cin);
        let at = [pixel / self.image[1] / self.pool[0], pixel % self.image[1] / self.pool[1]];
        if at[0] >= s.input[0] || at[1] >= s.input[1] {
            return;
        }
        let within = channel % (s.cin / s.groups);
        let output = |axis: usize, tap: usize| {
            let shifted = (at[axis] + s.pad[axis]).checked_sub(tap * s.dilation[axis])?;
            let place = shifted / s.stride[axis];
            (shifted % s.stride[axis] == 0 && place < s.output[axis]).then_some(place)
        };
        for kh in 0..s.kernel[0] {
            let Some(oh) = output(0, kh) else { continue };
            for kw in 0..s.kernel[1] {
                let Some(ow) = output(1, kw) else { continue };
                visit(oh * s.output[1] + ow, (within * s.kernel[0] + kh) * s.kernel[1] + kw);
            }
        }
    }

    /// The output channels that a sender reaches.
    pub fn channels(&self, sender: usize) -> std::ops::Range<usize> {
        let s = &self.shape;
        let group = sender % s.cin / (s.cin / s.groups);
        let each = s.cout / s.groups;
        group * each..(group + 1) * each
    }

    /// Weights of one output channel.
    pub fn window(&self) -> usize {
        self.shape.cin / self.shape.groups * self.shape.kernel[0] * self.shape.kernel[1]
    }
}

/// A layer of neurons on events, in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct EventLayer {
    /// The neuron.
    pub neuron: LinearNeuron,
    /// Its synapses; all have the same output.
    pub synapses: Vec<Synapses>,
    /// Slots of its train.
    pub slots: usize,
    /// The most spikes of a neuron in a sample; there is a slot for each, and those behind stay empty.
    pub budget: usize,
    /// Seconds of a sample.
    pub duration: f64,
    /// Slopes of the potential at a spike count as at least this, per second; 0 for as they are.
    pub slope_min: f64,
}

impl EventLayer {
    /// Number of neurons.
    pub fn neurons(&self) -> usize {
        self.synapses.first().map_or(0, |synapses| synapses.shape.output_len())
    }

    /// Whether what arrives at a time has an effect.
    pub fn hears(&self, time: f64) -> bool {
        (0.0..=self.duration).contains(&time)
    }

    /// Numbers that the forward pass leaves of a spike, `[slots][batch][neurons][width]`: its [`Rise`] and, where the change
    /// of the rates at a reset depends on them, the states before it.
    pub fn memory_width(&self) -> usize {
        if self.neuron.resets_evenly() { 1 } else { 1 + self.neuron.order }
    }
}

/// Where the parts of a group of synapses lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SynapseOperands {
    /// The train, unless it is the layer's own.
    pub train: Option<Operand>,
    /// `[cout][cin / groups][kh][kw]`
    pub weight: Operand,
    /// One delay in seconds, where there is one.
    pub delay: Option<Operand>,
}

/// Where the derivatives by the parts of a group of synapses go; those that nobody asks for are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SynapseGradients {
    /// Like the train.
    pub train: Option<Operand>,
    /// Like the weights.
    pub weight: Option<Operand>,
    /// Like the delay.
    pub delay: Option<Operand>,
}

/// What is computed, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SweepPass {
    /// The spikes of the layer.
    Forward {
        /// The layer's train.
        times: Operand,
        /// What the adjoint needs.
        memory: Option<Operand>,
        /// The two counters.
        counters: Option<Operand>,
    },
    /// The derivatives.
    Adjoint {
        /// The layer's train.
        times: Operand,
        /// What the forward pass has left.
        memory: Operand,
        /// The loss's derivatives by the times; what stands at empty slots is not read.
        errors: Operand,
        /// One entry for each group of synapses.
        gradients: Vec<SynapseGradients>,
    },
}

/// Counters of a forward pass.
pub const COUNTERS: usize = 2;

/// One call of the kernel.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSweep {
    /// A name for people.
    pub name: String,
    /// The layer.
    pub layer: EventLayer,
    /// Samples.
    pub batch: usize,
    /// One entry for each group of synapses.
    pub synapses: Vec<SynapseOperands>,
    /// What is computed.
    pub pass: SweepPass,
}

impl EventSweep {
    /// Elements of the layer's train.
    pub fn times_len(&self) -> usize {
        self.layer.slots.saturating_mul(self.batch).saturating_mul(self.layer.neurons())
    }

    /// Elements of the train of a group of senders.
    pub fn train_len(&self, synapses: &Synapses) -> usize {
        synapses.slots(self.layer.slots).saturating_mul(self.batch).saturating_mul(synapses.senders())
    }

    fn memory_len(&self) -> usize {
        self.times_len().saturating_mul(self.layer.memory_width())
    }

    /// What it reads: place and number of elements. Synapses come first, each with its train, weights and delay as far as
    /// it has them.
    pub fn reads(&self) -> Vec<(&Operand, usize)> {
        let mut reads = Vec::new();
        for (synapses, operands) in self.layer.synapses.iter().zip(&self.synapses) {
            reads.extend(operands.train.iter().map(|train| (train, self.train_len(synapses))));
            reads.push((&operands.weight, synapses.shape.weight_len()));
            reads.extend(operands.delay.iter().map(|delay| (delay, 1)));
        }
        if let SweepPass::Adjoint { times, memory, errors, .. } = &self.pass {
            reads.extend([(times, self.times_len()), (memory, self.memory_len()), (errors, self.times_len())]);
        }
        reads
    }

    /// What it writes: place and number of elements.
    pub fn writes(&self) -> Vec<(&Operand, usize)> {
        let mut writes = Vec::new();
        match &self.pass {
            SweepPass::Forward { times, memory, counters } => {
                writes.push((times, self.times_len()));
                writes.extend(memory.iter().map(|memory| (memory, self.memory_len())));
                writes.extend(counters.iter().map(|counters| (counters, COUNTERS)));
            }
            SweepPass::Adjoint { gradients, .. } => {
                for (synapses, gradients) in self.layer.synapses.iter().zip(gradients) {
                    writes.extend(gradients.train.iter().map(|train| (train, self.train_len(synapses))));
                    writes.extend(gradients.weight.iter().map(|weight| (weight, synapses.shape.weight_len())));
                    writes.extend(gradients.delay.iter().map(|delay| (delay, 1)));
                }
            }
        }
        writes
    }
}

impl Display for EventSweep {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let EventLayer { neuron, slots, budget, duration, slope_min, .. } = &self.layer;
        let list = |operands: Vec<(&Operand, usize)>| {
            operands.into_iter().map(|(operand, _)| operand.to_string()).collect::<Vec<String>>().join(", ")
        };
        let kind = match self.pass {
            SweepPass::Forward { .. } => "forward",
            SweepPass::Adjoint { .. } => "adjoint",
        };
        writeln!(f, "event sweep {:?}", self.name)?;
        writeln!(f, "  {} = {kind} {}, batch {}", list(self.writes()), list(self.reads()), self.batch)?;
        writeln!(f, "  neuron order {}, flow {:?}, drive {:?}", neuron.order, neuron.flow, neuron.drive)?;
        writeln!(f, "  inject {:?}, threshold {:?} at {:?}", neuron.inject, neuron.threshold, neuron.theta)?;
        writeln!(f, "  reset {:?} + {:?}, start {:?}", neuron.reset, neuron.kick, neuron.start)?;
        writeln!(f, "  slots {slots}, budget {budget}, duration {duration:?}, slope_min {slope_min:?}")?;
        for Synapses { shape: s, image, pool, port, source } in &self.layer.synapses {
            let [kernel, stride, pad] = [s.kernel, s.stride, s.pad].map(|[a, b]| format!("{a}x{b}"));
            let from = match source {
                Source::Train(slots) => format!("a train of {slots} slots"),
                Source::Own(false) => "itself".to_owned(),
                Source::Own(true) => "itself, delayed".to_owned(),
            };
            write!(f, "  synapses from {from} to port {port}: cin {}, cout {}, groups {}", s.cin, s.cout, s.groups)?;
            write!(f, ", image {}x{}, pool {}x{}", image[0], image[1], pool[0], pool[1])?;
            writeln!(f, ", kernel {kernel}, stride {stride}, pad {pad}, output {}x{}", s.output[0], s.output[1])?;
        }
        Ok(())
    }
}
