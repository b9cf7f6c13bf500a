//! How much memory training or inference will take, in all and layer by layer, before anything is compiled or allocated.
//!
//! The graph is lowered and its buffers are placed, which is exact; what the process itself needs is measured once and
//! written down here. Must never know how a forecast is shown.

mod needs;

use std::collections::BTreeMap;

use snn_graph::lower::{Computed, LowerOptions, Lowered, Port, lower};
use snn_graph::passes::{self, PassContext};
use snn_graph::recompute::{self, RecomputeError};
use snn_graph::setup::{Split, split};
use snn_graph::training::{self, Optimizer, TrainStep};
use snn_graph::{Graph, InputKind, Model};
use snn_loops::plan::{lifetimes, touched};
use snn_loops::{BufferId, Dtype, Program, Role, WeightValues};

use crate::device::Device;
use crate::error::{Result, RuntimeError};
use crate::step::pairs;

use needs::Needs;

/// What a process has before it has a model: the program itself, its libraries, the standard library's texts.
const PROCESS: usize = 16 << 20;
/// What a kernel takes on its way to machine code and as such.
const KERNEL: usize = 28 << 10;
/// Bytes of a first weight while it is drawn.
const DRAWN: usize = size_of::<f64>();

/// What is forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase<'a> {
    /// Training with an optimizer, its program within a number of bytes if there is a limit.
    Training(&'a Optimizer, Option<usize>),
    /// Inference, with weights rounded to such values.
    Inference(WeightValues),
}

/// Bytes at the worst moment: of the process, or, for a CUDA device, of the device's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// The process, its machine code, and what it knows of the program; 0 for a device, whose driver keeps to itself what it
    /// takes.
    pub process: usize,
    /// Learned values and running averages, old and new where they cannot share memory, what an evaluation computes from them
    /// once, and copies of them in the order in which its kernels read them.
    pub parameters: usize,
    /// What the optimizer keeps, likewise.
    pub slots: usize,
    /// The batch, here and in the program, and the results; for a device those in its memory alone.
    pub batch: usize,
    /// Constants.
    pub constants: usize,
    /// Everything that lives inside of a step: saved for the backward pass, gradients, temporaries.
    pub arena: usize,
    /// What the hungriest kernel and all threads need beside its buffers.
    pub scratch: usize,
    /// First weights while they are drawn and handed to the program, one after the other; nothing else is there yet but
    /// the process.
    pub drawing: usize,
    /// The most of the host's memory that is pinned for what is sent to a device; no part of the total.
    pub pinned: usize,
    /// Layers, in the order of first use.
    pub layers: Vec<LayerMemory>,
    /// Names of layers of which something is computed twice, to stay within the limit.
    pub recomputed: Vec<String>,
}

/// Bytes of one layer. Those of different layers share the arena, so that their sum is more than it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LayerMemory {
    /// The user's path; empty for what belongs to no layer.
    pub path: String,
    /// Made in the forward pass and read in the backward pass.
    pub saved: usize,
    /// Everything else that its kernels make.
    pub temporary: usize,
    /// Its learned values, running averages and what the optimizer keeps.
    pub parameters: usize,
    /// What of saved and temporary is alive at the moment when most is.
    pub at_peak: usize,
}

impl Forecast {
    /// Adds a program, without what its kernels need beside its buffers. Those of an evaluation stay in memory together.
    fn add(&mut self, lowered: &Lowered, needs: &Needs) {
        self.constants += needs.constants;
        self.pinned += needs.pinned;
        self.arena += needs.arena;
        self.parameters += needs.copies;
        for port in lowered.inputs.iter().chain(&lowered.outputs) {
            let bytes = own_bytes(needs, port);
            match Held::of(&port.name) {
                Held::Parameter => self.parameters += bytes,
                Held::Slot => self.slots += bytes,
                Held::Batch => self.batch += bytes,
            }
        }
    }

    /// Bytes of the process at the worst moment.
    pub fn total(&self) -> usize {
        let running = self.parameters + self.slots + self.batch + self.constants + self.arena + self.scratch;
        self.process + running.max(self.drawing)
    }
}

/// What a step will run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The type everything is computed in.
    pub dtype: Dtype,
    /// The machine. A CUDA device need not be there; the forecast is then for a Hopper.
    pub device: Device,
}

/// What training or inference with a batch will take.
///
/// # Errors
/// If the model cannot be trained or lowered, or its training does not stay within its limit.
pub fn forecast(model: &Model, phase: Phase<'_>, batch: usize, target: Target) -> Result<Forecast> {
    let ahead = Ahead::new(model, phase, target)?;
    ahead.forecast(ahead.fit(batch)?, batch)
}

/// The largest batch with which training or inference stays within a number of bytes; `None` if one sample is too much.
///
/// # Errors
/// If the model cannot be trained or lowered.
pub fn largest_batch(model: &Model, phase: Phase<'_>, limit: usize, target: Target) -> Result<Option<usize>> {
    const MOST: usize = 1 << 20;
    let ahead = Ahead::new(model, phase, target)?;
    let fits = |batch: usize| match ahead.fit(batch) {
        Ok(fitted) => Ok(ahead.forecast(fitted, batch)?.total() <= limit),
        Err(RecomputeError::TooMuch { .. }) => Ok(false),
        Err(error) => Err(RuntimeError::from(error)),
    };
    if !fits(1)? {
        return Ok(None);
    }
    let (mut fitting, mut beyond) = (1, 2);
    while beyond < MOST && fits(beyond)? {
        (fitting, beyond) = (beyond, 2 * beyond);
    }
    while beyond - fitting > 1 {
        let middle = fitting + (beyond - fitting) / 2;
        match fits(middle)? {
            true => fitting = middle,
            false => beyond = middle,
        }
    }
    Ok(Some(fitting))
}

/// A model up to lowering, which alone depends on the batch.
struct Ahead<'m> {
    model: &'m Model,
    /// What runs when the weights change; empty for training.
    setup: TrainStep,
    step: TrainStep,
    /// The most bytes of the program of the step.
    memory_limit: Option<usize>,
    target: Target,
    is_training: bool,
}

impl<'m> Ahead<'m> {
    fn new(model: &'m Model, phase: Phase<'_>, target: Target) -> Result<Ahead<'m>> {
        let is_training = matches!(phase, Phase::Training(..));
        let mut context = PassContext::new(model, is_training);
        if let Phase::Inference(weights) = phase {
            context.weights = weights;
        }
        let passed = passes::run(model, &context, None)?;
        let (split, memory_limit) = match phase {
            Phase::Training(optimizer, limit) => {
                let step = training::scaled_train_step(&passed, optimizer, target.device.loss_scale())?;
                let setup = TrainStep { graph: Graph::new(step.graph.steps), outputs: Vec::new() };
                (Split { setup, step }, limit)
            }
            Phase::Inference(_) => (split(&training::eval_step(&passed)?)?, None),
        };
        let Split { setup, step } = split;
        Ok(Ahead { model, setup, step, memory_limit, target, is_training })
    }

    /// The step with a batch, within its limit, and the names of what is computed twice for that.
    fn fit(&self, batch: usize) -> Result<(TrainStep, Vec<String>), RecomputeError> {
        let Some(limit) = self.memory_limit else { return Ok((self.step.clone(), Vec::new())) };
        let fitted = recompute::fit(&self.step, self.lowering(batch), limit)?;
        Ok((fitted.step, fitted.recomputed))
    }

    fn lowering(&self, batch: usize) -> LowerOptions {
        let lowering = self.target.device.lowering(LowerOptions::new(batch, self.target.dtype));
        if self.is_training { lowering } else { self.target.device.evaluation(lowering) }
    }

    fn forecast(&self, (step, recomputed): (TrainStep, Vec<String>), batch: usize) -> Result<Forecast> {
        let is_here = !matches!(self.target.device, Device::Cuda { .. });
        let mut forecast = Forecast { recomputed, ..Forecast::default() };
        if is_here {
            (forecast.process, forecast.batch) = (PROCESS, self.host_batch(batch));
            forecast.drawing = self.drawing();
        }
        let (mut table, mut scratch) = (Layers::default(), Vec::new());
        for (plan, is_peak) in [(&self.setup, false), (&step, true)] {
            if plan.outputs.is_empty() {
                continue;
            }
            let lowered = lower(&plan.graph, &plan.outputs, self.lowering(batch))
                .map_err(|error| RuntimeError::new(error.message))?;
            let needs = Needs::of(&lowered.program, self.target.device, &pairs(&lowered, &carried(&lowered)))?;
            forecast.add(&lowered, &needs);
            table.add(&lowered, &needs, is_peak);
            // The results of what runs when weights change go over one by one, in double precision.
            let results = plan.outputs.iter().filter(|_| is_here && !is_peak);
            let elements = results.map(|(_, node)| plan.graph.ty(*node).extents(plan.graph.steps, 1).iter().product());
            scratch.push(needs.scratch + elements.max().unwrap_or(0_usize) * size_of::<f64>());
            if is_here {
                forecast.process += KERNEL * lowered.program.kernels.len();
            }
            if let Some(output) = lowered.output("output").filter(|_| is_here) {
                // The result of an inference, as the host gets it.
                let elements: usize = output.ty.extents(self.model.graph.steps, batch).iter().product();
                forecast.batch += elements * size_of::<f64>();
            }
        }
        // Programs of the processor give back what their kernels need, those of a device keep it.
        forecast.scratch = if is_here { scratch.into_iter().max().unwrap_or(0) } else { scratch.into_iter().sum() };
        forecast.layers = table.list;
        Ok(forecast)
    }

    /// The worst moment of handing drawn weights to a program: those it has, and those it has not yet.
    fn drawing(&self) -> usize {
        let graph = &self.model.graph;
        let elements = |node| graph.ty(node).extents(graph.steps, 1).iter().product::<usize>();
        let all: Vec<usize> = self.model.parameters.iter().map(|parameter| elements(parameter.node)).collect();
        let (mut drawn, mut given, mut worst) = (all.iter().sum::<usize>() * DRAWN, 0, 0);
        for elements in all {
            given += elements * self.target.dtype.size();
            worst = worst.max(drawn + given);
            drawn -= elements * DRAWN;
        }
        worst
    }

    /// What the host itself keeps of a batch: values of single precision, however the model computes.
    fn host_batch(&self, batch: usize) -> usize {
        let steps = self.model.graph.steps;
        let of = |input: &snn_graph::Input| {
            let steps = if input.kind == InputKind::Static { 1 } else { steps };
            input.dims.iter().product::<usize>().saturating_mul(steps * batch * size_of::<f32>())
        };
        self.model.inputs.iter().chain(&self.model.targets).map(of).sum()
    }
}

/// What a port holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    Parameter,
    Slot,
    Batch,
}

impl Held {
    fn of(name: &str) -> Held {
        let starts = |prefix: &str| name.starts_with(prefix);
        match () {
            () if starts("param:") || starts("average:") => Held::Parameter,
            () if starts("setup:") || starts("input:setup:") => Held::Parameter,
            () if starts("slot:") || starts("input:slot:") => Held::Slot,
            () => Held::Batch,
        }
    }
}

/// What replaces what after a step: the names of a result, and of the input that is called after it.
fn carried(lowered: &Lowered) -> Vec<(String, String)> {
    let names = lowered.outputs.iter().map(|port| port.name.clone()).filter(|name| Held::of(name) != Held::Batch);
    let input = |name: &String| if name.starts_with("slot:") { format!("input:{name}") } else { name.clone() };
    names.map(|name| (name.clone(), input(&name))).collect()
}

/// The layer that a learned value, an average or a slot belongs to: its path without the last part.
fn layer_of_port(name: &str) -> Option<&str> {
    let name = name.strip_prefix("input:").unwrap_or(name);
    let path = ["param:", "average:", "slot:"].iter().find_map(|prefix| name.strip_prefix(prefix))?;
    let path = path.split(':').next().unwrap_or(path);
    Some(path.rsplit_once('.').map_or("", |(layer, _)| layer))
}

/// What the buffer of a port takes; nothing where it shares the memory of what it replaces.
fn own_bytes(needs: &Needs, port: &Port) -> usize {
    needs.of_buffers.get(port.buffer.0 as usize).copied().unwrap_or(0)
}

/// The layer of a node: nodes of an update are named after the parameter.
fn layer_name(computed: &Computed) -> &str {
    computed.name.as_deref().unwrap_or("")
}

/// Layers by path, in the order of first mention.
#[derive(Default)]
struct Layers {
    list: Vec<LayerMemory>,
    positions: BTreeMap<String, usize>,
}

impl Layers {
    fn entry(&mut self, path: &str) -> &mut LayerMemory {
        let at = match self.positions.get(path) {
            Some(at) => *at,
            None => {
                self.list.push(LayerMemory { path: path.to_owned(), ..LayerMemory::default() });
                self.positions.insert(path.to_owned(), self.list.len() - 1);
                self.list.len() - 1
            }
        };
        &mut self.list[at]
    }

    /// Adds the layers of a program, in the order in which kernels compute them; `is_peak` where its moment of most memory
    /// is that of the whole.
    fn add(&mut self, lowered: &Lowered, needs: &Needs, is_peak: bool) {
        let program = &lowered.program;
        let peak = peak(program, &needs.sizes);
        let readers = readers(program);
        let lives = lifetimes(program);
        let mut makers: BTreeMap<BufferId, usize> = BTreeMap::new();
        for (at, kernel) in program.kernels.iter().enumerate() {
            for buffer in touched(kernel).writes {
                makers.entry(buffer).or_insert(at);
            }
        }
        let first = |kernel: usize| lowered.computed.get(kernel).and_then(|computed| computed.first());
        let is_backward = |kernel: usize| first(kernel).is_some_and(|computed| computed.grad);
        let mut in_order: Vec<(BufferId, usize)> = makers.into_iter().collect();
        in_order.sort_by_key(|(buffer, kernel)| (*kernel, *buffer));
        for (buffer, kernel) in in_order {
            if program.buffers.get(buffer.0 as usize).is_none_or(|buffer| buffer.role != Role::Temporary) {
                continue;
            }
            let bytes = needs.size(buffer);
            let layer = self.entry(first(kernel).map_or("", layer_name));
            let read_later = readers.get(&buffer).is_some_and(|all| all.iter().any(|reader| is_backward(*reader)));
            match read_later && !is_backward(kernel) {
                true => layer.saved += bytes,
                false => layer.temporary += bytes,
            }
            if is_peak && lives.get(&buffer).is_some_and(|(begin, end)| (*begin..=*end).contains(&peak)) {
                layer.at_peak += bytes;
            }
        }
        for port in lowered.inputs.iter().chain(&lowered.outputs) {
            if let Some(path) = layer_of_port(&port.name) {
                self.entry(path).parameters += own_bytes(needs, port);
            }
        }
    }
}

/// Kernels that read each buffer.
fn readers(program: &Program) -> BTreeMap<BufferId, Vec<usize>> {
    let mut readers: BTreeMap<BufferId, Vec<usize>> = BTreeMap::new();
    for (at, kernel) in program.kernels.iter().enumerate() {
        for buffer in touched(kernel).reads {
            readers.entry(buffer).or_default().push(at);
        }
    }
    readers
}

/// The launch at which most bytes of temporary buffers are alive.
fn peak(program: &Program, sizes: &[usize]) -> usize {
    let mut changes: Vec<i128> = vec![0; program.launches.len() + 1];
    for (buffer, (first, last)) in lifetimes(program) {
        if program.buffers.get(buffer.0 as usize).is_some_and(|buffer| buffer.role == Role::Temporary) {
            let bytes = sizes.get(buffer.0 as usize).copied().unwrap_or(0) as i128;
            if let Some(begin) = changes.get_mut(first) {
                *begin += bytes;
            }
            if let Some(end) = changes.get_mut(last + 1) {
                *end -= bytes;
            }
        }
    }
    let (mut alive, mut most, mut at) = (0, 0, 0);
    for (launch, change) in changes.into_iter().enumerate() {
        alive += change;
        if alive > most {
            (most, at) = (alive, launch);
        }
    }
    at
}
